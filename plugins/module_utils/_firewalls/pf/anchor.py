# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The anchor's file: written, read back, and expanded as pfctl prints it. Texts in, texts out.

Only constructs that pfctl reads alike on macOS (OpenBSD 4.3's grammar), FreeBSD 12 to 15 and OpenBSD 7 are
written: ``table`` and ``pass … quick … label``.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Dict, FrozenSet, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._connection import GUARD_NAME
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import main_ruleset
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Parsed, anchor
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError

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

# What stands above a guard and says why it is there.
_REFUSED = "# No rule of the main ruleset admits this connection, which manages the host."
_EARLY = "# This connection manages the host and began before pf. The next change of the rules takes these lines away."

_LINK_LOCAL = "fe80::/10"

_INTERFACE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,14}\Z")

_TABLE_LINE = re.compile(r"table <(net-[0-9a-f]{12})> const \{ ([0-9a-f:./ ]+) \}\Z")
_RULE_LINE = re.compile(
    r"pass (?P<direction>in|out) quick(?: on (?P<interface>\S+))? proto (?P<protocol>tcp|udp)"
    r" from (?P<source>any|<[^<> ]+>) to (?P<destination>any|<[^<> ]+>)"
    r" port (?P<ports>[0-9:]+|\{ [0-9: ]+ \}) keep state(?: \(floating\))? label \"(?P<name>[^\"]+)\"\Z"
)
_GUARD_LINE = re.compile(
    r"pass in quick proto tcp from ([0-9a-f:./]+) to any port ([0-9]+) flags any keep state(?: \(floating\))?"
    r" label \"%s\"\Z" % GUARD_NAME
)


def arrange(rules: Iterable[Rule]) -> List[Rule]:
    """The rules in the one order in which they are written: all are quick passes, so order changes nothing.

    :raises FirewallError: an interface that pf would take for a word of its own language, or a forward rule: pf looks at
        a forwarded packet as one that comes in and as one that goes out, so that a rule which lets it in would open
        the host itself too.
    """
    arranged = sorted(_rules.normalise(rules), key=lambda rule: rule.key)
    for rule in arranged:
        if rule.direction == "forward":
            raise FirewallError(
                "rule %r is a forward rule, which pf cannot have without opening the host itself: leave 'forward' out "
                "of the directions of this host, and write rules for what it forwards into its pf.conf yourself, with "
                "the ports that query('netports.apple.ports', ...) gives" % rule.name,
                "unsupported",
            )
        if rule.interface and (rule.interface in RESERVED or not _INTERFACE.match(rule.interface)):
            raise FirewallError(
                "interface %r of rule %r cannot be written for pf, which reads it as something else:"
                " name the interface as ifconfig does, such as 'en0'" % (rule.interface, rule.name),
                "unsupported",
            )
    return arranged


def canonical(guards: Iterable[Rule]) -> Tuple[Rule, ...]:
    """Guards as they are written and read back: a link-local address stands for all of these.

    The kernels keep the interface inside such an address, so a single one would not match without it.
    """
    found = [
        guard._replace(sources=(_LINK_LOCAL,))
        if _rules.version(guard.sources[0]) == 6 and ipaddress.ip_network(guard.sources[0]).is_link_local
        else guard
        for guard in guards
    ]
    return tuple(sorted(set(found), key=lambda guard: (_rules.version(guard.sources[0]), guard)))


def table(networks: Sequence[str]) -> str:
    """The name of the table that holds exactly these networks.

    It follows from the contents, so rules that name another table name other networks: ``pfctl -sr`` alone
    shows it.
    """
    return "net-%s" % _digest("\n".join(networks))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def tables(rules: Iterable[Rule]) -> Dict[str, Tuple[str, ...]]:
    """All tables that the rules need: name to networks, in the order of the file. The guard needs none."""
    found: Dict[str, Tuple[str, ...]] = {}
    for rule in arrange(rules):
        for networks in (rule.sources, rule.destinations):
            if networks:
                found[table(networks)] = networks
    return dict(sorted(found.items()))


def emit(
    rules: Iterable[Rule],
    ruleset: str,
    guards: Sequence[Rule] = (),
    early: FrozenSet[Rule] = frozenset(),
    own: bool = True,
) -> str:
    """Write the anchor's file.

    :param rules: the rules, without the guards.
    :param guards: the rules that keep management connections admitted, as :func:`canonical` gives them.
    :param early: those of the guards whose connection began while pf was off.
    :param own: whether runs write the file; else somebody else keeps it.
    :returns: ASCII text, lines ended by newlines. The same rules give the same text in whatever order.
    :raises FirewallError: a rule that pf's grammar cannot hold.
    """
    arranged = arrange(rules)
    name = anchor(ruleset)
    lines = [
        "# Anchor %s: the ruleset '%s' of the Ansible role netports.apple.host_firewall." % (name, ruleset),
        "# The role owns this file: its next run puts back what is edited here (checksum of the rules: %s)."
        % _digest(repr([*guards, *arranged])),
        "# Two lines in the main ruleset (/etc/pf.conf) make it count:",
        "#   %s" % main_ruleset.call_line(ruleset),
        "#   %s" % main_ruleset.load_line(ruleset),
        "# To remove it, run the role with host_firewall_state: absent. By hand: take out those two lines, then",
        "#   pfctl -nf /etc/pf.conf && pfctl -f /etc/pf.conf && pfctl -a %s -F rules" % name,
        "# and remove this file (and on macOS /Library/LaunchDaemons/%s.plist)." % name,
        "",
    ]
    if not own:
        lines = ["# Rules of the Ansible collection netports.apple, ruleset '%s', for an anchor." % ruleset, ""]
    for guard in guards:
        lines += [_EARLY if guard in early else _REFUSED, *_guard_lines(guard), ""]
    known = tables(arranged)
    for title, networks in known.items():
        # const: pfctl -T cannot alter it. Not persist: the kernel drops it with the last rule that names it.
        lines.append("table <%s> const { %s }" % (title, " ".join(networks)))
    if known:
        lines.append("")
    lines += [line for rule in arranged for _protocol, _ranges, line in lines_of(rule)]
    return "\n".join(lines) + "\n"


def lines_of(rule: Rule) -> List[Tuple[str, Tuple[_ports.PortRange, ...], str]]:
    """The lines of a rule, one for each protocol that it has: protocol, ports, text."""
    found = []
    for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
        if ranges:
            ports = [_ports.text(span, ":") for span in ranges]
            port_list = ports[0] if len(ports) == 1 else "{ %s }" % " ".join(ports)
            text = '%s port %s keep state (floating) label "%s"' % (_head(rule, protocol), port_list, rule.name)
            found.append((protocol, ranges, text))
    return found


def _guard_lines(guard: Rule) -> List[str]:
    # It may have begun before pf: no SYN is seen of it then, and the next packet can go either way.
    address, port = guard.sources[0], guard.tcp[0][0]
    tail = 'flags any keep state (floating) label "%s"' % GUARD_NAME
    return [
        "pass in quick proto tcp from %s to any port %d %s" % (address, port, tail),
        "pass out quick proto tcp from any port %d to %s %s" % (port, address, tail),
    ]


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
    """Read an anchor file back. Lines that :func:`emit` does not write are left out, and ``whole`` says so."""
    known: Dict[str, List[str]] = {}
    rules: List[Rule] = []
    guards: List[Rule] = []
    early: List[Rule] = []
    above = ""
    for line in text.split("\n"):
        try:
            found = _TABLE_LINE.match(line)
            if found:
                known[found.group(1)] = found.group(2).split()
            found = _GUARD_LINE.match(line)
            if found:
                guard = {"name": GUARD_NAME, "direction": "in", "tcp": [found.group(2)], "sources": [found.group(1)]}
                guards.append(Rule.from_dict(guard))
                early += guards[-1:] if above == _EARLY else []
            found = _RULE_LINE.match(line)
            if found:
                rules.append(_read_rule(found.groupdict(), known))
        except (RuleError, KeyError):
            # A line edited by hand: what is left does not make the same text again.
            pass
        above = line
    kept = canonical(guards)
    try:
        rules = arrange(rules)
        whole = bool(kept or rules) and emit(rules, ruleset, kept, frozenset(early)) == text
    except FirewallError:
        whole = False
    return Parsed(rules=tuple(rules), guards=kept, early=frozenset(early), whole=whole)


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


def expand(rules: Iterable[Rule], states: bool, guards: Sequence[Rule] = ()) -> List[str]:
    """The rules as ``pfctl -sr`` prints them with numeric ports: one line for each port or range.

    ``(floating)`` is never printed: it is the absence of a flag, which ``set state-policy if-bound`` would set.

    :param states: whether the system prints ``keep state`` (OpenBSD, where it is the default, does not).
    :param guards: the rules that keep management connections admitted.
    """
    tail = " keep state" if states else ""
    lines: List[str] = []
    for guard in guards:
        address, port = guard.sources[0], guard.tcp[0][0]
        family = "inet6" if _rules.version(address) == 6 else "inet"
        for way, sides in (
            ("in", "from %s to any port = %d" % (address, port)),
            ("out", "from any port = %d to %s" % (port, address)),
        ):
            lines.append(
                'pass %s quick %s proto tcp %s flags any%s label "%s"' % (way, family, sides, tail, GUARD_NAME)
            )
    for rule in arrange(rules):
        for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
            for first, last in ranges:
                ports = "= %d" % first if first == last else "%d:%d" % (first, last)
                flags = " flags S/SA" if protocol == "tcp" else ""
                lines.append('%s port %s%s%s label "%s"' % (_head(rule, protocol), ports, flags, tail, rule.name))
    return lines
