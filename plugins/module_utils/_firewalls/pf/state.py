# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host with pf has, and the answers to questions about it."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._connection import GUARD_NAME
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure, Plan, State, Wanted
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import (
    admission,
    anchor,
    plan,
    printed,
    reading,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import PREFIX, Reading
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass


@dataclass(frozen=True)
class PfState(State):
    """What a host with pf has.

    :param reading: what was read.
    """

    reading: Reading

    def refuses_inbound(self) -> bool:
        """See :meth:`State.refuses_inbound`. False where the run takes the whole ruleset away: no guard outlives it.

        A load touches no state, so that the present connection lives on.
        """
        return bool(self._target) and any(printed.blocks(rules) for rules in self._rulesets())

    def admits(self, address: Optional[str], port: int) -> bool:
        """See :meth:`State.admits`.

        A connection that began while pf was off has no state, and rules for new connections do not fit it. Its guard
        stays until the rules change: from then on it has a state, since packets of it have met the guard.
        """
        here = self.reading.here
        if address is None:
            return all(admission.may_admit(rules, port, here) for rules in self._rulesets())
        if self._target == self.reading.parsed.rules and self._guard(address, port) in self.reading.parsed.early:
            return False
        return self._admits(address, port, begun=self._begins)

    def exposed(self) -> List[Exposure]:
        if not self.asked.foreign:
            return []
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import exposures

        main = self.reading.kernel.main if self.reading.kernel else ()
        found = exposures.own(self.reading.rulesets) + exposures.foreign("main ruleset", main)
        anchors = self._foreign_anchors()
        for name, rules in anchors.items():
            found += exposures.foreign("anchor %s" % name, rules)
        everything = [*main, *(rule for rules in anchors.values() for rule in rules)]
        if self.active and not any(rule.startswith("block") for rule in everything):
            found.append(exposures.DEFAULT)
        return found

    def foreign(self) -> str:
        """The main ruleset in the kernel and the anchors that it calls, as pfctl prints them."""
        lines = list(self.reading.kernel.main) if self.reading.kernel and self.asked.foreign else []
        for name, rules in self._foreign_anchors().items():
            lines += ["# anchor %s" % name, *("  " + rule for rule in rules)] if rules else []
        return "\n".join(lines)

    def rulesets(self) -> Dict[str, Tuple[Rule, ...]]:
        return {**self.reading.rulesets, self.asked.ruleset: self.rules}

    def plan(self, want: Wanted) -> Plan:
        return plan.make(self.host, self.asked, self.reading, want, self._early(want), self.refuses_inbound())

    @property
    def _begins(self) -> bool:
        """Whether this run switches pf on over connections that have no state yet."""
        return bool(self.asked.enable) and not self.reading.power.on

    @property
    def _target(self) -> Tuple[Rule, ...]:
        return reading.target(self.asked, self.reading.parsed)

    def _rulesets(self) -> List[Tuple[str, ...]]:
        """The main rulesets that decide: the kernel's, and the file's where that is to be loaded."""
        found = [self.reading.kernel.main] if self.reading.kernel else []
        return found + ([self.reading.coming] if self.reading.coming is not None else [])

    def _foreign_anchors(self) -> Dict[str, Tuple[str, ...]]:
        return {name: rules for name, rules in self.reading.foreign.items() if not name.startswith(PREFIX)}

    @staticmethod
    def _guard(address: str, port: int) -> Rule:
        guard = Rule(name=GUARD_NAME, direction="in", tcp=((port, port),), udp=(), sources=(address,))
        return anchor.canonical([guard])[0]

    def _admits(self, address: str, port: int, begun: bool) -> bool:
        return all(admission.admits(rules, address, port, begun, self.reading.here) for rules in self._rulesets())

    def _early(self, want: Wanted) -> FrozenSet[Rule]:
        """The guards of connections that only need them for having begun before pf."""
        return frozenset(
            guard
            for guard in anchor.canonical(want.guards)
            if guard in self.reading.parsed.early
            or (self._begins and self._admits(guard.sources[0], guard.tcp[0][0], begun=False))
        )
