# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Range arithmetic on ports.

A range is a pair ``(first, last)`` of port numbers, both inclusive, ``1 <= first <= last <= 65535``.
Port 0 is reserved (RFC 6335, section 6) and never a port that a firewall rule names.
Everything here is pure: nothing is changed in place.
"""

from __future__ import annotations

import re
from typing import Iterable, List, Tuple

PortRange = Tuple[int, int]

# The range from which a host's kernel takes ports. Its numbers are known on the host alone, so that a range that no
# port has stands for it until then, see ``_ephemeral``.
HOST_EPHEMERAL: PortRange = (0, 0)
HOST_EPHEMERAL_WORD = "host_ephemeral"

LOWEST = 1
HIGHEST = 65535

# No leading zeros: some tools read them as octal.
_TEXT = re.compile(r"(0|[1-9][0-9]{0,4})(?:-(0|[1-9][0-9]{0,4}))?\Z")


def shown(value: object) -> str:
    """A value as a message shows it: as Python writes it, and no more than the beginning of what is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python writes no integer of some thousands of digits, and no list as many levels deep.
        return "a huge %s" % type(value).__name__
    return text if len(text) <= 200 else "%s..." % text[:200]


def parse(text: object) -> PortRange:
    """Read one port or range.

    :param text: ``443`` (int or str), ``"3478-3497"`` or the word ``host_ephemeral``.
    :returns: ``(first, last)``, and ``HOST_EPHEMERAL`` for the word.
    :raises ValueError: not a port or a range of ports between 1 and 65535; the message names the value.
    """
    if text == HOST_EPHEMERAL_WORD:
        return HOST_EPHEMERAL
    if isinstance(text, int) and not isinstance(text, bool):
        first = last = int(text)
    else:
        match = _TEXT.match(text) if isinstance(text, str) else None
        if not match:
            raise ValueError("%s is not a port: give a number such as 443 or a range such as '3478-3497'" % shown(text))
        first = int(match.group(1))
        last = int(match.group(2) or first)
    if not LOWEST <= min(first, last) <= max(first, last) <= HIGHEST:
        raise ValueError("port %s is out of range: ports go from %d to %d" % (shown(text), LOWEST, HIGHEST))
    if first > last:
        raise ValueError("range %s runs backwards: write '%d-%d'" % (shown(text), last, first))
    return first, last


def text(port_range: PortRange, separator: str = "-") -> str:
    """Write a range as ``"443"`` or, with its separator, ``"3478-3497"``."""
    if port_range == HOST_EPHEMERAL:
        return HOST_EPHEMERAL_WORD
    first, last = port_range
    return str(first) if first == last else "%d%s%d" % (first, separator, last)


def merge(ranges: Iterable[PortRange]) -> List[PortRange]:
    """Join overlapping and adjacent ranges; a hole of even one port stays a hole.

    :param ranges: ranges in any order, repeated or not.
    :returns: the fewest ranges that hold exactly the same ports, in ascending order.
    """
    merged: List[PortRange] = []
    for first, last in sorted(ranges):
        if merged and merged[-1] == (first, last):
            continue
        # Port 1 is no neighbour of the word.
        if merged and merged[-1] != HOST_EPHEMERAL and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def covers(ranges: Iterable[PortRange], wanted: PortRange) -> bool:
    """Say whether every port of ``wanted`` is in ``ranges``."""
    return any(first <= wanted[0] and wanted[1] <= last for first, last in merge(ranges))


def subtract(ranges: Iterable[PortRange], taken: Iterable[PortRange]) -> List[PortRange]:
    """Take ports away.

    :returns: the fewest ranges that hold the ports of ``ranges`` that are not in ``taken``, in ascending order.
    """
    left: List[PortRange] = []
    holes = merge(taken)
    for first, last in merge(ranges):
        for hole_first, hole_last in holes:
            if hole_last < first or hole_first > last:
                continue
            if hole_first > first:
                left.append((first, hole_first - 1))
            first = hole_last + 1
        if first <= last:
            left.append((first, last))
    return left


def size(ranges: Iterable[PortRange]) -> int:
    """Count the ports in ``ranges``, each once."""
    return sum(last - first + 1 for first, last in merge(ranges))
