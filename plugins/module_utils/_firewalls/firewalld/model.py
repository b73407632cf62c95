# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values that the other files of this folder pass to each other. Nothing here reads or writes a host."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, version
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

ETC = "etc/firewalld"
LIB = "usr/lib/firewalld"
UNIT = "firewalld.service"
# A file that is there while the runtime is not what it was: after a reload, before all is back.
RELOADING = "run/netports-apple-firewalld"
# Bytes that have to be free in /run for a reload: without, firewalld ends with half of its rules or none.
ROOM = 1024 * 1024
# A policy's ingress zone for packets of the host itself, its egress zone for packets to the host, and all zones.
HOST = "HOST"
ANY = "ANY"
# Before -1, which an administrator's policy gets by default, and after whatever was put in front on purpose.
# firewalld.policies(5), "Policy priorities".
PRIORITY = -10

# A port range as firewalld writes it, and its protocol: ``("3478-3497", "udp")``.
Port = Tuple[str, str]
# What firewalld answers for a zone or a policy: a key is left out where it has no value. firewalld.dbus(5).
Settings = Dict[str, Any]
# Rule.key
Key = Tuple[str, str, Tuple[str, ...], Tuple[str, ...], str, str]


@dataclass(frozen=True, order=True)
class Attachment:
    """What lets a service through in a zone or policy. Without source and destination it is a plain service."""

    service: str
    source: str = ""
    destination: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is a service and no rich rule."""
        return not self.source and not self.destination

    def text(self) -> str:
        """The attachment as firewalld's tools show it."""
        if self.plain:
            return self.service
        return 'rule family="ipv%d"%s%s service name="%s" accept' % (
            version(self.source or self.destination),
            ' source address="%s"' % self.source if self.source else "",
            ' destination address="%s"' % self.destination if self.destination else "",
            self.service,
        )


@dataclass(frozen=True)
class Owner:
    """Whose an object is, from its description: the ruleset, and what the rule said."""

    ruleset: str
    name: str
    direction: str
    interface: str
    out_interface: str


@dataclass(frozen=True)
class Service:
    """A service.

    :param ports: its ports as firewalld writes them.
    :param protocols: protocols that it opens whole.
    :param source_ports: ports of the other side from which it opens everything.
    :param includes: services that it includes.
    :param more: it has anything that this collection never writes.
    """

    short: str
    description: str
    ports: Tuple[Port, ...]
    protocols: Tuple[str, ...] = ()
    source_ports: Tuple[Port, ...] = ()
    includes: Tuple[str, ...] = ()
    more: bool = False

    def same(self, other: Service) -> bool:
        """Whether two definitions mean the same; the order of ports does not matter."""
        mine = replace(self, ports=tuple(sorted(self.ports)))
        return mine == replace(other, ports=tuple(sorted(other.ports)))


@dataclass(frozen=True)
class Policy:
    """A policy of a ruleset. ``more``: it has anything that this collection never writes."""

    short: str
    description: str
    target: str
    priority: int
    ingress: Tuple[str, ...]
    egress: Tuple[str, ...]
    attachments: Tuple[Attachment, ...]
    more: bool = False

    @property
    def shape(self) -> Tuple[str, str, str, int]:
        """What only a reload changes in the runtime."""
        return self.short, self.description, self.target, self.priority

    def same(self, other: Policy) -> bool:
        """Whether two definitions mean the same; the order of attachments does not matter."""
        mine = replace(self, attachments=tuple(sorted(self.attachments)))
        return mine == replace(other, attachments=tuple(sorted(other.attachments)))


# Our own file that cannot be read: it equals no definition, so that it is written anew.
UNREADABLE_SERVICE = Service(short="", description="", ports=(), more=True)
UNREADABLE_POLICY = Policy(
    short="", description="", target="", priority=0, ingress=(), egress=(), attachments=(), more=True
)


@dataclass(frozen=True)
class Config:
    """A ruleset's part of a configuration: of the files, the target, the runtime, or firewalld's cached view.

    :param zones: attachments by zone. A configuration that was read has every zone, also one without any.
    """

    services: Dict[str, Service]
    zones: Dict[str, Tuple[Attachment, ...]]
    policies: Dict[str, Policy]


@dataclass(frozen=True)
class Owned:
    """The names of objects that a run answers for: services and policies of the ruleset, old and new."""

    services: FrozenSet[str]
    policies: FrozenSet[str]


@dataclass(frozen=True)
class Rich:
    """A rich rule, of anybody. firewalld.richlanguage(5).

    :param action: ``accept``, ``reject``, ``drop``, ``mark``; empty for one that forwards, blocks ICMP or cannot be read.
    :param source: the address or network; empty for anywhere.
    :param other_source: its source is no address: an ipset, a MAC address, or everything but an address.
    :param destination: whether it holds for some destinations alone.
    :param kind: its element, such as ``port`` or ``service``; empty for all packets.
    """

    text: str
    action: str
    priority: int
    family: str
    source: str
    other_source: bool
    destination: bool
    kind: str
    value: str
    protocol: str


@dataclass(frozen=True)
class Filter:
    """What a zone or a policy decides about packets, as far as ports go.

    :param priority: of a policy; 0 for a zone.
    :param ingress: a policy's zones, empty for a zone; ``egress`` likewise.
    :param forward_ports: ports that are forwarded elsewhere.
    """

    target: str
    priority: int
    ingress: Tuple[str, ...]
    egress: Tuple[str, ...]
    services: Tuple[str, ...]
    ports: Tuple[Port, ...]
    protocols: Tuple[str, ...]
    source_ports: Tuple[Port, ...]
    forward_ports: Tuple[Port, ...]
    rules: Tuple[Rich, ...]

    @property
    def accepts_all(self) -> bool:
        """Whether it accepts what nothing names; a rule that refuses everything, as libvirt's zone has it, comes before."""
        refused = any(
            rule.action in ("reject", "drop")
            and not (rule.source or rule.other_source or rule.destination or rule.family or rule.kind)
            for rule in self.rules
        )
        return self.target == "ACCEPT" and not refused


@dataclass(frozen=True)
class Zone:
    """What a zone file says.

    :param attachments: the plain ones and those of rich rules that this collection could have written, anybody's.
    :param references: services that it names in any other form.
    """

    interfaces: Tuple[str, ...]
    sources: Tuple[str, ...]
    attachments: Tuple[Attachment, ...]
    references: Tuple[str, ...]
    filter: Filter


@dataclass(frozen=True)
class ZoneFile:
    """A zone's files.

    :param path: where the administrator's is, or would be.
    :param text: the administrator's text; ``None`` without one.
    :param origin: the path of the distribution's file, as people see it.
    :param original: the distribution's text; ``None`` without one.
    """

    path: str
    text: Optional[str]
    origin: str
    original: Optional[str]
    zone: Zone


@dataclass(frozen=True)
class Direct:
    """Direct rules: chains (family, table, chain), rules (… priority, arguments), passthroughs (family, arguments)."""

    chains: List[Tuple[str, str, str]]
    rules: List[Tuple[str, str, str, int, List[str]]]
    passthroughs: List[Tuple[str, List[str]]]


@dataclass(frozen=True)
class Loaded:
    """A whole configuration, at runtime or for good, as firewalld answers it.

    :param services: those whose names were asked for.
    :param ipsets: entries by name; ``None`` where firewalld does not say them (sets with a timeout).
    """

    zones: Dict[str, Settings]
    policies: Dict[str, Settings]
    ipsets: Dict[str, Optional[List[str]]]
    direct: Direct
    services: Dict[str, Service]


@dataclass(frozen=True)
class Runtime:
    """What the running firewalld said.

    :param loaded: what it has loaded; ``services`` are those of the ruleset's prefix.
    :param permanent: its cached view of its files, which may be seconds behind; without services.
    :param used: definitions at runtime of the services of others that zones and policies use.
    :param version: firewalld's, such as ``(1, 3, 3)``.
    :param panic: firewalld drops everything: panic mode.
    """

    loaded: Loaded
    permanent: Loaded
    used: Dict[str, Service]
    version: Tuple[int, ...]
    panic: bool


@dataclass(frozen=True)
class Network:
    """The host's network.

    :param interfaces: by which packets come; those below a bridge or a bond pass them to it.
    :param guests: bridges that lead to the host's own containers and virtual machines alone.
    :param routes: as (network as a number, prefix length, IP version, interface).
    """

    interfaces: FrozenSet[str]
    guests: FrozenSet[str]
    routes: Tuple[Tuple[int, int, int, str], ...]


@dataclass(frozen=True)
class Reading:
    """All that was read of a host.

    :param running: firewalld is on the bus.
    :param failed: it runs and could not load its configuration; ``runtime`` is ``None`` then.
    :param interrupted: a reload of an earlier run came to no good end.
    :param room: bytes that are free where firewalld writes while it loads.
    :param nftables: firewalld writes its rules by nftables.
    :param has_policies: this firewalld knows policies (0.9 and newer).
    :param own: the ruleset's part of the files.
    :param texts: the text of each of its files, by path.
    :param owned: names of services that are the ruleset's: defined, loaded, or named and defined by nobody.
    :param taken: names of services that are somebody else's.
    :param definitions: the files of these, by name.
    :param owners: whose each service of any ruleset of this collection is.
    :param policies: what policies of others decide, by name.
    :param references: by service of ours, who names it in a form that is not ours: ``zone home``.
    :param rules: the rules of each ruleset.
    :param places: the service that each rule of the ruleset is.
    """

    ruleset: str
    running: bool
    failed: bool
    enabled: bool
    interrupted: bool
    room: int
    nftables: bool
    default_zone: str
    has_policies: bool
    zones: Dict[str, ZoneFile]
    own: Config
    texts: Dict[str, str]
    owned: FrozenSet[str]
    taken: FrozenSet[str]
    definitions: Dict[str, str]
    owners: Dict[str, Owner]
    policies: Dict[str, Filter]
    references: Dict[str, List[str]]
    rules: Dict[str, Tuple[Rule, ...]]
    places: Dict[Key, str]
    network: Network
    runtime: Optional[Runtime]

    def filter(self, zone: str) -> Filter:
        """What a zone's file decides."""
        return self.zones[zone].zone.filter

    def bound(self, zone: str) -> Tuple[FrozenSet[str], FrozenSet[str]]:
        """The interfaces and sources of a zone, at runtime or for good."""
        item = self.zones[zone].zone
        settings = self.runtime.loaded.zones.get(zone, {}) if self.runtime else {}
        return (
            frozenset(item.interfaces) | frozenset(settings.get("interfaces", [])),
            frozenset(source for source in item.sources if source) | frozenset(settings.get("sources", [])),
        )

    @property
    def default_from_outside(self) -> bool:
        """Whether packets from other hosts come to the default zone for being in no other."""
        return bool(self.unbound - self.network.guests)

    @property
    def unbound(self) -> FrozenSet[str]:
        """Interfaces that are in no zone by name, and therefore in the default zone."""
        return self.network.interfaces.difference(*(self.bound(zone)[0] for zone in self.zones))


@dataclass(frozen=True)
class Difference:
    """A thing in which a configuration is not the target.

    :param service: the service that it is about; empty for a whole policy.
    :param what: a sentence for people.
    :param definition: in the runtime, only a reload mends it.
    :param policy: the policy that it is about as a whole; empty for none.
    """

    service: str
    what: str
    definition: bool
    policy: str = ""


@dataclass(frozen=True)
class Steps:
    """What a run does.

    :param reload: firewalld reads its files anew; without, the four single changes of the runtime.
    :param old: what the files had.
    :param before: what was loaded; ``None`` where nothing was.
    :param nftables: firewalld writes its rules by nftables.
    :param panic: firewalld is in panic mode.
    :param start: firewalld is started now.
    :param enable: firewalld starts at the next boot.
    """

    reload: bool
    attach: Tuple[Tuple[str, Attachment], ...]
    detach: Tuple[Tuple[str, Attachment], ...]
    set_policies: Dict[str, Policy]
    target: Config
    old: Config
    before: Optional[Loaded]
    owned: Owned
    nftables: bool
    panic: bool
    start: bool
    enable: bool
