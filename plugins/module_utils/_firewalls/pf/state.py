# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host with pf has, and the answers to questions about it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure, Plan, State, Wanted
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import admission, anchor, plan
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import PREFIX, Reading
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

_ANYWHERE = frozenset(("0.0.0.0/0", "::/0"))


@dataclass(frozen=True)
class PfState(State):
    """What a host with pf has.

    :param reading: what was read.
    """

    reading: Reading

    def refuses_inbound(self) -> bool:
        return any(admission.blocks(rules) for rules in self._rulesets())

    def admits(self, address: Optional[str], port: int) -> bool:
        """See :meth:`State.admits`. A guard for just this connection stays: it may be what the connection lives by.

        What began while pf was off has no state, and rules for new connections do not fit it.
        """
        if address is None:
            return all(admission.may_admit(rules, port) for rules in self._rulesets())
        own = (guard for guard in self.reading.parsed.guards if guard.tcp == ((port, port),))
        if any(ipaddress.ip_address(address) in ipaddress.ip_network(guard.sources[0]) for guard in own):
            return False
        begun = not self.reading.power.on
        return all(admission.admits(rules, address, port, begun) for rules in self._rulesets())

    def exposed(self) -> List[Exposure]:
        if not self.asked.foreign:
            return []
        found = [
            Exposure(
                kind="rule",
                ruleset=ruleset,
                name=rule.name,
                protocol=protocol,
                ports=tuple(_ports.text(span) for span in ranges),
                text=line,
            )
            for ruleset, rules in self.reading.rulesets.items()
            for rule in rules
            if rule.direction == "in" and (not rule.sources or _ANYWHERE.intersection(rule.sources))
            for protocol, ranges, line in anchor.lines_of(rule)
        ]
        main = self.reading.kernel.main if self.reading.kernel else ()
        found += admission.exposed("main ruleset", main)
        for name, rules in self._foreign_anchors().items():
            found += admission.exposed("anchor %s" % name, rules)
        everything = [*main, *(rule for rules in self._foreign_anchors().values() for rule in rules)]
        if self.active and not admission.blocks(everything):
            found.append(admission.DEFAULT)
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
        return plan.make(self.host, self.asked, self.reading, want, self.refuses_inbound())

    def _rulesets(self) -> List[Tuple[str, ...]]:
        """The main rulesets that decide: the kernel's, and the file's where that is to be loaded."""
        return [self.reading.kernel.main if self.reading.kernel else (), self.reading.coming]

    def _foreign_anchors(self) -> Dict[str, Tuple[str, ...]]:
        return {name: rules for name, rules in self.reading.foreign.items() if not name.startswith(PREFIX)}
