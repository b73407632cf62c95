# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a new connection that no rule picks out by its port or its addresses. Pure.

A chain refuses such a connection by its policy, by its last rule, or in a chain that it jumps to, and it may do so on some
interfaces, for some IP versions or for some protocols alone.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Sequence, Set

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.kernel import (
    REFUSALS,
    conditions_of,
    has_protocol,
    target_of,
    values,
    verdict_of,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import Chain, Id, Listing
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.spread import spread

_REFUSED, _ACCEPTED, _PASSED = "refused", "accepted", "passed"
_INTERFACES = ("iif", "iifname", "oif", "oifname")
_GROUPS = ("iifgroup", "iiftype", "oifgroup", "oiftype")
_ASKED = (*_INTERFACES, *_GROUPS, "nfproto", "l4proto", "pkttype")
_FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
_TCP, _UDP = 6, 17


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection that no rule picks out.

    :param interface: its interface; empty for an interface that no rule names.
    :param version: of IP; 0 where no rule asks for it.
    :param protocol: the number of TCP or UDP.
    """

    interface: str = ""
    version: int = 0
    protocol: int = _TCP


def refuses(listing: Listing, chain: Chain, everywhere: bool = True) -> bool:
    """Whether a base chain refuses what none of its rules picks out.

    :param everywhere: false also counts a chain that does so on some interfaces, for an IP version or a protocol alone.
    """
    if everywhere:
        return refuses_packet(listing, chain, Packet())
    return _REFUSED in _of_base(listing, chain, None)


def refuses_packet(listing: Listing, chain: Chain, packet: Packet) -> bool:
    """Whether a base chain meets a packet and refuses it, over TCP and over UDP."""
    if packet.version and packet.version not in _FAMILIES.get(chain.family, ()):
        return False
    packets = [replace(packet, protocol=protocol) for protocol in (_TCP, _UDP)]
    return all(_of_base(listing, chain, one) == {_REFUSED} for one in packets)


def passes(listing: Listing, chain: Chain, packet: Packet) -> bool:
    """Whether a packet goes through a base chain by its policy alone, or does not meet it."""
    if packet.version and packet.version not in _FAMILIES.get(chain.family, ()):
        return True
    return chain.policy != "drop" and _fates(listing, chain, packet, frozenset()) == {_PASSED}


def interfaces(listing: Listing, chain: Chain) -> List[str]:
    """The interfaces that a chain's rules name, and those of the chains that it jumps to. The loopback is none."""
    found: Set[str] = set()
    for one in [chain, *_reached(listing, chain, set())]:
        for rule in spread(one.rules):
            for condition in conditions_of(rule):
                match = condition.get("match", {})
                if _key(match.get("left")) in _INTERFACES:
                    found |= {value for value in values(match["right"]) if isinstance(value, str) and value != "lo"}
    return sorted(found)


def _reached(listing: Listing, chain: Chain, seen: Set[Id]) -> List[Chain]:
    found: List[Chain] = []
    for rule in spread(chain.rules):
        following = listing.chains.get((chain.family, chain.table, target_of(rule)))
        if following is not None and following.id not in seen:
            seen.add(following.id)
            found += [following, *_reached(listing, following, seen)]
    return found


def _of_base(listing: Listing, chain: Chain, packet: Optional[Packet]) -> Set[str]:
    found = _fates(listing, chain, packet, frozenset())
    if _PASSED in found:
        found = found - {_PASSED} | {_REFUSED if chain.policy == "drop" else _ACCEPTED}
    return found


def _fates(listing: Listing, chain: Chain, packet: Optional[Packet], seen: FrozenSet[Id]) -> Set[str]:
    """What a chain may do with a packet; ``None`` stands for any packet."""
    found: Set[str] = set()
    for rule in spread(chain.rules):
        verdict = verdict_of(rule)
        answers = [_holds(condition, packet) for condition in conditions_of(rule)] if verdict else [False]
        if False in answers:
            continue
        made = _fate_of(listing, chain, target_of(rule), verdict, packet, seen)
        ends = None not in answers and (verdict != "jump" or _PASSED not in made)
        found |= made if ends or verdict in ("goto", "return") else made - {_PASSED}
        if ends:
            return found
    return found | {_PASSED}


def _fate_of(
    listing: Listing, chain: Chain, target: str, verdict: str, packet: Optional[Packet], seen: FrozenSet[Id]
) -> Set[str]:
    following = listing.chains.get((chain.family, chain.table, target))
    if verdict in REFUSALS:
        return {_REFUSED}
    if verdict in ("accept", "queue"):
        return {_ACCEPTED}
    if following is None or following.id in seen:
        return {_PASSED}
    return _fates(listing, following, packet, seen | {chain.id})


def _holds(condition: Dict[str, Any], packet: Optional[Packet]) -> Optional[bool]:
    """Whether a condition holds for a packet; ``None`` where it holds for some packets that no rule picks out."""
    match = condition.get("match") or {}
    left, right, op = match.get("left"), match.get("right"), match.get("op")
    if not isinstance(left, dict) or op not in ("==", "in", "!="):
        return False
    key = _key(left)
    if key not in _ASKED and left.get("ct", {}).get("key") != "state":
        return False
    found = values(right)
    if not key:
        return bool(("new" in found) == (op != "!="))
    if key == "pkttype":
        return bool(("host" in found or "unicast" in found) == (op != "!="))
    if key in _INTERFACES and found == ["lo"]:
        return bool(op == "!=")
    if packet is not None:
        met = _meets(packet, key, found)
        return met == (op != "!=") if met is not None else False
    if key == "l4proto":
        held = [has_protocol(found, number) == (op != "!=") for number in (_TCP, _UDP)]
        return held[0] if held[0] == held[1] else None
    return None


def _meets(packet: Packet, key: str, found: Sequence[Any]) -> Optional[bool]:
    """Whether what a condition asks for is among values; ``None`` where the packet does not tell."""
    if key == "l4proto":
        return has_protocol(found, packet.protocol)
    if key in _INTERFACES:
        return _named(packet.interface, found)
    if key == "nfproto" and packet.version:
        return "ipv%d" % packet.version in found
    return None


def _named(interface: str, names: Iterable[Any]) -> bool:
    """Whether an interface is among names, of which an asterisk at the end stands for any end."""
    return bool(interface) and any(fnmatch.fnmatchcase(interface, str(name)) for name in names)


def _key(left: Any) -> str:
    return str(left.get("meta", {}).get("key", "")) if isinstance(left, dict) else ""
