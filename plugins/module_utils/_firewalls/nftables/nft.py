# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nft, and systemd's word on its service."""

from __future__ import annotations

import os
from typing import List, Optional

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host

_UNIT = "nftables.service"
# Where systemd and OpenRC keep what starts at boot.
_BOOT = ("etc/systemd/system", "etc/runlevels")
# Of what a program says, at most so much goes into a message: nft quotes the lines that it refuses.
_LONGEST = 500


def listed(host: Host) -> str:
    """What ``nft -j list ruleset`` prints.

    :raises FirewallError: nft failed.
    """
    return _must(host, ["nft", "-j", "list", "ruleset"], "nft cannot list the ruleset")


def check(host: Host, path: str, what: str) -> None:
    """Have nft parse a file and all that it includes.

    :param what: the file, for people.
    :raises FirewallError: nft refuses it.
    """
    _must(host, ["nft", "-c", "-f", path], "nft refuses %s" % what)


def load(host: Host, transaction: str) -> None:
    """Change the kernel's ruleset.

    :param transaction: for ``nft -j``.
    :raises FirewallError: nft or the kernel refuses it: nothing of it was loaded.
    """
    _must(host, ["nft", "-j", "-f", "-"], "nft could not load the rules", transaction)


def boots(host: Host) -> bool:
    """Whether nftables.service starts at boot."""
    for folder in map(host.path, _BOOT):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if any(os.path.lexists(os.path.join(folder, name, unit)) for unit in ("nftables.service", "nftables")):
                return True
    return False


def at_boot(host: Host, enabled: bool) -> None:
    """Switch what happens at boot alone: a start or a stop of the service flushes everybody's rules.

    :raises FirewallError: systemd does not.
    """
    words = ["systemctl", "enable" if enabled else "disable", _UNIT]
    _must(host, words, "%s failed" % " ".join(words))


def _must(host: Host, argv: List[str], failure: str, given: Optional[str] = None) -> str:
    """What a program prints; an error in its words where it fails."""
    code, out, err = host.run(argv, given)
    if code:
        raise FirewallError("%s: %s" % (failure, " ".join((err or out).split())[:_LONGEST]))
    return out
