# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the kernel's rules let a ruleset have its effect: what refuses nothing, and what refuses all the same. Pure."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import checks, fate, kernel, text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.conditions import Packet
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    HOOKS,
    OWN_TABLE,
    Chain,
    Listing,
    Target,
)
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

_WAYS = {"in": "inbound", "out": "outbound", "forward": "forwarded"}
# The hooks beside its own at which a direction's packets may be refused.
_OTHER_HOOKS: Dict[str, Tuple[str, ...]] = {
    "in": ("ingress", "prerouting"),
    "out": ("postrouting", "egress"),
    "forward": ("ingress", "prerouting", "postrouting", "egress"),
}


def open_places(listing: Listing) -> List[str]:
    """Where nothing refuses inbound packets, a sentence for each IP version that differs from the other."""
    chains = checks.bases(listing, "input")
    names = _names(listing, chains)

    def where(version: int) -> Optional[str]:
        packets = {name: Packet(interface=name, version=version) for name in names}
        found = {name: [fate.fates(listing, chain, packets[name]) for chain in chains] for name in names}
        shut = [name for name in names if any(fate.REFUSED in fates for fates in found[name])]
        if "" not in shut:
            return " on an interface other than %s" % ", ".join(shut) if shut else ""
        # Where a rule accepts, the rule is said to be open.
        passed = [name for name in names[1:] if all(fate.passes(fates) for fates in found[name])]
        return " on %s" % ", ".join(passed) if passed else None

    four, six = where(4), where(6)
    if four == six:
        return [] if four is None else ["no chain of the input hook refuses packets%s" % four]
    return [
        "no chain of the input hook refuses IPv%d packets%s" % (version, place)
        for version, place in ((4, four), (6, six))
        if place is not None
    ]


def half_open(listing: Listing) -> Dict[str, bool]:
    """Where a chain refuses inbound packets and may let in some to any port, a sentence for each such rule.

    :returns: by sentence, whether the rule accepts; else it refuses, and the chain's policy accepts.
    """
    chains = checks.bases(listing, "input")
    found: Dict[str, bool] = {}
    for packet in [Packet(interface=name, version=version) for version in (4, 6) for name in _names(listing, chains)]:
        fates = [fate.fates(listing, chain, packet) for chain in chains]
        if any(set(each) == {fate.REFUSED} for each in fates):
            continue
        for chain, each in zip(chains, fates):
            if fate.REFUSED in each:
                accepting = each[fate.ACCEPTED]
                sentence = "chain %s of table %s %s accepts packets to any port (%s)"
                if not accepting:
                    sentence = "chain %s of table %s %s refuses packets to any port under a condition alone (%s)"
                place = (chain.name, chain.family, chain.table)
                found[sentence % (*place, accepting or each[fate.REFUSED])] = bool(accepting)
    return found


def partly(listing: Listing, enable: bool) -> List[Notice]:
    """Where nothing refuses inbound packets on a host whose rules join a chain that refuses some.

    :param enable: an own table is asked for, which there is none of beside that chain.
    """
    more = ", and host_firewall_enable makes no table beside a chain that refuses" if enable else ""
    return [
        Notice(
            code="ipv6-off" if "IPv6" in sentence else "other",
            text="%s: what comes in there needs no rule%s" % (sentence, more),
        )
        for sentence in [*open_places(listing), *half_open(listing)]
    ]


def _names(listing: Listing, chains: Sequence[Chain]) -> List[str]:
    """The interfaces that chains name, behind the empty name of any other."""
    return ["", *sorted({name for chain in chains for name in fate.interfaces(listing, chain)})]


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
