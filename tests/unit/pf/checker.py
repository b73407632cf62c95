# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of the part of pf.conf that macOS, FreeBSD and OpenBSD read alike, and its expansion.

It knows what the collection may write for pf, and a little beside it so that it can be held against other
people's texts: tables, `pass` rules, comments. Whatever it accepts, all four dialects accept
(test_pf_checker.py holds it against dialects.json); what it refuses they may accept all the same.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from lark import Lark, Transformer
from lark.exceptions import LarkError, VisitError

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.anchor import RESERVED

# Spaces separate words and nothing else does: tabs, carriage returns and continued lines are refused.
GRAMMAR = r"""
start: (_NL | COMMENT _NL | (table | rule) _NL)*

table: "table" "<" NAME ">" TABLE_FLAG? "{" ADDRESS+ "}"
TABLE_FLAG: "const" | "persist"

rule: "pass" direction quick interface family protocols sides flags state label
direction: DIRECTION?
DIRECTION: "in" | "out"
quick: QUICK?
QUICK: "quick"
interface: ("on" NAME)?
family: FAMILY?
FAMILY: "inet6" | "inet"
protocols: ("proto" (PROTOCOL | "{" PROTOCOL+ "}"))?
PROTOCOL: "tcp" | "udp"
?sides: "all" -> anywhere
      | from_ to
from_: ("from" hosts ports)?
to: ("to" (hosts ports | PORT port_list))?
hosts: ANY | table_name | ADDRESS | "{" ADDRESS+ "}"
ANY: "any"
table_name: "<" NAME ">"
ports: (PORT port_list)?
PORT: "port"
port_list: RANGE | "{" RANGE+ "}"
RANGE: /[0-9]+(:[0-9]+)?/
flags: ("flags" FLAGS)?
FLAGS: "any" | "S/SA"
state: (STATE ("(" LOCK ")")?)?
STATE: "keep" / +/ "state"
LOCK: "floating" | "if-bound"
label: ("label" LABEL)?
LABEL: /"[^"]*"/

NAME: /[A-Za-z_][A-Za-z0-9_.-]*/
ADDRESS: /[0-9a-fA-F:.]*[:.][0-9a-fA-F:.]*(\/[0-9]+)?/
COMMENT: /#[^\n]*/
_NL: /\n/
%ignore " "
"""

# What FreeBSD calls the ports that turn up here (/etc/services).
SERVICES = {22: "ssh", 53: "domain", 67: "bootps", 68: "bootpc", 80: "http", 443: "https", 5353: "mdns"}

DIALECTS = ("macos", "freebsd12", "freebsd15", "openbsd")


class CheckError(ValueError):
    """The text is not in the part that all dialects read alike."""


@dataclass(frozen=True)
class Side:
    """One end of a packet's way. `hosts`: "any", "<table>" or addresses; no `ports`: every one."""

    hosts: tuple[str, ...] = ("any",)
    ports: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Pass:
    """One `pass` rule."""

    direction: str
    quick: bool
    interface: str
    family: str
    protocols: tuple[str, ...]
    source: Side
    destination: Side
    flags: str
    lock: str
    label: str


@dataclass
class Text:
    """A whole text: tables and rules in their order."""

    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: list[Pass] = field(default_factory=list)


class _Build(Transformer[Any, Any]):
    """From the parse tree to Text, with the checks that no grammar can make."""

    def start(self, parts: list[Any]) -> Text:
        text = Text()
        for part in parts:
            if isinstance(part, Pass):
                text.rules.append(part)
            elif isinstance(part, tuple):
                if part[0] in text.tables:
                    raise CheckError(f"table {part[0]} twice")
                text.tables[part[0]] = part[1]
        return text

    def table(self, parts: list[Any]) -> tuple[str, tuple[str, ...]]:
        return _name(parts[0]), tuple(_address(str(part)) for part in parts if part.type == "ADDRESS")

    def rule(self, parts: list[Any]) -> Pass:
        direction, quick, interface, family, protocols, sides, flags, lock, label = parts
        source, destination = sides
        rule = Pass(direction, bool(quick), interface, family, protocols, source, destination, flags, lock, label)
        if (source.ports or destination.ports) and not protocols:
            raise CheckError("port without tcp or udp")
        if flags and "udp" in protocols:
            raise CheckError("flags with udp")
        expand(Text(rules=[rule]), "openbsd")
        return rule

    def direction(self, parts: list[Any]) -> str:
        return str(parts[0]) if parts else ""

    quick = family = flags = direction

    def state(self, parts: list[Any]) -> str:
        return str(parts[1]) if len(parts) > 1 else ""

    def interface(self, parts: list[Any]) -> str:
        return _name(parts[0], 15) if parts else ""

    def protocols(self, parts: list[Any]) -> tuple[str, ...]:
        return tuple(map(str, parts))

    def anywhere(self, _parts: list[Any]) -> tuple[Side, Side]:
        return Side(), Side()

    def sides(self, parts: list[Any]) -> tuple[Side, Side]:
        return parts[0], parts[1]

    def from_(self, parts: list[Any]) -> Side:
        return Side(*parts) if parts else Side()

    def to(self, parts: list[Any]) -> Side:
        if parts and parts[0] == "port":
            return Side(ports=parts[1])
        return Side(*parts) if parts else Side()

    def hosts(self, parts: list[Any]) -> tuple[str, ...]:
        return tuple(
            str(part) if isinstance(part, tuple) or part in ("any",) or part.startswith("<") else _address(part)
            for part in map(str, parts)
        )

    def table_name(self, parts: list[Any]) -> str:
        return f"<{_name(parts[0])}>"

    def ports(self, parts: list[Any]) -> tuple[tuple[int, int], ...]:
        return parts[1] if parts else ()

    def port_list(self, parts: list[Any]) -> tuple[tuple[int, int], ...]:
        ranges = []
        for part in parts:
            numbers = [int(number) for number in part.split(":")]
            first, last = numbers[0], numbers[-1]
            if not 1 <= first <= last <= 65535 or any(len(one) > 1 and one[0] == "0" for one in part.split(":")):
                raise CheckError(f"ports {part}")
            if len(numbers) == 2 and first == last:
                raise CheckError(f"range {part} of one port")
            ranges.append((first, last))
        return tuple(ranges)

    def label(self, parts: list[Any]) -> str:
        text = str(parts[0])[1:-1] if parts else ""
        if parts and not re.fullmatch(r"[ -~]{1,63}", text) or re.search(r"[$\\\"]", text):
            raise CheckError(f"label {text!r}")
        return text


_PARSER = Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


def parse(text: str) -> Text:
    """Read a text strictly.

    :raises CheckError: it is not in the common part, or says something that no pf could do.
    """
    if not text.isascii() or "\\" in text or re.search(r"[^\n -~]", text):
        raise CheckError("characters that a dialect may trip over")
    if text and not text.endswith("\n"):
        raise CheckError("the last line has no end")
    try:
        found: Text = _Build().transform(_PARSER.parse(text))
    except VisitError as error:
        raise CheckError(str(error.orig_exc)) from error
    except LarkError as error:
        raise CheckError(str(error)) from error
    for rule in found.rules:
        for side in (rule.source, rule.destination):
            for host in side.hosts:
                if host.startswith("<") and host[1:-1] not in found.tables:
                    raise CheckError(f"table {host} is nowhere defined")
    return found


def expand(text: Text, dialect: str, numeric: bool = True, policy: str = "floating") -> list[str]:
    """The rules as `pfctl -o none -nv` prints them on a system.

    :param numeric: ports as numbers where FreeBSD would print names.
    :param policy: `set state-policy` of the ruleset that the text is loaded with. A rule that says its own keeps it;
        `floating` is never printed, since it is the absence of a flag.
    """
    lines: list[str] = []
    for rule in text.rules:
        before = len(lines)
        for protocol, source, source_ports, destination, destination_ports in itertools.product(
            rule.protocols or ("",),
            rule.source.hosts,
            rule.source.ports or (None,),
            rule.destination.hosts,
            rule.destination.ports or (None,),
        ):
            families = {_family(source), _family(destination), rule.family} - {""}
            if len(families) > 1:
                continue
            words = ["pass", rule.direction, "quick" if rule.quick else ""]
            words += [f"on {rule.interface}" if rule.interface else "", *families]
            words += [f"proto {protocol}" if protocol else ""]
            sides = [source, _ports(source_ports, dialect, numeric), "to", destination]
            sides += [_ports(destination_ports, dialect, numeric)]
            plain = (source, destination, source_ports, destination_ports) == ("any", "any", None, None)
            words += ["all"] if plain and not protocol and not families else ["from", *sides]
            words += [f"flags {rule.flags or 'S/SA'}" if protocol != "udp" else ""]
            bound = (rule.lock or policy) == "if-bound"
            words += ["keep state" if bound or dialect != "openbsd" else "", "(if-bound)" if bound else ""]
            words += [f'label "{rule.label}"' if rule.label else ""]
            lines.append(" ".join(word for word in words if word))
        if len(lines) == before:
            raise CheckError("rule expands to no valid combination")
    return lines


def admits(
    text: Text, direction: str, protocol: str, port: int, source: str, destination: str, interface: str = "en0"
) -> bool:
    """Say whether a packet to a port fits a rule of the text: the model that the emitter is held against."""

    def fits(side: Side, address: str) -> bool:
        for host in side.hosts:
            members = text.tables[host[1:-1]] if host.startswith("<") else (host,)
            if any(one == "any" or ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in members):
                return True
        return False

    return any(
        rule.direction in ("", direction)
        and rule.interface in ("", interface)
        and protocol in (rule.protocols or (protocol,))
        and not rule.source.ports
        and any(first <= port <= last for first, last in rule.destination.ports or ((1, 65535),))
        and fits(rule.source, source)
        and fits(rule.destination, destination)
        for rule in text.rules
    )


def _name(word: Any, longest: int = 31) -> str:
    if len(word) > longest or word in RESERVED:
        raise CheckError(f"name {word}")
    return str(word)


def _address(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
        return str(network.network_address if network.prefixlen == network.max_prefixlen else network)
    except ValueError as error:
        raise CheckError(str(error)) from error


def _family(host: str) -> str:
    if host == "any" or host.startswith("<"):
        return ""
    return "inet6" if ":" in host else "inet"


def _ports(ports: tuple[int, int] | None, dialect: str, numeric: bool) -> str:
    if ports is None:
        return ""
    first, last = ports
    if first != last:
        return f"port {first}:{last}"
    name = SERVICES.get(first) if dialect.startswith("freebsd") and not numeric else None
    return f"port = {name or first}"
