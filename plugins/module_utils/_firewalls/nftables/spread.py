# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that ask for several things at once, as rules that each ask for plain ones. Pure."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Mapping, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import KernelRule
from ansible_collections.netports.apple.plugins.module_utils._values import replace

# A named set or map: family, table, name with its "@".
Name = Tuple[str, str, str]
# Elements come and go by themselves in sets with these flags.
_MOVING = ("dynamic", "timeout")
# Where an element stands for everything that no other element has.
_ANY = "*"


def named(entry: Mapping[str, Any]) -> Dict[Name, Dict[str, Any]]:
    """A set or map of ``nft -j list ruleset`` as it stands in a rule without a name, where its elements stay what they are."""
    found = entry.get("set") or entry.get("map")
    if not found or any(flag in _MOVING for flag in found.get("flags", ())):
        return {}
    name = "@" + found["name"]
    return {(found["family"], found["table"], name): {"set": list(found.get("elem", ())), "name": name}}


def resolve(expr: Iterable[Any], family: str, table: str, sets: Mapping[Name, Dict[str, Any]]) -> Tuple[Any, ...]:
    """A rule's expressions with the elements of named sets and maps in the place of their names."""
    made = []
    for one in expr:
        for key, side in (("match", "right"), ("vmap", "data")):
            name = one[key].get(side) if isinstance(one, dict) and key in one else None
            if isinstance(name, str) and (family, table, name) in sets:
                one = {key: dict(one[key], **{side: sets[family, table, name]})}
        made.append(one)
    return tuple(made)


def plain(member: Any) -> Any:
    """An element of a set without its counter, comment or time."""
    return member["elem"]["val"] if isinstance(member, dict) and "elem" in member else member


def spread(rules: Iterable[KernelRule]) -> Iterator[KernelRule]:
    """Rules without verdict maps and without concatenations, in an order that means the same.

    A map whose elements are not known counts as a rule that refuses some of what it asks for.
    """
    for rule in rules:
        for place, one in enumerate(rule.expr):
            found = alternatives(one) if isinstance(one, dict) else None
            if found is not None:
                made = (rule.expr[:place] + other + rule.expr[place + 1 :] for other in found)
                yield from spread(replace(rule, expr=expr) for expr in made)
                break
        else:
            yield rule


def alternatives(one: Dict[str, Any]) -> Any:
    """The expressions of which a packet meets one list, or ``None`` for an expression that is plain already."""
    if one.get("vmap"):
        data = one["vmap"].get("data")
        members = data.get("set") if isinstance(data, dict) else None
        if not isinstance(members, list):
            return [(*_equal(one["vmap"]["key"], data), {"drop": None})]
        last = sorted(members, key=lambda member: bool(member[0] == _ANY))
        return [(*_equal(one["vmap"]["key"], plain(key)), verdict) for key, verdict in last]
    match = one.get("match", {})
    left, right = match.get("left"), match.get("right")
    if not isinstance(left, dict) or "concat" not in left or match.get("op") not in ("==", "in"):
        return None
    members = right.get("set", [right]) if isinstance(right, dict) else [right]
    members = [plain(member) for member in members]
    if not all(isinstance(member, dict) and "concat" in member for member in members):
        return None
    return [
        tuple(cond for pair in zip(left["concat"], member["concat"]) for cond in _equal(*pair)) for member in members
    ]


def _equal(left: Any, right: Any) -> Tuple[Dict[str, Any], ...]:
    return () if right == _ANY else ({"match": {"op": "==", "left": left, "right": right}},)
