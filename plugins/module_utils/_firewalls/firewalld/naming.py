# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How rules become objects of firewalld's: their names, their owner's mark, services, attachments and policies."""

from __future__ import annotations

import hashlib
import re
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ANY,
    HOST,
    PRIORITY,
    Attachment,
    Key,
    Owner,
    Policy,
    Service,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, families, normalise, pairs, version

# firewall.functions.max_policy_name_len() is 17; this leaves "-out" or "-fwd" and "-9" behind it.
_STEM = 11
_KINDS = {"in": "in", "out": "out", "forward": "fwd"}
_ENDINGS = {"in": "", "out": "-out", "forward": "-forward"}
_WORD = {"in": "inbound", "out": "outbound", "forward": "forwarded"}
_OWNER = re.compile(
    r"(?:What (?P<name>[A-Za-z0-9][A-Za-z0-9 ._+-]{0,47}) needs, (?P<direction>inbound|outbound|forwarded)"
    r"(?: (?:on|from) interface (?P<interface>[A-Za-z0-9_.-]{1,15}))?"
    r"(?: to interface (?P<out_interface>[A-Za-z0-9_.-]{1,15}))?\. )?"
    r"Owned by ruleset (?P<ruleset>[a-z][a-z0-9-]{0,23}) of netports\.apple\b"
)
_MARK = "Owned by ruleset %s of netports.apple, which undoes edits at its next run."


def slug(name: str) -> str:
    """A rule's name as part of a service's name: ``"Apple TV+"`` becomes ``"apple-tv-plus"``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("+", "-plus")).strip("-")


def owner_of_service(service: str, description: str) -> Optional[Owner]:
    """Whose a service is; ``None`` for somebody else's.

    The mark in its description is not enough: a copy has it, too. The service must have a name that the ruleset
    gives to the rule of the description.

    :param description: the description, or the whole text of its file.
    """
    match = _OWNER.search(description)
    if not match or not match.group("name"):
        return None
    direction = next(key for key, word in _WORD.items() if word == match.group("direction"))
    owner = Owner(
        ruleset=match.group("ruleset"),
        name=match.group("name"),
        direction=direction,
        interface=match.group("interface") or "",
        out_interface=match.group("out_interface") or "",
    )
    base = _base(owner.ruleset, owner.name, direction)
    return owner if re.match(re.escape(base) + r"(?:-[0-9]+)?\Z", service) else None


def ruleset_of_policy(policy: str, description: str) -> str:
    """The ruleset that owns a policy, by its description and its name; empty for somebody else's."""
    match = _OWNER.search(description)
    if not match:
        return ""
    ruleset = match.group("ruleset")
    return ruleset if any(policy in policy_names(ruleset, direction) for direction in _KINDS) else ""


def kind_of_policy(policy: str) -> str:
    """The direction of the rules in a policy of a ruleset, from its name: ``out`` or ``forward``."""
    return "forward" if re.search(r"-fwd(?:-\d)?\Z", policy) else "out"


def reduced(rule: Rule) -> Rule:
    """A rule without the networks of an IP version in which it can match nothing."""
    kept = families(rule)
    return rule._replace(
        sources=tuple(source for source in rule.sources if version(source) in kept),
        destinations=tuple(destination for destination in rule.destinations if version(destination) in kept),
    )


def allocate(wanted: Iterable[Rule], ruleset: str, places: Mapping[Key, str], taken: FrozenSet[str]) -> Dict[Key, str]:
    """Give each rule the name of its service.

    A rule keeps the name that it has. A rule whose networks changed keeps the name of the old rule of its name and
    direction. The others get ``<ruleset>-<name>[-out|-forward]``, with a number behind it where that is taken.

    :param places: the names that rules have, by their key.
    :param taken: names of other people's services.
    """
    rules = normalise(reduced(rule) for rule in wanted)
    names = {rule.key: places[rule.key] for rule in rules if rule.key in places}
    kept = set(names.values())
    for rule in rules:
        if rule.key in names:
            continue
        like = [name for key, name in places.items() if key[:2] == rule.key[:2] and name not in kept]
        if like:
            names[rule.key] = like[0]
        else:
            base = name = _base(ruleset, rule.name, rule.direction)
            number = 1
            # Names of rules that go in this run stay theirs: a definition never changes hands in one step.
            while name in kept or name in taken or name in places.values():
                number += 1
                name = "%s-%d" % (base, number)
            names[rule.key] = name
        kept.add(names[rule.key])
    return names


def policy_names(ruleset: str, direction: str) -> List[str]:
    """The names that a ruleset's policies of a direction may have, in the order in which they are given."""
    stem = ruleset
    if len(stem) > _STEM:
        stem = "%s-%s" % (ruleset[: _STEM - 5].rstrip("-"), hashlib.sha256(ruleset.encode()).hexdigest()[:4])
    stem = "%s-%s" % (stem, _KINDS[direction])
    return [stem] + ["%s-%d" % (stem, number) for number in range(2, 10)]


def service_of(rule: Rule, ruleset: str) -> Service:
    """The service that a rule becomes."""
    word = "from" if rule.direction == "forward" else "on"
    interface = " %s interface %s" % (word, rule.interface) if rule.interface else ""
    interface += " to interface %s" % rule.out_interface if rule.out_interface else ""
    mark = _MARK % ruleset
    return Service(
        short=rule.name,
        description="What %s needs, %s%s. %s" % (rule.name, _WORD[rule.direction], interface, mark),
        ports=tuple((_ports.text(ports), "tcp") for ports in rule.tcp)
        + tuple((_ports.text(ports), "udp") for ports in rule.udp),
    )


def attachments_of(rule: Rule, service: str) -> List[Attachment]:
    """How a rule's service is let through: plainly, or from and to its networks."""
    if not rule.sources and not rule.destinations:
        return [Attachment(service=service)]
    return [
        Attachment(service=service, source=source, destination=destination)
        for family in (4, 6)
        for source, destination in pairs(rule, family)
    ]


def policies_of(
    ruleset: str,
    through: Mapping[Tuple[str, str], Sequence[Attachment]],
    has: Mapping[Tuple[str, str], str],
    taken: FrozenSet[str],
) -> Dict[str, Policy]:
    """The ruleset's policies by name: one for each pair of ends.

    :param through: what they let through, by what they lead from and to.
    :param has: the names that policies of such ends have already.
    :param taken: names of other people's policies and of zones.
    :raises FirewallError: there are more pairs than names.
    """
    policies: Dict[str, Policy] = {}
    kept = {has[ends] for ends in through if ends in has}
    for ends in sorted(through, key=lambda pair: [(end != ANY, end) for end in pair]):
        names = policy_names(ruleset, "out" if ends[0] == HOST else "forward")
        free = [name for name in names if name not in taken]
        name = has.get(ends, "")
        if name not in free:
            name = next((other for other in free if other not in kept and other not in policies), "")
        if not name:
            raise FirewallError(
                "no name is left for the policy from %s to %s: %s are all taken" % (*ends, ", ".join(names))
            )
        policies[name] = _policy(ruleset, ends[0], ends[1], through[ends])
    return policies


def _policy(ruleset: str, ingress: str, egress: str, attachments: Sequence[Attachment]) -> Policy:
    """The policy that lets connections through.

    :param ingress: ``HOST`` for the host's own, else for forwarded ones a zone, or ``ANY``, which is every zone.
    :param egress: a zone, or ``ANY``.
    """
    direction, what = "out", "Outbound connections of this host"
    if ingress != HOST:
        direction = "forward"
        what = "Connections that this host forwards" + ("" if ingress == ANY else " from zone " + ingress)
    where = "" if egress == ANY else " to zone " + egress
    return Policy(
        short="%s, %s" % (ruleset, _WORD[direction]),
        description="%s%s. %s" % (what, where, _MARK % ruleset),
        target="CONTINUE",
        priority=PRIORITY,
        ingress=(ingress,),
        egress=(egress,),
        attachments=tuple(attachments),
    )


def _base(ruleset: str, name: str, direction: str) -> str:
    return "%s-%s%s" % (ruleset, slug(name), _ENDINGS[direction])
