# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pf's main ruleset does with packets of this host, told from the rules as pfctl prints them.

A condition holds for all packets in question, for none, or for some: nobody can tell from the outside.
"""

from __future__ import annotations

import ipaddress
import re
from typing import FrozenSet, List, Optional, Sequence, Tuple, Union

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import printed
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Here
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# What decides nothing about a packet: flags are looked at apart, limits of states hold back no single connection.
_HARMLESS = re.compile(
    r" (?:flags \S+|(?:keep|modulate|synproxy|no) state(?: \([^)]*\))?|label \"[^\"]*\"|allow-opts"
    r"|(?:queue|tag|rtable|set|scrub) (?:\([^)]*\)|\S+))"
)

_Answer = Optional[bool]
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class Packets:
    """Packets of one kind between this host and others.

    :param way: ``in`` or ``out``.
    :param peer: the other side's addresses; ``None``: any.
    :param protocol: ``tcp`` or ``udp``.
    :param here: ports on this side; ``None``: any.
    :param there: ports on the other side; ``None``: any.
    :param interface: where they come in or leave; empty where that is not said.
    :param begun: packets of a connection that began while pf was off: no SYN is seen of it.
    """

    way: str
    peer: Optional[_Network]
    protocol: str = "tcp"
    here: Optional[_ports.PortRange] = None
    there: Optional[_ports.PortRange] = None
    interface: str = ""
    begun: bool = False


def admits(rules: Sequence[str], address: str, port: int, begun: bool, here: Here) -> bool:
    """Whether a main ruleset surely lets a connection through.

    :param rules: the rules, with numeric ports; the last that matches decides, or a quick one.
    :param address: the other side: an address or a network.
    :param port: the TCP port on this host.
    :param begun: the connection began while pf was off. The first packet may go either way.
    """
    peer = ipaddress.ip_network(address)
    span = (port, port)
    return all(
        _passes(rules, Packets(way=way, peer=peer, here=span, begun=begun), here)
        for way in (("in", "out") if begun else ("in",))
    )


def may_admit(rules: Sequence[str], port: int, here: Here) -> bool:
    """Whether a main ruleset may let some address reach a TCP port. Anchors of others count as empty."""
    packets = Packets(way="in", peer=None, here=(port, port))
    passes = True
    for text in rules:
        rule = printed.parse(text)
        answer = _matches(rule, packets, here) if rule else False
        if rule and answer is not False and rule.action in ("pass", "block"):
            lets = rule.action == "pass"
            # What may match refuses some addresses and not all, or lets some in.
            passes = lets or (passes and answer is None)
            if rule.quick and (lets or answer):
                return lets
    return passes


def refused_by(rules: Sequence[str], packets: Packets, here: Here) -> Optional[str]:
    """The quick rule that surely refuses all these packets before the end of a ruleset; ``None``: there is none."""
    for text in rules:
        rule = printed.parse(text)
        if rule is None:
            if text.startswith(("block", "match")):
                continue
            return None
        answer = _matches(rule, packets, here)
        if answer is False:
            continue
        if printed.is_foreign_call(text) or (rule.quick and rule.action == "pass"):
            return None
        if answer and rule.quick and rule.action == "block":
            return text
    return None


def _passes(rules: Sequence[str], packets: Packets, here: Here) -> bool:
    passes = True
    for text in rules:
        rule = printed.parse(text)
        answer = _matches(rule, packets, here) if rule else None
        if answer is False:
            continue
        if printed.is_foreign_call(text):
            # It may hold a quick block.
            return False
        if text.startswith("block"):
            passes = False
        elif rule and rule.action == "pass" and answer:
            passes = True
        else:
            continue
        if rule and rule.quick:
            return passes
    return passes


def _matches(rule: printed.Printed, packets: Packets, here: Here) -> _Answer:
    inbound = packets.way == "in"
    source = _own(rule.source, packets, here) if not inbound else _peer(rule.source, packets.peer, here)
    destination = _own(rule.destination, packets, here) if inbound else _peer(rule.destination, packets.peer, here)
    answers = [
        rule.direction in ("", packets.way),
        _interface(rule.interface, packets, here),
        _family(rule.family, packets, here),
        rule.protocol in ("", packets.protocol),
        source,
        destination,
        _port(rule.source_port, packets.there if inbound else packets.here),
        _port(rule.destination_port, packets.here if inbound else packets.there),
        not (packets.begun and re.search(r" flags (?!any)", rule.rest)),
        True if not _HARMLESS.sub("", rule.rest).strip() else None,
    ]
    if False in answers:
        return False
    return None if None in answers else True


def _family(family: str, packets: Packets, here: Here) -> _Answer:
    if not family:
        return True
    known = packets.peer.version if packets.peer else None
    return None if known is None else family == ("inet6" if known == 6 else "inet")


def _interface(name: str, packets: Packets, here: Here) -> _Answer:
    if not name:
        return True
    outside = name.startswith("! ")
    name = name[2:] if outside else name
    possible = {packets.interface} if packets.interface else _interfaces(packets.peer, here)
    if re.match(r"lo[0-9]*\Z", name):
        # The other side is another host: it does not come by the loopback interface.
        answer: _Answer = False
    elif name == "egress" and len(possible) == 1 and not packets.interface:
        # The group of the interfaces with a default route; there is just one way to other hosts.
        answer = True
    elif name in possible:
        answer = True if len(possible) == 1 else None
    else:
        answer = False if name in here.interfaces and possible else None
    return answer if answer is None else answer != outside


def _interfaces(peer: Optional[_Network], here: Here) -> FrozenSet[str]:
    """The interfaces by which packets to and from other hosts may go; empty where nothing is known."""
    versions = (peer.version,) if peer else (4, 6)
    possible = set()
    for name, addresses in here.interfaces.items():
        for address in map(ipaddress.ip_interface, addresses):
            if address.version not in versions or address.is_loopback:
                continue
            if peer and _within(peer, address.network) and not address.is_link_local:
                return frozenset((name,))
            if not address.is_link_local or peer is None or peer.is_link_local:
                possible.add(name)
    return frozenset(possible)


def _own(text: str, packets: Packets, here: Here) -> _Answer:
    """Whether an address of a rule is one of this host's that the packets have."""
    inner = text[2:] if text.startswith("! ") else text
    if inner == "any":
        answer: _Answer = True
    elif inner == "(self)":
        answer = True
    else:
        own = _own_addresses(packets, here)
        answers = {_peer(inner, address, here) for address in own} or {None}
        answer = answers.pop() if len(answers) == 1 else None
    return answer if inner == text or answer is None else not answer


def _own_addresses(packets: Packets, here: Here) -> List[_Network]:
    """The addresses of this host that packets may have; empty where nothing is known."""
    if here.address and packets.peer is not None and here.peer and packets.peer == ipaddress.ip_network(here.peer):
        return [ipaddress.ip_network(here.address)]
    versions = (packets.peer.version,) if packets.peer else (4, 6)
    found = [ipaddress.ip_interface(text) for addresses in here.interfaces.values() for text in addresses]
    return [ipaddress.ip_network(str(own.ip)) for own in found if own.version in versions and not own.is_loopback]


def _peer(text: str, peer: Optional[_Network], here: Here) -> _Answer:
    """Whether an address of a rule covers networks of one side."""
    negated = text.startswith("! ")
    inner = text[2:] if negated else text
    if inner == "any":
        return not negated
    if peer is None:
        return None
    found = re.match(r"<([^<>: ]+)(?::[0-9*]+)?>\Z", inner)
    if found:
        answer = _in_table(peer, here.tables.get(found.group(1)))
    elif inner.startswith("("):
        answer = _in_interface(peer, inner, here)
    else:
        try:
            answer = _covers(ipaddress.ip_network(inner), peer)
        except ValueError:
            answer = None
    return answer if answer is None else answer != negated


def _in_table(peer: _Network, members: Optional[Sequence[str]]) -> _Answer:
    """Whether a table holds a network: the longest member that covers it decides."""
    if members is None:
        return None
    best: Tuple[int, bool] = (-1, False)
    for member in members:
        network = ipaddress.ip_network(member.lstrip("!"))
        covers = _covers(network, peer)
        if covers is None:
            return None
        if covers:
            best = max(best, (network.prefixlen, not member.startswith("!")))
    return best[1]


def _in_interface(peer: _Network, text: str, here: Here) -> _Answer:
    """Whether ``(em0)``, ``(em0:network)``, ``(em0:0)`` or ``(self)`` covers a network."""
    found = re.match(r"\(([^:)]+)(:network)?(?::0)?\)\Z", text)
    if not found:
        return None
    name = found.group(1)
    known = here.interfaces if name == "self" else {name: here.interfaces[name]} if name in here.interfaces else {}
    if not known:
        return None
    addresses = [ipaddress.ip_interface(address) for own in known.values() for address in own]
    networks = [own.network if found.group(2) else ipaddress.ip_network(str(own.ip)) for own in addresses]
    answers = {_covers(network, peer) for network in networks}
    return True if True in answers else None if None in answers else False


def _covers(network: _Network, other: _Network) -> _Answer:
    if network.version != other.version or not network.overlaps(other):
        return False
    return True if _within(other, network) else None


def _within(inner: _Network, outer: _Network) -> bool:
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner.overlaps(outer)


def _port(condition: str, span: Optional[_ports.PortRange]) -> _Answer:
    if not condition:
        return True
    if span is None:
        return None
    spans = printed.ports(condition)
    if any(first <= span[0] and span[1] <= last for first, last in spans):
        return True
    return None if any(first <= span[1] and span[0] <= last for first, last in spans) else False
