# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nftables without a front end: is it there, is it in use, read it."""

from __future__ import annotations

import os
from typing import Dict, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Firewall,
    FirewallError,
    Left,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

_PROGRAMS = ("usr/sbin/nft", "sbin/nft", "usr/bin/nft", "usr/local/sbin/nft")


class Nftables(Firewall):
    """nftables 0.9.8 and newer on Linux, managed by the administrator's own file or by nobody."""

    name = "nftables"
    folders = ("etc/nftables.conf", "etc/sysconfig/nftables.conf", "etc/nftables.nft", "etc/nftables.d")
    # ufw and firewalld are its front ends.
    rank = 1

    def installed(self) -> bool:
        return any(os.path.exists(self.host.path(program)) for program in _PROGRAMS)

    def in_use(self) -> bool:
        """Whether its service starts at boot, or somebody's own chains filter packets now.

        The kernel alone knows the chains, so this starts a process where the service does not start at boot. It is
        asked only where no front end is in use.
        """
        if not self.installed():
            return False
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import nft

        if nft.boots(self.host):
            return True
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import checks, kernel

        try:
            listing = kernel.parse(self.listed())
        except (FirewallError, ValueError):
            return False
        chains = [chain for hook in ("input", "forward", "output") for chain in checks.bases(listing, hook)]
        return any(checks.editable(listing, chain) for chain in chains)

    def listed(self) -> str:
        """What ``nft -j list ruleset`` prints now: the change of another run may come or go between two looks.

        :raises FirewallError: nft failed.
        """
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import nft

        return nft.listed(self.host)

    def read(self, asked: Asked) -> State:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import nft, read

        return read.state(self.host, asked, self.listed(), nft.boots(self.host))

    def take_back(self, asked: Asked, left: Left) -> None:
        """The names of the chains tell what a run loaded: so all of its files go first, and the others say what stays."""
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import plan

        files = () if left.waits else left.files
        written = _files.written(files)
        _files.put_back(files)
        have = self.read(asked)
        off = left.switched.now and not plan.others_on(self.host, left.switched, left.waits)
        plan.follow_files(have.plan(Wanted(rules=have.rules)), off)
        plan.switch_back(self.host, left.switched, written)

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str, own: bool = True) -> Dict[str, str]:
        """The ruleset's file for the table and the chains of Debian's own nftables.conf, ``inet filter``."""
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import model, text

        targets: List[model.Target] = [
            model.Target(family="inet", table="filter", chain=hook, hook=hook, prio=0) for hook in model.HOOKS.values()
        ]
        made: Tuple[Rule, ...] = tuple(rules)
        return {"/" + model.ruleset_file(ruleset): text.emit(made, ruleset, targets, own)} if made else {}
