# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run does on a host with nftables: files, and one transaction of the kernel."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import FrozenSet, Optional

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    FirewallError,
    Host,
    Json,
    Plan,
    Switched,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import checks, fate, kernel, nft
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import FOLDER, Id, Listing, Part
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

# Of a ruleset that is not loaded.
_NOTHING = Part(chains={}, jumps=(), own={})


@dataclass(frozen=True)
class NftablesPlan(Plan):
    """What is to be done.

    :param goal: what the kernel is to have, and ``was`` what it had.
    :param refusing: the base chains that refused packets when the plan was made.
    :param changes_kernel: whether the two differ.
    :param main: the administrator's file, relative to the root.
    :param boot: switch nftables.service on at boot; false: off again; ``None``: leave it.
    :param keeps_folder: the folder of the files stays where it is empty.
    """

    goal: Part
    was: Part
    refusing: FrozenSet[Id]
    changes_kernel: bool
    main: str
    boot: Optional[bool]
    keeps_folder: bool

    @property
    def live(self) -> bool:
        return self.changes_kernel

    @property
    def switched(self) -> Switched:
        return Switched(now=self.was == _NOTHING != self.goal, boot=self.boot)

    def apply(self) -> None:
        with ExitStack() as undo:
            undo.callback(self.tidy)
            self._write()
            undo.callback(_files.put_back, list(self.files))
            self._check()
            undo.callback(self._restore)
            self.load_kernel()
            self._switch()
            undo.pop_all()
        self.tidy()

    def load(self) -> Json:
        with ExitStack() as undo:
            undo.callback(self.tidy)
            self._write()
            undo.callback(_files.put_back, list(self.files))
            self._check()
        with ExitStack() as undo:
            undo.callback(self._restore)
            self.load_kernel()
            undo.pop_all()
        return None

    def commit(self, loaded: Json) -> None:
        for change in self.files:
            if _files.read(change.path) != change.before:
                raise FirewallError("%s was changed by somebody else before the change was confirmed" % change.path)
        left = kernel.differs(self._listing(), self.ruleset, self.goal)
        if left:
            raise FirewallError("the kernel no longer has what was loaded (%s)" % "; ".join(left))
        with ExitStack() as undo:
            undo.callback(self.tidy)
            self._write()
            undo.callback(_files.put_back, list(self.files))
            self._switch()
            undo.pop_all()
        self.tidy()

    def rollback(self, waits: bool = False) -> None:
        files = () if waits else self.files
        written = _files.written(files)
        _files.sweep(self.host.path(FOLDER))
        _files.put_back(files)
        # Where no file was to change, the files say what is loaded.
        if self.files or not others_on(self.host, self.switched, waits):
            self._restore()
        switch_back(self.host, self.switched, written)
        self.tidy()

    def _write(self) -> None:
        _files.make_folder(self.host.path(FOLDER))
        _files.sweep(self.host.path(FOLDER))
        _files.apply(list(self.files))

    def tidy(self) -> None:
        """Remove the folder where it is empty and the administrator has no use for it."""
        folder = self.host.path(FOLDER)
        if not self.keeps_folder and os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)

    def _check(self) -> None:
        """Have nft parse the administrator's file with ours in it, as it does at boot."""
        path = self.host.path(self.main)
        if os.path.exists(path):
            nft.check(self.host, path, "/%s with this ruleset in it" % self.main)

    def load_kernel(self) -> None:
        """Load, and see that the kernel has it."""
        if not self.changes_kernel:
            return
        self._bring(self._listing(), self.goal)
        listing = self._listing()
        left = kernel.differs(listing, self.ruleset, self.goal)
        if left:
            raise FirewallError("nft took the rules without an error and yet has others: %s" % "; ".join(left))
        hooks = {listing.chains[base].hook for base, _name in self.goal.jumps}
        for chain in checks.bases(listing, *sorted(hooks)):
            if fate.may_refuse(listing, chain) and chain.id not in {*self.refusing, *self.goal.own}:
                raise FirewallError(
                    "chain %s of table %s %s came during this run and refuses packets: run it again"
                    % (chain.name, chain.family, chain.table)
                )

    def _restore(self) -> None:
        listing = self._listing()
        self._bring(listing, kernel.possible(listing, self.was))

    def _bring(self, listing: Listing, goal: Part) -> None:
        """Bring the kernel to a goal from where it is."""
        text = kernel.transaction(listing, self.ruleset, goal)
        if text:
            nft.load(self.host, text)

    def _listing(self) -> Listing:
        return kernel.parse(nft.listed(self.host))

    def _switch(self) -> None:
        if self.switched.boot is not None:
            nft.at_boot(self.host, self.switched.boot)


def follow_files(plan: Plan, off: bool) -> None:
    """Bring the kernel to what the files say, and write none: a run that dies here leaves nothing of its own.

    :param plan: leads to what the files say.
    :param off: bring it to nothing, whatever they say.
    :raises FirewallError: nft fails.
    """
    if isinstance(plan, NftablesPlan):
        (replace(plan, goal=_NOTHING, changes_kernel=True) if off else plan).load_kernel()
        plan.tidy()


def others_on(host: Host, switched: Switched, waits: bool) -> bool:
    """Whether somebody else has switched nftables on at boot while a change waited that was to do so.

    :param waits: as in :meth:`Plan.rollback`.
    """
    return bool(waits and switched.boot and nft.boots(host))


def switch_back(host: Host, switched: Switched, written: bool) -> None:
    """Take back what a run switched.

    :param written: whether the run's files were as it left them: it switches behind them. Else somebody else did.
    :raises FirewallError: systemd does not.
    """
    if switched.boot is not None and written:
        nft.at_boot(host, not switched.boot)
