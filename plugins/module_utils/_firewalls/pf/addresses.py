# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The addresses of this host's interfaces, asked of the C library: no process is started for it."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import sys
from typing import Dict, List, Optional, Tuple

# Where an address stands in its struct sockaddr_in or sockaddr_in6, and its length (getifaddrs(3)).
_PLACES = {int(socket.AF_INET): (4, 4), int(socket.AF_INET6): (8, 16)}


class _IfAddrs(ctypes.Structure):
    """struct ifaddrs, whose first fields are the same on macOS, the BSDs and Linux."""


_Pointer = ctypes.POINTER(_IfAddrs)
_IfAddrs._fields_ = [
    ("next", _Pointer),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
]


def interfaces() -> Dict[str, Tuple[str, ...]]:
    """The addresses of each interface, with prefix lengths: ``{"em0": ("192.0.2.10/24",)}``.

    :returns: empty where the C library cannot be asked.
    """
    first = _Pointer()
    try:
        library = ctypes.CDLL(None)
        if library.getifaddrs(ctypes.byref(first)) != 0:
            return {}
    except (OSError, AttributeError):
        return {}
    found: Dict[str, List[str]] = {}
    entry = first
    while entry:
        text = _text(entry.contents.address, entry.contents.netmask)
        if text:
            found.setdefault(entry.contents.name.decode("ascii", "replace"), []).append(text)
        entry = entry.contents.next
    library.freeifaddrs(first)
    return {name: tuple(addresses) for name, addresses in found.items()}


def _text(address: Optional[int], netmask: Optional[int]) -> str:
    """An address with its prefix length; empty for what is neither IPv4 nor IPv6."""
    if not address or not netmask:
        return ""
    head = ctypes.string_at(address, 2)
    # Linux has a family of two bytes; macOS and the BSDs have a length, then a family of one byte.
    family = int.from_bytes(head, sys.byteorder) if sys.platform.startswith("linux") else head[1]
    if family not in _PLACES:
        return ""
    start, length = _PLACES[family]
    own = bytearray(ctypes.string_at(address + start, length))
    mask = int.from_bytes(ctypes.string_at(netmask + start, length), "big")
    if length == 16 and own[:2] == b"\xfe\x80":
        # The kernels of the BSDs keep the number of the interface in the third and fourth byte.
        own[2:4] = b"\0\0"
    return "%s/%d" % (ipaddress.ip_address(bytes(own)), bin(mask).count("1"))
