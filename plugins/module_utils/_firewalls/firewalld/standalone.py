# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as whole files of firewalld's, for people who keep its files themselves. No ruleset owns them."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import emit, naming
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ANY,
    ETC,
    HOST,
    PRIORITY,
    Attachment,
    Policy,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, normalise
from ansible_collections.netports.apple.plugins.module_utils._values import replace

# After the rules of every zone, and before the zone refuses what is left. firewalld.policies(5), "Policy priorities".
_AFTER_ZONES = 10
_WHAT = {"in": "Connections to this host", "out": "Connections of this host", "forward": "Forwarded connections"}


def documents(rules: Sequence[Rule], ruleset: str, zones: Mapping[str, str]) -> Dict[str, str]:
    """Services, and the policies that let them through, by their path on a host.

    A policy needs no part in a file that is somebody else's, as a zone's is.

    :param ruleset: the beginning of all names.
    :param zones: the zone of each interface that rules name.
    :raises FirewallError: a rule names another interface, or there are more policies than names.
    """
    through: Dict[Tuple[str, str, str], List[Attachment]] = {}
    found: Dict[str, str] = {}
    names = naming.allocate(rules, ruleset, {}, frozenset())
    for rule in normalise(naming.reduced(rule) for rule in rules):
        name = names[rule.key]
        service = naming.service_of(rule, ruleset)
        description = service.description.partition(" Owned by ")[0]
        found["/%s/services/%s.xml" % (ETC, name)] = emit.service_text(replace(service, description=description))
        first, last = (_zone(rule, interface, zones) for interface in (rule.interface, rule.out_interface))
        ends = {"in": (first, HOST), "out": (HOST, first), "forward": (first, last)}[rule.direction]
        through.setdefault((rule.direction, *ends), []).extend(naming.attachments_of(rule, name))
    given: Dict[str, List[str]] = {}
    for (direction, ingress, egress), attachments in sorted(through.items()):
        free = given.setdefault(direction, naming.policy_names(ruleset, direction))
        if not free:
            raise FirewallError("the rules need more than nine policies of one direction: give them fewer zones")
        policy = Policy(
            short="%s, %s" % (ruleset, direction),
            description="%s, from %s to %s." % (_WHAT[direction], ingress, egress),
            target="CONTINUE",
            priority=_AFTER_ZONES if direction == "in" else PRIORITY,
            ingress=(ingress,),
            egress=(egress,),
            attachments=tuple(attachments),
        )
        found["/%s/policies/%s.xml" % (ETC, free.pop(0))] = emit.policy_text(policy)
    return found


def _zone(rule: Rule, interface: str, zones: Mapping[str, str]) -> str:
    if interface and interface not in zones:
        raise FirewallError(
            "rule %r is for interface %s, and firewalld's rules hold for zones: say which zone it is in, zones={%r: ...}"
            % (rule.name, interface, interface)
        )
    return zones[interface] if interface else ANY
