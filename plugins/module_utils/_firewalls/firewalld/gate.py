# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gate before new connections, for as long as firewalld does not filter as it should."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Iterator

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


@contextmanager
def closed(run: Run) -> Iterator[None]:
    """Refuse new connections for the length of the block.

    firewalld does so itself until it has loaded its files, and then no longer. What was there at runtime only, an
    administrator's refusal, too, comes back after that. Without ``nft`` that moment stays.
    """
    shut = run(["nft", "-f", "-"], _CLOSE)[0] == 0
    try:
        yield
    finally:
        for _attempt in range(_OPENING if shut else 0):
            if run(["nft", "delete", "table", "inet", _TABLE], None)[0] == 0:
                break
            time.sleep(0.1)
