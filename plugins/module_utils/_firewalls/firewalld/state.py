# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was read of a host: it answers, and it plans."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Exposure,
    Plan,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import admission, plan
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import Link
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import Reading
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass


@dataclass(frozen=True)
class FirewalldState(State):
    """The state of firewalld.

    :param reading: all that was read.
    :param link: for the plan.
    """

    reading: Reading
    link: Link

    def refuses_inbound(self) -> bool:
        # Every zone refuses but those of target ACCEPT, which admits() knows; also once firewalld starts again.
        return True

    def admits(self, address: Optional[str], port: int) -> bool:
        return admission.admits(self.reading, address, port)

    def exposed(self) -> List[Exposure]:
        if not self.asked.foreign:
            return []
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import exposures

        return exposures.exposures(self.reading)

    def foreign(self) -> str:
        if not self.asked.foreign or self.reading.runtime is None:
            return ""
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import exposures

        return exposures.text(self.reading)

    def rulesets(self) -> Dict[str, Tuple[Rule, ...]]:
        return dict(self.reading.rules)

    def plan(self, want: Wanted) -> Plan:
        return plan.plan(self.host, self.asked, self.reading, self.link, want)
