# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a host: firewalld's files, what it has loaded, and the network. All input of a run is here."""

from __future__ import annotations

import os
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import files, naming, xml
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import BusError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import (
    Firewalld1,
    Link,
    filter_of,
    silent,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.files import Texts
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    HOST,
    LIB,
    RELOADING,
    ROOM,
    UNREADABLE_POLICY,
    UNREADABLE_SERVICE,
    Attachment,
    Config,
    Filter,
    Key,
    Loaded,
    Network,
    Owner,
    Policy,
    Reading,
    Runtime,
    Service,
    ZoneFile,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.state import FirewalldState
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError


def read(host: Host, asked: Asked) -> FirewalldState:
    """Read a host.

    :raises FirewallError: a zone's file cannot be read, or firewalld gives no answer.
    """
    link = Link(host.root)
    reading = _reading(host, asked.ruleset, link.daemon())
    return FirewalldState(
        host=host,
        asked=asked,
        rules=reading.rules.get(asked.ruleset, ()),
        active=reading.running,
        enabled=reading.enabled,
        reading=reading,
        link=link,
    )


def _reading(host: Host, ruleset: str, daemon: Optional[Firewalld1]) -> Reading:
    texts = {kind: files.texts(host, kind) for kind in files.FOLDERS}
    zones = {name: files.zone_file(host, name, *both) for name, both in texts["zones"].items()}
    owners = _owners(texts["services"])
    services = {name: _service(texts["services"][name][0] or "") for name in owners}
    rulesets = {
        name: naming.ruleset_of_policy(name, text) for name, (text, _original) in texts["policies"].items() if text
    }
    policies = {name: _policy(texts["policies"][name][0] or "") for name, owner in rulesets.items() if owner}
    own = frozenset(name for name, owner in owners.items() if owner.ruleset == ruleset)
    taken = frozenset(texts["services"]) - own
    loaded, failed = _loaded(daemon, ruleset) if daemon else (None, False)
    owned = _owned(ruleset, own, taken, zones, loaded)
    rules: Dict[str, Tuple[Rule, ...]] = {}
    places: Dict[Key, str] = {}
    for name in sorted({owner.ruleset for owner in owners.values()}):
        mine = {service: owner for service, owner in owners.items() if owner.ruleset == name}
        let = [policy for policy_name, policy in policies.items() if rulesets[policy_name] == name]
        found = _rules(mine, services, zones, let)
        rules[name] = tuple(found.values())
        if name == ruleset:
            places = {rule.key: service for service, rule in found.items()}
    paths = [("services", service) for service in own]
    paths += [("policies", policy) for policy in policies if rulesets[policy] == ruleset]
    return Reading(
        ruleset=ruleset,
        running=daemon is not None,
        failed=failed,
        enabled=files.enabled(host),
        interrupted=os.path.exists(host.path(RELOADING)),
        room=_room(host.path("run")),
        nftables=files.firewall_backend(host) == "nftables",
        default_zone=files.default_zone(host),
        has_policies=os.path.isdir(host.path(LIB, "policies")),
        zones=zones,
        own=Config(
            services={name: services[name] for name in sorted(own)},
            zones={name: _attached(item, owned) for name, item in zones.items()},
            policies={name: policy for name, policy in policies.items() if rulesets[name] == ruleset},
        ),
        texts={files.path(host, kind, name): texts[kind][name][0] or "" for kind, name in paths},
        owned=owned,
        taken=taken,
        definitions={name: _valid(texts["services"][name]) for name in taken},
        owners=owners,
        policies=_filters({name: both for name, both in texts["policies"].items() if rulesets.get(name) != ruleset}),
        references=_references(texts, own, rulesets, ruleset, zones, owned),
        rules=rules,
        places=places,
        network=_network(host),
        runtime=_runtime(daemon, loaded, files.default_zone(host), taken) if daemon and loaded else None,
    )


def _valid(both: Tuple[Optional[str], Optional[str]]) -> str:
    """The text that counts: the administrator's file hides the distribution's."""
    text, original = both
    return text if text is not None else original or ""


def _owners(services: Texts) -> Dict[str, Owner]:
    """Whose the services are that a ruleset of this collection owns."""
    found = {name: naming.owner_of_service(name, text) for name, (text, _original) in services.items() if text}
    return {name: owner for name, owner in found.items() if owner}


def _service(text: str) -> Service:
    try:
        return xml.parse_service(text)
    except xml.XmlError:
        return UNREADABLE_SERVICE


def _policy(text: str) -> Policy:
    try:
        return xml.parse_policy(text)
    except xml.XmlError:
        return UNREADABLE_POLICY


def _filters(policies: Texts) -> Dict[str, Filter]:
    """What policies of others decide; one that cannot be read decides nothing."""
    found: Dict[str, Filter] = {}
    for name, both in policies.items():
        try:
            found[name] = xml.parse_filter(_valid(both))
        except xml.XmlError:
            continue
    return found


def _attached(item: ZoneFile, owned: FrozenSet[str]) -> Tuple[Attachment, ...]:
    return tuple(attachment for attachment in item.zone.attachments if attachment.service in owned)


def _owned(
    ruleset: str, own: FrozenSet[str], taken: FrozenSet[str], zones: Mapping[str, ZoneFile], loaded: Optional[Loaded]
) -> FrozenSet[str]:
    """The names of services that are the ruleset's.

    A service that is named and defined nowhere is nobody else's, and firewalld refuses to load what names it.
    """
    owned: Set[str] = set(own)
    known: Set[str] = set(taken)
    named = [attachment.service for item in zones.values() for attachment in item.zone.attachments]
    if loaded:
        for name, service in loaded.services.items():
            owner = naming.owner_of_service(name, service.description)
            if name not in taken and owner and owner.ruleset == ruleset:
                owned.add(name)
        known.update(loaded.services)
        named.extend(name for zone in loaded.zones.values() for name in zone.get("services", []))
    prefix = ruleset + "-"
    owned.update(name for name in named if name.startswith(prefix) and name not in known)
    return frozenset(owned)


def _references(
    texts: Mapping[str, Texts],
    own: Iterable[str],
    rulesets: Mapping[str, str],
    ruleset: str,
    zones: Mapping[str, ZoneFile],
    owned: FrozenSet[str],
) -> Dict[str, List[str]]:
    """Who names a service of ours in a form that is not ours, by service."""
    found: Dict[str, List[str]] = {}
    mine = {"services": set(own), "policies": {name for name, owner in rulesets.items() if owner == ruleset}}
    for kind in ("services", "policies", "zones"):
        for name, both in texts[kind].items():
            if kind == "zones":
                named = set(zones[name].zone.references)
            else:
                named = set() if name in mine[kind] else xml.references(_valid(both))
            for service in sorted(named & owned):
                found.setdefault(service, []).append("%s %s" % (files.SINGULAR[kind], name))
    return found


def _rules(
    owners: Mapping[str, Owner],
    services: Mapping[str, Service],
    zones: Mapping[str, ZoneFile],
    policies: Iterable[Policy],
) -> Dict[str, Rule]:
    """A ruleset's rules as the files have them, by the service that each of them is.

    :param owners: the ruleset's services.
    :param policies: the ruleset's policies.
    """
    through: Dict[str, List[Attachment]] = {"in": [], "out": [], "forward": []}
    for item in zones.values():
        through["in"].extend(item.zone.attachments)
    for policy in policies:
        through["out" if policy.ingress == (HOST,) else "forward"].extend(policy.attachments)
    found: Dict[str, Rule] = {}
    for name, owner in sorted(owners.items()):
        attachments = [attachment for attachment in through[owner.direction] if attachment.service == name]
        rule = _rule(services[name], owner, attachments) if attachments else None
        if rule:
            found[name] = rule
    return found


def _rule(service: Service, owner: Owner, attachments: List[Attachment]) -> Optional[Rule]:
    """The rule of a service; ``None`` where somebody edited it into what no rule is. It is ours all the same."""
    anywhere = any(attachment.plain for attachment in attachments)
    sources = {attachment.source for attachment in attachments if attachment.source and not anywhere}
    destinations = {attachment.destination for attachment in attachments if attachment.destination and not anywhere}
    try:
        return Rule.from_dict(
            {
                "name": service.short,
                "direction": owner.direction,
                "tcp": [port for port, kind in service.ports if kind == "tcp"],
                "udp": [port for port, kind in service.ports if kind == "udp"],
                "sources": sorted(sources),
                "destinations": sorted(destinations),
                "interface": owner.interface,
                "out_interface": owner.out_interface,
            }
        )
    except RuleError:
        return None


def _loaded(daemon: Firewalld1, ruleset: str) -> Tuple[Optional[Loaded], bool]:
    """What firewalld has loaded; or nothing, and that loading failed."""
    try:
        if daemon.state() == "FAILED":
            return None, True
        return daemon.loaded(ruleset + "-"), False
    except BusError as error:
        raise silent(error)


def _runtime(daemon: Firewalld1, loaded: Loaded, default_zone: str, taken: FrozenSet[str]) -> Runtime:
    """What firewalld has loaded, what it holds for its files, and the services that packets can reach."""
    names: Set[str] = set()
    active = [
        settings
        for name, settings in loaded.zones.items()
        if name == default_zone or settings.get("interfaces") or settings.get("sources")
    ]
    for settings in [*active, *loaded.policies.values()]:
        decides = filter_of(settings)
        names.update(decides.services)
        names.update(rule.value for rule in decides.rules if rule.kind == "service")
    used: Dict[str, Service] = {}
    try:
        permanent = daemon.permanent()
        for name in sorted(names & taken):
            used[name] = daemon.service(name)
        version, panic = daemon.version(), daemon.panic()
    except BusError as error:
        raise silent(error)
    return Runtime(loaded=loaded, permanent=permanent, used=used, version=version, panic=panic)


def _room(folder: str) -> int:
    """The bytes that are free in a folder; where there is none, nothing is short."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return ROOM
    return found.f_bavail * found.f_frsize


def _network(host: Host) -> Network:
    folder = host.path("sys/class/net")
    interfaces = os.listdir(folder) if os.path.isdir(folder) else []
    routes: List[Tuple[int, int, int, str]] = []
    for line in (_files.read(host.path("proc/net/route")) or "").splitlines()[1:]:
        fields = line.split()
        # Hexadecimal in the byte order of the machine, of which only the little-endian ones matter here.
        network, mask = (int.from_bytes(bytes.fromhex(fields[column]), "little") for column in (1, 7))
        routes.append((network, bin(mask).count("1"), 4, fields[0]))
    for line in (_files.read(host.path("proc/net/ipv6_route")) or "").splitlines():
        fields = line.split()
        if fields[9] != "lo":
            routes.append((int(fields[0], 16), int(fields[1], 16), 6, fields[9]))
    below = {
        name
        for name in interfaces
        for kind in ("brport", "bonding_slave")
        if os.path.isdir(os.path.join(folder, name, kind))
    }
    return Network(
        interfaces=frozenset(interfaces) - below - {"lo"},
        guests=frozenset(name for name in interfaces if _is_for_guests(os.path.join(folder, name))),
        routes=tuple(routes),
    )


def _is_for_guests(interface: str) -> bool:
    """Whether an interface is a bridge with ports to containers and virtual machines alone, or none yet.

    :param interface: its folder in /sys/class/net.
    """
    ports = os.path.join(interface, "brif")
    # As podman, docker and libvirt name them.
    return os.path.isdir(ports) and all(port.startswith(("veth", "vnet")) for port in os.listdir(ports))
