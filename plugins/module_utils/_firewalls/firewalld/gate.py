# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gate before new connections, for as long as firewalld does not filter as it should."""

from __future__ import annotations

import time
from types import TracebackType
from typing import List, Optional, Type

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Run

# A table that drops new connections. Its set expires after 30 s, so it opens by itself if its process dies. lo and
# neighbour discovery (untracked) go on. firewalld has a table like it while it reloads.
_TABLE = "netports_closed"
# How often its removal is tried.
_OPENING = 5
_CLOSE = """add table inet %(name)s
delete table inet %(name)s
table inet %(name)s {
  set closed { type nf_proto; flags timeout; elements = { ipv4 timeout 30s, ipv6 timeout 30s }; }
  chain new {
    iif lo accept
    oif lo accept
    ct state established,related,untracked accept
    meta nfproto @closed drop
  }
  chain input { type filter hook input priority 0; jump new; }
  chain forward { type filter hook forward priority 0; jump new; }
  chain output { type filter hook output priority 0; jump new; }
}
""" % {"name": _TABLE}


# The gate opens in the same step in which the kernel shows that firewalld filters.
_LOOK = """list tables
list chain inet firewalld filter_INPUT
"""
_OPEN = _LOOK + "delete table inet %s\n" % _TABLE
# firewalld's own table that drops everything, while it reloads and in panic mode.
_SHUT = "firewalld_policy_drop"


class Gate:
    """Refuses new connections for the length of its block, and looks at what firewalld left in the kernel at its end.

    firewalld refuses them itself until it has loaded its files, and then no longer. What was there at runtime only, an
    administrator's refusal, too, comes back after that. Without ``nft`` that moment stays, and nobody looks.

    :param run: starts a process.
    :param nftables: firewalld writes its rules by nftables; other rules are not looked at.
    :param panic: firewalld is in panic mode.
    :ivar problems: why firewalld does not filter, after the block.
    """

    def __init__(self, run: Run, nftables: bool, panic: bool) -> None:
        self._run = run
        self._look = nftables
        self._panic = panic
        self._shut = False
        self.problems: List[str] = []

    def __enter__(self) -> None:
        self._shut = self._run(["nft", "-f", "-"], _CLOSE)[0] == 0

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if not self._shut:
            return
        code, tables = 1, ""
        if self._look:
            code, tables, _err = self._run(["nft", "-f", "-"], _OPEN)
        for _attempt in range(_OPENING if code else 0):
            if self._run(["nft", "delete", "table", "inet", _TABLE], None)[0] == 0:
                break
            time.sleep(0.1)
        if code and self._look:
            code, tables, _err = self._run(["nft", "-f", "-"], _LOOK)
        if code and self._look:
            self.problems.append("the kernel does not have its rules")
        elif _SHUT in tables and not self._panic:
            self.problems.append("it drops everything (table %s)" % _SHUT)
