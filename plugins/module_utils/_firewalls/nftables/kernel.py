# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's ruleset as data: read, compared, and changed by one transaction. Pure."""

from __future__ import annotations

import functools
import ipaddress
import json
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import spread
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    OWN_TABLE,
    PREFIX,
    Chain,
    Id,
    KernelRule,
    Listing,
    Part,
)
from ansible_collections.netports.apple.plugins.module_utils._values import replace

# Statements that decide nothing.
_SILENT = (
    *("counter", "log", "mangle", "set", "map", "notrack", "ct helper", "ct timeout", "ct expectation", "dup", "flow"),
    *("last", "secmark"),
)
REFUSALS = ("drop", "reject")
# nft prints these by name where the host has /etc/protocols.
_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "icmpv6": 58}


def parse(text: str) -> Listing:
    """Read what ``nft -j list ruleset`` prints.

    :raises ValueError: it is not that.
    """
    try:
        return _listing(json.loads(text)["nftables"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("%s: %s" % (type(error).__name__, error)) from error


def _listing(entries: Sequence[Dict[str, Any]]) -> Listing:
    chains: Dict[Id, Dict[str, Any]] = {}
    printed: List[Dict[str, Any]] = []
    sets: Dict[spread.Name, Dict[str, Any]] = {}
    held: List[Tuple[str, str]] = []
    dormant: List[Tuple[str, str]] = []
    hides = any(str(entry.get("metainfo", {}).get("version")).startswith("0.") for entry in entries)
    for entry in entries:
        chain, table = entry.get("chain"), entry.get("table")
        if chain:
            chains[chain["family"], chain["table"], chain["name"]] = chain
        elif entry.get("rule"):
            printed.append(entry["rule"])
        elif table and table.get("flags"):
            # nft 1.0.6 prints another word in the place of a flag: a table with a flag that is not known stays untouched.
            asleep = "dormant" in str(table["flags"])
            (dormant if asleep else held).append((table["family"], table["name"]))
        for name, members in spread.named(entry).items():
            # Thousands of elements, which many questions are about.
            sets[name] = dict(members, values=values(members)) if entry.get("set") else members
    rules: Dict[Id, List[KernelRule]] = {}
    for rule in printed:
        expr = spread.resolve(rule.get("expr", ()), rule["family"], rule["table"], sets)
        expr = tuple(map(_unsaid, expr)) if hides else expr
        made = KernelRule(expr=expr, comment=rule.get("comment", ""), handle=int(rule.get("handle", 0)))
        rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(made)
    found = {
        key: Chain(
            family=key[0],
            table=key[1],
            name=key[2],
            rules=tuple(rules.get(key, ())),
            # No packet passes the chains of a dormant table.
            hook="" if key[:2] in dormant else chain.get("hook", ""),
            kind=chain.get("type", ""),
            prio=int(chain.get("prio", 0)),
            policy=chain.get("policy", "accept"),
        )
        for key, chain in chains.items()
    }
    marking = tuple(rule for chain in found.values() for rule in chain.rules if _sets_mark(rule))
    return Listing(chains=found, held=tuple(held), marking=marking)


def _unsaid(one: Any) -> Any:
    """An expression that may keep a limit for each element of a set, which nft 0.9 does not print."""
    found = one.get("set") if isinstance(one, dict) else None
    return {"set": dict(found, stmt=[{"unsaid": None}])} if found and "stmt" not in found else one


def _sets_mark(rule: KernelRule) -> bool:
    """Whether a rule sets the mark of a packet or of its connection, and not the one to the other."""
    found = [one["mangle"] for one in rule.expr if isinstance(one, dict) and "mangle" in one]
    return any(_is_mark(one["key"]) and not _is_mark(one["value"]) for one in found)


def _is_mark(value: Any) -> bool:
    return isinstance(value, dict) and any((value.get(kind) or {}).get("key") == "mark" for kind in ("meta", "ct"))


def same(have: Sequence[KernelRule], want: Sequence[KernelRule]) -> bool:
    """Whether two lists of rules mean the same, whichever release of nft printed them."""
    return [_canonical(rule) for rule in have] == [_canonical(rule) for rule in want]


def _canonical(rule: KernelRule) -> Tuple[Any, ...]:
    return (rule.comment,) + tuple(
        (json.dumps(one["match"]["left"], sort_keys=True), values(one["match"]["right"]))
        if isinstance(one, dict) and "match" in one
        else json.dumps(one, sort_keys=True)
        for one in rule.expr
        if not (isinstance(one, dict) and "counter" in one)
    )


def values(right: Any) -> Any:
    """Ports and addresses as merged ranges of numbers, other values as sorted texts.

    Sets print as they were given or merged, and lists with or without braces, from release to release.
    """
    if isinstance(right, dict) and "values" in right:
        return right["values"]
    members = right["set"] if isinstance(right, dict) and "set" in right else right
    members = members if isinstance(members, list) else [members]
    members = [spread.plain(member) for member in members]
    ranges = [interval(member) for member in members]
    if all(ranges):
        return _merged([found for found in ranges if found])
    return sorted(str(member) for member in members)


def has_protocol(found: Sequence[Any], number: int) -> bool:
    """Whether values of a protocol have TCP (6) or UDP (17). Beside a name that is not known here they are names."""
    names = {6: "tcp", 17: "udp"}
    return names[number] in found or any(isinstance(one, tuple) and one[0] <= number <= one[1] for one in found)


def interval(value: Any) -> Optional[Tuple[int, int]]:
    """A port, an address, a range or a prefix as the first and the last number; ``None`` for anything else."""
    if isinstance(value, dict) and "range" in value:
        first, last = (interval(end) for end in value["range"])
        return (first[0], last[1]) if first and last else None
    if isinstance(value, str):
        value = _NUMBERS.get(value, value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value, value
    if isinstance(value, dict) and "prefix" in value:
        value = "%s/%s" % (value["prefix"]["addr"], value["prefix"]["len"])
    return _addresses(value) if isinstance(value, str) else None


# A big ruleset says the same addresses again and again.
@functools.lru_cache(maxsize=1 << 16)
def _addresses(text: str) -> Optional[Tuple[int, int]]:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return int(network.network_address), int(network.broadcast_address)


def _merged(ranges: List[Tuple[int, int]]) -> List[Tuple[int, int]]:
    merged: List[Tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def verdict_of(rule: KernelRule) -> str:
    """The rule's verdict, such as ``accept``, ``drop`` or ``jump``; empty when it has none."""
    for one in rule.expr:
        if isinstance(one, dict):
            for key in one:
                if key in ("accept", "jump", "goto", "return", "queue", *REFUSALS):
                    return str(key)
    return ""


def conditions_of(rule: KernelRule) -> List[Dict[str, Any]]:
    """What has to hold for the verdict: the rule's expressions that are neither verdicts nor silent."""
    verdict = verdict_of(rule)
    return [
        one
        for one in rule.expr
        if isinstance(one, dict) and (_limits(one) or not any(key in _SILENT or key == verdict for key in one))
    ]


def _limits(one: Dict[str, Any]) -> bool:
    """Whether an expression keeps a limit for each element of a set: ``add @s { ip saddr limit rate over 9/second }``."""
    kept = [inner for key in ("set", "map") for inner in (one.get(key) or {}).get("stmt") or ()]
    return any(key not in _SILENT for inner in kept for key in inner)


def target_of(rule: KernelRule) -> str:
    for one in rule.expr:
        for key in ("jump", "goto"):
            if isinstance(one, dict) and key in one:
                return str(one[key]["target"])
    return ""


def jumps_to(chain: Chain, name: str) -> List[KernelRule]:
    """The rules of a chain that jump to another one of its table."""
    return [rule for rule in chain.rules if target_of(rule) == name]


def jump_holds(chain: Chain, name: str) -> bool:
    """Whether a base chain jumps to a chain, once and with every packet, before anything that refuses every packet."""
    found = jumps_to(chain, name)
    if len(found) != 1 or verdict_of(found[0]) != "jump" or conditions_of(found[0]):
        return False
    before = chain.rules[: chain.rules.index(found[0])]
    return not any(verdict_of(rule) in REFUSALS and conditions_of(rule) == [] for rule in before)


def ours(listing: Listing, ruleset: str) -> List[Chain]:
    """The regular chains of a ruleset, in whatever table they stand."""
    names = {"%s%s-%s" % (PREFIX, ruleset, direction) for direction in ("in", "out", "forward")}
    return [chain for chain in listing.chains.values() if chain.name in names and not chain.hook]


def part(listing: Listing, ruleset: str, also: Iterable[Id] = ()) -> Part:
    """What the kernel has of a ruleset, and of the own table.

    :param also: chains of other rulesets.
    """
    chains = {chain.id: chain.rules for chain in ours(listing, ruleset)}
    chains.update((key, listing.chains[key].rules) for key in also if key in listing.chains)
    jumps = tuple(
        (base.id, name)
        for base in listing.chains.values()
        for family, table, name in chains
        if base.hook and (base.family, base.table) == (family, table) and jump_holds(base, name)
    )
    own = {
        base.id: replace(base, rules=essentials(base))
        for base in listing.chains.values()
        if (base.family, base.table) == OWN_TABLE and base.hook
    }
    return Part(chains=chains, jumps=jumps, own=own)


def possible(listing: Listing, goal: Part) -> Part:
    """What can still be had of a part: tables and base chains that an administrator took away stay away."""
    tables = {key[:2] for key in (*listing.chains, *goal.own)}
    return replace(
        goal,
        chains={key: rules for key, rules in goal.chains.items() if key[:2] in tables},
        jumps=tuple(jump for jump in goal.jumps if jump[0] in listing.chains or jump[0] in goal.own),
    )


def essentials(chain: Chain) -> Tuple[KernelRule, ...]:
    """The rules of a base chain of the own table, without its jumps."""
    return tuple(rule for rule in chain.rules if not target_of(rule).startswith(PREFIX))


def differs(listing: Listing, ruleset: str, goal: Part) -> List[str]:
    """What the kernel has otherwise than a goal, a sentence each."""
    have = part(listing, ruleset, goal.chains)
    found = []
    for key in sorted(set(have.chains) | set(goal.chains)):
        place = "chain %s of table %s %s" % (key[2], key[0], key[1])
        if key not in goal.chains:
            found.append("%s is left over in the kernel" % place)
        elif key not in have.chains:
            found.append("%s is missing in the kernel" % place)
        elif not same(have.chains[key], goal.chains[key]):
            found.append("%s is not as its file says" % place)
    for base, name in goal.jumps:
        if (base, name) not in have.jumps:
            found.append("chain %s of table %s %s does not jump to %s" % (base[2], base[0], base[1], name))
    for key in sorted(set(have.own) | set(goal.own)):
        one, other = have.own.get(key), goal.own.get(key)
        if one is None or other is None or _place(one) != _place(other) or not same(one.rules, other.rules):
            found.append("chain %s of table %s %s is not as its file says" % (key[2], key[0], key[1]))
    return found


def transaction(listing: Listing, ruleset: str, goal: Part) -> str:
    """The input of ``nft -j -f -`` that brings the kernel to a goal; empty where it is there.

    What is right stays untouched, with its counters.
    """
    misplaced = [key for key, base in goal.own.items() if _misplaced(listing.chains.get(key), base)]
    commands = _removals(misplaced)
    listing = replace(listing, chains={key: chain for key, chain in listing.chains.items() if key not in misplaced})
    have = part(listing, ruleset, goal.chains)
    commands += _leftovers(listing, ruleset, goal)
    if not goal.own and any(key[:2] == OWN_TABLE for key in listing.chains):
        commands.append({"delete": {"table": _table(OWN_TABLE)}})
    else:
        commands += _removals([key for key in have.own if key not in goal.own])
    for key, base in goal.own.items():
        commands += _own(key, base, have.own.get(key))
    for key, rules in goal.chains.items():
        if key in have.chains and same(have.chains[key], rules):
            continue
        commands += [{"add": {"chain": _named(key)}}, {"flush": {"chain": _named(key)}}]
        commands += [_rule("add", key, rule) for rule in rules]
    for base_id, name in goal.jumps:
        if (base_id, name) in have.jumps:
            continue
        chain = listing.chains.get(base_id)
        commands += [_delete(base_id, rule) for rule in jumps_to(chain, name)] if chain else []
        commands.append(_rule("insert", base_id, jump(name)))
    return json.dumps({"nftables": commands}) if commands else ""


def _place(chain: Chain) -> Tuple[str, int, str]:
    return chain.hook, chain.prio, chain.policy


def _misplaced(have: Optional[Chain], want: Chain) -> bool:
    """Whether a chain has to be made anew: nft changes the policy of a chain that is there, and nothing else of it."""
    return have is not None and _place(have)[:2] != _place(want)[:2]


def _removals(keys: Sequence[Id]) -> List[Dict[str, Any]]:
    return [{verb: {"chain": _named(key)}} for key in keys for verb in ("flush", "delete")]


def _own(key: Id, want: Chain, have: Optional[Chain]) -> List[Dict[str, Any]]:
    """Commands that bring a base chain of the own table to what it is to be. The jumps of all rulesets stay."""
    if have and have.policy == want.policy and same(have.rules, want.rules):
        return []
    commands = [] if have else [{"add": {"table": _table(OWN_TABLE)}}]
    commands.append({"add": {"chain": _base(want)}})
    commands += [_rule("insert", key, rule) for rule in reversed(want.rules)]
    return commands + [_delete(key, rule) for rule in (have.rules if have else ())]


def jump(name: str) -> KernelRule:
    """The rule that leads to a ruleset's chain."""
    ruleset = name[len(PREFIX) :].rpartition("-")[0]
    return KernelRule(expr=({"jump": {"target": name}},), comment="netports.apple, ruleset %s" % ruleset)


def _leftovers(listing: Listing, ruleset: str, goal: Part) -> List[Dict[str, Any]]:
    """Commands that take away jumps and chains of the ruleset that the goal has not."""
    commands: List[Dict[str, Any]] = []
    for chain in ours(listing, ruleset):
        bases = [one for one in listing.chains.values() if (one.family, one.table) == (chain.family, chain.table)]
        for base in bases:
            if (base.id, chain.name) not in goal.jumps:
                commands += [_delete(base.id, rule) for rule in jumps_to(base, chain.name)]
        if chain.id not in goal.chains:
            commands += _removals([chain.id])
    return commands


def _table(table: Tuple[str, str]) -> Dict[str, Any]:
    return {"family": table[0], "name": table[1]}


def _named(key: Id) -> Dict[str, Any]:
    return {"family": key[0], "table": key[1], "name": key[2]}


def _base(chain: Chain) -> Dict[str, Any]:
    return dict(_named(chain.id), type=chain.kind, hook=chain.hook, prio=chain.prio, policy=chain.policy)


def _rule(verb: str, key: Id, rule: KernelRule) -> Dict[str, Any]:
    body: Dict[str, Any] = {"family": key[0], "table": key[1], "chain": key[2], "expr": list(rule.expr)}
    if rule.comment:
        body["comment"] = rule.comment
    return {verb: {"rule": body}}


def _delete(key: Id, rule: KernelRule) -> Dict[str, Any]:
    return {"delete": {"rule": {"family": key[0], "table": key[1], "chain": key[2], "handle": rule.handle}}}
