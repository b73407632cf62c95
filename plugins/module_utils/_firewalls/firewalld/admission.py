# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What firewalld lets in: whether an address gets through to a port.

A packet to the host meets, in this order: the policies of a negative priority, its zone's rich rules of a negative
priority, what the zone refuses, what it accepts, its rich rules of a positive priority, the policies of a positive
priority, the zone's target. Source: firewalld.policies(5), firewalld.richlanguage(5).
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import xml
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import filter_of
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ANY,
    HOST,
    Filter,
    Port,
    Reading,
    Rich,
    Service,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.zones import holds, zone_of_address
from ansible_collections.netports.apple.plugins.module_utils._rules import version

EVERYTHING = "0-65535"
ANYWHERE = ("0.0.0.0/0", "::/0")
_REFUSES = ("reject", "drop")


def admits(reading: Reading, address: Optional[str], port: int) -> bool:
    """Whether an address reaches a TCP port by what is not the ruleset's.

    :param address: ``None`` asks whether any address does.
    :raises FirewallError: a policy refuses the address before its zone is asked, where no rule of ours can help.
    """
    if address is None:
        return any(_verdict(reading, zone, None, port)[0] for zone in zones_now(reading) if _used(reading, zone))
    admitted, policy = _verdict(reading, zone_of_address(reading, address), address, port)
    if policy and not admitted:
        raise FirewallError(
            "firewalld's policy %s refuses connections from %s to port %d before the rules of any zone are asked: "
            "let it continue there (firewall-cmd --permanent --policy=%s), or connect from elsewhere"
            % (policy, address, port, policy),
            "no-effect",
        )
    return admitted


def zones_now(reading: Reading) -> Dict[str, Filter]:
    """What zones decide: at runtime where firewalld runs."""
    if reading.runtime:
        return {name: filter_of(settings) for name, settings in sorted(reading.runtime.loaded.zones.items())}
    return {name: reading.filter(name) for name in sorted(reading.zones)}


def policies_now(reading: Reading) -> Dict[str, Filter]:
    if reading.runtime:
        return {name: filter_of(settings) for name, settings in reading.runtime.loaded.policies.items()}
    return reading.policies


def is_open(reading: Reading, zone: str) -> bool:
    """Whether packets from anywhere come to a zone: by an interface, by being the default, or by a source.

    By a bridge for containers and virtual machines come those of the host's own guests alone.
    """
    interfaces, sources = reading.bound(zone) if zone in reading.zones else (frozenset(), frozenset())
    by_default = zone == reading.default_zone and (reading.default_from_outside or not reading.network.interfaces)
    outside = interfaces - reading.network.guests
    return bool(outside) or by_default or bool(sources.intersection(ANYWHERE))


def _used(reading: Reading, zone: str) -> bool:
    return is_open(reading, zone) or (zone in reading.zones and bool(reading.bound(zone)[1]))


def _verdict(reading: Reading, zone: str, address: Optional[str], port: int) -> Tuple[bool, str]:
    """Whether a zone's packets reach a port, and the policy that refused them before the zone, if any."""
    policies = [
        (policy.priority, name, policy)
        for name, policy in policies_now(reading).items()
        if HOST in policy.egress and (ANY in policy.ingress or zone in policy.ingress)
    ]
    decides = zones_now(reading).get(zone)
    for before in (True, False):
        if not before and decides:
            decided = _decision(reading, decides, address, port)
            if decided is not None:
                return decided, ""
        for priority, name, policy in sorted(policies, key=lambda item: item[:2]):
            if (priority < 0) == before:
                decided = _decision(reading, policy, address, port, ends=True)
                if decided is not None:
                    return decided, name if before else ""
    return bool(decides and decides.target == "ACCEPT"), ""


def _decision(
    reading: Reading, decides: Filter, address: Optional[str], port: int, ends: bool = False
) -> Optional[bool]:
    """What a zone or policy decides about a TCP port; ``None`` where it leaves that to the next.

    :param ends: whether its target counts.
    """
    order = sorted(decides.rules, key=lambda rule: (rule.priority, rule.action not in _REFUSES))
    for rule in order:
        if rule.priority <= 0 and _matches(reading, rule, address, port):
            return rule.action == "accept"
    ports = list(decides.ports) + [(EVERYTHING, protocol) for protocol in decides.protocols]
    for service in decides.services:
        if service not in reading.owned:
            ports.extend(ports_of(reading, service))
    if _covers(ports, port):
        return True
    for rule in order:
        if rule.priority > 0 and _matches(reading, rule, address, port):
            return rule.action == "accept"
    if ends and decides.target in ("ACCEPT", "DROP", "REJECT", "%%REJECT%%"):
        return decides.target == "ACCEPT"
    return None


def _matches(reading: Reading, rule: Rich, address: Optional[str], port: int) -> bool:
    """Whether a rule decides about an address. Where that cannot be told, a refusal does and an admission does not.

    For any address it is the other way round: some address escapes the refusal, and some gets the admission.
    """
    refuses = rule.action in _REFUSES
    if rule.action != "accept" and not refuses:
        return False
    unclear = refuses == (address is not None)
    if not _fits(rule, address, unclear) or (rule.destination and not unclear):
        return False
    if rule.kind == "service":
        return rule.value not in reading.owned and _covers(ports_of(reading, rule.value), port)
    if rule.kind == "port":
        return rule.protocol == "tcp" and _covers([(rule.value, "tcp")], port)
    if rule.kind == "protocol":
        return rule.value == "tcp"
    return not rule.kind or (rule.kind == "source-port" and unclear)


def _fits(rule: Rich, address: Optional[str], unclear: bool) -> bool:
    """Whether a rule's source and IP version fit an address.

    :param unclear: the answer where that cannot be told.
    """
    if rule.source and not rule.other_source and address is not None:
        return holds(rule.source, address)
    if rule.source or rule.other_source:
        return unclear
    return not (rule.family and address and rule.family != "ipv%d" % version(address))


def ports_of(reading: Reading, name: str, above: Tuple[str, ...] = ()) -> List[Port]:
    """What a service opens, with what it includes."""
    service = _definition(reading, name)
    if service is None or name in above:
        return []
    found = list(service.ports) + [(EVERYTHING, protocol) for protocol in service.protocols]
    found += [(EVERYTHING, protocol) for _port, protocol in service.source_ports]
    for included in service.includes:
        found += ports_of(reading, included, (*above, name))
    return found


def _definition(reading: Reading, name: str) -> Optional[Service]:
    if reading.runtime:
        known = reading.runtime.used.get(name) or reading.runtime.loaded.services.get(name)
        if known:
            return known
    if name in reading.own.services:
        return reading.own.services[name]
    try:
        return xml.parse_service(reading.definitions[name])
    except (KeyError, xml.XmlError):
        return None


def _covers(ports: Sequence[Port], port: int) -> bool:
    """Whether a TCP port is among them."""
    for text, protocol in ports:
        if protocol != "tcp":
            continue
        if text == EVERYTHING:
            return True
        try:
            if _ports.covers([_ports.parse(text)], (port, port)):
                return True
        except ValueError:
            continue
    return False
