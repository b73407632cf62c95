# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running firewalld: what it has loaded, and how that is brought back after a reload.

Source: firewalld.dbus(5). A zone's and a policy's settings are the dictionaries of C(getZoneSettings2) and
C(getPolicySettings): a key is left out where there is nothing to say.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import Bus, BusError, Variant
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.xml import (
    Attachment,
    Policy,
    Service,
    rich_rule,
)

NAME = "org.fedoraproject.FirewallD1"
_PATH = "/org/fedoraproject/FirewallD1"

Settings = Dict[str, Any]

# For each list of a zone: its type, what adds and what removes one, whether adding takes a timeout.
# Interfaces and sources come first: everything else holds for whom they lead into the zone.
_LISTS: Dict[str, Tuple[str, str, str, bool]] = {
    "interfaces": ("as", "changeZoneOfInterface", "removeInterface", False),
    "sources": ("as", "changeZoneOfSource", "removeSource", False),
    "services": ("as", "addService", "removeService", True),
    "ports": ("a(ss)", "addPort", "removePort", True),
    "protocols": ("as", "addProtocol", "removeProtocol", True),
    "source_ports": ("a(ss)", "addSourcePort", "removeSourcePort", True),
    "forward_ports": ("a(ssss)", "addForwardPort", "removeForwardPort", True),
    "icmp_blocks": ("as", "addIcmpBlock", "removeIcmpBlock", True),
    "rules_str": ("as", "addRichRule", "removeRichRule", True),
}
_SWITCHES: Dict[str, Tuple[str, str, str]] = {
    "masquerade": ("si", "addMasquerade", "removeMasquerade"),
    "icmp_block_inversion": ("s", "addIcmpBlockInversion", "removeIcmpBlockInversion"),
}
# What C(setPolicySettings) changes at runtime, with its types.
_POLICY_TYPES: Dict[str, str] = {
    "services": "as",
    "ports": "a(ss)",
    "protocols": "as",
    "source_ports": "a(ss)",
    "forward_ports": "a(ssss)",
    "icmp_blocks": "as",
    "rich_rules": "as",
    "ingress_zones": "as",
    "egress_zones": "as",
    "masquerade": "b",
}
# The order of the struct that C(getZoneSettings) returned before 0.9.
_ZONE_STRUCT = (
    *("version", "short", "description", "", "target", "services", "ports", "icmp_blocks", "masquerade"),
    *("forward_ports", "interfaces", "sources", "rules_str", "protocols", "source_ports", "icmp_block_inversion"),
)
_SERVICE_STRUCT = ("version", "short", "description", "ports", "modules", "destination", "protocols", "source_ports")
_SERVICE_MORE = ("modules", "destination", "protocols", "source_ports", "includes", "helpers")
_NAMELESS = ("short", "description", "version")
# What may be there, or gone, already.
_SETTLED = ("ALREADY_ENABLED", "NOT_ENABLED", "ZONE_ALREADY_SET", "ALREADY_SET")
_WORDS = {
    "rules_str": "rich rule",
    "rich_rules": "rich rule",
    "icmp_blocks": "ICMP block",
}


class Direct(NamedTuple):
    """Direct rules: chains (family, table, chain), rules (… priority, arguments), passthroughs."""

    chains: List[Tuple[str, str, str]]
    rules: List[Tuple[str, str, str, int, List[str]]]
    passthroughs: List[Tuple[str, List[str]]]


class Loaded(NamedTuple):
    """A configuration, at runtime or for good. ``services`` are those that were asked for by their prefix.

    The entries of an ipset are ``None`` where firewalld leaves them to the kernel (sets with a timeout).
    """

    zones: Dict[str, Settings]
    policies: Dict[str, Settings]
    ipsets: Dict[str, Optional[List[str]]]
    direct: Direct
    services: Dict[str, Service]

    def attachments(self, zone: str, owned: Iterable[str]) -> Set[Attachment]:
        """What a zone lets through of the named services."""
        settings = self.zones.get(zone, {})
        return _attachments(settings.get("services", []), settings.get("rules_str", []), set(owned))


class Firewalld1:
    """firewalld on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def call(self, interface: str, member: str, signature: str = "", *arguments: Any) -> Any:
        """Call a method of the running firewalld. C(interface) is what follows its name, such as C(.zone).

        :raises BusError: firewalld refused, or is gone.
        """
        return self._bus.call(NAME, _PATH, NAME + interface, member, signature, *arguments)

    def state(self) -> str:
        """RUNNING, INIT or FAILED."""
        return str(self._bus.call(NAME, _PATH, "org.freedesktop.DBus.Properties", "Get", "ss", NAME, "state"))

    def loaded(self, prefix: str) -> Loaded:
        """Read the runtime.

        :param prefix: beginning of the names of the services that are wanted.
        """
        services = {}
        for name in self.call("", "listServices"):
            if name.startswith(prefix):
                services[name] = self.service(name)
        policies = {}
        for name in self._optional([], ".policy", "getPolicies"):
            policies[name] = self.call(".policy", "getPolicySettings", "s", name)
        ipsets: Dict[str, Optional[List[str]]] = {}
        for name in self._optional([], ".ipset", "getIPSets"):
            ipsets[name] = self._entries(name)
        return Loaded(
            {zone: self._zone(zone) for zone in self.call(".zone", "getZones")},
            policies,
            ipsets,
            Direct(
                self._optional([], ".direct", "getAllChains"),
                self._optional([], ".direct", "getAllRules"),
                self._optional([], ".direct", "getAllPassthroughs"),
            ),
            services,
        )

    def service(self, name: str) -> Service:
        """A service's definition at runtime."""
        try:
            settings = self.call("", "getServiceSettings2", "s", name)
        except BusError as error:
            if not _unknown(error):
                raise
            settings = dict(zip(_SERVICE_STRUCT, self.call("", "getServiceSettings", "s", name)))
        return _service(settings)

    def permanent(self) -> Loaded:
        """What firewalld itself holds for its permanent configuration, without services."""
        zones = {}
        for path in self._config("", "listZones"):
            zones[self._config_name(path, "zone")] = self._config_settings(path, "zone")
        policies = {}
        for path in self._optional_config([], "listPolicies"):
            policies[self._config_name(path, "policy")] = self._config_settings(path, "policy")
        ipsets: Dict[str, Optional[List[str]]] = {}
        for path in self._optional_config([], "listIPSets"):
            entries = self._bus.call(NAME, path, NAME + ".config.ipset", "getEntries")
            ipsets[self._config_name(path, "ipset")] = entries
        direct = self._bus.call(NAME, _PATH + "/config", NAME + ".config.direct", "getSettings")
        return Loaded(zones, policies, ipsets, Direct(*direct), {})

    def permanent_service(self, name: str) -> Optional[Service]:
        """A service's definition in firewalld's permanent configuration, ``None`` when there is none."""
        try:
            return _service(self._config_settings(self._config("s", "getServiceByName", name), "service"))
        except BusError as error:
            if str(error).startswith("INVALID_SERVICE"):
                return None
            raise

    def reload(self) -> None:
        """Load the permanent configuration anew.

        :raises BusError: it cannot be loaded.
        """
        self.call("", "reload")

    def attach(self, zone: str, attachment: Attachment) -> None:
        """Let a service through a zone, at runtime."""
        plain = not attachment.source and not attachment.destination
        member = "addService" if plain else "addRichRule"
        self._settle(".zone", member, "ssi", zone, attachment.text(), 0)

    def detach(self, zone: str, attachment: Attachment) -> None:
        """Take a service out of a zone, at runtime."""
        plain = not attachment.source and not attachment.destination
        member = "removeService" if plain else "removeRichRule"
        self._settle(".zone", member, "ss", zone, attachment.text())

    def set_policy(self, name: str, settings: Settings) -> None:
        """Bring parts of a policy to new values, at runtime."""
        typed = {key: Variant(_POLICY_TYPES[key], value) for key, value in settings.items()}
        self.call(".policy", "setPolicySettings", "sa{sv}", name, typed)

    def restore(self, before: Loaded, owned: FrozenSet[str], own_policies: FrozenSet[str]) -> List[str]:
        """Bring back, at runtime, everything as it was that no ruleset of this run owns.

        :param before: the runtime as it was.
        :param owned: services that are left alone wherever they are attached.
        :param own_policies: policies that are left alone.
        :returns: sentences about what could not be brought back.
        """
        now = self.loaded("\0")
        problems: List[str] = []

        def attempt(what: str, interface: str, member: str, signature: str, *arguments: Any) -> None:
            try:
                self._settle(interface, member, signature, *arguments)
            except BusError as error:
                problems.append("%s: %s" % (what, error))

        for key, (kind, adds, removes, timed) in _LISTS.items():
            inner = kind[2:-1] if kind != "as" else "s"
            for zone, settings in before.zones.items():
                was = _foreign(settings, key, owned)
                have = _foreign(now.zones.get(zone, {}), key, owned)
                # What goes first: a range that was split has to go before its parts can come.
                for value in [one for one in have if one not in was]:
                    moved = not timed and any(value in other.get(key, []) for other in before.zones.values())
                    if not moved:
                        attempt(_words(zone, key, value), ".zone", removes, "s" + inner, zone, *_flat(value))
                for value in [one for one in was if one not in have]:
                    extra: Tuple[int, ...] = (0,) if timed else ()
                    signature = "s" + inner + ("i" if timed else "")
                    attempt(_words(zone, key, value), ".zone", adds, signature, zone, *_flat(value), *extra)
        for zone, settings in before.zones.items():
            there = now.zones.get(zone, {})
            for key, (signature, adds, removes) in _SWITCHES.items():
                if bool(settings.get(key)) == bool(there.get(key)):
                    continue
                if settings.get(key):
                    attempt(_words(zone, key), ".zone", adds, signature, zone, *([0] if signature == "si" else []))
                else:
                    attempt(_words(zone, key), ".zone", removes, "s", zone)
            if "forward" in settings and settings["forward"] != there.get("forward"):
                value = {"forward": Variant("b", settings["forward"])}
                attempt(_words(zone, "forward"), ".zone", "setZoneSettings2", "sa{sv}", zone, value)
        for name, settings in before.policies.items():
            if name in own_policies or name not in now.policies:
                continue
            there = now.policies[name]
            changed = {}
            for key, kind in _POLICY_TYPES.items():
                empty: Any = False if kind == "b" else []
                if settings.get(key, empty) != there.get(key, empty):
                    changed[key] = settings.get(key, empty)
            if changed:
                try:
                    self.set_policy(name, changed)
                except BusError as error:
                    problems.append("policy %s: %s" % (name, error))
        for name, entries in before.ipsets.items():
            there_entries = now.ipsets.get(name)
            if entries is None or there_entries is None:
                continue
            for entry in [one for one in there_entries if one not in entries]:
                attempt("ipset %s: entry %s" % (name, entry), ".ipset", "removeEntry", "ss", name, entry)
            for entry in [one for one in entries if one not in there_entries]:
                attempt("ipset %s: entry %s" % (name, entry), ".ipset", "addEntry", "ss", name, entry)
        self._restore_direct(before.direct, now.direct, attempt)
        return problems

    @staticmethod
    def _restore_direct(before: Direct, now: Direct, attempt: Any) -> None:
        kinds = (
            ("chain", "Chain", "sss", before.chains, now.chains),
            ("rule", "Rule", "sssias", before.rules, now.rules),
            ("passthrough", "Passthrough", "sas", before.passthroughs, now.passthroughs),
        )
        for what, member, signature, was, have in reversed(kinds):
            for one in [item for item in have if item not in was]:
                attempt("direct %s %s" % (what, one), ".direct", "remove" + member, signature, *one)
        for what, member, signature, was, have in kinds:
            for one in [item for item in was if item not in have]:
                attempt("direct %s %s" % (what, one), ".direct", "add" + member, signature, *one)

    def _settle(self, interface: str, member: str, signature: str, *arguments: Any) -> None:
        try:
            self.call(interface, member, signature, *arguments)
        except BusError as error:
            if str(error).split(":", 1)[0] not in _SETTLED:
                raise

    def _zone(self, zone: str) -> Settings:
        try:
            return dict(self.call(".zone", "getZoneSettings2", "s", zone))
        except BusError as error:
            if not _unknown(error):
                raise
            return dict(zip(_ZONE_STRUCT, self.call("", "getZoneSettings", "s", zone)))

    def _entries(self, ipset: str) -> Optional[List[str]]:
        try:
            return list(self.call(".ipset", "getEntries", "s", ipset))
        except BusError as error:
            if str(error).startswith("IPSET_WITH_TIMEOUT"):
                return None
            raise

    def _optional(self, default: Any, interface: str, member: str) -> Any:
        try:
            return self.call(interface, member)
        except BusError as error:
            if _unknown(error):
                return default
            raise

    def _config(self, signature: str, member: str, *arguments: Any) -> Any:
        return self._bus.call(NAME, _PATH + "/config", NAME + ".config", member, signature, *arguments)

    def _optional_config(self, default: Any, member: str) -> Any:
        try:
            return self._config("", member)
        except BusError as error:
            if _unknown(error):
                return default
            raise

    def _config_name(self, path: str, kind: str) -> str:
        interface = "%s.config.%s" % (NAME, kind)
        return str(self._bus.call(NAME, path, "org.freedesktop.DBus.Properties", "Get", "ss", interface, "name"))

    def _config_settings(self, path: str, kind: str) -> Settings:
        interface = "%s.config.%s" % (NAME, kind)
        member = "getSettings" if kind == "policy" else "getSettings2"
        try:
            return dict(self._bus.call(NAME, path, interface, member))
        except BusError as error:
            if not _unknown(error):
                raise
        names = _ZONE_STRUCT if kind == "zone" else _SERVICE_STRUCT
        return dict(zip(names, self._bus.call(NAME, path, interface, "getSettings")))


def policy_attachments(settings: Settings) -> Set[Attachment]:
    """What a policy lets through, of any service; rich rules that we would not write are left out."""
    return _attachments(settings.get("services", []), settings.get("rich_rules", []), None)


def policy_shape_differs(settings: Settings, wanted: Policy) -> bool:
    """Say whether a policy differs in what only a reload brings: its target, priority and text."""
    have = tuple(settings.get(key) for key in ("target", "priority", "short", "description"))
    return have != (wanted.target, wanted.priority, wanted.short, wanted.description)


def policy_settings(wanted: Sequence[Attachment], policy: Policy) -> Settings:
    """All of a policy that can be set at runtime, as it is to be."""
    settings: Settings = {key: (False if kind == "b" else []) for key, kind in _POLICY_TYPES.items()}
    settings["services"] = [one.text() for one in wanted if not one.source and not one.destination]
    settings["rich_rules"] = [one.text() for one in wanted if one.source or one.destination]
    settings["ingress_zones"] = list(policy.ingress)
    settings["egress_zones"] = list(policy.egress)
    return settings


def policy_part(settings: Settings) -> Settings:
    """All of a policy that can be set at runtime, as its settings have it."""
    return {key: settings.get(key, False if kind == "b" else []) for key, kind in _POLICY_TYPES.items()}


def policy_more(settings: Settings, policy: Policy) -> bool:
    """Say whether a policy at runtime has, beside its attachments, anything else than it is to have."""
    read = policy_settings(sorted(policy_attachments(settings)), policy)
    for key, want in read.items():
        have = settings.get(key, type(want)())
        # Attachments are compared elsewhere: as many as were read here means that there is nothing but them.
        if key in ("services", "rich_rules"):
            have, want = len(have), len(want)
        if have != want:
            return True
    return False


def policy_lines(settings: Settings) -> List[str]:
    """All of a policy that can be set at runtime, one thing a line."""
    return sorted(
        _word(key, value)
        for key in _POLICY_TYPES
        for value in (settings.get(key, []) if _POLICY_TYPES[key] != "b" else [key] * bool(settings.get(key)))
    )


class Difference(NamedTuple):
    """Where runtime and permanent configuration differ.

    ``items``: what can be had at runtime and is brought back after a reload. ``lost``: what exists at
    runtime alone and no reload leaves. ``pending``: what a reload makes live.
    """

    items: List[str]
    lost: List[str]
    pending: List[str]


def differences(runtime: Loaded, permanent: Loaded, owned: FrozenSet[str], own_policies: FrozenSet[str]) -> Difference:
    """Compare runtime and permanent configuration in what no ruleset of this run owns."""
    items: List[str] = []
    pending: List[str] = []
    lost: List[str] = []
    for kind, mine, theirs in (
        ("zone", runtime.zones, permanent.zones),
        ("policy", runtime.policies, permanent.policies),
        ("ipset", runtime.ipsets, permanent.ipsets),
    ):
        names = [name for name in mine if not (kind == "policy" and name in own_policies)]
        lost.extend("%s %s" % (kind, name) for name in names if name not in theirs)
        pending.extend(
            "%s %s" % (kind, name)
            for name in theirs
            if name not in mine and not (kind == "policy" and name in own_policies)
        )
    for zone, settings in runtime.zones.items():
        if zone in permanent.zones:
            other = permanent.zones[zone]
            # Network managers bind interfaces at runtime alone: that is no difference worth a word.
            keys = [key for key in _LISTS if key != "interfaces"]
            items.extend(_item_differences("zone " + zone, settings, other, keys, owned))
            items.extend(_switch_differences("zone " + zone, settings, other, [*_SWITCHES, "forward"]))
            pending.extend(_other_differences("zone " + zone, settings, other, {*_LISTS, *_SWITCHES, "forward"}))
    for name, settings in runtime.policies.items():
        if name in permanent.policies and name not in own_policies:
            other = permanent.policies[name]
            keys = [key for key in _POLICY_TYPES if _POLICY_TYPES[key] != "b"]
            items.extend(_item_differences("policy " + name, settings, other, keys, frozenset()))
            items.extend(_switch_differences("policy " + name, settings, other, ["masquerade"]))
            pending.extend(_other_differences("policy " + name, settings, other, set(_POLICY_TYPES)))
    for name, entries in runtime.ipsets.items():
        other_entries = permanent.ipsets.get(name)
        if entries is not None and other_entries is not None and sorted(entries) != sorted(other_entries):
            items.append("ipset %s: entries" % name)
    for what, mine_list, their_list in (
        ("chain", runtime.direct.chains, permanent.direct.chains),
        ("rule", runtime.direct.rules, permanent.direct.rules),
        ("passthrough", runtime.direct.passthroughs, permanent.direct.passthroughs),
    ):
        mine_items: List[Any] = list(mine_list)
        their_items: List[Any] = list(their_list)
        items.extend("direct %s %s at runtime only" % (what, one) for one in mine_items if one not in their_items)
        items.extend("direct %s %s not at runtime" % (what, one) for one in their_items if one not in mine_items)
    return Difference(items, lost, pending)


def _item_differences(
    where: str, runtime: Settings, permanent: Settings, keys: Sequence[str], owned: FrozenSet[str]
) -> List[str]:
    found: List[str] = []
    for key in keys:
        mine = _foreign(runtime, key, owned)
        theirs = _foreign(permanent, key, owned)
        if key in ("ports", "source_ports"):
            # firewalld joins ranges at runtime, and not in its files.
            mine, theirs = _joined(mine), _joined(theirs)
        found.extend("%s: %s at runtime only" % (where, _word(key, one)) for one in mine if one not in theirs)
        found.extend("%s: %s not at runtime" % (where, _word(key, one)) for one in theirs if one not in mine)
    return found


def _switch_differences(where: str, runtime: Settings, permanent: Settings, keys: Sequence[str]) -> List[str]:
    return [
        "%s: %s %s" % (where, key.replace("_", " "), "at runtime only" if runtime.get(key) else "not at runtime")
        for key in keys
        if bool(runtime.get(key)) != bool(permanent.get(key))
    ]


def _other_differences(where: str, runtime: Settings, permanent: Settings, known: Set[str]) -> List[str]:
    keys = (set(runtime) | set(permanent)) - known - set(_NAMELESS) - {""}
    return ["%s: %s" % (where, key) for key in sorted(keys) if runtime.get(key) != permanent.get(key)]


def _service(settings: Settings) -> Service:
    return Service(
        settings.get("short", ""),
        settings.get("description", ""),
        tuple((str(port), str(kind)) for port, kind in settings.get("ports", [])),
        any(settings.get(key) for key in _SERVICE_MORE),
    )


def _joined(ports: Iterable[Tuple[str, str]]) -> List[Tuple[str, str]]:
    kinds: Dict[str, List[_ports.PortRange]] = {}
    odd: List[Tuple[str, str]] = []
    for text, kind in ports:
        try:
            kinds.setdefault(kind, []).append(_ports.parse(text))
        except ValueError:
            odd.append((text, kind))
    return odd + [(_ports.text(one), kind) for kind, ranges in kinds.items() for one in _ports.merge(ranges)]


def _attachments(services: Iterable[str], rules: Iterable[str], owned: Optional[Set[str]]) -> Set[Attachment]:
    found = {Attachment(name) for name in services if owned is None or name in owned}
    for text in rules:
        attachment = rich_rule(text)
        if attachment and (owned is None or attachment.service in owned):
            found.add(attachment)
    return found


def _foreign(settings: Settings, key: str, owned: FrozenSet[str]) -> List[Any]:
    values = list(settings.get(key, []))
    if key == "services":
        return [one for one in values if one not in owned]
    if key in ("rules_str", "rich_rules"):
        return [one for one in values if getattr(rich_rule(one), "service", None) not in owned]
    return values


def _flat(value: Any) -> Tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def _word(key: str, value: Any) -> str:
    word = _WORDS.get(key, key.rstrip("s").replace("_", " "))
    return "%s %s" % (word, "/".join(part for part in _flat(value) if part))


def _words(zone: str, key: str, value: Any = None) -> str:
    return "zone %s: %s" % (zone, key.replace("_", " ") if value is None else _word(key, value))


def _unknown(error: BusError) -> bool:
    return error.name in (
        "org.freedesktop.DBus.Error.UnknownMethod",
        "org.freedesktop.DBus.Error.UnknownInterface",
        "org.freedesktop.DBus.Error.UnknownObject",
    )
