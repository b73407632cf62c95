# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rule's condition says of the first packet of a connection. Pure.

No rule names its port. A condition that asks for some ports or for some addresses is not known.
"""

from __future__ import annotations

import fnmatch
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.kernel import has_protocol, values
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

TCP, UDP = 6, 17
_INTERFACES = ("iif", "iifname", "oif", "oifname")
# Of these a packet's interface is no answer: nobody here knows the group, the kind and the type of an interface.
_GROUPS = ("iifgroup", "iifkind", "iiftype", "oifgroup", "oifkind", "oiftype")
# The words for an IP version: of ``meta nfproto``; of ``meta protocol`` and ``ether type``; of headers.
_WORDS = {4: ("ipv4", "ip"), 6: ("ipv6", "ip6")}
VERSIONS = {"ip": 4, "ip6": 6}
_WHOLE = {"ip": [(0, 2**32 - 1)], "ip6": [(0, 2**128 - 1)]}
# Bits by their names, as nft's types tcp_flag and ct_state have them.
_TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
_CT_STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
_CT_STATUS = {"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512}
ALL_PORTS: Tuple[_ports.PortRange, ...] = ((_ports.LOWEST, _ports.HIGHEST),)
# Up to the highest address of IPv6.
ALL_NUMBERS: Tuple[_ports.PortRange, ...] = ((0, 2**128 - 1),)


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection.

    :param interface: its interface; empty for an interface that no rule names; ``None`` for any.
    :param version: of IP; ``None`` for any.
    :param protocol: the number of TCP or UDP.
    :param local: whether it is for this host.
    :param marked: whether it may have a mark.
    """

    interface: Optional[str] = None
    version: Optional[int] = None
    protocol: int = TCP
    local: bool = True
    marked: bool = False


def sides(condition: Mapping[str, Any]) -> Tuple[Dict[str, Any], Any, str]:
    """Both sides of a condition and its operator; nothing of it where it is no comparison."""
    match = condition.get("match") or {}
    left = match.get("left", {})
    return (left if isinstance(left, dict) else {}), match.get("right"), str(match.get("op", ""))


def asks_protocol(left: Mapping[str, Any]) -> bool:
    """Whether the left side of a condition is the protocol that IP carries."""
    return left.get("meta", {}).get("key") == "l4proto" or _field(left) in (("ip", "protocol"), ("ip6", "nexthdr"))


def asks_interface(condition: Mapping[str, Any]) -> bool:
    """Whether a condition asks where a packet comes in or goes out."""
    return _meta(sides(condition)[0]) in (*_INTERFACES, *_GROUPS)


def named_interfaces(condition: Mapping[str, Any]) -> Iterable[str]:
    """The interfaces that a condition names. The loopback is none."""
    left, right, _op = sides(condition)
    found = values(right) if _meta(left) in _INTERFACES else []
    return [name for name in found if isinstance(name, str) and name != "lo"]


def holds(condition: Mapping[str, Any], packet: Packet) -> Optional[bool]:
    """Whether a condition holds for a packet; ``None`` where that cannot be told of it, or is not known here."""
    left, right, op = sides(condition)
    plain, mask = masked(left)
    if _field(plain) == ("tcp", "flags"):
        flags = _bits_hold(_TCP_FLAGS, _TCP_FLAGS["syn"], mask, op, right)
        return flags if packet.protocol == TCP else False
    if plain.get("ct", {}).get("key") == "state":
        return _bits_hold(_CT_STATES, _CT_STATES["new"], mask, op, right)
    if mask is None and _field(left)[1] == "dport":
        protocol = {"tcp": TCP, "udp": UDP}.get(_field(left)[0], packet.protocol)
        return _any_port(op, right) if packet.protocol == protocol else False
    if mask is not None or op not in ("==", "in", "!="):
        return None
    met = _meets(left, right, packet)
    answer = met if met is None else met == (op != "!=")
    version = VERSIONS.get(_field(left)[0])
    # A header of the other IP version meets no comparison, whatever its operator.
    return _both(None if packet.version is None else packet.version == version, answer) if version else answer


def _meets(left: Mapping[str, Any], right: Any, packet: Packet) -> Optional[bool]:
    """Whether what the left side asks for is among the values of the right side."""
    if isinstance(right, str) and right.startswith("@"):
        # A set whose elements come and go.
        return None
    key, field, found = _meta(left), _field(left), values(right)
    if key in _INTERFACES:
        return _is_named(packet.interface, found)
    if asks_protocol(left):
        return has_protocol(found, packet.protocol)
    if key in ("nfproto", "protocol") or field == ("ether", "type"):
        return _is_version(packet.version, found)
    if field[1] == "version" and field[0] in VERSIONS:
        return bool(found == [(VERSIONS[field[0]],) * 2])
    if key == "pkttype":
        return "host" in found or "unicast" in found
    if left.get("fib", {}).get("result") == "type" and "daddr" in left["fib"].get("flags", ()):
        return ("local" if packet.local else "unicast") in found
    if left.get("ct", {}).get("key") == "direction":
        return "original" in found
    return True if field[1] in ("saddr", "daddr") and found == _WHOLE.get(field[0]) else None


def asked_ports(op: str, right: Any) -> Optional[List[_ports.PortRange]]:
    """The ports that a comparison holds for; ``None`` where that is not known."""
    return asked_numbers(op, right, ALL_PORTS)


def asked_numbers(
    op: str, right: Any, every: Tuple[_ports.PortRange, ...] = ALL_NUMBERS
) -> Optional[List[_ports.PortRange]]:
    """The numbers that a comparison holds for; ``None`` where that is not known.

    :param every: all that there are.
    """
    numbers = [value for value in values(right) if isinstance(value, tuple)]
    if op in ("==", "in", "!="):
        if len(numbers) != len(values(right)):
            return None
        return numbers if op != "!=" else _ports.subtract(every, numbers)
    if len(numbers) != 1:
        return None
    number, highest = numbers[0][0], every[-1][1]
    ends = {"<": (0, number - 1), "<=": (0, number), ">": (number + 1, highest), ">=": (number, highest)}.get(op)
    return None if ends is None else [ends] if ends[0] <= ends[1] else []


def _any_port(op: str, right: Any) -> Optional[bool]:
    """Whether a comparison holds for every port; ``None`` where it asks for some ports."""
    asked = asked_ports(op, right)
    return True if asked is not None and not _ports.subtract(ALL_PORTS, asked) else None


def _is_named(interface: Optional[str], names: Iterable[Any]) -> Optional[bool]:
    """Whether an interface is among names, of which an asterisk at the end stands for any end."""
    if list(names) == ["lo"]:
        return False
    if interface is None:
        return None
    return bool(interface) and any(fnmatch.fnmatchcase(interface, str(name)) for name in names)


def _is_version(version: Optional[int], found: Iterable[Any]) -> Optional[bool]:
    named = [number for number, words in _WORDS.items() if set(words) & set(map(str, found))]
    if version is None:
        return {0: False, 2: True}.get(len(named))
    return version in named


def _both(first: Optional[bool], second: Optional[bool]) -> Optional[bool]:
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


def _bits_hold(names: Mapping[str, int], bits: int, mask: Any, op: str, right: Any) -> Optional[bool]:
    """Whether a comparison of bits holds.

    :param bits: the packet's.
    :param mask: what they are masked with first; ``None`` for nothing.
    """
    masked = bits if mask is None else _number(names, mask)
    members = right["set"] if isinstance(right, dict) and "set" in right else [right]
    asked = [_number(names, member) for member in members]
    if masked is None or None in asked:
        return None
    masked &= bits
    if op in ("in", "!"):
        return any(masked & (number or 0) for number in asked) == (op == "in")
    return (masked in asked) == (op == "==") if op in ("==", "!=") else None


def status_holds(mask: Any, op: str, right: Any) -> Optional[bool]:
    """Whether a comparison of ``ct status`` holds where none of its bits is set."""
    return _bits_hold(_CT_STATUS, 0, mask, op, right)


def _number(names: Mapping[str, int], value: Any) -> Optional[int]:
    """Bits by name, or several of them, as a number. Releases of nft print several as a list, or as parts of an "or"."""
    if isinstance(value, dict):
        value = value.get("|", value.get("elem", {}).get("val"))
    if isinstance(value, list):
        parts = [_number(names, part) for part in value]
        return None if None in parts else sum({part for part in parts if part})
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return names.get(str(value))


def masked(left: Mapping[str, Any]) -> Tuple[Mapping[str, Any], Any]:
    """A left side without its mask, and the mask; ``None`` where it has none."""
    parts = left.get("&")
    if isinstance(parts, list) and len(parts) == 2 and isinstance(parts[0], dict):
        return parts[0], parts[1]
    return left, None


def _meta(left: Mapping[str, Any]) -> str:
    return str(left.get("meta", {}).get("key", ""))


def _field(left: Mapping[str, Any]) -> Tuple[str, str]:
    """The header and the field of it that a left side asks for."""
    payload = left.get("payload", {})
    return str(payload.get("protocol", "")), str(payload.get("field", ""))
