# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pfctl prints: rules, calls of anchors, ports and tables. Texts in, values out."""

from __future__ import annotations

import re
from typing import FrozenSet, Iterable, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import PREFIX
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

_PORT = r"(?:(?:!?=|[<>]=?) )?[0-9]+(?::[0-9]+| (?:><|<>) [0-9]+)?"
_HOST = r"(?:! )?(?:\([^)]*\)(?:/[0-9]+)?|\S+)"
_RULE = re.compile(
    r"(?P<action>pass|block|anchor \"[^\"]*\")"
    r"(?: (?:drop|return(?:-rst|-icmp6?)?(?:\([^)]*\))*))?"
    r"(?: (?P<direction>in|out))?(?: log(?: \([^)]*\))?)?(?P<quick> quick)?"
    r"(?: on (?P<interface>(?:! )?\S+))?(?: (?P<family>inet6?))?(?: proto (?P<protocol>\S+))?"
    r"(?: all| from (?P<source>" + _HOST + r")(?: port (?P<source_port>" + _PORT + r"))?"
    r" to (?P<destination>" + _HOST + r")(?: port (?P<destination_port>" + _PORT + r"))?)(?P<rest>(?: .*)?)\Z"
)
_PORTS = re.compile(r"(!?=|[<>]=?)? ?([0-9]+)(?: ?(:|><|<>) ?([0-9]+))?\Z")
EVERY_PORT: _ports.PortRange = (0, _ports.HIGHEST)
# macOS's own anchors: its daemons fill them.
_SYSTEM = re.compile(r"com\.apple(?:[./]|\Z)")
_FILTER = ("pass ", "block ", "anchor ", "match ")
_TRANSLATION = (
    "nat ",
    "no nat ",
    "rdr ",
    "no rdr ",
    "binat ",
    "no binat ",
    "nat-anchor ",
    "rdr-anchor ",
    "binat-anchor ",
)


@dataclass(frozen=True)
class Printed:
    """A rule, as pfctl prints it. What it leaves out is empty.

    :param action: ``pass``, ``block``, or ``anchor`` with the quoted name.
    :param interface: a name, with ``!`` before it for all others.
    :param source: ``any``, a network, ``<table>``, ``(interface)``; with ``!`` before it for all others.
    :param rest: what stands behind the addresses: flags, state, label and further conditions.
    """

    action: str
    direction: str
    quick: bool
    interface: str
    family: str
    protocol: str
    source: str
    source_port: str
    destination: str
    destination_port: str
    rest: str


def parse(rule: str) -> Optional[Printed]:
    """Read a printed rule; ``None`` for what is not understood whole."""
    found = _RULE.match(rule)
    if not found:
        return None
    parts = {name: value or "" for name, value in found.groupdict().items()}
    return Printed(
        action=parts["action"],
        direction=parts["direction"],
        quick=bool(parts["quick"]),
        interface=parts["interface"],
        family=parts["family"],
        protocol=parts["protocol"],
        source=parts["source"] or "any",
        source_port=parts["source_port"],
        destination=parts["destination"] or "any",
        destination_port=parts["destination_port"],
        rest=parts["rest"],
    )


def rules(text: str) -> List[str]:
    """The filter rules in what ``pfctl -sr`` or ``pfctl -nv`` printed, white space made single.

    Rules of an anchor that has no name of its own are printed indented below its call, and left out.
    """
    return _lines(text, _FILTER)


def translations(text: str) -> List[str]:
    """The same of the rules that translate addresses. OpenBSD has none: its filter rules do it."""
    return _lines(text, _TRANSLATION)


def _lines(text: str, kinds: Tuple[str, ...]) -> List[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith(kinds)]


def calls(printed: Iterable[str]) -> List[str]:
    """The anchors that printed rules call by a name."""
    return [rule.split('"')[1] for rule in printed if rule.startswith('anchor "')]


def is_foreign_call(rule: str) -> bool:
    """Whether a rule calls an anchor that is neither this collection's nor the system's own."""
    if not rule.startswith("anchor "):
        return False
    name = calls([rule])
    return not name or not (name[0].startswith(PREFIX) or _SYSTEM.match(name[0]))


def blocks(printed: Iterable[str]) -> bool:
    """Whether a ruleset may refuse anything: it blocks, or calls an anchor that somebody may have filled."""
    return any(rule.startswith("block") or is_foreign_call(rule) for rule in printed)


def tables(printed: Iterable[str]) -> List[str]:
    """The tables that printed rules name, each once."""
    return list(dict.fromkeys(name for rule in printed for name in re.findall(r"<([^<>: ]+)(?::[0-9*]+)?>", rule)))


def table(text: str) -> FrozenSet[str]:
    """The members in what ``pfctl -T show`` printed: lines of three blanks, the last of them ``!`` if negated."""
    return frozenset(
        "".join(found).strip() for found in re.findall(r"^ {2}([ !])([0-9a-fA-F:.]+(?:/[0-9]+)?)$", text, re.MULTILINE)
    )


def ports(condition: str) -> Tuple[_ports.PortRange, ...]:
    """The ports of a condition: ``= 22``, ``20:30``, ``> 1023``, ``20 >< 30`` (between), ``20 <> 30`` (outside)."""
    found = _PORTS.match(condition)
    if not found:
        return (EVERY_PORT,)
    operator, first, between, second = found.groups()
    low, high = _number(first), _number(second or first)
    lowest, highest = EVERY_PORT
    spans = {
        "=": [(low, low)],
        "!=": [(lowest, low - 1), (low + 1, highest)],
        "<": [(lowest, low - 1)],
        "<=": [(lowest, low)],
        ">": [(low + 1, highest)],
        ">=": [(low, highest)],
        "><": [(low + 1, high - 1)],
        "<>": [(lowest, low - 1), (high + 1, highest)],
        ":": [(low, high)],
    }[operator or between or "="]
    return tuple((low, min(high, highest)) for low, high in spans if low <= min(high, highest))


def _number(text: str) -> int:
    """A port's number; for more digits than a port has, the number above every port.

    Python refuses to read thousands of digits.
    """
    return int(text) if len(text) <= len(str(_ports.HIGHEST)) else _ports.HIGHEST + 1
