# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports `make try` tries, what it expects of each, and the table of what it saw. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# What the test hosts' firewalls admit before any rule of ours.
SSH = ("tcp", 22)
# The words for the states of ``hosts.State``, in the order in which a table names several.
SEEN = {"open": "open", "closed": "let through", "filtered": "shut"}
HEADER = ("port", "from", "expected", "seen", "why")
# Rows that are shown without a need; the rest is counted.
SHOWN = 16


@dataclass(frozen=True)
class Attempt:
    """A port that the second host tries from one or more places.

    ``protocol``: tcp or udp. ``places``: the names of the places, all of which expect the same. ``expected``: open or
    shut. ``why``: what makes that so, in words. ``rank``: how many attempts of the same product and kind come before.
    ``seen``: a word of ``SEEN``, or several words where addresses differ; empty before the attempt.
    """

    protocol: str
    port: int
    places: tuple[str, ...]
    expected: str
    why: str
    rank: int
    seen: str = ""


@dataclass(frozen=True)
class Candidate:
    """A port that is worth an attempt: what to say where it is open, and where it is shut; ``kind`` for ``SHOWN``."""

    protocol: str
    port: int
    kind: str
    open: str
    shut: str


def attempts(rules: Iterable[Rule], places: Mapping[str, Sequence[str]]) -> list[Attempt]:
    """Choose the ports to try: the ends of all ranges, the ports beside them, and ports that are outbound alone.

    :param rules: all rules that the host has.
    :param places: the name of each place and the addresses that it tries from.
    """
    inbound = [rule for rule in rules if rule.direction == "in"]
    outbound = [rule for rule in rules if rule.direction == "out"]
    found: list[Attempt] = []
    tried: set[tuple[str, int]] = set()
    before: Counter[str] = Counter()
    for candidate in _candidates(inbound, outbound):
        key = candidate.protocol, candidate.port
        if key in tried:
            continue
        tried.add(key)
        # A place whose addresses differ is neither.
        admitted = {name: {admits(inbound, *key, address) for address in own} for name, own in places.items()}
        opened = tuple(name for name, answers in admitted.items() if answers == {True})
        shut = tuple(name for name, answers in admitted.items() if answers == {False})
        if opened and not candidate.open:
            continue  # another product's port
        rank = before[candidate.kind]
        before[candidate.kind] += 1
        for names, expected, why in ((opened, "open", candidate.open), (shut, "shut", candidate.shut)):
            if names:
                found.append(Attempt(*key, places=names, expected=expected, why=why, rank=rank))
    return found


def _candidates(inbound: Sequence[Rule], outbound: Sequence[Rule]) -> Iterator[Candidate]:
    yield Candidate(*SSH, kind="ssh", open="ssh, as before", shut="")
    for rule in inbound:
        for protocol, first, last in _ranges(rule):
            for port in dict.fromkeys((first, last)):
                yield Candidate(protocol, port, f"{rule.name}, open", rule.name, f"{rule.name} is for local networks")
    for rule in inbound:
        for protocol, first, last in _ranges(rule):
            beside = f"beside {rule.name}'s {_ports.text((first, last))}"
            for port in (last + 1, first - 1):
                if 0 < port < 65536:
                    yield Candidate(protocol, port, f"{rule.name}, beside", "", beside)
    for rule in outbound:
        for protocol, first, _last in _ranges(rule):
            yield Candidate(protocol, first, f"{rule.name}, outbound", "", f"{rule.name} only connects to it")


def _ranges(rule: Rule) -> Iterator[tuple[str, int, int]]:
    for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
        for first, last in ranges:
            yield protocol, first, last


def admits(inbound: Iterable[Rule], protocol: str, port: int, address: str) -> bool:
    """Say whether an address may reach a port, by the rules and the hosts' ssh."""
    peer = ipaddress.ip_address(address)
    return (protocol, port) == SSH or any(
        first <= port <= last and (not rule.sources or any(peer in ipaddress.ip_network(one) for one in rule.sources))
        for rule in inbound
        for of, first, last in _ranges(rule)
        if of == protocol
    )


def judged(
    wanted: Iterable[Attempt], places: Mapping[str, Sequence[str]], answers: Mapping[tuple[str, str, int], str]
) -> list[Attempt]:
    """Put into attempts what was seen.

    :param answers: a state of ``SEEN`` for each address, protocol and port.
    """
    done = []
    for attempt in wanted:
        states = {
            answers[address, attempt.protocol, attempt.port] for place in attempt.places for address in places[place]
        }
        done.append(replace(attempt, seen=" and ".join(word for name, word in SEEN.items() if name in states)))
    return done


def wrong(done: Iterable[Attempt]) -> list[Attempt]:
    """The attempts that ended otherwise than expected."""
    return [attempt for attempt in done if attempt.seen != attempt.expected]


def table(done: Sequence[Attempt], places: Sequence[str]) -> list[str]:
    """The lines of a table of attempts: some of each product, and all that ended otherwise than expected."""
    order = sorted(range(len(done)), key=lambda index: (done[index].seen == done[index].expected, done[index].rank))
    count = max(SHOWN, len(wrong(done)))
    shown = [done[index] for index in sorted(order[:count])]
    rows = [HEADER]
    for attempt in shown:
        source = "anywhere" if len(attempt.places) == len(places) else ", ".join(attempt.places)
        why = attempt.why + ("" if attempt.seen == attempt.expected else "  <-- not as expected")
        rows.append((f"{attempt.port}/{attempt.protocol}", source, attempt.expected, attempt.seen, why))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(done) > len(shown):
        lines.append(f"and {len(done) - len(shown)} more, as expected")
    return lines
