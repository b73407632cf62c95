# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files: rules as nftables' own statements, and back. Pure.

A rule has two forms that mean the same: text, which the file holds, and the expressions of ``nft -j``, which the
kernel is asked for and loaded with. Both come from one list of conditions, so that they cannot differ.
"""

from __future__ import annotations

import ipaddress
import json
import posixpath
import re
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    FOLDER,
    GUESTS,
    HOOKS,
    OWN_TABLE,
    PREFIX,
    Chain,
    Id,
    KernelRule,
    Target,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError, families, normalise, version

_RULE = "#: "
_INCLUDE = 'include "/%s/%s*.nft" # netports.apple' % (FOLDER, PREFIX)
# The same behind a file whose last line had no end, which comes back without it.
_INCLUDE_CUT = _INCLUDE + ", behind a line without an end"
INCLUDED = re.compile(r'^[ \t]*include\s+"([^"]+)"', re.MULTILINE)
_HOOK = re.compile(r"\bhook\s+(\w+)")
_FLUSHES = re.compile(r"\b(?:flush|delete|destroy)\s+((?:ruleset|table|chain)\b[^\n;]*)")
_COMMENT = re.compile(r"#.*")
_STATEMENT = re.compile(r"^[ \t]*[^#\s]", re.MULTILINE)
_VERSIONS = {"inet": (4, 6), "ip": (4,), "ip6": (6,)}
_PROTOCOLS = {4: "ip", 6: "ip6"}

# A condition: what is matched as text, the same for nft -j, and the values as (first, last) or a name.
Condition = Tuple[str, Dict[str, Any], List[Any]]


def chain_name(ruleset: str, direction: str) -> str:
    """The regular chain of a ruleset's rules of a direction."""
    return "%s%s-%s" % (PREFIX, ruleset, direction)


def emit(rules: Sequence[Rule], ruleset: str, targets: Sequence[Target], own: bool = True) -> str:
    """A ruleset's file.

    It declares the base chains that it joins once more, by their names alone: whatever the administrator makes of
    type, priority and policy, his file still loads. Where he took a chain out, that makes one without a hook, which no
    packet meets.

    :param targets: the base chains to join.
    :param own: whether runs write the file and read it again; else somebody else keeps it.
    """
    lines = ["# Rules of the Ansible collection netports.apple, ruleset '%s'." % ruleset]
    if own:
        lines = [
            "# Ansible collection netports.apple, ruleset '%s': edits are undone by its next run." % ruleset,
            "# 'state: deleted' of netports.apple.host_firewall removes this file and its rules.",
        ]
        lines += [_RULE + json.dumps(rule.to_dict(), sort_keys=True) for rule in rules]
    for target in targets:
        direction = _direction(target)
        made = statements(rules, direction, target.family)
        if not made:
            continue
        where = "%s %s" % (target.family, target.table)
        name = chain_name(ruleset, direction)
        lines += [
            "",
            "add table %s" % where,
            "add chain %s %s" % (where, target.chain),
            "add chain %s %s" % (where, name),
            "flush chain %s %s" % (where, name),
        ]
        lines += ["add rule %s %s %s" % (where, name, text) for text, _unused in made]
        lines.append('insert rule %s %s jump %s comment "%s"' % (where, target.chain, name, jump_comment(ruleset)))
    return "\n".join(lines) + "\n"


def jump_comment(ruleset: str) -> str:
    """The comment of a ruleset's jumps, by which people know them."""
    return "netports.apple, ruleset %s" % ruleset


def parse(text: str) -> Tuple[Rule, ...]:
    """The rules that a ruleset's file says it has. Lines that are no rule are passed over."""
    found = []
    for line in text.splitlines():
        if not line.startswith(_RULE):
            continue
        try:
            found.append(Rule.from_dict(json.loads(line[len(_RULE) :])))
        except (RuleError, ValueError):
            continue
    return tuple(normalise(found))


def statements(rules: Iterable[Rule], direction: str, family: str) -> List[Tuple[str, KernelRule]]:
    """The statements of a direction's rules in a table of a family: as text and for the kernel."""
    made = []
    for rule in rules:
        if rule.direction != direction:
            continue
        comment = "Apple %s" % rule.name if rule.name != "management" else rule.name
        for conditions in _alternatives(rule, family):
            text, expr = _written(conditions)
            accepts = KernelRule(expr=expr + ({"accept": None},), comment=comment)
            made.append(('%s accept comment "%s"' % (text, comment), accepts))
    return made


def _alternatives(rule: Rule, family: str) -> List[List[Condition]]:
    """The lists of conditions of which a packet has to fulfil one."""
    interfaces = {"iifname": rule.interface, "oifname": rule.out_interface}
    if rule.direction == "out":
        interfaces = {"oifname": rule.interface}
    shared: List[Condition] = [(key, {"meta": {"key": key}}, [name]) for key, name in interfaces.items() if name]
    ports: List[List[Condition]] = []
    for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
        if ranges:
            left = {"payload": {"protocol": protocol, "field": "dport"}}
            ports.append([(protocol + " dport", left, list(ranges))])
    if not rule.sources and not rule.destinations:
        return [shared + port for port in ports]
    found = []
    for number in _VERSIONS[family]:
        if number not in families(rule):
            continue
        ends: List[Condition] = []
        for field, networks in (("saddr", rule.sources), ("daddr", rule.destinations)):
            values = collapse([network for network in networks if version(network) == number])
            if values:
                left = {"payload": {"protocol": _PROTOCOLS[number], "field": field}}
                ends.append(("%s %s" % (_PROTOCOLS[number], field), left, list(values)))
        if not ends:
            # Nothing but the port would be asked, and the table may see the other version as well.
            left = {"meta": {"key": "nfproto"}}
            ends.append(("meta nfproto", left, ["ipv%d" % number]))
        found += [shared + ends + port for port in ports]
    return found


def collapse(networks: Iterable[str]) -> List[str]:
    """Networks of one IP version without those that lie in another: a set takes no intervals that overlap."""
    parsed = [ipaddress.ip_network(network) for network in networks]
    # The networks are of one IP version, which their type does not say.
    merged = ipaddress.collapse_addresses(parsed)  # type: ignore[type-var]
    return [str(one.network_address) if one.prefixlen == one.max_prefixlen else str(one) for one in merged]


def _written(conditions: Sequence[Condition]) -> Tuple[str, Tuple[Any, ...]]:
    """Conditions as text, and as the kernel's expressions."""
    text = " ".join("%s %s" % (words, _text_of(words, values)) for words, _left, values in conditions)
    return text, tuple(_match(left, values) for _words, left, values in conditions)


def _text_of(words: str, values: Sequence[Any]) -> str:
    texts = [_ports.text(value) if isinstance(value, tuple) else str(value) for value in values]
    if words in ("iifname", "oifname"):
        return '"%s"' % texts[0]
    return texts[0] if len(texts) == 1 else "{ %s }" % ", ".join(texts)


def _match(left: Dict[str, Any], values: Sequence[Any]) -> Dict[str, Any]:
    made = [_value(value) for value in values]
    return {"match": {"op": "==", "left": left, "right": made[0] if len(made) == 1 else {"set": made}}}


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return value[0] if value[0] == value[1] else {"range": list(value)}
    if "/" in value:
        address, _unused, length = value.partition("/")
        return {"prefix": {"addr": address, "len": int(length)}}
    return value


def _direction(target: Target) -> str:
    return next(direction for direction, hook in HOOKS.items() if hook == target.hook)


# What a host needs that refuses by default: answers, itself, ICMP and neighbour discovery, and DHCP's answers, which
# are no answers to the connection tracker. RFC 4890 4.3.1 and 4.4.1; RFC 2131 4.1; RFC 8415 7.2. Protocols stand by
# number: a host without /etc/protocols knows no names.
_ESSENTIALS: Tuple[Tuple[str, Tuple[Any, ...], str], ...] = (
    (
        "ct state { established, related }",
        ({"match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"set": ["established", "related"]}}},),
        "answers",
    ),
    ('iifname "lo"', ({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}},), "loopback"),
    (
        "meta l4proto { 1, 58 }",
        ({"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": [1, 58]}}},),
        "ICMP and neighbour discovery",
    ),
    (
        "meta nfproto ipv4 udp sport 67 udp dport 68",
        (
            {"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv4"}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "sport"}}, "right": 67}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 68}},
        ),
        "DHCP",
    ),
    (
        "ip6 saddr fe80::/10 udp sport 547 udp dport 546",
        (
            {
                "match": {
                    "op": "==",
                    "left": {"payload": {"protocol": "ip6", "field": "saddr"}},
                    "right": {"prefix": {"addr": "fe80::", "len": 10}},
                }
            },
            {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "sport"}}, "right": 547}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 546}},
        ),
        "DHCPv6",
    ),
)


def _guests() -> Iterator[Tuple[str, Tuple[Any, ...], str]]:
    """What guests of this host ask of it. Their programs' own tables cannot let it in past one that refuses."""
    for prefix, (program, ports) in GUESTS.items():
        interface: Condition = ("iifname", {"meta": {"key": "iifname"}}, [prefix + "*"])
        for protocol, asked in (("tcp", (53,)), ("udp", ports)):
            left = {"payload": {"protocol": protocol, "field": "dport"}}
            text, expr = _written([interface, (protocol + " dport", left, [(port, port) for port in asked])])
            yield text, expr, "guests of %s" % program


# What is forwarded needs the answers alone, and the ICMP errors that belong to them, which are "related".
_NEEDED = {"input": (*_ESSENTIALS, *_guests()), "forward": _ESSENTIALS[:1]}
_SWITCHED = "# nftables.service was off at boot before."


def own_chains(forward: bool) -> Dict[Id, Chain]:
    """The base chains of the own table, with the rules that every host needs.

    :param forward: whether a ruleset forwards; else the hook stays open.
    """
    family, table = OWN_TABLE
    made = {}
    for hook in ("input", "forward") if forward else ("input",):
        rules = tuple(
            KernelRule(expr=expr + ({"accept": None},), comment=comment) for _text, expr, comment in _NEEDED[hook]
        )
        chain = Chain(family=family, table=table, name=hook, rules=rules, hook=hook, kind="filter", policy="drop")
        made[chain.id] = chain
    return made


def own_targets(forward: bool) -> List[Target]:
    """The same as chains to join."""
    return [
        Target(family=chain.family, table=chain.table, chain=chain.name, hook=chain.hook, prio=chain.prio)
        for chain in own_chains(forward).values()
    ]


def own_text(forward: bool, switched: bool) -> str:
    """The file of the own table.

    :param switched: whether the run that made it switched nftables.service on.
    """
    where = "%s %s" % OWN_TABLE
    lines = [
        "# Ansible collection netports.apple: the table that refuses by default. Edits are undone by its next run.",
        "# It goes with the last ruleset: 'state: deleted' of netports.apple.host_firewall.",
    ]
    lines += [_SWITCHED] if switched else []
    lines += ["", "add table %s" % where]
    for chain in own_chains(forward).values():
        hook = chain.hook
        lines.append("add chain %s %s { type filter hook %s priority 0; policy drop; }" % (where, chain.name, hook))
        lines.append("flush chain %s %s" % (where, hook))
        lines += [
            'add rule %s %s %s accept comment "%s"' % (where, hook, text, what) for text, _e, what in _NEEDED[hook]
        ]
    return "\n".join(lines) + "\n"


def was_switched(own: Optional[str]) -> bool:
    """Whether the file of the own table says that nftables.service was off before."""
    return _SWITCHED in (own or "").splitlines()


def include_of(path: str) -> str:
    """The statement that includes a file, without its end of line."""
    return 'include "%s"' % path


def included(whole: str) -> List[str]:
    """The names of the rulesets' files that a text includes, each as often as it does.

    :param whole: an administrator's file with what it includes in the place of every other include.
    """
    paths = [posixpath.split(path) for path in INCLUDED.findall(whole)]
    return [name for folder, name in paths if folder == "/" + FOLDER and name.startswith(PREFIX)]


def undone_behind(whole: str, targets: Sequence[Target]) -> str:
    """What a text does to the rulesets behind the first of their files that it includes, in words; empty for nothing.

    nft makes no base chain of what a ruleset's file has declared already.

    :param targets: the base chains that the rulesets join.
    """
    first = next((found for found in INCLUDED.finditer(whole) if included(found.group(0))), None)
    rest = _COMMENT.sub("", whole[first.end() :]) if first else ""
    hooks = set(_HOOK.findall(rest)) & {target.hook for target in targets}
    if hooks:
        return "it makes its chain of the %s hook, which the rules have to join" % min(hooks)
    tables = {"ruleset", *(target.table for target in targets)}
    flushed = any(tables & set(found.split()) for found in _FLUSHES.findall(rest))
    return "it flushes the rules" if flushed else ""


def with_include(main: str) -> str:
    """The administrator's file with our line behind everything that he loads."""
    line = next((line for line in (_INCLUDE_CUT, _INCLUDE) if line + "\n" in main), None)
    if line and not _STATEMENT.search(main.rpartition(line + "\n")[2]):
        return main
    main = without_include(main)
    if main and not main.endswith("\n"):
        return "%s\n%s\n" % (main, _INCLUDE_CUT)
    return "%s%s\n" % (main, _INCLUDE)


def without_include(main: str) -> str:
    """The administrator's file as it was before our line came, and with what he wrote since."""
    cut = "\n%s\n" % _INCLUDE_CUT
    if main.endswith(cut):
        main = main[: -len(cut)]
    return main.replace(_INCLUDE_CUT + "\n", "").replace(_INCLUDE + "\n", "")


def expected(rules: Sequence[Rule], ruleset: str, targets: Sequence[Target]) -> Tuple[Mapping[Id, Any], Any]:
    """What the kernel has once a ruleset is loaded: regular chains by id, and jumps."""
    chains: Dict[Id, Tuple[KernelRule, ...]] = {}
    jumps: List[Tuple[Id, str]] = []
    for target in targets:
        direction = _direction(target)
        made = tuple(rule for _text, rule in statements(rules, direction, target.family))
        if made:
            name = chain_name(ruleset, direction)
            chains[target.family, target.table, name] = made
            jumps.append((target.id, name))
    return chains, tuple(jumps)
