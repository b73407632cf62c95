# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running firewalld on D-Bus: what it has loaded, and the calls that change it.

Source: firewalld.dbus(5). A zone's and a policy's settings are the dictionaries of ``getZoneSettings2`` and
``getPolicySettings``: a key is left out where it has no value.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import bus as _bus
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import rich
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import (
    Bus,
    BusError,
    Signal,
    Variant,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    Attachment,
    Direct,
    Filter,
    Loaded,
    Policy,
    Service,
    Settings,
)

NAME = "org.fedoraproject.FirewallD1"
_PATH = "/org/fedoraproject/FirewallD1"
RELOADED = "Reloaded"
# Services of nobody: ``loaded`` reads none of them.
NO_SERVICES = "\0"

# For each list of a zone: its type, the word in the names of what adds and removes an item and of the signals about
# it, and whether adding takes a timeout. Interfaces and sources come first: they lead everything else into the zone.
ZONE_LISTS: Dict[str, Tuple[str, str, bool]] = {
    "interfaces": ("as", "Interface", False),
    "sources": ("as", "Source", False),
    "services": ("as", "Service", True),
    "ports": ("a(ss)", "Port", True),
    "protocols": ("as", "Protocol", True),
    "source_ports": ("a(ss)", "SourcePort", True),
    "forward_ports": ("a(ssss)", "ForwardPort", True),
    "icmp_blocks": ("as", "IcmpBlock", True),
    "rules_str": ("as", "RichRule", True),
}
# For what a zone has or has not: the word, and what adding takes.
ZONE_SWITCHES: Dict[str, Tuple[str, str]] = {
    "masquerade": ("Masquerade", "si"),
    "icmp_block_inversion": ("IcmpBlockInversion", "s"),
}
# What ``setPolicySettings`` changes at runtime, with its types.
POLICY_TYPES: Dict[str, str] = {
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
# The order of the struct that ``getZoneSettings`` returned before 0.9.
_ZONE_STRUCT = (
    *("version", "short", "description", "", "target", "services", "ports", "icmp_blocks", "masquerade"),
    *("forward_ports", "interfaces", "sources", "rules_str", "protocols", "source_ports", "icmp_block_inversion"),
)
_SERVICE_STRUCT = ("version", "short", "description", "ports", "modules", "destination", "protocols", "source_ports")
_SERVICE_MORE = ("modules", "destination", "protocols", "source_ports", "includes", "helpers")
# What may be there, or gone, already.
_SETTLED = ("ALREADY_ENABLED", "NOT_ENABLED", "ZONE_ALREADY_SET", "ALREADY_SET")


class Link:
    """The way to the firewalld of a host. It connects when first asked, and anew in another process.

    :param root: the host's root folder.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._bus: Optional[Bus] = None
        self._process = 0

    def daemon(self) -> Optional[Firewalld1]:
        """The running firewalld; ``None`` where none runs."""
        if self._bus and self._process != os.getpid():
            # A fork has the number of the descriptor, and it may be another file's there.
            self._bus.forget()
            self._bus = None
        for _attempt in range(2):
            if self._bus is None:
                self._bus, self._process = _bus.connect(self.root), os.getpid()
            try:
                return Firewalld1(self._bus) if self._bus and self._bus.has_owner(NAME) else None
            except BusError:
                # The bus was started anew, or is gone.
                self._bus = None
        return None


def silent(error: BusError) -> FirewallError:
    """The error for people where firewalld gives no answer, or refuses one."""
    return FirewallError("firewalld does not answer on D-Bus (%s): %s" % (error.name, error))


class Firewalld1:
    """firewalld on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def call(self, interface: str, member: str, signature: str = "", *arguments: Any) -> Any:
        """Call a method of the running firewalld.

        :param interface: what follows its name, such as ``.zone``.

        :raises BusError: firewalld refused, or is gone.
        """
        return self._bus.call(NAME, _PATH, NAME + interface, member, signature, *arguments)

    def state(self) -> str:
        """RUNNING, INIT or FAILED."""
        return str(self._bus.call(NAME, _PATH, "org.freedesktop.DBus.Properties", "Get", "ss", NAME, "state"))

    def version(self) -> Tuple[int, ...]:
        """Its version: ``(1, 3, 3)``; empty where it says none."""
        text = str(self._bus.call(NAME, _PATH, "org.freedesktop.DBus.Properties", "Get", "ss", NAME, "version"))
        return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:3])

    def panic(self) -> bool:
        """Whether firewalld is in panic mode, and drops everything."""
        return bool(self.call("", "queryPanicMode"))

    def watch(self) -> None:
        """Keep, from now on, what firewalld tells of changes.

        :raises BusError: firewalld is gone.
        """
        self._bus.listen(NAME, _PATH)

    @property
    def heard(self) -> List[Signal]:
        """Its signals since the last :meth:`watch`; an interface is what follows its name, such as ``.zone``."""
        return [signal._replace(interface=signal.interface[len(NAME) :]) for signal in self._bus.heard]

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
            zones={zone: self._zone(zone) for zone in self.call(".zone", "getZones")},
            policies=policies,
            ipsets=ipsets,
            direct=Direct(
                chains=self._optional([], ".direct", "getAllChains"),
                rules=self._optional([], ".direct", "getAllRules"),
                passthroughs=self._optional([], ".direct", "getAllPassthroughs"),
            ),
            services=services,
        )

    def service(self, name: str) -> Service:
        """A service's definition at runtime."""
        try:
            settings = self.call("", "getServiceSettings2", "s", name)
        except BusError as error:
            if not _unknown(error):
                raise
            settings = dict(zip(_SERVICE_STRUCT, self.call("", "getServiceSettings", "s", name)))
        return service_of(settings)

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
        chains, rules, passthroughs = direct
        direct = Direct(chains=chains, rules=rules, passthroughs=passthroughs)
        return Loaded(zones=zones, policies=policies, ipsets=ipsets, direct=direct, services={})

    def permanent_service(self, name: str) -> Optional[Service]:
        """A service's definition in firewalld's permanent configuration, ``None`` when there is none."""
        try:
            return service_of(self._config_settings(self._config("s", "getServiceByName", name), "service"))
        except BusError as error:
            if str(error).startswith("INVALID_SERVICE"):
                return None
            raise

    def reload(self) -> None:
        """Load the permanent configuration anew.

        :raises BusError: it cannot be loaded.
        """
        self._change("", "reload")

    def attach(self, zone: str, attachment: Attachment) -> None:
        """Let a service through a zone, at runtime."""
        member = "addService" if attachment.plain else "addRichRule"
        self.settle(".zone", member, "ssi", zone, attachment.text(), 0)

    def detach(self, zone: str, attachment: Attachment) -> None:
        """Take a service out of a zone, at runtime."""
        member = "removeService" if attachment.plain else "removeRichRule"
        self.settle(".zone", member, "ss", zone, attachment.text())

    def set_policy(self, name: str, settings: Settings) -> None:
        """Bring parts of a policy to new values, at runtime."""
        typed = {key: Variant(POLICY_TYPES[key], value) for key, value in settings.items()}
        self._change(".policy", "setPolicySettings", "sa{sv}", name, typed)

    def settle(self, interface: str, member: str, signature: str, *arguments: Any) -> None:
        """Call a method that adds or removes. That it is so already is no error."""
        try:
            self._change(interface, member, signature, *arguments)
        except BusError as error:
            if str(error).split(":", 1)[0] not in _SETTLED:
                raise

    def _change(self, interface: str, member: str, signature: str = "", *arguments: Any) -> None:
        """Call a method that changes something, and mark the signal about it: firewalld sends it before its answer."""
        heard = self._bus.heard
        before = len(heard)
        self.call(interface, member, signature, *arguments)
        for place in range(len(heard) - 1, before - 1, -1):
            heard[place] = heard[place]._replace(own=True)
            # ZoneChanged is an older name, which is sent behind the newer.
            if heard[place].member != "ZoneChanged":
                break

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
            # Not applied is a set that firewalld could not give the kernel.
            if str(error).startswith(("IPSET_WITH_TIMEOUT", "NOT_APPLIED")):
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


def settings_of(policy: Policy) -> Settings:
    """All of a policy that can be set at runtime, as it is to be."""
    settings: Settings = {key: (False if kind == "b" else []) for key, kind in POLICY_TYPES.items()}
    settings["services"] = [item.text() for item in policy.attachments if item.plain]
    settings["rich_rules"] = [item.text() for item in policy.attachments if not item.plain]
    settings["ingress_zones"] = list(policy.ingress)
    settings["egress_zones"] = list(policy.egress)
    return settings


def settable(settings: Settings) -> Settings:
    """All of a policy that can be set at runtime, as its settings have it."""
    return {key: settings.get(key, False if kind == "b" else []) for key, kind in POLICY_TYPES.items()}


def service_of(settings: Settings) -> Service:
    """A service from its settings."""
    return Service(
        short=settings.get("short", ""),
        description=settings.get("description", ""),
        ports=_ports(settings, "ports"),
        protocols=tuple(settings.get("protocols", [])),
        source_ports=_ports(settings, "source_ports"),
        includes=tuple(settings.get("includes", [])),
        more=any(settings.get(key) for key in _SERVICE_MORE),
    )


def filter_of(settings: Settings) -> Filter:
    """What a zone or a policy decides, from its settings."""
    return Filter(
        target=settings.get("target", "default"),
        priority=settings.get("priority", 0),
        ingress=tuple(settings.get("ingress_zones", [])),
        egress=tuple(settings.get("egress_zones", [])),
        services=tuple(settings.get("services", [])),
        ports=_ports(settings, "ports"),
        protocols=tuple(settings.get("protocols", [])),
        source_ports=_ports(settings, "source_ports"),
        forward_ports=_ports(settings, "forward_ports"),
        rules=tuple(rich.parse(text) for text in settings.get("rules_str") or settings.get("rich_rules") or []),
    )


def _ports(settings: Settings, key: str) -> Tuple[Tuple[str, str], ...]:
    return tuple((str(item[0]), str(item[1])) for item in settings.get(key, []))


def _unknown(error: BusError) -> bool:
    return error.name in (
        "org.freedesktop.DBus.Error.UnknownMethod",
        "org.freedesktop.DBus.Error.UnknownInterface",
        "org.freedesktop.DBus.Error.UnknownObject",
    )
