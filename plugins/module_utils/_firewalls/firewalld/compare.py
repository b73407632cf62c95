# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How configurations differ in the ruleset's part: files, target, runtime and firewalld's cached view alike."""

from __future__ import annotations

from typing import Iterable, List, Mapping, Optional, Sequence, Set

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Operation
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import naming, rich
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import POLICY_TYPES
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    Attachment,
    Config,
    Difference,
    Key,
    Loaded,
    Owned,
    Policy,
    Service,
    Settings,
)

# What of a policy's settings becomes a field of its own.
_READ = ("services", "rich_rules", "ingress_zones", "egress_zones")


def config_of(loaded: Loaded, owned: Owned) -> Config:
    """The ruleset's part of a configuration that firewalld answered."""
    return Config(
        services={name: loaded.services[name] for name in sorted(owned.services) if name in loaded.services},
        zones={
            zone: tuple(sorted(_attachments(settings, "rules_str", owned.services)))
            for zone, settings in loaded.zones.items()
        },
        policies={name: _policy(loaded.policies[name]) for name in sorted(owned.policies) if name in loaded.policies},
    )


def compare(have: Config, want: Config, where: str = "") -> List[Difference]:
    """Everything in which a configuration is not the wanted one.

    :param have: what is there. It has every zone that there is.
    :param where: said behind each sentence, such as ``at runtime``. What firewalld has loaded of services beyond
        the wanted ones does not count: as long as nothing names them they let nothing through.
    """
    suffix = " " + where if where else ""
    found: List[Difference] = []
    for name in sorted(set(want.services) if where else set(have.services) | set(want.services)):
        found += _services(name, have.services.get(name), want.services.get(name), suffix)
    for name in sorted(set(have.zones) | set(want.zones)):
        missing_zone = name not in have.zones
        there, wanted = have.zones.get(name, ()), want.zones.get(name, ())
        found += _attached("zone " + name, there, wanted, suffix, missing_zone)
    for name in sorted(set(have.policies) | set(want.policies)):
        found += _policies(name, have.policies.get(name), want.policies.get(name), suffix)
    return found


def unmentioned(
    differences: Iterable[Difference], operations: Iterable[Operation], names: Sequence[Mapping[Key, str]]
) -> List[Operation]:
    """A step for each difference that no operation on a rule is about.

    :param names: the services of rules, as they are and as they are to be.
    """
    services: Set[str] = set()
    kinds: Set[str] = set()
    for operation in operations:
        for rule in (operation.rule, operation.was):
            if rule:
                services.update(known[rule.key] for known in names if rule.key in known)
                kinds.add(rule.direction)
    rules = {service: key[0] for known in names for key, service in known.items()}
    return [
        Operation(
            action="mend",
            what=difference.what,
            rules=(rules[difference.service],) if difference.service in rules else (),
        )
        for difference in differences
        if difference.service not in services
        and not (difference.policy and naming.kind_of_policy(difference.policy) in kinds)
    ]


def _services(name: str, have: Optional[Service], want: Optional[Service], suffix: str) -> List[Difference]:
    if want is None:
        state = "left over"
    elif have is None:
        state = "missing"
    elif not have.same(want):
        state = "differs"
    else:
        return []
    return [Difference(service=name, what="service %s %s%s" % (name, state, suffix), definition=True)]


def _attached(
    where: str, have: Iterable[Attachment], want: Iterable[Attachment], suffix: str, definition: bool = False
) -> List[Difference]:
    found: List[Difference] = []
    for state, items in (("missing", set(want) - set(have)), ("left over", set(have) - set(want))):
        for attachment in sorted(items):
            what = "%s: %s %s%s" % (where, attachment.text(), state, suffix)
            found.append(Difference(service=attachment.service, what=what, definition=definition))
    return found


def _policies(name: str, have: Optional[Policy], want: Optional[Policy], suffix: str) -> List[Difference]:
    if have is None or want is None:
        what = "policy %s %s%s" % (name, "left over" if want is None else "missing", suffix)
        return [Difference(service="", what=what, definition=True, policy=name)]
    found = _attached("policy " + name, have.attachments, want.attachments, suffix)
    if have.shape != want.shape:
        what = "policy %s differs%s" % (name, suffix)
        found.append(Difference(service="", what=what, definition=True, policy=name))
    elif have.more or (have.ingress, have.egress) != (want.ingress, want.egress):
        what = "policy %s has more%s" % (name, suffix)
        found.append(Difference(service="", what=what, definition=False, policy=name))
    return found


def _policy(settings: Settings) -> Policy:
    attachments = _attachments(settings, "rich_rules", None)
    items = len(settings.get("services", [])) + len(settings.get("rich_rules", []))
    return Policy(
        short=settings.get("short", ""),
        description=settings.get("description", ""),
        target=settings.get("target", ""),
        priority=settings.get("priority", 0),
        ingress=tuple(settings.get("ingress_zones", [])),
        egress=tuple(settings.get("egress_zones", [])),
        attachments=tuple(sorted(attachments)),
        more=len(attachments) != items or any(settings.get(key) for key in POLICY_TYPES if key not in _READ),
    )


def _attachments(settings: Settings, rules: str, owned: Optional[Iterable[str]]) -> Set[Attachment]:
    """What a zone or policy lets through of the named services; of all where none are named."""
    found = {Attachment(service=name) for name in settings.get("services", [])}
    found.update(item for item in map(rich.attachment_of, settings.get(rules, [])) if item)
    return {item for item in found if owned is None or item.service in owned}
