# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a new connection that no rule picks out by its port or its addresses. Pure.

A chain refuses such a connection by its policy, by a rule, or in a chain that it jumps to, and it may do so on some
interfaces, for some IP versions or for some protocols alone.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional, Set

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import conditions
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.conditions import TCP, UDP, Packet
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.kernel import (
    REFUSALS,
    conditions_of,
    target_of,
    verdict_of,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    Chain,
    Id,
    KernelRule,
    Listing,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.spread import spread
from ansible_collections.netports.apple.plugins.module_utils._values import replace

_REFUSED, _ACCEPTED, _PASSED = "refused", "accepted", "passed"
_FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}


def refuses(listing: Listing, chain: Chain, everywhere: bool = True) -> bool:
    """Whether a base chain refuses what none of its rules picks out.

    :param everywhere: false also counts a chain that does so on some interfaces, for an IP version or a protocol alone.
    """
    versions = _FAMILIES.get(chain.family, ())
    if everywhere:
        return all(refuses_packet(listing, chain, Packet(interface="", version=version)) for version in versions)
    packets = [Packet(version=version, protocol=protocol) for version in versions for protocol in (TCP, UDP)]
    return any(_REFUSED in _of_base(listing, chain, packet) for packet in packets)


def refuses_packet(listing: Listing, chain: Chain, packet: Packet) -> bool:
    """Whether a base chain meets a packet and refuses it, over TCP and over UDP."""
    if packet.version not in _FAMILIES.get(chain.family, ()):
        return False
    packets = [replace(packet, protocol=protocol) for protocol in (TCP, UDP)]
    return all(_of_base(listing, chain, one) == {_REFUSED} for one in packets)


def passes(listing: Listing, chain: Chain, packet: Packet) -> bool:
    """Whether a packet goes through a base chain by its policy alone, or does not meet it."""
    if packet.version not in _FAMILIES.get(chain.family, ()):
        return True
    return chain.policy != "drop" and _fates(listing, chain, packet, frozenset()) == {_PASSED}


def interfaces(listing: Listing, chain: Chain) -> List[str]:
    """The interfaces that a chain's rules name, and those of the chains that it jumps to. The loopback is none."""
    found: Set[str] = set()
    for one in [chain, *_reached(listing, chain, set())]:
        for rule in spread(one.rules):
            for condition in conditions_of(rule):
                found.update(conditions.named_interfaces(condition))
    return sorted(found)


def _reached(listing: Listing, chain: Chain, seen: Set[Id]) -> List[Chain]:
    found: List[Chain] = []
    for rule in spread(chain.rules):
        following = listing.chains.get((chain.family, chain.table, target_of(rule)))
        if following is not None and following.id not in seen:
            seen.add(following.id)
            found += [following, *_reached(listing, following, seen)]
    return found


def _of_base(listing: Listing, chain: Chain, packet: Packet) -> Set[str]:
    """What a base chain may do with a packet, which is for this host where the hook says so."""
    found = _fates(listing, chain, replace(packet, local=chain.hook == "input"), frozenset())
    if _PASSED in found:
        found = found - {_PASSED} | {_REFUSED if chain.policy == "drop" else _ACCEPTED}
    return found


def _fates(listing: Listing, chain: Chain, packet: Packet, seen: FrozenSet[Id]) -> Set[str]:
    """What a chain may do with a packet."""
    found: Set[str] = set()
    for rule in spread(chain.rules):
        verdict = verdict_of(rule)
        holds = _all_hold(rule, packet) if verdict else False
        if holds is False:
            continue
        made = _fate_of(listing, chain, target_of(rule), verdict, packet, seen)
        ends = holds is True and (verdict != "jump" or _PASSED not in made)
        found |= made if ends or verdict in ("goto", "return") else made - {_PASSED}
        if ends:
            return found
    return found | {_PASSED}


def _fate_of(
    listing: Listing, chain: Chain, target: str, verdict: str, packet: Packet, seen: FrozenSet[Id]
) -> Set[str]:
    following = listing.chains.get((chain.family, chain.table, target))
    if verdict in REFUSALS:
        return {_REFUSED}
    if verdict in ("accept", "queue"):
        return {_ACCEPTED}
    if following is None or following.id in seen:
        return {_PASSED}
    return _fates(listing, following, packet, seen | {chain.id})


def _all_hold(rule: KernelRule, packet: Packet) -> Optional[bool]:
    """Whether a rule's conditions hold for a packet that no rule picks out; ``None`` where they do on some interfaces."""
    answer: Optional[bool] = True
    for condition in conditions_of(rule):
        found = _holds(condition, packet)
        if found is False:
            return False
        answer = answer and found
    return answer


def _holds(condition: Dict[str, Any], packet: Packet) -> Optional[bool]:
    """Whether a condition holds for a packet that no rule picks out; ``None`` where it holds on some interfaces.

    What is not known picks out some packets.
    """
    found = conditions.holds(condition, packet)
    if found is None and (packet.interface is not None or not conditions.asks_interface(condition)):
        return False
    return found
