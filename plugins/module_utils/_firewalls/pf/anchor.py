# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pf reads and prints: the anchor's own file, its lines in the main ruleset, and their expansion.

Pure: texts in, texts out. Only constructs that pfctl reads alike on macOS (OpenBSD 4.3's grammar), FreeBSD
12 to 15 and OpenBSD 7 are written: C(table), C(pass … quick … label), C(anchor), C(load anchor).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._connection import GUARD_NAME
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError

FOLDER = "/etc/pf.anchors"
NOTHING = "# nothing\n"

# Every word that one of the dialects' lexers (lookup() in sbin/pfctl/parse.y) takes for something other than
# a name. An interface is written without quotes, so it cannot be called like one of them.
_WORDS = """
above af-to all allow-opts allow-related altq anchor antispoof any bandwidth below binat binat-anchor binat-to
bitmask block block-policy borrow bridge-to buckets burst cbq code codelq control crop debug default delay
divert-packet divert-reply divert-to dnpipe dnqueue drop drop-ovl dummynet-anchor dup-to ecn
endpoint-independent entries ether fail-policy fairq fastroute file fingerprints flags floating flows flush for
fragment from global group hfsc hogs hostid icmp-type icmp6-type id if-bound in include inet inet6 interval keep
keepcounters l3 label least-states limit limiter linkshare load log log-all loginterface map-e-portset mask
match matches max max-mss max-pkt-rate max-pkt-size max-src-conn max-src-conn-rate max-src-nodes max-src-states
min min-ttl modulate nat nat-anchor nat-to no no-df no-match no-route no-sync on once optimization os out
overload parent pass pflow port prefer-ipv6-nexthop prio priority priq probability proto qlimit quantum queue
quick random random-id rate rdomain rdr rdr-anchor rdr-to realtime reassemble received-on red reply-to
require-order return return-icmp return-icmp6 return-rst ridentifier rio round-robin route route-to rtable rule
ruleset-optimization scrub scrub-anchor set set-tos skip sloppy source source-hash source-track state
state-defaults state-policy static-port sticky-address syncookies synproxy table tag tagged target tbrsize
timeout to tos ttl upperlimit urpf-failed user weight yes
"""
RESERVED = frozenset(_WORDS.split())

_LINK_LOCAL = "fe80::/10"

_INTERFACE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,14}\Z")

_TABLE_LINE = re.compile(r"table <(net-[0-9a-f]{12})> const \{ ([0-9a-f:./ ]+) \}\Z")
_RULE_LINE = re.compile(
    r"pass (?P<direction>in|out) quick(?: on (?P<interface>\S+))? proto (?P<protocol>tcp|udp)"
    r" from (?P<source>any|<[^<> ]+>) to (?P<destination>any|<[^<> ]+>)"
    r" port (?P<ports>[0-9:]+|\{ [0-9: ]+ \}) keep state label \"(?P<name>[^\"]+)\"\Z"
)
_GUARD_LINE = re.compile(
    r"pass in quick proto tcp from ([0-9a-f:./]+) to any port ([0-9]+) flags any keep state label \"%s\"\Z" % GUARD_NAME
)


class Parsed(NamedTuple):
    """What an anchor file holds. ``whole``: it is, byte for byte, what L(emit) writes for its rules."""

    rules: List[Rule]
    whole: bool


class Mentions(NamedTuple):
    """What a main ruleset says of an anchor: is it called, is it loaded."""

    called: bool
    loaded: bool


def anchor(ruleset: str) -> str:
    """The anchor's name: one component.

    A path such as C(netports/apple) prints as C(/apple) on macOS and FreeBSD 12, and on those two the whole
    path has only the 63 bytes that a component has.
    """
    return "netports.%s" % ruleset


def anchor_file(ruleset: str) -> str:
    """The anchor's file: the folder that macOS has for such files, also on the other systems."""
    return "%s/%s" % (FOLDER, anchor(ruleset))


def is_guard(rule: Rule) -> bool:
    """Say whether a rule is the one that keeps the management connection admitted."""
    return (
        (rule.name, rule.direction, rule.udp, rule.destinations, rule.interface) == (GUARD_NAME, "in", (), (), "")
        and len(rule.sources) == 1
        and len(rule.tcp) == 1
        and rule.tcp[0][0] == rule.tcp[0][1]
    )


def arrange(rules: Iterable[Rule]) -> List[Rule]:
    """The rules in the one order in which they are written: all are quick passes, so order changes nothing.

    :raises RuleError: an interface that pf would take for a word of its own language, or a forward rule: pf looks at
        a forwarded packet as one that comes in and as one that goes out, so that a rule which lets it in would open
        the host itself too.
    """
    arranged = sorted(_rules.normalise(rules), key=lambda rule: (not is_guard(rule), rule.key))
    for rule in arranged:
        if rule.direction == "forward":
            raise RuleError(
                "rule %r is a forward rule, which pf cannot have without opening the host itself: leave 'forward' out "
                "of the directions of this host, and write rules for what it forwards into its pf.conf yourself, with "
                "the ports that query('netports.apple.ports', ...) gives" % rule.name
            )
        if rule.interface and (rule.interface in RESERVED or not _INTERFACE.match(rule.interface)):
            raise RuleError(
                "interface %r of rule %r cannot be written for pf, which reads it as something else:"
                " name the interface as ifconfig does, such as 'en0'" % (rule.interface, rule.name)
            )
    return arranged


def canonical(rule: Rule) -> Rule:
    """The rule as it is written and read back: a guard for a link-local address is one for all of these.

    The kernels keep the interface inside such an address, so a single one would not match without it.
    """
    if is_guard(rule) and ipaddress.ip_network(rule.sources[0]).is_link_local and _rules.version(rule.sources[0]) == 6:
        return rule._replace(sources=(_LINK_LOCAL,))
    return rule


def table(networks: Sequence[str]) -> str:
    """The name of the table that holds exactly these networks.

    It follows from the contents, so rules that name another table name other networks: C(pfctl -sr) alone
    shows it.
    """
    return "net-%s" % _digest("\n".join(networks))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def tables(rules: Iterable[Rule]) -> Dict[str, Tuple[str, ...]]:
    """All tables that the rules need: name to networks, in the order of the file."""
    found: Dict[str, Tuple[str, ...]] = {}
    for rule in arrange(rules):
        for networks in (rule.sources, rule.destinations):
            if networks and not is_guard(rule):
                found[table(networks)] = networks
    return dict(sorted(found.items()))


def emit(rules: Iterable[Rule], ruleset: str) -> str:
    """Write the anchor's file.

    :param rules: at least one rule.
    :returns: ASCII text, lines ended by newlines. The same rules give the same text in whatever order.
    :raises RuleError: a rule that pf's grammar cannot hold.
    """
    arranged = arrange(rules)
    name = anchor(ruleset)
    lines = [
        "# Anchor %s: the ruleset '%s' of the Ansible role netports.apple.host_firewall." % (name, ruleset),
        "# The role owns this file: its next run puts back what is edited here (checksum of the rules: %s)."
        % _digest(repr(arranged)),
        "# Two lines in the main ruleset (/etc/pf.conf) make it count:",
        "#   %s" % call_line(ruleset),
        "#   %s" % load_line(ruleset),
        "# To remove it, run the role with host_firewall_state: absent. By hand: take out those two lines, then",
        "#   pfctl -nf /etc/pf.conf && pfctl -f /etc/pf.conf && pfctl -a %s -F rules" % name,
        "# and remove this file (and on macOS /Library/LaunchDaemons/%s.plist)." % name,
        "",
    ]
    for guard in filter(is_guard, arranged):
        address, port = guard.sources[0], guard.tcp[0][0]
        lines += [
            "# The connection that manages this host. It may have begun before pf: no SYN is seen of it then, and",
            "# the next packet can go either way.",
            'pass in quick proto tcp from %s to any port %d flags any keep state label "%s"'
            % (address, port, GUARD_NAME),
            'pass out quick proto tcp from any port %d to %s flags any keep state label "%s"'
            % (port, address, GUARD_NAME),
            "",
        ]
    known = tables(arranged)
    for title, networks in known.items():
        # const: pfctl -T cannot alter it. Not persist: the kernel drops it with the last rule that names it.
        lines.append("table <%s> const { %s }" % (title, " ".join(networks)))
    if known:
        lines.append("")
    for rule in arranged:
        for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
            if ranges and not is_guard(rule):
                ports = [_ports.text(one, ":") for one in ranges]
                port_list = ports[0] if len(ports) == 1 else "{ %s }" % " ".join(ports)
                lines.append('%s port %s keep state label "%s"' % (_head(rule, protocol), port_list, rule.name))
    return "\n".join(lines) + "\n"


def _head(rule: Rule, protocol: str) -> str:
    """A rule up to its ports, the same in what is written and in what is printed."""
    return "pass %s quick%s proto %s from %s to %s" % (
        rule.direction,
        " on %s" % rule.interface if rule.interface else "",
        protocol,
        "<%s>" % table(rule.sources) if rule.sources else "any",
        "<%s>" % table(rule.destinations) if rule.destinations else "any",
    )


def parse(text: str, ruleset: str) -> Parsed:
    """Read an anchor file back. Lines that L(emit) does not write are left out, and ``whole`` says so."""
    known: Dict[str, List[str]] = {}
    rules: List[Rule] = []
    for line in text.split("\n"):
        try:
            found = _TABLE_LINE.match(line)
            if found:
                known[found.group(1)] = found.group(2).split()
            found = _GUARD_LINE.match(line)
            if found:
                given = {"name": GUARD_NAME, "direction": "in", "tcp": [found.group(2)], "sources": [found.group(1)]}
                rules.append(Rule.from_dict(given))
            found = _RULE_LINE.match(line)
            if found:
                rules.append(_read_rule(found.groupdict(), known))
        except (RuleError, KeyError):
            # A line edited by hand: what is left does not make the same text again.
            continue
    try:
        rules = arrange(rules)
        whole = bool(rules) and emit(rules, ruleset) == text
    except RuleError:
        whole = False
    return Parsed(rules, whole)


def _read_rule(line: Dict[str, Optional[str]], known: Dict[str, List[str]]) -> Rule:
    def side(text: Optional[str]) -> List[str]:
        return [] if text == "any" else known[str(text)[1:-1]]

    ports = str(line["ports"]).strip("{} ").replace(":", "-").split()
    return Rule.from_dict(
        {
            "name": line["name"],
            "direction": line["direction"],
            str(line["protocol"]): ports,
            "sources": side(line["source"]),
            "destinations": side(line["destination"]),
            "interface": line["interface"],
        }
    )


def expand(rules: Iterable[Rule], states: bool) -> List[str]:
    """The rules as C(pfctl -sr) prints them with numeric ports: one line for each port or range.

    :param states: whether the system prints C(keep state) (OpenBSD, where it is the default, does not).
    """
    tail = " keep state" if states else ""
    lines: List[str] = []
    for rule in arrange(rules):
        if is_guard(rule):
            address, port = rule.sources[0], rule.tcp[0][0]
            family = "inet6" if _rules.version(address) == 6 else "inet"
            for way in ("in", "out"):
                sides = ("from %s to any port = %d" if way == "in" else "from any port = %d to %s") % (
                    (address, port) if way == "in" else (port, address)
                )
                lines.append(
                    'pass %s quick %s proto tcp %s flags any%s label "%s"' % (way, family, sides, tail, GUARD_NAME)
                )
            continue
        for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
            for first, last in ranges:
                ports = "= %d" % first if first == last else "%d:%d" % (first, last)
                flags = " flags S/SA" if protocol == "tcp" else ""
                lines.append('%s port %s%s%s label "%s"' % (_head(rule, protocol), ports, flags, tail, rule.name))
    return lines


def printed_rules(text: str) -> List[str]:
    """The rules in what C(pfctl -sr) or C(pfctl -nv) printed, white space made single."""
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith(("pass ", "block ", "anchor "))]


def printed_table(text: str) -> FrozenSet[str]:
    """The members in what C(pfctl -T show) printed: lines of three spaces and a network."""
    return frozenset(re.findall(r"^ {3}(!?[0-9a-fA-F:.]+(?:/[0-9]+)?)$", text, re.MULTILINE))


def call_line(ruleset: str) -> str:
    """The line of the main ruleset that calls the anchor."""
    return 'anchor "%s"' % anchor(ruleset)


def load_line(ruleset: str) -> str:
    """The line of the main ruleset that loads the anchor's file."""
    return 'load anchor "%s" from "%s"' % (anchor(ruleset), anchor_file(ruleset))


# What the comment above the lines adds when more than the lines was written.
_NEW_FILE = ", and this file"
_NEW_LINE_END = ", and the line end before this one"


def _comment_line(ruleset: str) -> str:
    return '# netports.apple, ruleset "%s": the role host_firewall owns this and the next two lines' % ruleset


def _own_lines(text: str, ruleset: str) -> List[Tuple[int, str]]:
    """Number and kind (comment, call, load) of the lines of a main ruleset that are about the anchor."""
    own = re.compile(r'[ \t]*(load[ \t]+)?anchor[ \t]+"?%s"?(?=[ \t\r{#]|$)' % re.escape(anchor(ruleset)))
    found = []
    swallowed = False
    for number, line in enumerate(text.split("\n")):
        match = own.match(line)
        # A line behind a backslash belongs to the line before it, be that a comment: a call there is none of ours.
        if line.startswith(_comment_line(ruleset)):
            found.append((number, "comment"))
        elif match and not swallowed:
            found.append((number, "load" if match.group(1) else "call"))
        swallowed = line.endswith("\\")
    return found


def look(text: Optional[str], ruleset: str) -> Mentions:
    """Say whether a main ruleset calls the anchor and whether it loads it, by exactly our lines."""
    lines = (text or "").split("\n")
    kinds = {
        kind
        for number, kind in _own_lines(text or "", ruleset)
        if lines[number].strip(" \t") == {"call": call_line(ruleset), "load": load_line(ruleset)}.get(kind)
    }
    return Mentions("call" in kinds, "load" in kinds)


def with_call(text: Optional[str], ruleset: str) -> str:
    """Put the two lines into a main ruleset, unless they are there.

    They go to the end: that is right in the order of macOS and FreeBSD (filter rules come last), and an
    administrator's C(quick) rules keep deciding before the anchor does. Nothing else changes.

    :param text: the main ruleset; ``None`` where there is no such file.
    """
    if all(look(text, ruleset)):
        return str(text)
    rest = without_call(text, ruleset)
    addition = ""
    if rest is None or _NEW_FILE in _notes(text, ruleset):
        addition = _NEW_FILE
    rest = rest or ""
    if rest and not rest.endswith("\n"):
        rest += "\n"
        addition += _NEW_LINE_END
    # The comment also keeps a last line that ends in a backslash from swallowing the call.
    return rest + "\n".join([_comment_line(ruleset) + addition, call_line(ruleset), load_line(ruleset), ""])


def _notes(text: Optional[str], ruleset: str) -> str:
    lines = (text or "").split("\n")
    return "".join(lines[number] for number, kind in _own_lines(text or "", ruleset) if kind == "comment")


def without_call(text: Optional[str], ruleset: str) -> Optional[str]:
    """Take the anchor's lines out of a main ruleset; all other bytes stay, and those that were added go.

    :returns: the text; ``None`` where the file was made for these lines and holds nothing else.
    """
    if text is None:
        return None
    lines = text.split("\n")
    own = _own_lines(text, ruleset)
    notes = _notes(text, ruleset)
    numbers = {number for number, kind in own}
    rest = "\n".join(line for number, line in enumerate(lines) if number not in numbers)
    if not rest and _NEW_FILE in notes:
        return None
    # The line end is ours only while nobody wrote behind it: our lines are still the last.
    if _NEW_LINE_END in notes and numbers and max(numbers) == len(lines) - 2 and rest.endswith("\n"):
        rest = rest[:-1]
    return rest


def own_part(text: Optional[str], ruleset: str) -> str:
    """The anchor's lines out of a main ruleset, for people to read."""
    lines = (text or "").split("\n")
    return "".join(lines[number] + "\n" for number, kind in _own_lines(text or "", ruleset))
