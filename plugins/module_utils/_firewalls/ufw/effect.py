# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what keeps wanted rules from having an effect. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Collection, Dict, Iterator, List, Mapping, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import tuples
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import ANYWHERE, Block
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice

# A rule of the kernel's input chain that refuses all packets, or all of TCP or UDP.
_REFUSES = re.compile(
    r"-A INPUT(?: -p (?:tcp|udp))?(?: -m comment --comment (?:\"[^\"]*\"|\S+))? -j (?:DROP|REJECT)(?: --reject-with \S+)?\Z"
)
_CALL = re.compile(r"-j ufw6?-before-input\Z")


def notices(
    blocks: Mapping[int, Sequence[Block]], inputs: Mapping[int, Sequence[str]], titles: Mapping[str, str]
) -> List[Notice]:
    """Wanted rules that something else decides about.

    :param blocks: the blocks of the rules files as they are to be, by IP version.
    :param inputs: the rules of the kernel's own input chain, by IP version, where ufw is loaded.
    :param titles: the wanted rules' names by profile.
    """
    found: List[Notice] = []
    held: Dict[Tuple[str, str], Dict[str, None]] = {}
    for family, some in blocks.items():
        for block, decides in _shadowed(some, titles, family):
            held.setdefault((block.direction, _said(decides, family)), {})[titles[block.profile]] = None
    for (direction, said), names in held.items():
        text = "ufw's rule '%s' stands before the rules of %s and decides: move it behind them, or narrow it" % (
            said,
            ", ".join(names),
        )
        found.append(Notice(code="refused", text=text, rules=tuple(names), direction=direction))
    inbound = {titles[block.profile]: None for some in blocks.values() for block in some if _inbound(block, titles)}
    if inbound:
        found += [
            Notice(code=code, text=text, rules=tuple(inbound), direction="in")
            for family, lines in inputs.items()
            for code, text in _passed_by(family, lines)
        ]
    return found


def _inbound(block: Block, titles: Collection[str]) -> bool:
    return block.profile in titles and block.direction == "in"


def _shadowed(blocks: Sequence[Block], titles: Collection[str], family: int) -> Iterator[Tuple[Block, Block]]:
    """The wanted blocks that somebody else's block before them refuses entirely, each with that block."""
    refusals: List[Block] = []
    for block in blocks:
        if block.profile in titles:
            decides = next((other for other in refusals if _covers(other, block, family)), None)
            if decides:
                yield block, decides
        elif not block.allows and block.source_ports == "any":
            refusals.append(block)


def _covers(other: Block, block: Block, family: int) -> bool:
    """Whether every packet that a block means is one that the other means, too."""
    return (
        other.direction == block.direction
        and other.protocol in ("any", block.protocol)
        and other.interface in ("", block.interface)
        and other.out_interface in ("", block.out_interface)
        and (
            other.ports == "any"
            or all(_ports.covers(tuples.block_ports(other), part) for part in tuples.block_ports(block))
        )
        and _within(block.source, other.source, family)
        and _within(block.destination, other.destination, family)
    )


def _within(inner: str, outer: str, family: int) -> bool:
    if outer in (ANYWHERE[4], ANYWHERE[family]):
        return True
    small, large = (ipaddress.ip_network(text, strict=False) for text in (inner, outer))
    if small.version != large.version:
        return False
    return large.prefixlen <= small.prefixlen and small.network_address in large


def _said(block: Block, family: int) -> str:
    """A block in the words of ufw's command."""
    anywhere = (ANYWHERE[4], ANYWHERE[family])
    way = "route %s" % block.action if block.direction == "forward" else "%s %s" % (block.action, block.direction)
    words = [way, "on %s" % block.interface if block.interface else ""]
    words += ["out on %s" % block.out_interface if block.out_interface else ""]
    words += ["from %s" % ("any" if block.source in anywhere else block.source)]
    words += ["to %s" % ("any" if block.destination in anywhere else block.destination)]
    words += ["port %s" % block.ports if block.ports != "any" else ""]
    words += ["proto %s" % block.protocol if block.protocol != "any" else ""]
    return " ".join(word for word in words if word)


def _passed_by(family: int, lines: Sequence[str]) -> Iterator[Tuple[str, str]]:
    """Why the kernel's input chain does not ask ufw's rules, if so: a notice's code and its text."""
    for line in lines:
        if _CALL.search(line):
            return
        if _REFUSES.match(line):
            text = (
                "the rule '%s' of the kernel (IPv%d) stands before ufw's and decides: take it out of whatever adds it, such "
                "as iptables-persistent" % (line, family)
            )
            yield "refused", text
            return
    text = (
        "the kernel's chain INPUT (IPv%d) no longer calls ufw's chains, so that its rules have no effect: 'ufw reload' puts "
        "the calls back" % family
    )
    yield "no-effect", text
