# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The D-Bus client: bytes as the specification has them, and a bus that may do anything."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import bus as dbus
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import Bus, BusError, Variant

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
FOREIGN = {"y": st.integers(0, 255), "b": st.booleans(), "i": st.integers(-(2**31), 2**31 - 1), "s": TEXT}


@st.composite
def typed(draw: Any, depth: int = 3) -> tuple[str, Any]:
    """A D-Bus type and a value of it, as it is read back: structs are tuples, variants what is in them."""
    kinds = ["basic"] if not depth else ["basic", "array", "struct", "dict"]
    kind = draw(st.sampled_from(kinds))
    if kind == "array":
        inner, value = draw(typed(depth - 1))
        return "a" + inner, [value] * draw(st.integers(0, 3))
    if kind == "struct":
        members = draw(st.lists(typed(depth - 1), min_size=1, max_size=3))
        return f"({''.join(one for one, _value in members)})", tuple(value for _kind, value in members)
    if kind == "dict":
        inner, value = draw(typed(depth - 1))
        return f"a{{s{inner}}}", {key: value for key in draw(st.lists(TEXT, max_size=3))}
    letter = draw(st.sampled_from(sorted(FOREIGN)))
    return letter, draw(FOREIGN[letter])


@given(st.lists(typed(), max_size=4))
def test_values_come_back(values: list[tuple[str, Any]]) -> None:
    signature = "".join(kind for kind, _value in values)
    message = dbus.encode_call(7, "a.b", "/x", "c.d", "Do", signature, [value for _kind, value in values])
    kind, fields, read = dbus.decode_message(message)
    assert (kind, fields[1], fields[2], fields[3], fields[6]) == (1, "/x", "c.d", "Do", "a.b")
    assert read == [value for _kind, value in values]
    assert dbus.split_signature(signature) == [kind for kind, _value in values]


def test_the_bytes_of_a_call() -> None:
    # By hand from the specification: fields begin at multiples of 8, the body behind them too.
    fields = (
        b"\1\1o\0\2\0\0\0/o\0" + bytes(5) + b"\2\1s\0\3\0\0\0o.I\0" + bytes(4) + b"\3\1s\0\2\0\0\0Hi\0" + bytes(5)
        + b"\6\1s\0\3\0\0\0o.D\0" + bytes(4) + b"\10\1g\0\1s\0"
    )  # fmt: skip
    message = b"l\1\2\1" + struct.pack("<III", 7, 1, len(fields)) + fields + b"\0" + b"\2\0\0\0ab\0"
    assert dbus.encode_call(1, "o.D", "/o", "o.I", "Hi", "s", ["ab"]) == message


def test_variants_and_both_byte_orders() -> None:
    settings = {
        "services": Variant("as", ["ssh"]),
        "ports": Variant("a(ss)", [("22", "tcp")]),
        "masquerade": Variant("b", True),
    }
    read = dbus.decode_message(dbus.encode_call(1, "o.D", "/o", "o.D", "Set", "sa{sv}", ["public", settings]))[2]
    assert read == ["public", {"services": ["ssh"], "ports": [("22", "tcp")], "masquerade": True}]
    body = struct.pack(">I", 5) + b"hello\0"
    fields = b"\5\1u\0" + struct.pack(">I", 9) + b"\10\1g\0\1s\0\0"
    big = b"B\2\1\1" + struct.pack(">III", len(body), 1, len(fields) - 1) + fields + body
    assert dbus.decode_message(big) == (2, {5: 9, 8: "s"}, ["hello"])


@pytest.mark.parametrize("signature", ["a", "(", "(s", "{", "z", "a{s", ")", "a(", "()", "a()"])
def test_a_wrong_signature_is_an_error(signature: str) -> None:
    with pytest.raises(ValueError, match="signature"):
        dbus.split_signature(signature)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_value_error(noise: bytes) -> None:
    message = b"l\2\1\1" + noise.ljust(12, b"\0")
    try:
        dbus.decode_message(message)
    except ValueError as error:
        assert str(error)


def serve(path: Path, talk: Callable[[socket.socket], None]) -> threading.Thread:
    """A bus of one connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def run() -> None:
        connection, _address = listener.accept()
        with listener, connection:
            talk(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _reply(serial: int, signature: str = "", body: bytes = b"", kind: int = 2, name: str = "") -> bytes:
    fields: list[tuple[int, Variant]] = [(5, Variant("u", serial))]
    fields += [(8, Variant("g", signature))] if signature else []
    fields += [(4, Variant("s", name))] if name else []
    head = bytearray(struct.pack("<BBBBII", 108, kind, 0, 1, len(body), 99))
    dbus._put(head, "a(yv)", fields)
    head.extend(b"\0" * (-len(head) % 8))
    return bytes(head) + body


def _hello(connection: socket.socket) -> None:
    assert connection.recv(100).startswith(b"\0AUTH EXTERNAL ")
    connection.sendall(b"OK 1234\r\n")
    received = b""
    while b"Hello" not in received:
        received += connection.recv(4096)
    assert received.startswith(b"BEGIN\r\n")
    connection.sendall(_reply(1, "s", struct.pack("<I", 4) + b":1.7\0"))


def test_an_error_has_its_name_and_signals_pass_by(tmp_path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        _hello(connection)
        connection.recv(4096)
        body = struct.pack("<I", 4) + b"no: \0"
        connection.sendall(_reply(77, kind=4) + _reply(2, "s", body, 3, "org.Refused"))
        connection.shutdown(socket.SHUT_WR)

    thread = serve(tmp_path / "bus", talk)
    bus = Bus(str(tmp_path / "bus"), 5)
    with pytest.raises(BusError, match="no: ") as caught:
        bus.call("a.b", "/x", "c.d", "Do")
    assert caught.value.name == "org.Refused" and bus.calls == 2
    thread.join()
    with pytest.raises(BusError):
        bus.call("a.b", "/x", "c.d", "Do")
    bus.close()


def _signal(sender: str, member: str, port: str, signature: str = "s") -> bytes:
    fields: list[tuple[int, Variant]] = [
        *((1, Variant("o", "/o")), (2, Variant("s", "o.I")), (3, Variant("s", member))),
        *((7, Variant("s", sender)), (8, Variant("g", signature))),
    ]
    body = struct.pack("<I", len(port)) + port.encode() + b"\0"
    head = bytearray(struct.pack("<BBBBII", 108, 4, 0, 1, len(body), 99))
    dbus._put(head, "a(yv)", fields)
    head.extend(b"\0" * (-len(head) % 8))
    return bytes(head) + body


def test_who_is_listened_to_is_heard_and_nobody_else(tmp_path: Path) -> None:
    """Any user of a host may send a signal to a connection: it opens no port, and stops no run, whatever is in it."""
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        _hello(connection)
        owner = struct.pack("<I", 4) + b":1.3\0"
        for answer in (
            _signal(":1.3", "Added", "1") + _reply(2),
            _signal(":1.3", "Added", "2") + _reply(3, "s", owner),
            _signal(":1.3", "Added", "3")
            + _signal(":1.9", "Added", "4", "a")
            + _signal(":1.3", "Removed", "5")
            + _reply(4),
        ):
            asked.append(connection.recv(4096))
            connection.sendall(answer)

    thread = serve(tmp_path / "bus", talk)
    bus = Bus(str(tmp_path / "bus"), 5)
    bus.listen("o.D", "/o")
    assert bus.heard == []
    bus.call("o.D", "/o", "o.I", "Do")
    assert [(signal.interface, signal.member, signal.values) for signal in bus.heard] == [
        ("o.I", "Added", ("3",)),
        ("o.I", "Removed", ("5",)),
    ]
    assert b"type='signal',sender='o.D',path='/o'" in asked[0] and b"GetNameOwner" in asked[1]
    thread.join()
    bus.close()


@pytest.mark.parametrize(
    "answer",
    [b"REJECTED EXTERNAL\r\n", b"", b"OK 1\r\n" + b"\0" * 64, b"OK 1\r\nl\2\1\1\xff\xff\xff\xff" + b"\xff" * 8],
)
def test_a_bus_that_is_none_is_an_error(tmp_path: Path, answer: bytes) -> None:
    def reply(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(answer)

    thread = serve(tmp_path / "bus", reply)
    with pytest.raises(BusError):
        Bus(str(tmp_path / "bus"), 5)
    thread.join()


def test_no_bus_is_none(tmp_path: Path) -> None:
    assert dbus.connect(str(tmp_path)) is None
    (tmp_path / "run" / "dbus").mkdir(parents=True)
    (tmp_path / "run" / "dbus" / "system_bus_socket").touch()
    assert dbus.connect(str(tmp_path)) is None
