# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many new connections meet a rule's condition. Pure.

Many conditions ask for what no ruleset says, such as a mark or a rate. Most first packets are alike in it: they have no mark,
and come within a limit. Where first packets differ, it is not known whether a condition holds.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import conditions, spread
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.conditions import TCP, UDP, Packet
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.kernel import conditions_of, values
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import KernelRule, Listing

# How many new connections meet a condition: none or few, not known, nearly all, all. Of several conditions the least holds.
FEW, UNKNOWN, MOST, ALL = range(4)

_LIMITS = ("limit", "quota", "ct count")
_PROTOCOLS = {"tcp": TCP, "udp": UDP, "tcp option": TCP}


def _numbers(*networks: str) -> List[_ports.PortRange]:
    """Networks as ranges of numbers."""
    found = [ipaddress.ip_network(network) for network in networks]
    return [(int(network.network_address), int(network.broadcast_address)) for network in found]


# Unicast addresses beside the loopback's, by header.
_UNICAST = {
    "ip": _ports.subtract(_numbers("0.0.0.0/0"), _numbers("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")),
    "ip6": _numbers("2000::/3", "fc00::/7", "fe80::/10"),
}
_NOTHING = [(0, 0)]
_MARKS = ("meta mark", "ct mark")
# The numbers that a first packet has: hosts send with 64 hops or more and are fewer than 32 away, use source ports above 1023,
# set no options of IP, and are routed. Of what is there or missing, 0 is "missing" and 1 "exists".
_USUAL: Dict[str, List[_ports.PortRange]] = {
    "ip ttl": [(32, 255)],
    "ip6 hoplimit": [(32, 255)],
    "ip hdrlength": [(5, 5)],
    # All of them, but for the flag "do not fragment".
    "ip frag-off": [(0, 0), (0x4000, 0x4000)],
    "ip id": [(0, 65535)],
    "ip length": [(40, 1500)],
    "ip6 length": [(8, 1500)],
    "meta length": [(40, 1500)],
    "tcp sport": [(1024, 65535)],
    "udp sport": [(1024, 65535)],
    "th sport": [(1024, 65535)],
    "tcp window": [(0, 65535)],
    "tcp option maxseg size": [(536, 65535)],
    "fib saddr oif": [(1, 1)],
    **dict.fromkeys((*_MARKS, "ct label", "ct zone", "meta ipsec", "meta secpath"), _NOTHING),
    **dict.fromkeys(("socket transparent", "exthdr", "ip option"), _NOTHING),
    **{"%s saddr" % header: ranges for header, ranges in _UNICAST.items()},
    **{"%s daddr" % header: ranges for header, ranges in _UNICAST.items()},
}
# Words that a first packet has; empty where a list of any words names but a few.
_WORDS = {
    "fib saddr type": "unicast",
    **dict.fromkeys(("ether saddr", "ct helper", "ct proto-dst", "ct saddr", "ct ip saddr", "ct ip6 saddr"), ""),
    **dict.fromkeys(
        ("meta iifgroup", "meta oifgroup", "meta iifkind", "meta oifkind", "meta iiftype", "meta oiftype"), ""
    ),
}


def marks(listing: Listing) -> bool:
    """Whether a rule sets the mark of more than a few new connections."""
    packets = [Packet(protocol=protocol) for protocol in (TCP, UDP)]
    return any(share_of(rule, packet) > FEW for rule in listing.marking for packet in packets)


def share_of(rule: KernelRule, packet: Packet) -> int:
    """How many new connections meet all conditions of a rule."""
    least = ALL
    for condition in conditions_of(rule):
        least = min(least, share(condition, packet))
        if least == FEW:
            break
    return least


def share(condition: Mapping[str, Any], packet: Packet) -> int:
    """How many new connections meet a condition, of those that a packet stands for."""
    if "match" not in condition:
        return _within(condition)
    left, right, op = conditions.sides(condition)
    if "concat" in left:
        return _of_concatenation(left["concat"], right, op, packet)
    plain, mask = conditions.masked(left)
    if _absent(plain, packet):
        return FEW
    found = conditions.holds(condition, packet)
    if found is not None:
        return ALL if found else FEW
    if conditions.asks_interface(condition) and packet.interface is None:
        return UNKNOWN
    name = _name(plain)
    if name.endswith(" dport"):
        return _of_ports(right, op)
    if name == "ct status":
        # It has been neither answered nor translated.
        held = conditions.status_holds(mask, op, right)
        return UNKNOWN if held is None else MOST if held else FEW
    if name in _WORDS:
        return _turned(MOST if _WORDS[name] in values(right) else FEW, op)
    return _of_numbers(name, mask, right, op, packet)


def _within(condition: Mapping[str, Any]) -> int:
    """How many new connections are within a limit, or over it."""
    for key in _LIMITS:
        if isinstance(condition.get(key), dict):
            return FEW if condition[key].get("inv") else MOST
    for key in ("set", "map", "meter"):
        kept = (condition.get(key) or {}).get("stmt") or ()
        if kept:
            return min(_within(inner) for inner in (kept if isinstance(kept, list) else [kept]))
    # Of an extension of iptables nft does not say more. The tables of iptables are its own, and are not joined.
    return FEW if "xt" in condition else UNKNOWN


def _of_concatenation(parts: Sequence[Any], right: Any, op: str, packet: Packet) -> int:
    if any(_absent(part, packet) for part in parts if isinstance(part, dict)):
        return FEW
    equal = {"match": {"op": "==", "left": {"concat": parts}, "right": right}}
    alternatives = spread.alternatives(equal)
    if alternatives is None:
        # A set whose elements come and go.
        return _turned(FEW, op)
    shares = (min([ALL, *(share(condition, packet) for condition in each)]) for each in alternatives)
    return _turned(max(shares, default=FEW), op)


def _of_ports(right: Any, op: str) -> int:
    """A list of ports picks out some; what all but some are spared from are few, and the other way round."""
    asked = conditions.asked_ports(op, right)
    return MOST if op == "!=" and (asked is None or 2 * _ports.size(asked) > _ports.HIGHEST) else FEW


def _of_numbers(name: str, mask: Any, right: Any, op: str, packet: Packet) -> int:
    """A comparison with numbers of those that a first packet has."""
    usual = [] if packet.marked and name in _MARKS else _masked(_USUAL.get(name, []), mask)
    addresses = name.endswith("addr")
    # To which of its addresses a packet for this host goes is not known: it may have no other than those named.
    own = name.endswith("daddr") and packet.local
    positive = "==" if op in ("in", "!", "!=") else op
    asked = conditions.asked_numbers(positive, int(right) if isinstance(right, bool) else right)
    if asked is None or not usual:
        return _turned(FEW, op) if name.endswith(" sport") or (addresses and not own) else UNKNOWN
    total = _ports.size(usual)
    met = total - _ports.size(_ports.subtract(usual, asked))
    # Of addresses the half decides, as it does of ports. Of 10,000 numbers and more one part in 64 is few.
    few = total // 2 if addresses and not own else total // 64 if total > 10_000 and not own else 0
    return _turned(FEW if met <= few else MOST if met >= total - few else UNKNOWN, op)


def _masked(usual: Sequence[_ports.PortRange], mask: Any) -> List[_ports.PortRange]:
    """What is left of numbers behind a mask; nothing where that is not known."""
    if mask is None:
        return list(usual)
    if not isinstance(mask, int) or any(first != last for first, last in usual):
        return []
    return [(first & mask, first & mask) for first, _last in usual]


def _turned(found: int, op: str) -> int:
    """The share of a comparison by that of equality."""
    if op not in ("!=", "!"):
        return found
    return {FEW: MOST, UNKNOWN: UNKNOWN}.get(found, FEW)


def _absent(left: Mapping[str, Any], packet: Packet) -> bool:
    """Whether a packet has not the header that a left side asks for: it meets no comparison, whatever its operator."""
    header = "tcp option" if "tcp option" in left else str(left.get("payload", {}).get("protocol", ""))
    if header in _PROTOCOLS:
        return _PROTOCOLS[header] != packet.protocol
    if header in conditions.VERSIONS:
        return packet.version not in (None, conditions.VERSIONS[header])
    options = ("exthdr", "ip option")
    return header not in ("", "th", "ether") or any("field" in left.get(option, ()) for option in options)


def _name(left: Mapping[str, Any]) -> str:
    """What a left side asks for, in words."""
    kind: Optional[str] = next(iter(left), None)
    asked = left[kind] if kind else None
    if not kind or not isinstance(asked, dict):
        return ""
    if kind == "payload":
        return "%s %s" % (asked.get("protocol", ""), asked.get("field", ""))
    if kind == "fib":
        return "fib %s %s" % ("saddr" if "saddr" in asked.get("flags", ()) else "daddr", asked.get("result"))
    if kind == "tcp option":
        return "tcp option %s %s" % (asked.get("name"), asked.get("field"))
    return kind if kind in ("exthdr", "ip option") else "%s %s" % (kind, asked.get("key"))
