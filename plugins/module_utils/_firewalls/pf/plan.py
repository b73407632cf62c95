# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a host with pf has to what is wanted, without input or output."""

from __future__ import annotations

from typing import FrozenSet, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Operation,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor, drift, main_ruleset, notices
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Reading, Steps
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import SYSTEMS
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.write import PfPlan
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

_DIFFERS = "main-ruleset-differs"


def make(host: Host, asked: Asked, reading: Reading, want: Wanted, early: FrozenSet[Rule], refuses: bool) -> PfPlan:
    """Plan.

    :param early: the guards whose connection began while pf was off.
    :param refuses: pf refuses inbound packets, now or once it is on.
    :raises FirewallError: the wanted rules cannot be had on this host.
    """
    return _Planner(host, asked, reading, want, early).plan(refuses)


class _Planner:
    """Works out one plan.

    ``guards`` and ``rules`` are what the anchor is to hold; ``wanted``: anything at all.
    """

    def __init__(self, host: Host, asked: Asked, reading: Reading, want: Wanted, early: FrozenSet[Rule]) -> None:
        self.host = host
        self.asked = asked
        self.reading = reading
        self.system = SYSTEMS[reading.system](host, asked.ruleset)
        self.guards = anchor.canonical(want.guards)
        self.early = early
        self.want = want
        self.rules = want.rules
        self.wanted = bool(want.all)
        enable = bool(asked.enable and self.wanted)
        self.now = enable and not reading.power.held
        self.boot = enable and not reading.boots

    def plan(self, refuses: bool) -> PfPlan:
        """The plan; ``refuses`` as in :func:`make`."""
        reading = self.reading
        if self.now and not reading.power.on and refuses and not self.guards and reading.blind:
            raise FirewallError(
                "pf is off, its main ruleset refuses packets, and sudo or doas took SSH_CONNECTION away, which says"
                " what connection to keep: log in as root, let it through (sudoers: Defaults env_keep +="
                ' "SSH_CONNECTION"; doas.conf: setenv { SSH_CONNECTION }), or switch pf on yourself first',
                code="no-way-in",
            )
        if reading.obstacles:
            raise FirewallError(
                "%s: take that out there, or choose another ruleset name than %s (host_firewall_ruleset)"
                % ("; ".join(reading.obstacles), self.asked.ruleset),
                "name-taken",
            )
        text, main = self._text(), self._main()
        load = self._load(text)
        lost = self._accepted() if load == "main" else ()
        kernel = reading.kernel
        operations = changes.operations(reading.parsed.all, self.guards + self.rules) + self._mends()
        loaded = bool(
            kernel and kernel.calls(self.system.anchor) == 1 and kernel.rules and kernel.same and not kernel.tables
        )
        return PfPlan(
            host=self.host,
            ruleset=self.asked.ruleset,
            operations=tuple(operations),
            notices=tuple(notices.all_of(self.asked, self.system, reading, self.want, load, lost)),
            before=self._view(reading.text, reading.main, loaded, reading.power.on, reading.boots),
            after=self._view(
                text, main, bool(kernel) or self.now, reading.power.on or self.now, reading.boots or self.boot
            ),
            files=tuple(self._files(text, main)) if operations else (),
            steps=Steps(
                reading=reading,
                text=text,
                load=load,
                flush=bool(kernel and kernel.rules and not self.wanted),
                now=self.now,
                boot=self.boot,
            ),
        )

    def _text(self) -> Optional[str]:
        """The anchor's new file."""
        return anchor.emit(self.rules, self.asked.ruleset, self.guards, self.early) if self.wanted else None

    def _main(self) -> Optional[str]:
        """The new text of the main ruleset."""
        if not self.wanted:
            return main_ruleset.without_call(self.reading.main, self.asked.ruleset)
        if self.reading.main is None and self.system.name != "freebsd":
            raise FirewallError(
                "%s is missing, and %s ships one: put it back, since a new one would hold our lines alone"
                % (self.reading.main_file, self.system.title)
            )
        return main_ruleset.with_call(self.reading.main, self.asked.ruleset)

    def _files(self, text: Optional[str], main: Optional[str]) -> List[FileChange]:
        """The files in the order in which an installation writes them."""
        reading = self.reading
        found = [
            FileChange(self.system.path(self.system.anchor_file), reading.text, text),
            FileChange(self.system.path(reading.main_file), reading.main, main),
        ]
        for file, content in self.system.boot_files(self.wanted).items():
            if self.boot or not self.wanted:
                found.append(FileChange(self.system.path(file), reading.files[file], content))
        return [change for change in found if change.before != change.after]

    def _load(self, text: Optional[str]) -> str:
        """What is to be loaded, as in :class:`Steps`. The main ruleset is where it calls the anchor wrongly alone."""
        kernel = self.reading.kernel
        if kernel is None:
            return "main" if self.now else ""
        if kernel.calls(self.system.anchor) != int(self.wanted):
            return "main"
        if self.wanted and (text != self.reading.text or not kernel.same or kernel.tables):
            return "anchor"
        return ""

    def _accepted(self) -> Tuple[str, ...]:
        """What others have in the kernel's main ruleset, and a load of its file drops.

        :raises FirewallError: there is such a thing, and nobody accepted its loss.
        """
        reading = self.reading
        if reading.lost and _DIFFERS not in self.asked.accept:
            raise FirewallError(
                "the main ruleset in the kernel is not that of %s, which this change has to load: that would drop %s."
                " Write what is to stay into that file, or accept it: host_firewall_accept: [%s]"
                % (reading.main_file, notices.listed(reading.lost), _DIFFERS),
                _DIFFERS,
            )
        return reading.lost

    def _mends(self) -> List[Operation]:
        """What is not as a run of the role left it, each by its name."""
        reading = self.reading
        found: List[str] = []
        if reading.text is not None:
            found = drift.of_files(self.system, reading) + drift.of_kernel(self.system, reading)
        elif not self.wanted:
            found = drift.remains(self.system, reading)
        action = "enable" if reading.text is None else "mend"
        operations = changes.mends(*found)
        if self.now:
            what = "pf is on, but not held on by the role" if reading.power.on else "pf is off"
            operations.append(Operation(action=action, what=what))
        if self.boot:
            operations.append(Operation(action=action, what="pf is off after the next boot"))
        return operations

    def _view(self, text: Optional[str], main: Optional[str], loaded: bool, on: bool, boots: bool) -> str:
        own = main_ruleset.own_part(main, self.asked.ruleset)
        if not text and not own:
            return ""
        words = tuple("yes" if yes else "no" for yes in (loaded, on, boots))
        state = "loaded: %s\non: %s\non at boot: %s\n" % words
        return _files.diff_text({self.system.anchor_file: text, self.reading.main_file: own, "pf": state})
