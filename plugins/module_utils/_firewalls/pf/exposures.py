# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pf's rules let in from anywhere."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor, printed
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

_ANYWHERE = frozenset(("0.0.0.0/0", "::/0"))

# pf lets everything through that no rule refuses.
DEFAULT = Exposure(
    kind="default",
    ruleset="",
    name="main ruleset",
    protocol="any",
    ports=(_ports.text(printed.EVERY_PORT),),
    text="no rule blocks anything",
)


def own(rulesets: Dict[str, Tuple[Rule, ...]]) -> List[Exposure]:
    """The rules of our rulesets that let anywhere in."""
    return [
        Exposure(
            kind="rule",
            ruleset=ruleset,
            name=rule.name,
            protocol=protocol,
            ports=tuple(_ports.text(span) for span in ranges),
            text=line,
        )
        for ruleset, rules in rulesets.items()
        for rule in rules
        if rule.direction == "in" and (not rule.sources or _ANYWHERE.intersection(rule.sources))
        for protocol, ranges, line in anchor.lines_of(rule)
    ]


def foreign(owner: str, rules: Sequence[str]) -> List[Exposure]:
    """The rules of others that let anywhere in. Whether another rule refuses it again is not asked.

    :param owner: what the rules stand in, for the name of the exposure.
    :param rules: the rules, as pfctl prints them with numeric ports.
    """
    found = []
    for text in rules:
        rule = printed.parse(text)
        if (
            rule
            and rule.action == "pass"
            and rule.direction in ("", "in")
            and rule.protocol in ("", "tcp", "udp")
            and (rule.source == "any" or rule.source.startswith("! ") or rule.source in _ANYWHERE)
            and not rule.source_port
        ):
            found.append(
                Exposure(
                    kind="rule",
                    ruleset="",
                    name=owner,
                    protocol=rule.protocol or "any",
                    ports=tuple(_ports.text(span) for span in printed.ports(rule.destination_port)),
                    text=text,
                )
            )
    return found
