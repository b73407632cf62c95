# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewalld backend.

A rule is a service of its own, ``/etc/firewalld/services/<ruleset>-<name>[-out|-forward].xml``, whose description
says whose it is. Inbound ones are let through in a zone, plainly or by rich rules for each source; outbound
ones in a policy of the ruleset's, HOST to ANY, and what is forwarded in another, ANY to ANY. Files are edited by hand, so that the administrator's part of
a zone stays byte for byte; the running firewalld is asked and told over D-Bus.
"""

from __future__ import annotations

import glob
import hashlib
import ipaddress
import os
import re
import time
from contextlib import contextmanager
from typing import Any, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files, _ports
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes as _plan
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import bus as _dbus
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import runtime as _runtime
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import xml as _xml
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import BusError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.runtime import Firewalld1, Loaded
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.xml import (
    Attachment,
    Policy,
    Service,
    Zone,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.legacy import Backend, Change, Have
from ansible_collections.netports.apple.plugins.module_utils._rules import (
    Rule,
    RuleError,
    families,
    normalise,
    version,
)

_ETC = "etc/firewalld"
_LIB = "usr/lib/firewalld"
# Before -1, which policies of the administrator's get unless told otherwise, and after anything that was put in
# front on purpose. firewalld.policies(5), "Policy priorities".
_PRIORITY = -10
# firewall.functions.max_policy_name_len() is 17; this leaves "-out" or "-fwd" and "-9" behind it.
_STEM = 11
_KINDS = {"out": "out", "forward": "fwd"}
_ENDINGS = {"in": "", "out": "-out", "forward": "-forward"}
_UNIT = "firewalld.service"
# How long firewalld may take to load its configuration when it starts, in seconds.
_START = 30.0
# What refuses new connections for as long as the elements of its set live, so that it opens by itself when nobody is
# left to take it away; lo and neighbour discovery (untracked) go on. firewalld's own reload has the like of it.
_GATE = "netports_closed"
# How often it is tried to take it away.
_OPENING = 5
_CLOSE = """add table inet %(name)s
delete table inet %(name)s
table inet %(name)s {
  set closed { type nf_proto; flags timeout; elements = { ipv4 timeout 30s, ipv6 timeout 30s }; }
  chain new {
    iif lo accept
    oif lo accept
    ct state established,related,untracked accept
    meta nfproto @closed drop
  }
  chain input { type filter hook input priority 0; jump new; }
  chain forward { type filter hook forward priority 0; jump new; }
  chain output { type filter hook output priority 0; jump new; }
}
""" % {"name": _GATE}


class ZoneFile(NamedTuple):
    """A zone: its file's path and text (``None``: there is none), the distribution's, and what they say."""

    path: str
    text: Optional[str]
    origin: str
    original: Optional[str]
    zone: Zone

    @property
    def base(self) -> str:
        """The text to edit: the administrator's file or else a copy of the distribution's."""
        if self.text is not None:
            return self.text
        return _xml.copy_of(self.original or "", self.origin)


class Native(NamedTuple):
    """What was read.

    ``services`` and ``policies``: the ruleset's own, by name, with their text and, where it can be read, their
    meaning. ``owned``: names of services that are the ruleset's. ``taken``: names that are somebody else's.
    ``references``: who else names which service. ``runtime``: what is loaded, ``None`` where nothing runs or
    where it ``failed``: firewalld could not load its configuration. ``places``: which service a rule is, by its key.
    """

    default_zone: str
    has_policies: bool
    zones: Dict[str, ZoneFile]
    services: Dict[str, Tuple[str, Optional[Service]]]
    policies: Dict[str, Tuple[str, Optional[Policy]]]
    foreign_policies: Dict[str, Policy]
    owned: FrozenSet[str]
    taken: FrozenSet[str]
    references: Dict[str, List[str]]
    runtime: Optional[Loaded]
    failed: bool
    places: Dict[Any, str]


class Target(NamedTuple):
    """What is to be: services, attachments by zone, and policies, all by name."""

    rules: List[Rule]
    names: Dict[Any, str]
    services: Dict[str, Service]
    zones: Dict[str, List[Attachment]]
    policies: Dict[str, Policy]


class Steps(NamedTuple):
    """What is to be done: files in order, a reload or single calls, and firewalld's own switch.

    ``old`` is what the files had, ``before`` what was loaded. ``start``: firewalld is to be started now;
    ``enable``: at the next boot.
    """

    files: List[FileChange]
    reload: bool
    attach: List[Tuple[str, Attachment]]
    detach: List[Tuple[str, Attachment]]
    set_policies: Dict[str, Policy]
    target: Target
    old: Target
    before: Optional[Loaded]
    owned: FrozenSet[str]
    own_policies: FrozenSet[str]
    start: bool
    enable: bool


class Firewalld(Backend):
    """firewalld 0.9 and newer; older ones, which have no policies, get the inbound rules alone."""

    name = "firewalld"
    confirms = True

    _bus: Optional[_dbus.Bus] = None
    # The process that opened the connection: a fork has the number of its descriptor, and it may be another's.
    _bus_process = 0

    def installed(self) -> bool:
        programs = ("usr/sbin/firewalld", "usr/bin/firewalld")
        return os.path.isdir(self.path(_LIB)) and any(os.path.isfile(self.path(one)) for one in programs)

    def in_use(self) -> bool:
        return self.installed() and (self._enabled() or self._daemon() is not None)

    def read(self) -> Have:
        default_zone = self._default_zone()
        texts = {kind: self._texts(kind) for kind in ("services", "policies", "zones")}
        zones = {name: self._zone_file(name, *both) for name, both in texts["zones"].items()}
        services: Dict[str, Tuple[str, Optional[Service]]] = {}
        taken: Set[str] = set()
        for name, (text, original) in texts["services"].items():
            owner = _xml.owner(text or "")
            if text is not None and owner and owner.ruleset == self.options.ruleset:
                services[name] = (text, _service(text))
            else:
                taken.add(name)
        policies: Dict[str, Tuple[str, Optional[Policy]]] = {}
        foreign_policies: Dict[str, Policy] = {}
        for name, (text, original) in texts["policies"].items():
            owner = _xml.owner(text or "")
            policy = _policy(text if text is not None else original or "")
            if text is not None and owner and owner.ruleset == self.options.ruleset:
                policies[name] = (text, policy)
            elif policy:
                foreign_policies[name] = policy
        daemon = self._daemon()
        runtime, failed = self._loaded(daemon) if daemon else (None, False)
        owned = set(services)
        # A service that nobody defines any more is nobody else's, and firewalld refuses to load what names it.
        prefix = self.options.ruleset + "-"
        named = [one.service for item in zones.values() for one in item.zone.attachments]
        if runtime:
            owned.update(
                name
                for name, service in runtime.services.items()
                if name not in taken and service.owner and service.owner.ruleset == self.options.ruleset
            )
            named.extend(one for zone in runtime.zones.values() for one in zone.get("services", []))
        known = taken | (set(runtime.services) if runtime else set())
        owned.update(name for name in named if name.startswith(prefix) and name not in known)
        references: Dict[str, List[str]] = {}
        for kind, found in texts.items():
            for name, (text, original) in found.items():
                for service in self._named_by(kind, name, text if text is not None else original or "", owned):
                    references.setdefault(service, []).append("%s %s" % (_SINGULAR[kind], name))
        native = Native(
            default_zone,
            os.path.isdir(self.path(_LIB, "policies")),
            zones,
            services,
            policies,
            foreign_policies,
            frozenset(owned),
            frozenset(taken),
            references,
            runtime,
            failed,
            {},
        )
        rules, places = self._rules(native)
        return Have(rules, daemon is not None, self._enabled(), native._replace(places=places))

    def denies_inbound(self, have: Have) -> bool:
        """Every zone does but those of target ACCEPT, which L(admits) knows."""
        return True

    def admits(self, have: Have, address: str, port: int) -> bool:
        """Say whether the zone that an address comes in by lets it reach a TCP port, without the ruleset."""
        native: Native = have.native
        name = self._zone_of_address(native, address)
        services = {service: self._tcp_ports(native, service) for service in self._foreign_services(native, name)}
        if native.runtime:
            settings = native.runtime.zones.get(name, {})
            target = settings.get("target", "")
            ports = settings.get("ports", [])
            rules = [_xml.admission(rule) for rule in settings.get("rules_str", [])]
            plain = list(settings.get("services", []))
        else:
            zone = native.zones[name].zone
            target, ports, rules = zone.target, list(zone.ports), list(zone.admissions)
            plain = [one.service for one in zone.attachments if not one.source and not one.destination]
            rules += [
                _xml.Admission(one.source, "service", one.service)
                for one in zone.attachments
                if one.source and not one.destination
            ]
        if target == "ACCEPT":
            return True
        open_ports = [one for one, kind in ports if kind == "tcp"]
        for service in plain:
            open_ports.extend(services.get(service, []))
        for rule in rules:
            if rule and (not rule.source or _holds(rule.source, address)):
                open_ports.extend([rule.value] if rule.kind == "port" else services.get(rule.value, []))
        return _covers(open_ports, port)

    def plan(self, have: Have, wanted: Sequence[Rule]) -> Change:
        native: Native = have.native
        warnings: List[str] = []
        wanted = normalise(_reduced(rule) for rule in wanted)
        if not native.has_policies:
            for direction, word in (("out", "outbound"), ("forward", "forwarded")):
                left_out = sorted({rule.name for rule in wanted if rule.direction == direction})
                if left_out:
                    warnings.append(
                        "this firewalld is older than 0.9 and has no policies, so that it cannot filter %s "
                        "connections: left out the %s rules of %s" % (word, word, ", ".join(left_out))
                    )
            wanted = [rule for rule in wanted if rule.direction == "in"]
        target = self._target(native, wanted)
        owned = native.owned | frozenset(target.services)
        own_policies = frozenset(native.policies) | frozenset(target.policies)
        for name in sorted(native.owned - set(target.services)):
            if native.references.get(name):
                raise FirewallError(
                    "service %s is no longer wanted and %s still names it, which is not this ruleset's: take it out "
                    "there first" % (name, " and ".join(native.references[name]))
                )
        files = self._file_changes(native, target, owned)
        differences = self._differences(native, target, owned)
        runtime = native.runtime
        if native.failed and not files:
            raise FirewallError(
                "firewalld is in the state FAILED, it could not load its configuration, and this ruleset is not why: "
                "see 'firewall-offline-cmd --check-config', mend it and run 'firewall-cmd --reload'"
            )
        reload = native.failed or (
            runtime is not None and (bool(files) or any(one.definition for one in differences if one.loaded))
        )
        attach: List[Tuple[str, Attachment]] = []
        detach: List[Tuple[str, Attachment]] = []
        set_policies: Dict[str, Policy] = {}
        if runtime and not reload:
            for name in runtime.zones:
                there = runtime.attachments(name, owned)
                want = set(target.zones.get(name, []))
                attach.extend((name, one) for one in sorted(want - there))
                detach.extend((name, one) for one in sorted(there - want))
            for name, policy in target.policies.items():
                if _policy_drifted(runtime.policies[name], policy):
                    set_policies[name] = policy
        operations = [step.to_dict() for step in _plan.operations(have.rules, wanted)]
        operations += self._mends(native, target, operations, differences)
        if not operations:
            operations = [{"action": "mend", "what": change.path} for change in files]
        enable = bool(self.options.enable) and not (have.active and have.enabled)
        if enable:
            operations.append({"action": "enable", "what": "firewalld"})
        warnings += self._switch_warnings(have, enable) + self._zone_warnings(native, target)
        if runtime:
            warnings += self._difference_warnings(native, owned, own_policies, reload)
        return Change(
            operations,
            self._show(native, _permanent(native), False),
            self._show(native, target, True),
            warnings,
            Steps(
                files,
                reload,
                attach,
                detach,
                set_policies,
                target,
                _permanent(native),
                runtime,
                owned,
                own_policies,
                enable and not have.active,
                enable and not have.enabled,
            ),
        )

    def apply(self, change: Change) -> None:
        steps: Steps = change.steps
        self._carry_out(steps)
        if steps.start or steps.enable:
            words = ["enable"] * steps.enable + ["--now"] * (steps.enable and steps.start)
            self._switch_on(steps, words or ["start"])

    def live(self, change: Change) -> bool:
        steps: Steps = change.steps
        return bool(steps.reload or steps.attach or steps.detach or steps.set_policies or steps.start)

    def engage(self, change: Change) -> Any:
        steps: Steps = change.steps
        self._carry_out(steps)
        if steps.start:
            self._switch_on(steps, ["start"])
        # New services stay, which nobody names then: firewalld watches its files, and when it sees a service go, it
        # writes the zones that it remembers with it anew (firewall.server.config.removeService()).
        services = self.path(_ETC, "services")
        _files.put_back([one for one in steps.files if one.before is not None or os.path.dirname(one.path) != services])
        return None

    def keep(self, change: Change, engaged: Any) -> None:
        steps: Steps = change.steps
        self._unchanged(steps, written=True)
        daemon = self._daemon()
        if daemon is None:
            raise FirewallError("firewalld was stopped before the change was confirmed")
        try:
            self._check_loaded(daemon, steps)
            missing = [one for one in steps.files if _files.read(one.path) != one.after]
            _files.apply(missing, lambda: self._kept(daemon, steps, missing))
        except BusError as error:
            raise FirewallError("firewalld does not answer on D-Bus (%s): %s" % (error.name, error))

    def undo(self, change: Change) -> None:
        steps: Steps = change.steps
        self._sweep()
        _files.put_back(steps.files)
        if steps.enable and self._enabled():
            self._systemctl(["disable"])
        if steps.start:
            self._systemctl(["stop"])
            return
        daemon = self._daemon() or (self._revived() if steps.before else None)
        if daemon is None:
            return
        try:
            if steps.reload or os.path.exists(self._reloading):
                self._unload(daemon, steps)
            for zone, attachment in steps.attach:
                daemon.detach(zone, attachment)
            for zone, attachment in steps.detach:
                daemon.attach(zone, attachment)
            for name in steps.set_policies:
                if steps.before:
                    daemon.set_policy(name, _runtime.policy_part(steps.before.policies[name]))
        except BusError as error:
            raise FirewallError("firewalld does not answer on D-Bus (%s): %s" % (error.name, error))

    def foreign(self, have: Have) -> str:
        """What C(firewall-cmd --list-all-zones) prints; the ruleset's own services are among it."""
        return self.run(["firewall-cmd", "--list-all-zones"], None)[1] if have.active else ""

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str) -> Dict[str, str]:
        rendered: Dict[str, str] = {}
        zones: Dict[str, List[Attachment]] = {}
        policies: Dict[Tuple[str, str], List[Attachment]] = {}
        names = allocate(rules, ruleset, {}, frozenset())
        for rule in normalise(_reduced(rule) for rule in rules):
            name = names[rule.key]
            rendered["/%s/services/%s.xml" % (_ETC, name)] = _xml.service_text(_xml.service_of(rule, ruleset))
            place, out = ("<zone of %s>" % one if one else "" for one in (rule.interface, rule.out_interface))
            attachments = _xml.attachments_of(rule, name)
            if rule.direction == "in":
                zones.setdefault(place or "<zone>", []).extend(attachments)
            else:
                ends = (_xml.HOST, place) if rule.direction == "out" else (place or _xml.ANY, out)
                policies.setdefault((ends[0], ends[1] or _xml.ANY), []).extend(attachments)
        for name, policy in _policies(ruleset, policies, {}, frozenset()).items():
            rendered["/%s/policies/%s.xml" % (_ETC, name)] = _xml.policy_text(policy)
        for place, attachments in sorted(zones.items()):
            lines = [line for one in attachments for line in one.lines()]
            rendered["/%s/zones/%s.xml" % (_ETC, place)] = "\n".join(lines + [""])
        return rendered

    # Reading

    def _daemon(self) -> Optional[Firewalld1]:
        """The running firewalld, or ``None``."""
        if self._bus and self._bus_process not in (0, os.getpid()):
            self._bus.forget()
            self._bus = None
        for _attempt in range(2):
            if self._bus is None:
                self._bus, self._bus_process = _dbus.connect(self.root), os.getpid()
            try:
                return Firewalld1(self._bus) if self._bus and self._bus.has_owner(_runtime.NAME) else None
            except BusError:
                # The bus was started anew, or is gone.
                self._bus = None
        return None

    def _loaded(self, daemon: Firewalld1) -> Tuple[Optional[Loaded], bool]:
        """What firewalld has loaded; or nothing, and that loading failed."""
        try:
            if daemon.state() == "FAILED":
                return None, True
            return daemon.loaded(self.options.ruleset + "-"), False
        except BusError as error:
            raise FirewallError("firewalld does not answer on D-Bus (%s): %s" % (error.name, error))

    def _enabled(self) -> bool:
        systemd = self.path("etc/systemd/system")
        unit = os.path.join(systemd, "firewalld.service")
        if os.path.islink(unit) and os.readlink(unit) == "/dev/null":
            return False
        wants = glob.glob(os.path.join(glob.escape(systemd), "*.wants", "firewalld.service"))
        return any(os.path.islink(one) or os.path.exists(one) for one in wants)

    def _default_zone(self) -> str:
        for folder in (_ETC, _LIB):
            text = _files.read(self.path(folder, "firewalld.conf"))
            match = re.search(r"^\s*DefaultZone\s*=\s*(\S+)\s*$", text or "", re.MULTILINE)
            if match:
                return match.group(1)
        return "public"

    def _texts(self, kind: str) -> Dict[str, Tuple[Optional[str], Optional[str]]]:
        """The files of a kind by name: the administrator's text and the distribution's."""
        found: Dict[str, Tuple[Optional[str], Optional[str]]] = {}
        for folder in (_LIB, _ETC):
            base = self.path(folder, kind)
            for file in sorted(os.listdir(base)) if os.path.isdir(base) else []:
                if not file.endswith(".xml") or file.startswith("."):
                    continue
                name = file[: -len(".xml")]
                text = _files.read(os.path.join(base, file))
                found[name] = (text, found.get(name, (None, None))[1]) if folder == _ETC else (None, text)
        return found

    def _zone_file(self, name: str, text: Optional[str], original: Optional[str]) -> ZoneFile:
        path = self.path(_ETC, "zones", name + ".xml")
        origin = "/%s/zones/%s.xml" % (_LIB, name)
        try:
            zone = _xml.parse_zone(text if text is not None else original or "")
        except _xml.XmlError as error:
            raise FirewallError("%s cannot be read: %s" % (path if text is not None else origin, error))
        return ZoneFile(path, text, origin, original, zone)

    def _named_by(self, kind: str, name: str, text: str, owned: Iterable[str]) -> List[str]:
        """Services of ours that a file names otherwise than we would."""
        owner = _xml.owner(text)
        if kind != "zones" and owner and owner.ruleset == self.options.ruleset:
            return []
        found = _xml.zone_references(text) if kind == "zones" else _xml.references(text)
        return sorted(found & set(owned))

    def _rules(self, native: Native) -> Tuple[List[Rule], Dict[Any, str]]:
        """The ruleset's rules as the files have them, and the service that each of them is."""
        rules: List[Rule] = []
        places: Dict[Any, str] = {}
        let = {"in": [one for item in native.zones.values() for one in item.zone.attachments]}
        for _text, policy in native.policies.values():
            if policy:
                direction = "out" if policy.ingress == (_xml.HOST,) else "forward"
                let.setdefault(direction, []).extend(policy.attachments)
        for name, (_text, service) in sorted(native.services.items()):
            if service is None or service.owner is None:
                continue
            owner = service.owner
            mine = [one for one in let.get(owner.direction, []) if one.service == name]
            if not mine:
                continue
            anywhere = any(not one.source and not one.destination for one in mine)
            try:
                rule = Rule.from_dict(
                    {
                        "name": service.short,
                        "direction": owner.direction,
                        "tcp": [port for port, kind in service.ports if kind == "tcp"],
                        "udp": [port for port, kind in service.ports if kind == "udp"],
                        "sources": [] if anywhere else sorted({one.source for one in mine if one.source}),
                        "destinations": []
                        if anywhere
                        else sorted({one.destination for one in mine if one.destination}),
                        "interface": owner.interface,
                        "out_interface": owner.out_interface,
                    }
                )
            except RuleError:
                # Somebody edited it into what no rule is: it is ours still, and goes or is written anew.
                continue
            rules.append(rule)
            places[rule.key] = name
        return rules, places

    # Planning

    def _target(self, native: Native, wanted: Sequence[Rule]) -> Target:
        names = allocate(wanted, self.options.ruleset, native.places, native.taken)
        services: Dict[str, Service] = {}
        zones: Dict[str, List[Attachment]] = {}
        through: Dict[Tuple[str, str], List[Attachment]] = {}
        for rule in wanted:
            name = names[rule.key]
            services[name] = _xml.service_of(rule, self.options.ruleset)
            attachments = _xml.attachments_of(rule, name)
            if rule.direction == "in":
                zones.setdefault(self._place(native, rule), []).extend(attachments)
            else:
                through.setdefault(self._ends(native, rule), []).extend(attachments)
        has = {}
        for name, (_text, old) in native.policies.items():
            if old and len(old.ingress) == len(old.egress) == 1:
                has[old.ingress[0], old.egress[0]] = name
        taken = frozenset(native.foreign_policies) | frozenset(native.zones)
        policies = _policies(self.options.ruleset, through, has, taken)
        return Target(list(wanted), names, services, zones, policies)

    def _asked_zone(self, native: Native) -> str:
        """The zone that the run was asked for, which may be empty.

        :raises FirewallError: there is none of that name.
        """
        asked = self.options.zone
        if asked and asked not in native.zones:
            raise FirewallError(
                "firewalld has no zone %r: choose one of %s, or make it first (firewall-cmd --permanent --new-zone=%s)"
                % (asked, ", ".join(sorted(native.zones)), asked)
            )
        return asked

    def _place(self, native: Native, rule: Rule) -> str:
        """The zone that an inbound rule goes to.

        :raises FirewallError: no zone holds for exactly what the rule says.
        """
        if rule == self.options.guard:
            return self._zone_of_address(native, rule.sources[0])
        asked = self._asked_zone(native)
        if rule.interface:
            return self._zone_of_interface_alone(native, rule, rule.interface, asked)
        zone = asked or native.default_zone
        if zone not in native.zones:
            raise FirewallError(
                "firewalld's default zone %r has no file: choose another (firewall-cmd --set-default-zone), or set "
                "the zone (host_firewall_zone) to one of %s" % (zone, ", ".join(sorted(native.zones)))
            )
        return zone

    def _ends(self, native: Native, rule: Rule) -> Tuple[str, str]:
        """What the policy of an outbound or a forward rule leads from and to: C(HOST), zones, C(ANY).

        :raises FirewallError: no zone holds for exactly what the rule says.
        """
        asked = self._asked_zone(native)
        zone = self._zone_of_interface_alone(native, rule, rule.interface, asked) if rule.interface else ""
        if rule.direction == "out":
            return _xml.HOST, zone or _xml.ANY
        out = self._zone_of_interface_alone(native, rule, rule.out_interface, "") if rule.out_interface else ""
        return zone or asked or _xml.ANY, out or _xml.ANY

    def _zone_of_interface_alone(self, native: Native, rule: Rule, interface: str, asked: str) -> str:
        bound = {name: _bound(native, name) for name in native.zones}
        zone = next((name for name, (interfaces, _sources) in bound.items() if interface in interfaces), "")
        why = ""
        if not zone or zone == native.default_zone:
            why = "it is in the default zone, %s, with every interface that no other zone has" % native.default_zone
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

    def _zone_of_address(self, native: Native, address: str) -> str:
        """The zone by which an address comes in: that of its network, of its interface, or the default zone."""
        for name in sorted(native.zones):
            if any(_holds(source, address) for source in _bound(native, name)[1]):
                return name
        interface = self._interface_to(address)
        for name in sorted(native.zones):
            if interface and interface in _bound(native, name)[0]:
                return name
        return native.default_zone if native.default_zone in native.zones else min(native.zones)

    def _interface_to(self, address: str) -> str:
        """The interface of the most specific route to an address; empty when there is none."""
        best = (-1, "")
        number = int(ipaddress.ip_address(address))
        if version(address) == 4:
            for line in (_files.read(self.path("proc/net/route")) or "").splitlines()[1:]:
                fields = line.split()
                # Hexadecimal in the byte order of the machine, of which only the little-endian ones matter here.
                network, mask = (int.from_bytes(bytes.fromhex(fields[column]), "little") for column in (1, 7))
                if number & mask == network:
                    best = max(best, (bin(mask).count("1"), fields[0]))
        else:
            for line in (_files.read(self.path("proc/net/ipv6_route")) or "").splitlines():
                fields = line.split()
                length = int(fields[1], 16)
                shift = 128 - length
                if fields[9] != "lo" and number >> shift == int(fields[0], 16) >> shift:
                    best = max(best, (length, fields[9]))
        return best[1]

    def _file_changes(self, native: Native, target: Target, owned: FrozenSet[str]) -> List[FileChange]:
        """What has to be written: definitions before what names them, and removed behind it."""
        changes: List[FileChange] = []
        removed: List[FileChange] = []
        for name, service in target.services.items():
            old_text, old = native.services.get(name, (None, None))
            if old is None or not old.same(service):
                path = self.path(_ETC, "services", name + ".xml")
                changes.append(FileChange(path, old_text, _xml.service_text(service)))
        for name, (text, _service_read) in native.services.items():
            if name not in target.services:
                removed.append(FileChange(self.path(_ETC, "services", name + ".xml"), text, None))
        for name, item in native.zones.items():
            wanted = target.zones.get(name, [])
            if item.text is None and not wanted and not any(one.service in owned for one in item.zone.attachments):
                continue
            try:
                after: Optional[str] = _xml.edit_zone(item.base, owned, wanted)
            except _xml.XmlError as error:
                raise FirewallError("%s: %s" % (item.path, error))
            if after is not None and _xml.is_copy(after, item.origin, item.original):
                after = None
            if after != item.text:
                changes.append(FileChange(item.path, item.text, after))
        for name, policy in target.policies.items():
            policy_text, old_policy = native.policies.get(name, (None, None))
            if old_policy is None or not old_policy.same(policy):
                path = self.path(_ETC, "policies", name + ".xml")
                changes.append(FileChange(path, policy_text, _xml.policy_text(policy)))
        for name, (text, _policy_read) in native.policies.items():
            if name not in target.policies:
                changes.append(FileChange(self.path(_ETC, "policies", name + ".xml"), text, None))
        return changes + removed

    def _differences(self, native: Native, target: Target, owned: FrozenSet[str]) -> List[_Difference]:
        """Everything in which the host is not the target, with the service that it is about."""
        found: List[_Difference] = []
        have = _permanent(native)
        for name in sorted(set(have.services) | set(native.services) | set(target.services)):
            found += _compare_service(name, native.services.get(name, (None, None))[1], target, False)
        for name in sorted(native.zones):
            found += _compare_attachments("zone " + name, have.zones.get(name, []), target.zones.get(name, []), False)
        for name in sorted(set(native.policies) | set(target.policies)):
            found += _compare_policy(name, native.policies.get(name, ("", None))[1], target.policies.get(name))
        runtime = native.runtime
        if runtime:
            for name in sorted(set(owned)):
                if name in runtime.services or name in target.services:
                    found += _compare_service(name, runtime.services.get(name), target, True)
            for name in sorted(runtime.zones):
                there = sorted(runtime.attachments(name, owned))
                found += _compare_attachments("zone " + name, there, target.zones.get(name, []), True)
            for name in sorted(set(native.policies) | set(target.policies)):
                found += _compare_loaded_policy(name, runtime.policies.get(name), target.policies.get(name))
        return found

    @staticmethod
    def _mends(
        native: Native, target: Target, operations: Sequence[Dict[str, Any]], differences: Sequence[_Difference]
    ) -> List[Dict[str, Any]]:
        """What is mended beside the operations on rules: differences in services that no operation is about."""
        touched: Set[str] = set()
        kinds: Set[str] = set()
        for operation in operations:
            for data in (operation["rule"], operation.get("was")):
                if data:
                    key = Rule.from_dict(data).key
                    touched.update(names[key] for names in (target.names, native.places) if key in names)
                    kinds.add(_KINDS.get(data["direction"], ""))
        return [
            {"action": "mend", "what": one.what}
            for one in differences
            if one.service not in touched and not (one.policy and _kind(one.policy) in kinds)
        ]

    # Telling

    @staticmethod
    def _switch_warnings(have: Have, enable: bool) -> List[str]:
        if enable:
            return []
        if not have.active:
            how = "host_firewall_enable: true, or 'systemctl enable --now firewalld'"
            return ["firewalld is not running: the rules are stored and take effect when it starts (%s)" % how]
        if not have.enabled:
            return ["firewalld is running and off at the next boot (systemctl enable firewalld)"]
        return []

    def _zone_warnings(self, native: Native, target: Target) -> List[str]:
        warnings: List[str] = []
        forwarding = [policy for policy in target.policies.values() if policy.ingress != (_xml.HOST,)]
        ends = {zone for policy in forwarding for zone in policy.ingress + policy.egress if zone != _xml.ANY}
        for name in sorted({*target.zones, *ends}):
            if name in target.zones and native.zones[name].zone.target == "ACCEPT":
                warnings.append("zone %s accepts everything: its rules add nothing" % name)
            elif native.runtime and not any(_bound(native, name)) and (name in ends or not self._catches(native, name)):
                warnings.append(
                    "zone %s has no interface and no source: its rules let nothing in (set host_firewall_zone, or "
                    "bind an interface to it)" % name
                )
        warnings += self._forward_warnings(native, forwarding)
        for name, policy in sorted(native.foreign_policies.items()):
            early = policy.target in ("DROP", "REJECT") and policy.priority <= _PRIORITY
            if early and len(forwarding) < len(target.policies) and _xml.HOST in policy.ingress:
                warnings.append(
                    "policy %s refuses outbound connections before the ruleset's policy is asked: give it a priority "
                    "above %d" % (name, _PRIORITY)
                )
            if early and any(
                _meet(policy.ingress, one.ingress) and _meet(policy.egress, one.egress) for one in forwarding
            ):
                warnings.append(
                    "policy %s refuses forwarded connections before the ruleset's policy is asked: give it a priority "
                    "above %d" % (name, _PRIORITY)
                )
        return warnings

    def _forward_warnings(self, native: Native, policies: Sequence[Policy]) -> List[str]:
        """Where packets pass by the policies for what is forwarded, as measured on firewalld 0.9 to 2.3."""
        if not native.runtime or not policies:
            return []
        warnings: List[str] = []
        anywhere = any(policy.ingress == policy.egress == (_xml.ANY,) for policy in policies)
        if anywhere and not any(any(_bound(native, name)) for name in native.zones):
            warnings.append(
                "no zone has an interface or a source: firewalld 2 asks no policy about packets between interfaces "
                "that are in the default zone for being in no other, so that the forward rules may let nothing "
                "through: bind the interfaces to zones"
            )
        for name, settings in sorted(native.runtime.zones.items()):
            bound = _bound(native, name)[0] if name in native.zones else set()
            interfaces = bound | (self._unbound(native) if name == native.default_zone else set())
            inside = any(_meet((name,), one.ingress) and _meet((name,), one.egress) for one in policies)
            if inside and bound and len(interfaces) > 1 and settings.get("forward"):
                warnings.append(
                    "zone %s forwards everything between its interfaces (%s) that leaves by %s, so that the forward "
                    "rules add nothing there: give them zones of their own, or take that away (firewall-cmd "
                    "--permanent --zone=%s --remove-forward)"
                    % (name, ", ".join(sorted(interfaces)), " or ".join(sorted(bound)), name)
                )
        return warnings

    def _catches(self, native: Native, name: str) -> bool:
        """Say whether an interface that is there falls to a zone for being in no other: to the default zone."""
        return name == native.default_zone and bool(self._unbound(native))

    def _unbound(self, native: Native) -> Set[str]:
        """The interfaces that no zone has, and which are in the default zone therefore."""
        folder = self.path("sys/class/net")
        present = {one for one in os.listdir(folder) if one != "lo"} if os.path.isdir(folder) else set()
        return present - {one for zone in native.zones for one in _bound(native, zone)[0]}

    def _difference_warnings(
        self, native: Native, owned: FrozenSet[str], own_policies: FrozenSet[str], reload: bool
    ) -> List[str]:
        """What of the administrator's differs between runtime and files.

        :raises FirewallError: a reload is needed and would lose what nothing can bring back.
        """
        daemon = self._daemon()
        if daemon is None or native.runtime is None:
            return []
        try:
            permanent = daemon.permanent()
            found = _runtime.differences(native.runtime, permanent, owned, own_policies)
            pending = found.pending + (self._pending_services(daemon, native) if reload else [])
        except BusError as error:
            raise FirewallError("firewalld does not answer on D-Bus (%s): %s" % (error.name, error))
        warnings: List[str] = []
        if found.lost and reload:
            raise FirewallError(
                "%s is in firewalld's runtime and no longer in its files; the reload that this change needs would lose "
                "it: reload firewalld yourself (firewall-cmd --reload), or make it permanent again" % _some(found.lost)
            )
        if found.items:
            kept = ", and stay so over the reload that this change needs" if reload else ""
            warnings.append(
                "firewalld's runtime and permanent configuration differ in what is not this ruleset's%s: %s"
                % (kept, _some(found.items))
            )
        emptied = sorted(name for name, entries in native.runtime.ipsets.items() if entries is None)
        if emptied and reload:
            warnings.append(
                "the reload that this change needs empties ipset %s: the kernel alone knows entries with a timeout"
                % ", ".join(emptied)
            )
        if pending and reload:
            warnings.append("the reload that this change needs makes pending changes live: %s" % _some(pending))
        return warnings

    @staticmethod
    def _pending_services(daemon: Firewalld1, native: Native) -> List[str]:
        """Services that somebody else changed since firewalld loaded them, of those that the host's zones use."""
        runtime = native.runtime
        used = {one for zone in runtime.zones.values() for one in zone.get("services", [])} if runtime else set()
        found = []
        for name in sorted(used & native.taken):
            try:
                permanent = daemon.permanent_service(name)
                if permanent is None or not daemon.service(name).same(permanent):
                    found.append("service %s" % name)
            except BusError:
                found.append("service %s" % name)
        return found

    def _show(self, native: Native, target: Target, after: bool) -> str:
        """The ruleset's part of the host, for the diff; the runtime too, where it was not what the files said.

        :param target: what the files have, or are to have.
        :param after: whether it is what is to be.
        """
        parts: Dict[str, Optional[str]] = {}
        for name, service in sorted(target.services.items()):
            parts["/%s/services/%s.xml" % (_ETC, name)] = _xml.service_text(service)
        for name, attachments in sorted(target.zones.items()):
            parts["zone " + name] = "".join("%s\n" % one.text() for one in sorted(attachments))
        for name, policy in sorted(target.policies.items()):
            parts["/%s/policies/%s.xml" % (_ETC, name)] = _xml.policy_text(
                policy._replace(attachments=tuple(sorted(policy.attachments)))
            )
        if native.runtime:
            found = _loaded_lines(_expected(_permanent(native)), native.owned, native.policies)
            loaded = _loaded_lines(native.runtime, native.owned, native.policies)
            if found != loaded:
                owned = native.owned | frozenset(target.services)
                parts["at runtime"] = _loaded_lines(_expected(target), owned, target.policies) if after else loaded
        return _files.diff_text(parts)

    # Applying

    @property
    def _reloading(self) -> str:
        """A file that is there while the runtime is not what it was: behind a reload, before all is back."""
        return self.path("run/netports-apple-firewalld")

    def _sweep(self) -> None:
        for folder in ("services", "policies", "zones"):
            _files.sweep(self.path(_ETC, folder))

    @staticmethod
    def _unchanged(steps: Steps, written: bool = False) -> None:
        """See that nobody else has written the files since they were read; this change may have, with C(written)."""
        for item in steps.files:
            now = _files.read(item.path)
            if now != item.before and not (written and now == item.after):
                raise FirewallError("%s was changed by somebody else during this run: nothing was changed" % item.path)

    def _carry_out(self, steps: Steps) -> None:
        """Write the files, and bring a firewalld that runs to them.

        :raises FirewallError: it failed; all is as it was, or the message says what is not.
        """
        for folder in ("services", "policies", "zones"):
            if steps.files and not os.path.isdir(self.path(_ETC, folder)):
                os.makedirs(self.path(_ETC, folder), 0o750)
        self._sweep()
        self._unchanged(steps)
        daemon = self._daemon()
        loads: List[str] = []
        before: Optional[Loaded] = None
        try:
            # What is there after a failure is not what anybody wanted.
            before = daemon.loaded("\0") if daemon and daemon.state() != "FAILED" else None
            _files.apply(steps.files, lambda: self._load(steps, daemon, before, loads))
        except (FirewallError, BusError, OSError) as error:
            outcome = self._put_back(before) if daemon and loads else "nothing was changed"
            raise FirewallError("%s: %s" % (" ".join(str(error).split()).rstrip("."), outcome))

    def _load(self, steps: Steps, daemon: Optional[Firewalld1], before: Optional[Loaded], loads: List[str]) -> None:
        """Have firewalld's own parser judge the new files, and bring the runtime to them.

        :param loads: gets an entry as soon as the runtime may be another than before.
        :raises FirewallError: it is not what was planned.
        """
        if steps.files:
            code, out, err = self.run(["firewall-offline-cmd", "--check-config"], None)
            if code != 0:
                lines = (err.strip() or out.strip() or "no reason given").splitlines()
                raise FirewallError(
                    "firewalld refuses the new configuration (%s; when 'firewall-offline-cmd --check-config' still "
                    "says so now, the mistake is older than this run)" % lines[-1]
                )
        if daemon is None:
            return
        if not steps.reload and not steps.attach and not steps.detach and not steps.set_policies:
            return
        loads.append("runtime")
        if steps.reload:
            self._reload(daemon, before, steps)
        for zone, attachment in steps.attach:
            daemon.attach(zone, attachment)
        for zone, attachment in steps.detach:
            daemon.detach(zone, attachment)
        for name, policy in steps.set_policies.items():
            daemon.set_policy(name, _runtime.policy_settings(policy.attachments, policy))
        self._check_loaded(daemon, steps)

    def _reload(self, daemon: Firewalld1, before: Optional[Loaded], steps: Steps) -> None:
        """Reload, and bring back everything that is not ours and was there at runtime only."""
        os.makedirs(os.path.dirname(self._reloading), exist_ok=True)
        _files.replace(self._reloading, "", 0o600)
        with self._closed():
            daemon.reload()
            problems = daemon.restore(before, steps.owned, steps.own_policies) if before else []
        if problems:
            raise FirewallError("the reload lost what was there at runtime only (%s)" % _some(problems))
        _files.replace(self._reloading, None)

    def _check_loaded(self, daemon: Firewalld1, steps: Steps) -> None:
        wrong = _wrong(daemon.loaded(self.options.ruleset + "-"), steps.target, steps)
        if wrong:
            raise FirewallError("firewalld has not loaded what was planned (%s)" % _some(wrong))

    def _kept(self, daemon: Firewalld1, steps: Steps, written: Sequence[FileChange]) -> None:
        """Have firewalld's view of its files be what they say now, and not what they said meanwhile.

        :param written: the files that said something else; of the other services it can have no other view.
        """
        services = self.path(_ETC, "services")
        names = [os.path.basename(one.path)[:-4] for one in written if os.path.dirname(one.path) == services]
        if self._remembered_wrong(daemon, steps.target, steps, names):
            self._reload(daemon, daemon.loaded("\0"), steps)
            self._check_loaded(daemon, steps)
        if steps.enable:
            self._systemctl(["enable"])

    @staticmethod
    def _remembered_wrong(daemon: Firewalld1, target: Target, steps: Steps, names: Iterable[str]) -> List[str]:
        """In what firewalld's own memory of its files, which it brings up to date some seconds late, is not a target.

        :param names: the services to ask for, which takes firewalld a millisecond each.
        """
        known = dict(target.services)
        for name in names:
            service = daemon.permanent_service(name)
            if service:
                known[name] = service
            else:
                known.pop(name, None)
        return _wrong(daemon.permanent()._replace(services=known), target, steps)

    def _unload(self, daemon: Firewalld1, steps: Steps) -> None:
        """Bring the runtime back to the files as they were, and keep what others changed in it since."""
        interrupted = os.path.exists(self._reloading)
        failed = daemon.state() == "FAILED"
        wrong = _wrong(daemon.loaded(self.options.ruleset + "-"), steps.old, steps)
        if (
            not interrupted
            and not failed
            and not wrong
            and not self._remembered_wrong(daemon, steps.old, steps, steps.owned)
        ):
            return
        # A run that died behind its reload took with it what was there at runtime only: the plan has it still.
        others = steps.before if interrupted or failed else daemon.loaded("\0")
        problems: List[str] = []
        with self._closed():
            try:
                daemon.reload()
            except BusError as error:
                problems.append(str(error))
            problems += daemon.restore(others, steps.owned, steps.own_policies) if others else []
        wrong = _wrong(daemon.loaded(self.options.ruleset + "-"), steps.old, steps)
        if wrong:
            raise FirewallError("firewalld has not loaded its old configuration (%s)" % _some(wrong + problems))
        _files.replace(self._reloading, None)

    def _put_back(self, before: Optional[Loaded]) -> str:
        """Load the old files again, and bring back all of the runtime; returns how that went, for the message."""
        problems: List[str] = []
        with self._closed():
            try:
                daemon = self._daemon() or self._revived()
                if daemon is None:
                    return "firewalld was stopped meanwhile, and has its old files"
                try:
                    daemon.reload()
                except BusError as error:
                    # It loads what it can before it says so; the rest can be brought back still.
                    problems.append("firewalld could not load its old configuration again: %s" % error)
                problems += daemon.restore(before, frozenset(), frozenset()) if before else []
            except (FirewallError, BusError) as error:
                problems.append(str(error))
        _files.replace(self._reloading, None)
        return "not all could be put back (%s)" % _some(problems) if problems else "everything is as it was"

    @contextmanager
    def _closed(self) -> Iterator[None]:
        """Refuse new connections for a moment.

        firewalld does so itself until it has loaded its files, and then no longer; what was there at runtime only, an
        administrator's refusal too, comes back behind that. Without C(nft) that moment stays.
        """
        shut = self.run(["nft", "-f", "-"], _CLOSE)[0] == 0
        try:
            yield
        finally:
            # What lasts longer than this opens by itself, when the elements of the table's set are too old.
            for _attempt in range(_OPENING if shut else 0):
                if self.run(["nft", "delete", "table", "inet", _GATE], None)[0] == 0:
                    break
                time.sleep(0.1)

    def _revived(self) -> Optional[Firewalld1]:
        """firewalld again, where it died: what it leaves in the kernel then may be a host that is shut.

        :returns: ``None`` when it was told to stop.
        :raises FirewallError: it does not come up.
        """
        if self.run(["systemctl", "--quiet", "is-failed", _UNIT], None)[0] != 0:
            return None
        _files.replace(self._reloading, "", 0o600)
        self._systemctl(["start"])
        return self._started()

    def _switch_on(self, steps: Steps, words: List[str]) -> None:
        """Have systemd start firewalld, now or at the next boot, and see it load what was written.

        :raises FirewallError: it does not; the files are as they were, and firewalld is off again.
        """
        try:
            self._systemctl(words)
            if steps.start:
                self._check_loaded(self._started(), steps)
        except (FirewallError, BusError) as error:
            _files.put_back(steps.files)
            if steps.start:
                self.run(["systemctl", *(["disable", "--now"] if steps.enable else ["stop"]), _UNIT], None)
            raise FirewallError("firewalld could not be switched on (%s): nothing was changed" % error)

    def _started(self) -> Firewalld1:
        """firewalld, once it has started.

        :raises FirewallError: it did not.
        """
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            daemon = self._daemon()
            state = daemon.state() if daemon else ""
            if daemon and state == "RUNNING":
                return daemon
            if state == "FAILED":
                break
            time.sleep(0.1)
        raise FirewallError("it did not load its configuration: see 'firewall-offline-cmd --check-config'")

    def _systemctl(self, words: List[str]) -> None:
        code, out, err = self.run(["systemctl", *words, _UNIT], None)
        if code != 0:
            raise FirewallError("systemctl %s: %s" % (" ".join(words), err.strip() or out.strip()))

    # For admits

    @staticmethod
    def _foreign_services(native: Native, zone: str) -> List[str]:
        if native.runtime:
            settings = native.runtime.zones.get(zone, {})
            found = set(settings.get("services", []))
            found.update(
                rule.value
                for rule in map(_xml.admission, settings.get("rules_str", []))
                if rule and rule.kind == "service"
            )
        else:
            item = native.zones[zone].zone
            found = {one.service for one in item.attachments}
            found.update(rule.value for rule in item.admissions if rule.kind == "service")
        return sorted(found - native.owned)

    def _tcp_ports(self, native: Native, service: str) -> List[str]:
        for folder in (_ETC, _LIB):
            text = _files.read(self.path(folder, "services", service + ".xml"))
            read = _service(text) if text is not None else None
            if read:
                return [port for port, kind in read.ports if kind == "tcp"]
        return []


class _Difference(NamedTuple):
    """One thing in which a host is not the target.

    ``definition``: only a reload brings it to the runtime. ``loaded``: it is about the runtime. ``policy``: the
    policy as a whole that it is about, if any.
    """

    service: str
    what: str
    definition: bool
    loaded: bool
    policy: str = ""


_SINGULAR = {"services": "service", "policies": "policy", "zones": "zone"}


def allocate(wanted: Iterable[Rule], ruleset: str, places: Dict[Any, str], taken: FrozenSet[str]) -> Dict[Any, str]:
    """Give each rule the name of its service.

    A rule keeps the name that it has; one whose networks changed keeps that of the rule of its name and
    direction. The rest get C(<ruleset>-<name>[-out|-forward]), with a number behind it where that is taken.

    :param places: the names that rules have, by their key.
    :param taken: names of other people's services.
    """
    rules = normalise(_reduced(rule) for rule in wanted)
    names = {rule.key: places[rule.key] for rule in rules if rule.key in places}
    kept = set(names.values())
    for rule in rules:
        if rule.key in names:
            continue
        like = [name for key, name in places.items() if key[:2] == rule.key[:2] and name not in kept]
        if like:
            names[rule.key] = like[0]
        else:
            base = "%s-%s%s" % (ruleset, _xml.slug(rule.name), _ENDINGS[rule.direction])
            number = 1
            name = base
            # Names of rules that go in this run stay theirs: a definition never changes hands in one step.
            while name in kept or name in taken or name in places.values():
                number += 1
                name = "%s-%d" % (base, number)
            names[rule.key] = name
        kept.add(names[rule.key])
    return names


def _policies(
    ruleset: str,
    through: Dict[Tuple[str, str], List[Attachment]],
    has: Dict[Tuple[str, str], str],
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
    for ends in sorted(through, key=lambda one: [(end != _xml.ANY, end) for end in one]):
        names = _policy_names(ruleset, "out" if ends[0] == _xml.HOST else "forward")
        free = [one for one in names if one not in taken]
        name = has.get(ends, "")
        if name not in free:
            name = next((one for one in free if one not in kept and one not in policies), "")
        if not name:
            raise FirewallError(
                "no name is left for the policy from %s to %s: %s are all taken" % (*ends, ", ".join(names))
            )
        policies[name] = _xml.policy_of(ruleset, *ends, _PRIORITY, through[ends])
    return policies


def _kind(policy: str) -> str:
    """What a policy of the ruleset's is for, from its name: one of C(_KINDS)."""
    return "fwd" if re.search(r"-fwd(?:-\d)?\Z", policy) else "out"


def _meet(zones: Iterable[str], others: Iterable[str]) -> bool:
    """Say whether two ends of policies for forwarded packets have a zone in common."""
    mine, theirs = set(zones) - {_xml.HOST}, set(others)
    return bool(mine and (_xml.ANY in mine | theirs or mine & theirs))


def _policy_names(ruleset: str, direction: str) -> List[str]:
    """The names that a ruleset's policies of a direction may have, in the order in which they are given."""
    stem = ruleset
    if len(stem) > _STEM:
        stem = "%s-%s" % (ruleset[: _STEM - 5].rstrip("-"), hashlib.sha256(ruleset.encode()).hexdigest()[:4])
    stem = "%s-%s" % (stem, _KINDS[direction])
    return [stem] + ["%s-%d" % (stem, number) for number in range(2, 10)]


def _reduced(rule: Rule) -> Rule:
    """A rule without the networks of an IP version in which it can match nothing."""
    kept = families(rule)
    return rule._replace(
        sources=tuple(one for one in rule.sources if version(one) in kept),
        destinations=tuple(one for one in rule.destinations if version(one) in kept),
    )


def _service(text: str) -> Optional[Service]:
    try:
        return _xml.parse_service(text)
    except _xml.XmlError:
        return None


def _policy(text: str) -> Optional[Policy]:
    try:
        return _xml.parse_policy(text)
    except _xml.XmlError:
        return None


def _permanent(native: Native) -> Target:
    """The ruleset's part of the files, in the form of a target."""
    zones = {
        name: [one for one in item.zone.attachments if one.service in native.owned]
        for name, item in native.zones.items()
    }
    return Target(
        [],
        native.places,
        {name: service for name, (_text, service) in native.services.items() if service},
        {name: attachments for name, attachments in zones.items() if attachments},
        {name: policy for name, (_text, policy) in native.policies.items() if policy},
    )


def _expected(target: Target) -> Loaded:
    """The runtime that a target would be, as far as the ruleset goes."""
    zones = {
        name: {
            "services": [one.text() for one in attachments if not one.source and not one.destination],
            "rules_str": [one.text() for one in attachments if one.source or one.destination],
        }
        for name, attachments in target.zones.items()
    }
    policies = {name: _runtime.policy_settings(one.attachments, one) for name, one in target.policies.items()}
    return Loaded(zones, policies, {}, _runtime.Direct([], [], []), target.services)


def _loaded_lines(loaded: Loaded, owned: FrozenSet[str], policies: Iterable[str]) -> str:
    """The ruleset's part of a runtime as lines for people."""
    lines: List[str] = []
    for name in sorted(owned & set(loaded.services)):
        ports = sorted("%s/%s" % port for port in loaded.services[name].ports)
        lines.append("service %s: %s" % (name, " ".join(ports)))
    for name in sorted(loaded.zones):
        lines.extend("zone %s: %s" % (name, one.text()) for one in sorted(loaded.attachments(name, owned)))
    for name in sorted(set(policies) & set(loaded.policies)):
        lines.extend("policy %s: %s" % (name, one) for one in _runtime.policy_lines(loaded.policies[name]))
    return "".join("%s\n" % line for line in lines)


def _bound(native: Native, zone: str) -> Tuple[Set[str], Set[str]]:
    """The interfaces and sources of a zone, at runtime or for good."""
    item = native.zones[zone].zone
    settings = native.runtime.zones.get(zone, {}) if native.runtime else {}
    return (
        set(item.interfaces) | set(settings.get("interfaces", [])),
        {one for one in item.sources if one} | set(settings.get("sources", [])),
    )


def _compare_service(name: str, have: Optional[Service], target: Target, loaded: bool) -> List[_Difference]:
    want = target.services.get(name)
    where = " at runtime" if loaded else ""
    if want is None:
        return [_Difference(name, "service %s left over%s" % (name, where), True, loaded)]
    if have is None:
        return [_Difference(name, "service %s missing%s" % (name, where), True, loaded)]
    if not have.same(want):
        return [_Difference(name, "service %s differs%s" % (name, where), True, loaded)]
    return []


def _compare_attachments(
    where: str, have: Sequence[Attachment], want: Sequence[Attachment], loaded: bool
) -> List[_Difference]:
    suffix = " at runtime" if loaded else ""
    found = []
    for one in sorted(set(want) - set(have)):
        found.append(_Difference(one.service, "%s: %s missing%s" % (where, one.text(), suffix), False, loaded))
    for one in sorted(set(have) - set(want)):
        found.append(_Difference(one.service, "%s: %s left over%s" % (where, one.text(), suffix), False, loaded))
    return found


def _compare_policy(name: str, have: Optional[Policy], want: Optional[Policy]) -> List[_Difference]:
    if want is None:
        return [_Difference("", "policy %s left over" % name, True, False, name)]
    if have is None:
        return [_Difference("", "policy %s missing" % name, True, False, name)]
    found = _compare_attachments("policy " + name, have.attachments, want.attachments, False)
    if not have._replace(attachments=()).same(want._replace(attachments=())):
        found.append(_Difference("", "policy %s differs" % name, True, False, name))
    return found


def _compare_loaded_policy(name: str, have: Optional[Dict[str, Any]], want: Optional[Policy]) -> List[_Difference]:
    if want is None:
        return [_Difference("", "policy %s left over at runtime" % name, True, True, name)] if have else []
    if have is None:
        return [_Difference("", "policy %s missing at runtime" % name, True, True, name)]
    there = sorted(_runtime.policy_attachments(have))
    found = _compare_attachments("policy " + name, there, want.attachments, True)
    if _runtime.policy_shape_differs(have, want):
        found.append(_Difference("", "policy %s differs at runtime" % name, True, True, name))
    elif _runtime.policy_more(have, want):
        found.append(_Difference("", "policy %s has more at runtime" % name, False, True, name))
    return found


def _wrong(loaded: Loaded, target: Target, steps: Steps) -> List[str]:
    """In what a configuration is not the target, as far as the ruleset goes."""
    found: List[_Difference] = []
    for name in sorted(steps.owned):
        if name in loaded.services or name in target.services:
            found += _compare_service(name, loaded.services.get(name), target, True)
    for name in sorted(loaded.zones):
        there = sorted(loaded.attachments(name, steps.owned))
        found += _compare_attachments("zone " + name, there, target.zones.get(name, []), True)
    for name in sorted(steps.own_policies):
        found += _compare_loaded_policy(name, loaded.policies.get(name), target.policies.get(name))
    return [one.what for one in found]


def _policy_drifted(have: Dict[str, Any], want: Policy) -> bool:
    return _runtime.policy_attachments(have) != set(want.attachments) or _runtime.policy_more(have, want)


def _holds(network: str, address: str) -> bool:
    """Say whether a source of firewalld's, which may be a MAC address or an ipset too, holds an address."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _covers(ports: Iterable[str], port: int) -> bool:
    for text in ports:
        try:
            if _ports.covers([_ports.parse(text)], (port, port)):
                return True
        except ValueError:
            continue
    return False


def _some(items: Sequence[str], limit: int = 10) -> str:
    """A list for people: the first few, and how many more."""
    shown = "; ".join(items[:limit])
    return shown if len(items) <= limit else "%s; and %d more" % (shown, len(items) - limit)
