# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the kernel's rules let a ruleset have its effect: what refuses nothing, and what refuses all the same. Pure."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import checks, fate, kernel, text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.conditions import TCP, UDP, Packet
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    HOOKS,
    OWN_TABLE,
    Chain,
    Listing,
    Target,
)
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# What may become of packets in each chain, by interface; the empty name is any that no rule names.
ByName = Dict[str, List[Tuple[Chain, fate.Fates]]]
# The same by IP version and protocol.
Met = Dict[Tuple[int, str], ByName]
_WAYS = {"in": "inbound", "out": "outbound", "forward": "forwarded"}
# The hooks beside its own at which a direction's packets may be refused.
_OTHER_HOOKS: Dict[str, Tuple[str, ...]] = {
    "in": ("ingress", "prerouting"),
    "out": ("postrouting", "egress"),
    "forward": ("ingress", "prerouting", "postrouting", "egress"),
}


def met(listing: Listing) -> Met:
    """What may become of inbound packets in each chain that they meet."""
    chains = checks.bases(listing, "input")
    names = ["", *sorted({name for chain in chains for name in fate.interfaces(listing, chain)})]
    packets = {
        (version, protocol): [Packet(interface=name, version=version, protocol=number) for name in names]
        for version in (4, 6)
        for protocol, number in (("TCP", TCP), ("UDP", UDP))
    }
    return {
        kind: {
            str(packet.interface): [(chain, fate.fates(listing, chain, packet)) for chain in chains] for packet in each
        }
        for kind, each in packets.items()
    }


def open_places(found: Met) -> List[str]:
    """Where nothing refuses inbound packets, a sentence for each IP version and protocol that differs from the others."""
    places = {kind: _place(by_name) for kind, by_name in found.items()}
    by_version = any(places[4, protocol] != places[6, protocol] for protocol in ("TCP", "UDP"))
    by_protocol = any(places[version, "TCP"] != places[version, "UDP"] for version in (4, 6))
    labels = {
        ("IPv%d " % version if by_version else "") + (protocol + " " if by_protocol else ""): place
        for (version, protocol), place in places.items()
    }
    return [
        "no chain of the input hook refuses %spackets%s" % (label, place)
        for label, place in labels.items()
        if place is not None
    ]


def _place(by_name: ByName) -> Optional[str]:
    """On which interfaces nothing refuses packets, in words; ``None`` for on none."""
    shut = [name for name, each in by_name.items() if any(fate.REFUSED in fates for _chain, fates in each)]
    if "" not in shut:
        return " on an interface other than %s" % ", ".join(shut) if shut else ""
    # Where a rule accepts, the rule is said to be open.
    passed = [name for name, each in by_name.items() if name and all(fate.passes(fates) for _chain, fates in each)]
    return " on %s" % ", ".join(passed) if passed else None


def half_open(found: Met) -> Dict[str, bool]:
    """Where a chain refuses inbound packets and may let in some to any port, a sentence for each such rule.

    :returns: by sentence, whether the rule accepts; else it refuses, and the chain's policy accepts.
    """
    said: Dict[str, bool] = {}
    for each in [each for by_name in found.values() for each in by_name.values()]:
        if any(set(fates) == {fate.REFUSED} for _chain, fates in each):
            continue
        for chain, fates in each:
            if fate.REFUSED in fates:
                accepting = fates[fate.ACCEPTED]
                sentence = "chain %s of table %s %s accepts packets to any port (%s)"
                if not accepting:
                    sentence = "chain %s of table %s %s refuses packets to any port under a condition alone (%s)"
                place = (chain.name, chain.family, chain.table)
                said[sentence % (*place, accepting or fates[fate.REFUSED])] = bool(accepting)
    return said


def partly(listing: Listing, enable: bool) -> List[Notice]:
    """Where nothing refuses inbound packets on a host whose rules join a chain that refuses some.

    :param enable: an own table is asked for, which there is none of beside that chain.
    """
    found = met(listing)
    more = ", and host_firewall_enable makes no table beside a chain that refuses" if enable else ""
    return [
        Notice(
            code="ipv6-off" if "IPv6" in sentence else "other",
            text="%s: what comes in there needs no rule%s" % (sentence, more),
        )
        for sentence in [*open_places(found), *half_open(found)]
    ]


def off(others: Sequence[Chain]) -> str:
    """Why the rules are stored and no more, in words.

    :param others: the chains that may refuse some inbound packets. All belong to other programs.
    """
    if not others:
        return (
            "no chain of nftables refuses inbound packets: the rules are stored and allow what nothing refuses "
            "(host_firewall_enable: true makes a table that refuses by default)"
        )
    places = ["chain %s of table %s %s" % (chain.name, chain.family, chain.table) for chain in others]
    return (
        "no chain of yours refuses inbound packets: the rules are stored and have no effect. %s may refuse some and "
        "belongs to another program, beside which host_firewall_enable makes no table" % ", ".join(places)
    )


def without(
    listing: Listing, ruleset: str, direction: str, asked: Sequence[Rule], targets: Sequence[Target]
) -> List[Notice]:
    """What refuses packets where no rule of ours can be, or before a rule of ours is reached.

    :param asked: the wanted rules of the direction.
    :param targets: the base chains that the ruleset joins.
    """
    found = []
    hook, jump = HOOKS[direction], text.chain_name(ruleset, direction)
    joined = {target.id for target in targets}
    for chain in checks.bases(listing, *_OTHER_HOOKS[direction], hook):
        if chain.id[:2] == OWN_TABLE or (chain.id in joined and not kernel.jump_holds(chain, jump)):
            # The own table refuses last, and the jump comes first of all where it is put in.
            continue
        if chain.hook == hook and not checks.editable(listing, chain) and fate.refuses(listing, chain):
            sentence = (
                "chain %s of table %s %s refuses packets and belongs to another program: the %s rules have "
                "no effect until it accepts them" % (chain.name, chain.family, chain.table, _WAYS[direction])
            )
            names = tuple(rule.name for rule in asked)
            found.append(Notice(code="refused", text=sentence, rules=names, direction=direction))
            continue
        decided = checks.decider(listing, chain, asked, frozenset([jump]))
        if decided:
            sentence = "chain %s of table %s %s refuses packets of rule %r before it is reached: %s" % (
                *(chain.name, chain.family, chain.table, decided[0].name, decided[1]),
            )
            found.append(Notice(code="refused", text=sentence, rules=(decided[0].name,), direction=direction))
    return found
