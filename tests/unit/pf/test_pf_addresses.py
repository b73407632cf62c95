# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of interfaces, asked of the C library of the machine that runs the tests."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import sys

import pytest

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import addresses


def test_this_machine_has_a_loopback_interface() -> None:
    found = addresses.interfaces()
    assert any("127.0.0.1/8" in own for own in found.values())
    assert set(found) <= {name for _number, name in socket.if_nameindex()}
    for own in found.values():
        for address in own:
            ipaddress.ip_interface(address)


@pytest.mark.parametrize(
    ("family", "head", "address", "mask", "expected"),
    [
        (socket.AF_INET, b"\0\0", "c0000201", "ffffff00", "192.0.2.1/24"),
        (socket.AF_INET6, b"\0\0" + b"\0" * 4, "fe800004000000000000000000000001", "ff" * 8 + "00" * 8, "fe80::1/64"),
        (
            socket.AF_INET6,
            b"\0\0" + b"\0" * 4,
            "20010db8000000000000000000000001",
            "ff" * 8 + "00" * 8,
            "2001:db8::1/64",
        ),
    ],
)
def test_addresses_as_the_bsds_have_them(
    monkeypatch: pytest.MonkeyPatch, family: int, head: bytes, address: str, mask: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")
    first = ctypes.create_string_buffer(bytes([16, family]) + head + bytes.fromhex(address))
    # The netmask's own family may be missing there.
    second = ctypes.create_string_buffer(b"\0\0" + head + bytes.fromhex(mask))
    assert addresses._text(ctypes.addressof(first), ctypes.addressof(second)) == expected


def test_a_socket_of_the_link_layer_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    link = ctypes.create_string_buffer(bytes([20, 18]) + bytes(18))
    assert addresses._text(ctypes.addressof(link), ctypes.addressof(link)) == ""
    assert addresses._text(None, None) == ""
