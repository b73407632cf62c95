# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw's rules files: ``### tuple ###`` lines, each with the iptables rules that ufw made of it."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Collection, Dict, Hashable, Iterator, List, Optional, Sequence, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import order
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.kernel import canonical
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    ANYWHERE,
    CHAINS,
    Block,
    Group,
    Groups,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.profiles import (
    escaped,
    identity,
    port_groups,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, pairs

_TUPLE = "### tuple ###"
_BEGIN = "### RULES ###"
_END = "### END RULES ###"
# A rule line of a tuple; the sections for logging and for rate limits that may follow have other chains.
_RULE_LINE = re.compile(r"-A ufw6?-user-(?:input|output|forward|(logging)-(?:input|output|forward)) ")


def lines_of(text: str) -> List[str]:
    """The lines of a file with their ends, as ufw splits them."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def wanted_groups(rules: Sequence[Rule], profiles: Dict[str, Rule], family: int) -> Groups:
    """The blocks that the rules need in one IP version, in the rules' order."""
    names = {identity(rule): name for name, rule in profiles.items()}
    groups: Groups = {}
    for rule in rules:
        profile = names[identity(rule)]
        for source, destination in pairs(rule, family):
            ends = (source or ANYWHERE[family], destination or ANYWHERE[family])
            groups[(profile, rule.direction, rule.interface, rule.out_interface, *ends)] = [
                block_text(rule, profile, family, source, destination, protocol, ports)
                for protocol, ports in port_groups(rule)
            ]
    return groups


def block_text(rule: Rule, profile: str, family: int, source: str, destination: str, protocol: str, ports: str) -> str:
    """One block to the letter as ufw writes it: UFWBackendIptables._write_rules() and UFWRule.format_rule()."""
    anywhere = ANYWHERE[family]
    multi = "," in ports or ":" in ports
    line = ["-A ufw%s-%s" % ("6" if family == 6 else "", CHAINS[rule.direction])]
    ways = [("out" if rule.direction == "out" else "in", rule.interface), ("out", rule.out_interface)]
    ways = [(way, interface) for way, interface in ways if interface]
    line.extend("-%s %s" % (way[0], interface) for way, interface in ways)
    line.append("-p %s%s" % (protocol, " -m multiport --dports %s" % ports if multi else ""))
    if destination and destination != anywhere:
        line.append("-d %s" % destination)
    if not multi:
        line.append("--dport %s" % ports)
    if source and source != anywhere:
        line.append("-s %s" % source)
    line.append("-j ACCEPT -m comment --comment 'dapp_%s'" % escaped(profile))
    return "%s %sallow %s %s %s any %s %s - %s\n%s\n" % (
        _TUPLE,
        "route:" if rule.direction == "forward" else "",
        protocol,
        ports,
        destination or anywhere,
        source or anywhere,
        escaped(profile),
        "!".join("%s_%s" % way for way in ways) or ("out" if rule.direction == "out" else "in"),
        " ".join(line),
    )


def parse_blocks(text: str) -> Iterator[Block]:
    """Read the blocks of a rules file, as UFWBackendIptables._read_rules() does.

    A tuple that ufw would pass over is passed over.
    """
    lines = lines_of(text)
    number = 0
    while number < len(lines):
        start = number
        number += 1
        if not lines[start].startswith(_TUPLE):
            continue
        fields = lines[start][len(_TUPLE) :].split(" comment=")[0].split()
        # A rule of a profile names it, but for those that log: anything else is somebody's own line.
        comment = "app_" if len(fields) >= 8 else ""
        while number < len(lines):
            found = _RULE_LINE.match(lines[number])
            if not found or not (found.group(1) or comment in lines[number]):
                break
            number += 1
        block = _block(fields, "".join(lines[start:number]), start, number)
        if block:
            yield block


def _block(fields: Sequence[str], text: str, start: int, end: int) -> Optional[Block]:
    """A tuple's block; ``None`` when ufw does not take the tuple."""
    if not 6 <= len(fields) <= 9:
        return None
    route, _colon, action = fields[0].rpartition(":")
    way = fields[-1] if len(fields) in (7, 9) else "in"
    ways = dict(part.partition("_")[::2] for part in way.split("!"))
    if not {"in", "out"}.issuperset(ways):
        return None
    direction = "out" if "out" in ways and "in" not in ways else "in"
    interface, out_interface = ways.get(direction, ""), ways.get("out", "") if direction == "in" else ""
    if route:
        direction, interface, out_interface = "forward", ways.get("in", ""), ways.get("out", "")
    action = action.lower().split("_")[0]
    profile = fields[6] if len(fields) >= 8 and fields[6] != "-" else ""
    try:
        return Block(
            text=text,
            start=start,
            end=end,
            action=action if action in ("allow", "reject", "limit") else "deny",
            protocol=fields[1],
            ports=_numbers(fields[2]),
            destination=_network(fields[3]),
            source_ports=_numbers(fields[4]),
            source=_network(fields[5]),
            profile=profile.replace("%20", " "),
            direction=direction,
            interface=interface,
            out_interface=out_interface,
        )
    except (ValueError, OSError):
        return None


def _network(text: str) -> str:
    """A network as it is written.

    :raises ValueError: it is none.
    """
    if text.lower() == "any":
        return ANYWHERE[4]
    ipaddress.ip_network(text, strict=False)
    return text.lower()


def _numbers(text: str) -> str:
    """A list of ports with numbers in the place of names from ``/etc/services``.

    :raises ValueError: a port is none.
    :raises OSError: a name is not known.
    """
    if text == "any":
        return text
    found = []
    for part in text.split(","):
        if not re.match(r"[0-9]+(:[0-9]+)?\Z", part):
            part = str(socket.getservbyname(part))
        _ports.parse(part.replace(":", "-"))
        found.append(part)
    return ",".join(found)


def block_ports(block: Block) -> List[_ports.PortRange]:
    """The ports of a block; all of them for ``any``."""
    if block.ports == "any":
        return [(_ports.LOWEST, _ports.HIGHEST)]
    return [_ports.parse(part.replace(":", "-")) for part in block.ports.split(",")]


def has_place(text: Optional[str]) -> bool:
    """Whether a rules file has a place for rules."""
    return any(line.startswith(_BEGIN) or line.strip() == "COMMIT" for line in lines_of(text or ""))


def edit(text: str, blocks: Sequence[Block], owned: Collection[str], groups: Groups, first: int = 0) -> str:
    """Put the wanted blocks into a rules file in the place of the owned ones.

    Blocks of a group stay where they are when they are those that are wanted, and are replaced there when not; a
    group that is not wanted goes; a missing one comes behind the last rule, where ``ufw allow`` would put it.
    Everything else stays byte for byte.

    :param blocks: the blocks of this text.
    :param owned: the names of the ruleset's profiles.
    :param groups: the wanted blocks.
    :param first: so many of the wanted groups have to stand before all other rules.
    """
    lines = lines_of(text)
    top = [key for number, key in enumerate(groups) if number < first]
    present: Dict[Group, List[int]] = {}
    for number, block in enumerate(blocks):
        if block.profile in owned:
            present.setdefault(block.group, []).append(number)
    settled = _leading(blocks, groups, top)
    cut: Set[int] = set()
    put: Dict[int, List[str]] = {}
    for key, group in groups.items():
        numbers = present.pop(key, [])
        together = numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False
        if key in top and settled or key not in top and together and _same([blocks[x].text for x in numbers], group):
            continue
        if numbers and key not in top:
            put.setdefault(blocks[numbers[0]].start, []).append("\n".join(group))
            cut.update(range(blocks[numbers[0]].start, blocks[numbers[0]].end))
            numbers = numbers[1:]
        else:
            place = _first_place(lines) if key in top else _last_place(lines, blocks)
            put.setdefault(place, []).extend("\n" + block for block in group)
        present[key] = numbers
    for numbers in present.values():
        for number in numbers:
            cut.update(_lines_with_gap(lines, blocks[number]))
    return _rebuilt(lines, cut, put)


def rearranged(text: str, blocks: Sequence[Block], wanted: Sequence[Block], owned: Collection[str]) -> str:
    """Bring the ruleset's blocks in a rules file to what another version of the file has. The others stay.

    :param blocks: the blocks of the text.
    :param wanted: the blocks of the other version.
    """
    lines = lines_of(text)
    have, want = ([(block.text, block.profile in owned) for block in some] for some in (blocks, wanted))
    cut = {line for block in blocks if block.profile in owned for line in _lines_with_gap(lines, block)}
    put: Dict[int, List[str]] = {}
    waiting: List[str] = []
    for how, number in order.arrange(have, want):
        if how == order.ADDED:
            waiting.append("\n" + wanted[number].text)
            continue
        gap = _lines_with_gap(lines, blocks[number])
        cut.difference_update(gap)
        put.setdefault(gap[0], []).extend(waiting)
        waiting = []
    put.setdefault(_last_place(lines, blocks), []).extend(waiting)
    return _rebuilt(lines, cut, put)


def _leading(blocks: Sequence[Block], groups: Groups, top: Sequence[Group]) -> bool:
    """Whether the groups that have to stand first do so, as they are wanted and nowhere else."""
    wanted = [block for key in top for block in groups[key]]
    leads = _same([block.text for block in blocks[: len(wanted)]], wanted)
    return leads and not any(block.group in top for block in blocks[len(wanted) :])


def _same(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether blocks say the same: ``ufw app update`` writes a single port as a list of one where others have several."""
    return [_shape(text) for text in left] == [_shape(text) for text in right]


def _shape(text: str) -> Tuple[Hashable, ...]:
    first, *rules = lines_of(text)
    return (first.strip(), *map(canonical, rules))


def _lines_with_gap(lines: Sequence[str], block: Block) -> range:
    """The lines of a block with the empty line before it, by which ufw parts blocks."""
    gap = block.start > 0 and not lines[block.start - 1].strip()
    return range(block.start - gap, block.end)


def _first_place(lines: Sequence[str]) -> int:
    begins = [number + 1 for number, line in enumerate(lines) if line.startswith(_BEGIN)]
    tuples = [number for number, line in enumerate(lines) if line.startswith(_TUPLE)]
    commits = [number for number, line in enumerate(lines) if line.strip() == "COMMIT"]
    return (begins or tuples or commits)[0]


def _last_place(lines: Sequence[str], blocks: Sequence[Block]) -> int:
    ends = [number for number, line in enumerate(lines) if line.startswith(_END)]
    if ends:
        # The line that closes the rules has an empty line before it, too.
        return ends[0] - 1 if ends[0] and not lines[ends[0] - 1].strip() else ends[0]
    number = blocks[-1].end if blocks else _first_place(lines)
    while blocks and number < len(lines) and _RULE_LINE.match(lines[number]):
        number += 1
    return number


def _rebuilt(lines: Sequence[str], cut: Set[int], put: Dict[int, List[str]]) -> str:
    parts: List[str] = []
    for number in range(len(lines) + 1):
        parts.extend(put.get(number, []))
        parts.extend(lines[number : number + 1] if number not in cut else [])
    return "".join(parts)
