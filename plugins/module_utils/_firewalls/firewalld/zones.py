# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The zone or the zones that a rule belongs to, and the zone by which an address comes in."""

from __future__ import annotations

import ipaddress
from typing import Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import ANY, HOST, Reading
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, version


def asked_zone(reading: Reading, asked: str) -> str:
    """The zone that the run was asked for, which may be empty.

    :raises FirewallError: there is none of that name.
    """
    if asked and asked not in reading.zones:
        raise FirewallError(
            "firewalld has no zone %r: choose one of %s, or make it first (firewall-cmd --permanent --new-zone=%s)"
            % (asked, ", ".join(sorted(reading.zones)), asked)
        )
    return asked


def place(reading: Reading, rule: Rule, asked: str) -> str:
    """The zone that an inbound rule goes to.

    :param asked: as :func:`asked_zone` returned it.
    :raises FirewallError: no zone holds for exactly what the rule says.
    """
    if rule.interface:
        return _zone_of_interface_alone(reading, rule, rule.interface, asked)
    zone = asked or reading.default_zone
    if zone not in reading.zones:
        raise FirewallError(
            "firewalld's default zone %r has no file: choose another (firewall-cmd --set-default-zone), or set "
            "the zone (host_firewall_zone) to one of %s" % (zone, ", ".join(sorted(reading.zones)))
        )
    return zone


def ends(reading: Reading, rule: Rule, asked: str) -> Tuple[str, str]:
    """Where the policy of an outbound or a forward rule leads from and to: ``HOST``, zones, ``ANY``.

    :param asked: as :func:`asked_zone` returned it.
    :raises FirewallError: no zone holds for exactly what the rule says.
    """
    zone = _zone_of_interface_alone(reading, rule, rule.interface, asked) if rule.interface else ""
    if rule.direction == "out":
        return HOST, zone or ANY
    out = _zone_of_interface_alone(reading, rule, rule.out_interface, "") if rule.out_interface else ""
    return zone or asked or ANY, out or ANY


def refuse_two_ways(rules: Sequence[Rule], asked: str) -> None:
    """Refuse a zone for rules that let two networks reach each other: packets come from two zones then.

    :param asked: as :func:`asked_zone` returned it.
    :raises FirewallError: it is so.
    """
    keys = {rule.key for rule in rules}
    for rule in rules if asked else ():
        if rule.direction == "forward" and rule.way_back in keys - {rule.key}:
            raise FirewallError(
                "zone %r is where forwarded packets come from, and those of rule %r come from both networks: leave the zone "
                "(host_firewall_zone) unset, and set the interfaces (host_firewall_interface, host_firewall_out_interface) "
                "where addresses are not enough" % (asked, rule.name)
            )


def zone_of_address(reading: Reading, address: str) -> str:
    """The zone by which an address comes in: that of its network, of its interface, or the default zone."""
    for name in sorted(reading.zones):
        if any(holds(source, address) for source in reading.bound(name)[1]):
            return name
    interface = interface_to(reading, address)
    for name in sorted(reading.zones):
        if interface and interface in reading.bound(name)[0]:
            return name
    return reading.default_zone if reading.default_zone in reading.zones else min(reading.zones)


def interface_to(reading: Reading, address: str) -> str:
    """The interface of the most specific route to an address; empty when there is none, or it is no address."""
    best = (-1, "")
    try:
        number, family = int(ipaddress.ip_address(address)), version(address)
    except ValueError:
        return ""
    for network, length, kind, interface in reading.network.routes:
        if kind != family:
            continue
        shift = (32 if family == 4 else 128) - length
        if number >> shift == network >> shift:
            best = max(best, (length, interface))
    return best[1]


def holds(network: str, address: str) -> bool:
    """Whether a source of firewalld's, which may be a MAC address or an ipset, too, holds an address."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def catches(reading: Reading, zone: str) -> bool:
    """Whether the zone is the default zone and an interface falls to it for being in no other.

    An interface of containers or virtual machines does not count: rules are for what comes from elsewhere.
    """
    return zone == reading.default_zone and reading.default_from_outside


def _zone_of_interface_alone(reading: Reading, rule: Rule, interface: str, asked: str) -> str:
    bound = {name: reading.bound(name) for name in reading.zones}
    zone = next((name for name, (interfaces, _sources) in bound.items() if interface in interfaces), "")
    why = ""
    if not zone or zone == reading.default_zone:
        why = "it is in the default zone, %s, with every interface that no other zone has" % reading.default_zone
    elif bound[zone][0] != {interface}:
        why = "its zone %s has %s as well" % (zone, ", ".join(sorted(bound[zone][0] - {interface})))
    elif bound[zone][1]:
        why = "its zone %s has the sources %s as well" % (zone, ", ".join(sorted(bound[zone][1])))
    elif asked and asked != zone:
        raise FirewallError(
            "rule %r is for interface %s, which is in zone %s, not in zone %s: leave the zone "
            "(host_firewall_zone) unset or set it to %s" % (rule.name, interface, zone, asked, zone)
        )
    if why:
        raise FirewallError(
            "firewalld cannot hold rule %r to interface %s: rules hold for a whole zone, and %s. Give the "
            "interface a zone of its own (firewall-cmd --permanent --new-zone=NAME, then --zone=NAME "
            "--add-interface=%s), or leave the interface out" % (rule.name, interface, why, interface)
        )
    return zone
