# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run has to say of a firewalld: a code for programs, a sentence for people."""

from __future__ import annotations

import ipaddress
from typing import FrozenSet, Iterable, List, Sequence, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import zones as _zones
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ANY,
    HOST,
    PRIORITY,
    Config,
    Filter,
    Loaded,
    Policy,
    Port,
    Reading,
    Service,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.others import Apart
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.told import some
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.xml import XmlError, parse_service
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# From this many rules on, a reload is worth a word. The gate before new connections opens by itself after 30 s: with
# more than the second number of rules the reload may last longer, and before firewalld 1 with more than the third.
_MANY = 1000
_TOO_MANY = 10000
_TOO_MANY_BEFORE_1 = 5000


def left_out(wanted: Sequence[Rule]) -> List[Notice]:
    """The rules that a firewalld without policies cannot have."""
    found: List[Notice] = []
    for direction, word in (("out", "outbound"), ("forward", "forwarded")):
        names = sorted({rule.name for rule in wanted if rule.direction == direction})
        if names:
            text = (
                "this firewalld is older than 0.9 and has no policies, so that it cannot filter %s "
                "connections: left out the %s rules of %s" % (word, word, ", ".join(names))
            )
            found.append(Notice(code="left-out", text=text, rules=tuple(names), direction=direction))
    return found


def switch(reading: Reading, switches: bool) -> List[Notice]:
    """That firewalld is off, now or at the next boot.

    :param switches: the run switches it on.
    """
    if switches:
        return []
    if not reading.running:
        how = "host_firewall_enable: true, or 'systemctl enable --now firewalld'"
        text = "firewalld is not running: the rules are stored and take effect when it starts (%s)" % how
        return [Notice(code="off", text=text)]
    if reading.runtime and reading.runtime.panic:
        text = "firewalld is in panic mode and drops every packet: the rules take effect when it ends (firewall-cmd --panic-off)"
        return [Notice(code="no-effect", text=text)]
    if not reading.enabled:
        text = "firewalld is running and off at the next boot (systemctl enable firewalld)"
        return [Notice(code="off-at-boot", text=text)]
    return []


def zones(reading: Reading, target: Config) -> List[Notice]:
    """Where rules do not do what they seem to, since a zone or a policy of others decides."""
    found: List[Notice] = []
    forwarding = [policy for policy in target.policies.values() if policy.ingress != (HOST,)]
    ends = {zone for policy in forwarding for zone in policy.ingress + policy.egress if zone != ANY}
    for name in sorted({*target.zones, *ends}):
        names = tuple(sorted({_rule_name(target, part.service) for part in target.zones.get(name, ())}))
        empty = not any(reading.bound(name)) and (name in ends or not _zones.catches(reading, name))
        if name in target.zones and reading.filter(name).accepts_all:
            text = "zone %s accepts everything: its rules add nothing" % name
            found.append(Notice(code="no-effect", text=text, rules=names, direction="in"))
        elif reading.runtime and empty:
            text = (
                "zone %s has no interface and no source: its rules let nothing in (set host_firewall_zone, or "
                "bind an interface to it)" % name
            )
            found.append(Notice(code="no-packets", text=text, rules=names))
    found += _forwarding(reading, forwarding)
    for name, policy in sorted(reading.policies.items()):
        if policy.target in ("DROP", "REJECT"):
            found += _refused(name, policy, target, forwarding)
    return found


def _refused(name: str, policy: Filter, target: Config, forwarding: Sequence[Policy]) -> List[Notice]:
    """The rules that have no effect, since a policy of others refuses before firewalld comes to them.

    Policies below 0 are asked before the zones. Source: firewalld.policies(5), "Policy priorities".
    """
    found: List[Notice] = []
    text = "policy %s refuses %s connections before the ruleset's %s is asked: give it a priority above %d"
    parts = [part for zone in target.zones if _meet(policy.ingress, (zone,)) for part in target.zones[zone]]
    if parts and HOST in policy.egress and policy.priority < 0:
        names = tuple(sorted({_rule_name(target, part.service) for part in parts}))
        told = text % (name, "inbound", "zone", 0)
        found.append(Notice(code="refused", text=told, rules=names, direction="in"))
    if policy.priority > PRIORITY:
        return found
    if len(forwarding) < len(target.policies) and HOST in policy.ingress:
        told = text % (name, "outbound", "policy", PRIORITY)
        found.append(Notice(code="refused", text=told, direction="out"))
    if any(_meet(policy.ingress, own.ingress) and _meet(policy.egress, own.egress) for own in forwarding):
        told = text % (name, "forwarded", "policy", PRIORITY)
        found.append(Notice(code="refused", text=told, direction="forward"))
    return found


def elsewhere(reading: Reading, target: Config) -> List[Notice]:
    """That packets from some sources come by another zone than that of the rules."""
    found: List[Notice] = []
    for place, attachments in sorted(target.zones.items()):
        for name in sorted(reading.zones):
            sources = reading.bound(name)[1] if name != place and not reading.filter(name).accepts_all else frozenset()
            own = {part.source for part in target.zones.get(name, ())}
            missed = [part for part in attachments if part.source not in own and _overlap(part.source, sources)]
            if missed:
                text = (
                    "zone %s takes what comes from %s: the rules in zone %s do not hold there (host_firewall_zone)"
                    % (
                        name,
                        ", ".join(sorted(sources)),
                        place,
                    )
                )
                names = tuple(sorted({_rule_name(target, part.service) for part in missed}))
                found.append(Notice(code="elsewhere", text=text, rules=names, direction="in"))
    return found


def _overlap(source: str, others: Iterable[str]) -> bool:
    """Whether a rule's source, empty for anywhere, and a zone's sources have an address in common."""
    for other in others:
        try:
            network = ipaddress.ip_network(other, strict=False)
        except ValueError:
            continue
        if not source:
            return True
        mine = ipaddress.ip_network(source)
        if mine.version == network.version and mine.overlaps(network):
            return True
    return False


def apart(reading: Reading, found: Apart, reload: bool) -> List[Notice]:
    """What of others differs between runtime and files.

    :param reload: the change needs a reload.
    :raises FirewallError: a reload is needed and would lose what nothing can bring back.
    """
    if found.lost and reload:
        raise FirewallError(
            "%s is in firewalld's runtime and no longer in its files; the reload that this change needs would lose "
            "it: reload firewalld yourself (firewall-cmd --reload), or make it permanent again" % some(found.lost),
            "runtime-lost",
        )
    notices: List[Notice] = []
    if found.items:
        kept = ", and stay so over the reload that this change needs" if reload else ""
        text = "firewalld's runtime and permanent configuration differ in what is not this ruleset's%s: %s" % (
            kept,
            some(found.items),
        )
        notices.append(Notice(code="other", text=text))
    if not reload or reading.runtime is None:
        return notices
    emptied = sorted(name for name, entries in reading.runtime.loaded.ipsets.items() if entries is None)
    if emptied:
        text = (
            "the reload that this change needs loads ipset %s from its file, and drops what was added to it since: "
            "firewalld does not say the entries of a set with a timeout, or of a set that it could not load"
            % ", ".join(emptied)
        )
        notices.append(Notice(code="runtime-lost", text=text))
    pending = [*found.pending, *_pending_services(reading)]
    if pending:
        text = "the reload that this change needs makes pending changes live: %s" % some(pending)
        notices.append(Notice(code="other", text=text))
    return notices


def flushed(reading: Reading) -> List[Notice]:
    """That a reload takes podman's rules, which are in iptables and which podman does not bring back by itself.

    firewalld before 2 empties iptables at each reload, a newer one where it uses it: for direct rules, or for all.
    Docker and libvirt hear that firewalld reloaded, and bring theirs back. podman has its networks in zone trusted.
    """
    runtime = reading.runtime
    if runtime is None or (
        runtime.version >= (2,) and reading.nftables and not any(vars(runtime.loaded.direct).values())
    ):
        return []
    networks = [
        source
        for source in runtime.loaded.zones.get("trusted", {}).get("sources", [])
        if _zones.interface_to(reading, source.partition("/")[0]) in reading.network.guests
    ]
    if not networks:
        return []
    text = (
        "the reload that this change needs makes firewalld empty iptables, with podman's rules for %s in it, so that its "
        "containers have no network: 'podman network reload --all' brings them back" % ", ".join(networks)
    )
    return [Notice(code="runtime-lost", text=text)]


def slow(reading: Reading, accept: FrozenSet[str]) -> List[Notice]:
    """That a reload takes long, since others have many rules.

    :raises FirewallError: too long, and the administrator does not accept it.
    """
    if reading.runtime is None:
        return []
    rules = _rules(reading.runtime.loaded)
    if rules <= _MANY:
        return []
    text = (
        "firewalld has %d rules, and the reload that this change needs refuses new connections until it has loaded "
        "them, up to a second for each thousand on an idle host, and up to three on firewalld 0.9" % rules
    )
    most = _TOO_MANY if reading.runtime.version >= (1,) else _TOO_MANY_BEFORE_1
    if rules > most and "slow-reload" not in accept:
        raise FirewallError(
            "%s: put addresses into an ipset, or accept it (host_firewall_accept: [slow-reload])" % text, "slow-reload"
        )
    return [Notice(code="slow-reload", text=text)]


def _rules(loaded: Loaded) -> int:
    """How many rules there are, as far as zones, policies and direct rules go."""
    lists = [value for settings in (*loaded.zones.values(), *loaded.policies.values()) for value in settings.values()]
    return sum(len(value) for value in lists if isinstance(value, list)) + len(loaded.direct.rules)


def _rule_name(target: Config, service: str) -> str:
    return target.services[service].short


def _forwarding(reading: Reading, policies: Sequence[Policy]) -> List[Notice]:
    """Where packets pass by the policies for what is forwarded, as measured on firewalld 0.9 to 2.3."""
    if not reading.runtime or not policies:
        return []
    texts: List[str] = []
    anywhere = any(policy.ingress == policy.egress == (ANY,) for policy in policies)
    unbound = not any(any(reading.bound(name)) for name in reading.zones)
    if anywhere and unbound and reading.runtime.version >= (2,):
        texts.append(
            "no zone has an interface or a source: firewalld 2 asks no policy about packets between interfaces "
            "that are in the default zone for being in no other, so that the forward rules may let nothing "
            "through: bind the interfaces to zones"
        )
    for name, settings in sorted(reading.runtime.loaded.zones.items()):
        bound = reading.bound(name)[0] if name in reading.zones else frozenset()
        interfaces = bound | (reading.unbound if name == reading.default_zone else frozenset())
        inside = any(_meet((name,), own.ingress) and _meet((name,), own.egress) for own in policies)
        if inside and bound and len(interfaces) > 1 and settings.get("forward"):
            texts.append(
                "zone %s forwards everything between its interfaces (%s) that leaves by %s, so that the forward "
                "rules add nothing there: give them zones of their own, or take that away (firewall-cmd "
                "--permanent --zone=%s --remove-forward)"
                % (name, ", ".join(sorted(interfaces)), " or ".join(sorted(bound)), name)
            )
    return [Notice(code="no-effect", text=text, direction="forward") for text in texts]


def _meet(zones: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two ends of policies for forwarded packets have a zone in common."""
    mine: Set[str] = set(zones) - {HOST}
    theirs = set(others)
    return bool(mine and (ANY in mine | theirs or mine & theirs))


def _pending_services(reading: Reading) -> List[str]:
    """Services of others that packets can reach, and that are not loaded as the files have them."""
    found: List[str] = []
    for name, service in sorted(reading.runtime.used.items()) if reading.runtime else []:
        try:
            permanent = parse_service(reading.definitions[name])
        except XmlError:
            found.append("service %s" % name)
        else:
            if _opens(permanent) != _opens(service):
                found.append("service %s" % name)
    return found


def _opens(service: Service) -> Tuple[FrozenSet[Port], FrozenSet[str], FrozenSet[Port], FrozenSet[str], bool]:
    ports, source_ports = frozenset(service.ports), frozenset(service.source_ports)
    return ports, frozenset(service.protocols), source_ports, frozenset(service.includes), service.more
