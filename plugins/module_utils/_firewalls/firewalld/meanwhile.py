# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others change in the running firewalld while a run looks at it and reloads it. Pure.

Source: firewalld.dbus(5), "SIGNALS", and ``firewall.server.firewalld`` of 0.9.3, 1.3.3 and 2.3.1, which send a signal
after each change of the runtime, before they do anything else.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Any, Callable, Dict, Hashable, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import rich
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import Signal
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import (
    ZONE_LISTS,
    ZONE_SWITCHES,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    Direct,
    Loaded,
    Owned,
    Port,
    Settings,
)
from ansible_collections.netports.apple.plugins.module_utils._values import replace

PORTS = ("ports", "source_ports")
_MAC = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\Z")
# What each signal about an item of a zone's list is about, and whether the item came.
_ITEMS: Dict[str, Tuple[str, bool]] = {
    word + verb: (key, verb == "Added")
    for key, (_kind, word, _timed) in ZONE_LISTS.items()
    for verb in ("Added", "Removed")
}
_ITEMS.update(ZoneOfInterfaceChanged=("interfaces", True), ZoneOfSourceChanged=("sources", True))
_SWITCHES: Dict[str, Tuple[str, bool]] = {
    word + verb: (key, verb == "Added") for key, (word, _kind) in ZONE_SWITCHES.items() for verb in ("Added", "Removed")
}
_DIRECT = {"Chain": "chains", "Rule": "rules", "Passthrough": "passthroughs"}


def replay(seen: Loaded, signals: Iterable[Signal]) -> Loaded:
    """What firewalld has, from what was seen of it and the signals that it sent since.

    Signals from the time of looking may be among them: the last of an item's changes decides.
    """
    zones = {name: dict(settings) for name, settings in seen.zones.items()}
    policies = dict(seen.policies)
    ipsets = dict(seen.ipsets)
    direct = seen.direct
    for signal in signals:
        if signal.interface == ".zone" and signal.values[0] in zones:
            _zone(zones, signal)
        elif signal.member == "PolicyUpdated" and signal.values[0] in policies:
            name, settings = signal.values
            policies[name] = {**policies[name], **settings}
        elif signal.member in ("EntryAdded", "EntryRemoved"):
            ipsets.update(_entries(ipsets, signal))
        elif signal.interface == ".direct":
            direct = _direct(direct, signal)
    return replace(seen, zones=zones, policies=policies, ipsets=ipsets, direct=direct)


# Thousands of rules of others that were there at runtime only come back by a signal each.
@functools.lru_cache(maxsize=1 << 16)
def identity(key: str, item: Any) -> Hashable:
    """What all ways to write an item of a list have in common."""
    if key in ("rules_str", "rich_rules"):
        return rich.identity(item)
    if key == "sources" and _MAC.match(item):
        return str(item).upper()
    if key == "entries":
        return ",".join(_network(part) for part in item.split(","))
    found: Hashable = item
    return found


def less(key: str, items: Sequence[Any], others: Sequence[Any]) -> List[Any]:
    """The items of a list that another does not have; of ports, those that are in no range of it."""
    if key not in PORTS:
        known = {identity(key, item) for item in others}
        return [item for item in items if identity(key, item) not in known]
    return _by_protocol(items, others, _ports.subtract)


def joined(ports: Iterable[Port]) -> List[Port]:
    """Ports as firewalld joins them at runtime."""
    return _by_protocol(list(ports), [], lambda ranges, _taken: _ports.merge(ranges))


def foreign(settings: Settings, key: str, owned: Owned) -> List[Any]:
    """The items of a list that are not about the owned services."""
    values = list(settings.get(key, []))
    if key == "services":
        return [name for name in values if name not in owned.services]
    if key in ("rules_str", "rich_rules"):
        return [text for text in values if getattr(rich.attachment_of(text), "service", None) not in owned.services]
    return values


def _by_protocol(
    ports: Sequence[Port],
    others: Sequence[Port],
    work: Callable[[Iterable[_ports.PortRange], Iterable[_ports.PortRange]], List[_ports.PortRange]],
) -> List[Port]:
    """Ports by arithmetic. What is no number of a port stays apart, as it is."""
    kinds: Dict[str, Tuple[List[_ports.PortRange], List[_ports.PortRange]]] = {}
    odd: List[Port] = []
    for side, items in enumerate((ports, others)):
        for text, kind in items:
            try:
                kinds.setdefault(kind, ([], []))[side].append(_ports.parse(text))
            except ValueError:
                if side == 0 and (text, kind) not in others:
                    odd.append((text, kind))
    return odd + [(_ports.text(item), kind) for kind, ranges in kinds.items() for item in work(*ranges)]


def _zone(zones: Dict[str, Settings], signal: Signal) -> None:
    settings, values = zones[signal.values[0]], signal.values[1:]
    if signal.member == "ZoneUpdated":
        settings.update(values[0])
    elif signal.member in _SWITCHES:
        key, there = _SWITCHES[signal.member]
        settings[key] = there
    elif signal.member in _ITEMS:
        key, there = _ITEMS[signal.member]
        width = ZONE_LISTS[key][0].count("s")
        item = values[0] if width == 1 else values[:width]
        if there and key in ("interfaces", "sources"):
            # Of these a zone has what no other zone has.
            for other in zones.values():
                if key in other:
                    other[key] = less(key, other[key], [item])
        settings[key] = less(key, settings.get(key, []), [item]) + ([item] if there else [])
        if key in PORTS:
            settings[key] = joined(settings[key])


def _entries(ipsets: Dict[str, Optional[List[str]]], signal: Signal) -> Dict[str, Optional[List[str]]]:
    name, entry = signal.values
    entries = ipsets.get(name)
    if entries is None:
        return {}
    added = [entry] if signal.member == "EntryAdded" else []
    return {name: less("entries", entries, [entry]) + added}


def _direct(direct: Direct, signal: Signal) -> Direct:
    for word, key in _DIRECT.items():
        items = [item for item in getattr(direct, key) if item != signal.values]
        if signal.member == word + "Added":
            return replace(direct, **{key: [*items, signal.values]})
        if signal.member == word + "Removed":
            return replace(direct, **{key: items})
    return direct


def _network(part: str) -> str:
    # As firewalld 1.0 and newer keep an entry.
    try:
        return str(ipaddress.ip_network(part, strict=False)) if "/" in part else part
    except ValueError:
        return part
