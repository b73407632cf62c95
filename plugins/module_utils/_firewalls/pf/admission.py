# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pf's main ruleset does with one TCP connection to this host, told from the rules as pfctl prints them.

Where a condition cannot be decided from the outside (a table, an interface, a user), the answer leans to
"refused": it only decides whether the management connection gets a rule of its own.
"""

from __future__ import annotations

import ipaddress
import re
from typing import List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure

_PORT = r"(?:(?:!?=|[<>]=?) )?[0-9]+(?::[0-9]+| (?:><|<>) [0-9]+)?"
_RULE = re.compile(
    r"(?P<action>pass|block)(?: (?:drop|return(?:-rst|-icmp6?)?(?:\([^)]*\))*))?"
    r"(?: (?P<direction>in|out))?(?: log(?: \([^)]*\))?)?(?P<quick> quick)?"
    r"(?: on (?P<outside>! )?(?P<interface>\S+))?(?: (?P<family>inet6?))?(?: proto (?P<protocol>\S+))?"
    r"(?: all| from (?P<source>(?:! )?\S+)(?: port (?P<source_port>" + _PORT + r"))?"
    r" to (?P<destination>(?:! )?\S+)(?: port (?P<destination_port>" + _PORT + r"))?)(?P<rest>(?: .*)?)\Z"
)
_HARMLESS = re.compile(r" (?:flags \S+|(?:keep|modulate|synproxy|no) state|label \"[^\"]*\"|allow-opts)")

_PORTS = re.compile(r"(=|!=|<=?|>=?)? ?([0-9]+)(?: ?(:|><|<>) ?([0-9]+))?\Z")
_EVERY_PORT = "0-65535"

# A condition on a packet: it holds, it does not, or nobody can tell from here.
_Answer = Optional[bool]


def blocks(rules: Sequence[str]) -> bool:
    """Say whether a ruleset refuses anything at all."""
    return any(rule.startswith("block") for rule in rules)


def admits(rules: Sequence[str], address: str, port: int, begun: bool) -> bool:
    """Say whether a main ruleset surely lets a connection through. Anchors count as empty.

    :param rules: the rules, one a line, with numeric ports; the last that matches decides, or a quick one.
    :param address: the other side.
    :param port: the TCP port on this host.
    :param begun: the connection began while pf was off. No SYN will be seen of it, and the first packet may go
        either way.
    """
    ways = ("in", "out") if begun else ("in",)
    return all(_passes(rules, way, address, port, begun) for way in ways)


def may_admit(rules: Sequence[str], port: int) -> bool:
    """Whether a main ruleset may let some address reach a TCP port. Anchors count as empty."""
    passes = True
    for rule in rules:
        found = _RULE.match(rule)
        matches = _matches(found, "in", None, port, False) if found else None
        if found and matches is not False:
            lets = found.group("action") == "pass"
            # What may match refuses some addresses and not all, or lets some in.
            passes = lets or (passes and matches is None)
            if found.group("quick") and (lets or matches):
                return lets
    return passes


# pf lets everything through that no rule refuses.
DEFAULT = Exposure(
    kind="default",
    ruleset="",
    name="main ruleset",
    protocol="any",
    ports=(_EVERY_PORT,),
    text="no rule blocks anything",
)


def exposed(owner: str, rules: Sequence[str]) -> List[Exposure]:
    """The rules that let anywhere in. Whether another rule refuses it again is not asked.

    :param owner: what the rules stand in, for the name of the exposure.
    :param rules: the rules, as pfctl prints them with numeric ports.
    """
    found = []
    for rule in rules:
        match = _RULE.match(rule)
        if (
            match
            and match.group("action") == "pass"
            and match.group("direction") in (None, "in")
            and match.group("protocol") in (None, "tcp", "udp")
            and (match.group("source") in (None, "any") or match.group("source").startswith("! "))
            and match.group("source_port") is None
        ):
            found.append(
                Exposure(
                    kind="rule",
                    ruleset="",
                    name=owner,
                    protocol=match.group("protocol") or "any",
                    ports=_ranges(match.group("destination_port")),
                    text=rule,
                )
            )
    return found


def _ranges(text: Optional[str]) -> Tuple[str, ...]:
    """The ports of a condition: ``= 22``, ``20:30``, ``> 1023``, ``20 >< 30`` (between), ``20 <> 30`` (outside)."""
    found = _PORTS.match(text or "")
    if not found:
        return (_EVERY_PORT,)
    operator, first, between, second = found.groups()
    low, high = int(first), int(second or first)
    spans = {
        "=": [(low, low)],
        "!=": [(0, low - 1), (low + 1, _ports.HIGHEST)],
        "<": [(0, low - 1)],
        "<=": [(0, low)],
        ">": [(low + 1, _ports.HIGHEST)],
        ">=": [(low, _ports.HIGHEST)],
        "><": [(low + 1, high - 1)],
        "<>": [(0, low - 1), (high + 1, _ports.HIGHEST)],
        ":": [(low, high)],
    }[operator or between or "="]
    return tuple(_ports.text(span) for span in spans if span[0] <= span[1])


def _passes(rules: Sequence[str], way: str, address: str, port: int, begun: bool) -> bool:
    passes = True
    for rule in rules:
        found = _RULE.match(rule)
        if not found:
            if rule.startswith("block"):
                passes = False
            continue
        matches = _matches(found, way, address, port, begun)
        if matches is False or (found.group("action") == "pass" and matches is None):
            continue
        passes = found.group("action") == "pass"
        if found.group("quick"):
            return passes
    return passes


def _matches(rule: re.Match[str], way: str, address: Optional[str], port: int, begun: bool) -> _Answer:
    here, there = ("destination", "source") if way == "in" else ("source", "destination")
    family = rule.group("family")
    answers = [
        rule.group("direction") in (None, way),
        _interface(rule.group("interface"), bool(rule.group("outside"))),
        family is None or (family == ("inet6" if ":" in address else "inet") if address else None),
        rule.group("protocol") in (None, "tcp"),
        _address(rule.group(there), address),
        True if rule.group(here) in (None, "any") else None,
        True if rule.group(there + "_port") is None else None,
        _port(rule.group(here + "_port"), port),
        not (begun and re.search(r" flags (?!any)", rule.group("rest"))),
        True if not _HARMLESS.sub("", rule.group("rest")).strip() else None,
    ]
    if False in answers:
        return False
    return None if None in answers else True


def _interface(name: Optional[str], outside: bool) -> _Answer:
    if name is None:
        return True
    # The other side is another host: it does not come by the loopback interface.
    return outside if re.match(r"lo[0-9]*\Z", name) else None


def _address(text: Optional[str], address: Optional[str]) -> _Answer:
    if text in (None, "any"):
        return True
    if address is None:
        return None
    negated = str(text).startswith("! ")
    try:
        inside = ipaddress.ip_address(address) in ipaddress.ip_network(str(text)[2 if negated else 0 :])
    except ValueError:
        return None
    return inside != negated


def _port(text: Optional[str], port: int) -> _Answer:
    if text is None:
        return True
    found = re.match(r"(?:= )?([0-9]+)(?::([0-9]+))?\Z", text)
    if not found:
        return None
    return int(found.group(1)) <= port <= int(found.group(2) or found.group(1))
