# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a new connection that no rule picks out by its port or its addresses. Pure.

A chain refuses such a connection by its policy, by a rule, or in a chain that it jumps to, and it may do so on some
interfaces, for some IP versions or for some protocols alone.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Set

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import conditions, ordinary
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
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.words import words
from ansible_collections.netports.apple.plugins.module_utils._values import replace

REFUSED, ACCEPTED, _PASSED = "refused", "accepted", "passed"
_FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
# What may become of packets, and the rule in words that does it; empty for a chain's policy.
Fates = Dict[str, str]


def refuses(listing: Listing, chain: Chain) -> bool:
    """Whether a base chain refuses what none of its rules picks out, on every interface, of every IP version and protocol.

    A rule whose condition is not known does not count: it picks out some packets.
    """
    packets = [replace(packet, interface="") for packet in _packets(chain)]
    return bool(packets) and all(
        set(_of_base(listing, chain, packet, ordinary.MOST)) == {REFUSED} for packet in packets
    )


def may_refuse(listing: Listing, chain: Chain) -> bool:
    """Whether a base chain may refuse what none of its rules picks out, be it on some interfaces, for an IP version or a
    protocol alone.
    """
    return any(REFUSED in _of_base(listing, chain, packet, ordinary.UNKNOWN) for packet in _packets(chain))


def fates(listing: Listing, chain: Chain, packet: Packet) -> Fates:
    """What may become of a packet in a base chain; empty where it does not meet the chain.

    A rule whose condition is not known may hold or not.
    """
    meets = packet.version in _FAMILIES.get(chain.family, ())
    return _of_base(listing, chain, packet, ordinary.UNKNOWN) if meets else {}


def passes(found: Fates) -> bool:
    """Whether a packet goes through a base chain by its policy alone, or does not meet it."""
    return found in ({}, {ACCEPTED: ""})


def _packets(chain: Chain) -> List[Packet]:
    versions = _FAMILIES.get(chain.family, ())
    return [Packet(version=version, protocol=protocol) for version in versions for protocol in (TCP, UDP)]


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


def _of_base(listing: Listing, chain: Chain, packet: Packet, least: int) -> Fates:
    """What a base chain may do with a packet, which is for this host where the hook says so.

    :param least: how many packets have to meet a rule for it to count.
    """
    packet = replace(packet, local=chain.hook == "input", marked=ordinary.marks(listing))
    found = _fates(listing, chain, packet, least, frozenset())
    if _PASSED in found:
        del found[_PASSED]
        found.setdefault(REFUSED if chain.policy == "drop" else ACCEPTED, "")
    return found


def _fates(listing: Listing, chain: Chain, packet: Packet, least: int, seen: FrozenSet[Id]) -> Fates:
    """What a chain may do with a packet."""
    found: Fates = {}
    for rule in spread(chain.rules):
        verdict = verdict_of(rule)
        share = ordinary.share_of(rule, packet) if verdict else ordinary.FEW
        if share == ordinary.FEW or share < least:
            continue
        made = _fate_of(listing, chain, rule, verdict, packet, least, seen)
        ends = share == ordinary.ALL and (verdict != "jump" or _PASSED not in made)
        # What nearly all packets are refused by refuses. What accepts nearly all leaves some to the rules behind it.
        ends = ends or (share == ordinary.MOST and set(made) == {REFUSED})
        if not ends and verdict == "jump":
            made.pop(_PASSED, None)
        found = {**made, **found}
        if ends:
            return found
    return {_PASSED: "", **found}


def _fate_of(
    listing: Listing, chain: Chain, rule: KernelRule, verdict: str, packet: Packet, least: int, seen: FrozenSet[Id]
) -> Fates:
    following = listing.chains.get((chain.family, chain.table, target_of(rule)))
    if verdict in REFUSALS:
        return {REFUSED: words(rule)}
    if verdict in ("accept", "queue"):
        return {ACCEPTED: words(rule)}
    if following is None or following.id in seen:
        return {_PASSED: ""}
    return _fates(listing, following, packet, least, seen | {chain.id})
