# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lets anywhere in, and all zones as text: for a run that is asked what others have, which alone loads this file."""

from __future__ import annotations

from typing import Iterator, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import admission
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ANY,
    HOST,
    Filter,
    Port,
    Reading,
    Rich,
    Settings,
)

_PROTOCOLS = ("tcp", "udp")


def exposures(reading: Reading) -> List[Exposure]:
    """What lets anywhere in, own and foreign."""
    found: List[Exposure] = []
    open_zones = [name for name in admission.zones_now(reading) if admission.is_open(reading, name)]
    for name in open_zones:
        for kind, text, ports in _openings(reading, admission.zones_now(reading)[name]):
            found += _exposure(reading, kind, "zone " + name, text, ports)
    for name, policy in sorted(admission.policies_now(reading).items()):
        if HOST in policy.egress and (ANY in policy.ingress or set(policy.ingress) & set(open_zones)):
            for kind, text, ports in _openings(reading, policy):
                found += _exposure(reading, kind, "policy " + name, text, ports)
    return found


def text(reading: Reading) -> str:
    """All zones with what they let in, the form being that of ``firewall-cmd --list-all-zones``."""
    lines: List[str] = []
    for name, settings in sorted(reading.runtime.loaded.zones.items()) if reading.runtime else []:
        marks = ["default"] if name == reading.default_zone else []
        marks += ["active"] if settings.get("interfaces") or settings.get("sources") else []
        lines.append("%s (%s)" % (name, ", ".join(marks)) if marks else name)
        lines.append("  target: %s" % settings.get("target", "default"))
        for title in ("interfaces", "sources", "services", "ports", "protocols", "forward_ports", "source_ports"):
            lines.append("  %s: %s" % (title.replace("_", "-"), " ".join(_items(settings, title))))
        lines.append("  rich rules:")
        lines.extend("\t%s" % rule for rule in settings.get("rules_str", []))
        lines.append("")
    return "\n".join(lines)


def _openings(reading: Reading, decides: Filter) -> Iterator[Tuple[str, str, List[Port]]]:
    """What a zone or policy lets anywhere reach: (kind, text, ports)."""
    everything = [(admission.EVERYTHING, protocol) for protocol in _PROTOCOLS]
    if decides.accepts_all:
        yield "target", "target ACCEPT", everything
    for service in decides.services:
        yield "service", "service %s" % service, admission.ports_of(reading, service)
    for port, protocol in decides.ports:
        yield "port", "port %s/%s" % (port, protocol), [(port, protocol)]
    for protocol in decides.protocols:
        yield "protocol", "protocol %s" % protocol, [(admission.EVERYTHING, protocol)]
    for port, protocol in decides.source_ports:
        yield "source-port", "source port %s/%s" % (port, protocol), [(admission.EVERYTHING, protocol)]
    for port, protocol in decides.forward_ports:
        yield "forward-port", "forward port %s/%s" % (port, protocol), [(port, protocol)]
    for rule in decides.rules:
        ports = _opened_by(reading, rule)
        if ports and (
            rule.source in ("", *admission.ANYWHERE) and (not rule.other_source or "NOT" in rule.text.split())
        ):
            yield "rich-rule", rule.text, ports


def _opened_by(reading: Reading, rule: Rich) -> List[Port]:
    """The ports that a rich rule opens, whoever it opens them to."""
    if rule.kind == "forward-port":
        return [(rule.value, rule.protocol)]
    if rule.action != "accept":
        return []
    if rule.kind == "service":
        return admission.ports_of(reading, rule.value)
    return {
        "": [(admission.EVERYTHING, protocol) for protocol in _PROTOCOLS],
        "port": [(rule.value, rule.protocol)],
        "protocol": [(admission.EVERYTHING, rule.value)],
        "source-port": [(admission.EVERYTHING, rule.protocol)],
    }.get(rule.kind, [])


def _exposure(reading: Reading, kind: str, place: str, text: str, ports: Sequence[Port]) -> List[Exposure]:
    word, _space, service = text.partition(" ")
    owner = reading.owners.get(service) if kind == "service" and word == "service" else None
    found: List[Exposure] = []
    named = {
        protocol: tuple(dict.fromkeys(port for port, kind in ports if kind == protocol)) for protocol in _PROTOCOLS
    }
    if named["tcp"] == named["udp"]:
        named = {"any": named["tcp"]}
    for protocol, numbers in named.items():
        if numbers:
            found.append(
                Exposure(
                    kind=kind,
                    ruleset=owner.ruleset if owner else "",
                    name=owner.name if owner else place,
                    protocol=protocol,
                    ports=numbers,
                    text="%s: %s" % (place, text),
                )
            )
    return found


def _items(settings: Settings, key: str) -> List[str]:
    return [item if isinstance(item, str) else "/".join(filter(None, item)) for item in settings.get(key, [])]
