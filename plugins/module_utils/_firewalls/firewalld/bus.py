# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of D-Bus that it takes to ask a daemon on the system bus: method calls, their answers, and signals.

firewalld answers on the bus what ``firewall-cmd`` asks it there, in a millisecond instead of half a second
for each process. The Python bindings belong to the interpreter of the distribution, which need not be the
one that runs a module; this needs the standard library alone.

Source: D-Bus specification 0.43, "Message Protocol" and "Authentication Protocol".
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

# Where the system bus listens (specification, "Well-known Message Bus Instances"; /run since systemd).
SOCKETS = ("run/dbus/system_bus_socket", "var/run/dbus/system_bus_socket")

_CALL, _REPLY, _ERROR, _SIGNAL = 1, 2, 3, 4
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SENDER, _SIGNATURE = 1, 2, 3, 4, 5, 6, 7, 8
_BUS, _BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_NO_AUTO_START = 0x2
_LARGEST_MESSAGE = 128 * 1024 * 1024
_LARGEST_DEPTH = 64

# Format for ``struct`` and size, which is the alignment too.
_FIXED = {
    "y": ("B", 1),
    "b": ("I", 4),
    "n": ("h", 2),
    "q": ("H", 2),
    "i": ("i", 4),
    "u": ("I", 4),
    "x": ("q", 8),
    "t": ("Q", 8),
    "d": ("d", 8),
    # The place of a descriptor, of which none travel here.
    "h": ("I", 4),
}
_ALIGNMENT = {"s": 4, "o": 4, "g": 1, "a": 4, "(": 8, "{": 8, "v": 1}


class BusError(Exception):
    """The bus, or who was asked on it, gave an error. ``name`` is D-Bus's own name for it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Variant(NamedTuple):
    """A value that carries its type along, to be sent as D-Bus type ``v``."""

    signature: str
    value: Any


class Signal(NamedTuple):
    """What somebody told everybody on the bus. ``own``: it is about a call of this connection."""

    interface: str
    member: str
    values: Tuple[Any, ...]
    own: bool = False


class Bus:
    """A connection to the message bus on a unix socket.

    :param path: the socket.
    :param timeout: seconds to wait for an answer.
    :raises BusError: nobody listens there, or who does speaks no D-Bus.
    :ivar calls: how many calls were made.
    :ivar heard: the signals of who is listened to, in their order. Those that were sent before an answer are there
        once the call returns.
    """

    def __init__(self, path: str, timeout: float = 120.0) -> None:
        self.calls = 0
        self.heard: List[Signal] = []
        self._rules: Set[str] = set()
        self._speaker = ""
        self._serial = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
            identity = str(os.geteuid()).encode().hex().encode()
            self._socket.sendall(b"\0AUTH EXTERNAL " + identity + b"\r\n")
            answer = self._line()
            if not answer.startswith(b"OK "):
                raise BusError("org.freedesktop.DBus.Error.AuthFailed", "the bus answered %r" % answer)
            self._socket.sendall(b"BEGIN\r\n")
            self.call(_BUS, _BUS_PATH, _BUS, "Hello")
        except OSError as error:
            self.close()
            raise BusError("org.freedesktop.DBus.Error.NoServer", "%s: %s" % (path, error))
        except BusError:
            self.close()
            raise

    def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *arguments: Any
    ) -> Any:
        """Call a method and wait for its answer.

        :param signature: types of the arguments, such as ``ssi``.
        :returns: what the method returned: ``None`` for nothing, the value for one, a tuple for several.
            Structs are tuples, arrays lists, dictionaries dicts, variants what is inside them.
        :raises BusError: the method answered with an error, or the connection is gone.
        """
        self._serial += 1
        self.calls += 1
        try:
            self._socket.sendall(encode_call(self._serial, destination, path, interface, member, signature, arguments))
            while True:
                kind, fields, values = self._message()
                if kind != _SIGNAL:
                    break
                self.heard.append(Signal(str(fields.get(_INTERFACE)), str(fields.get(_MEMBER)), tuple(values)))
        except (OSError, struct.error, ValueError) as error:
            raise BusError("org.freedesktop.DBus.Error.Disconnected", "%s.%s: %s" % (interface, member, error))
        if kind == _ERROR:
            raise BusError(str(fields.get(_ERROR_NAME)), str(values[0]) if values else str(fields.get(_ERROR_NAME)))
        if not values:
            return None
        return values[0] if len(values) == 1 else tuple(values)

    def has_owner(self, name: str) -> bool:
        """Say whether somebody serves a name now. Starts nobody."""
        return bool(self.call(_BUS, _BUS_PATH, _BUS, "NameHasOwner", "s", name))

    def listen(self, name: str, path: str) -> None:
        """Keep the signals of who serves a name now in ``heard``, from now on.

        :param path: the object whose signals are kept.
        :raises BusError: nobody serves the name.
        """
        rule = "type='signal',sender='%s',path='%s'" % (name, path)
        if rule not in self._rules:
            self.call(_BUS, _BUS_PATH, _BUS, "AddMatch", "s", rule)
            self._rules.add(rule)
        self._speaker = str(self.call(_BUS, _BUS_PATH, _BUS, "GetNameOwner", "s", name))
        self.heard = []

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def forget(self) -> None:
        """Let go of a connection that is another process's, without touching its descriptor."""
        self._socket.detach()

    def _line(self) -> bytes:
        # One byte at a time: what follows the line belongs to the message protocol.
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._bytes(1)
            if len(line) > 16384:
                raise OSError("no end of line in %d bytes" % len(line))
        return line

    def _bytes(self, size: int) -> bytes:
        parts: List[bytes] = []
        while size:
            part = self._socket.recv(min(size, 65536))
            if not part:
                raise OSError("the bus closed the connection")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _message(self) -> Tuple[int, Dict[int, Any], List[Any]]:
        """The next message that is for this connection. Nobody looks into the others, whatever is in them."""
        while True:
            start = self._bytes(16)
            order = {108: "<", 66: ">"}.get(start[0])
            if order is None:
                raise ValueError("byte order %r is not D-Bus's" % start[:1])
            body_size = struct.unpack_from(order + "I", start, 4)[0]
            fields_size = struct.unpack_from(order + "I", start, 12)[0]
            rest = fields_size + -fields_size % 8 + body_size
            if rest > _LARGEST_MESSAGE:
                raise ValueError("a message of %d bytes is larger than D-Bus allows" % rest)
            message = start + self._bytes(rest)
            if self._concerns(message[1], decode_fields(message)[0]):
                return decode_message(message)

    def _concerns(self, kind: int, fields: Dict[int, Any]) -> bool:
        """Whether a message is the answer, or a signal of who is listened to.

        Anybody may send a signal to a connection of his choice. The bus itself names the sender.
        """
        if kind == _SIGNAL:
            return bool(self._speaker) and fields.get(_SENDER) == self._speaker
        return kind in (_REPLY, _ERROR) and fields.get(_REPLY_SERIAL) == self._serial


def encode_call(
    serial: int,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    arguments: Sequence[Any] = (),
) -> bytes:
    """Write a method call as the bytes of its message, little-endian."""
    body = bytearray()
    kinds = split_signature(signature)
    if len(kinds) != len(arguments):
        raise ValueError("%s.%s takes %r, got %d values" % (interface, member, signature, len(arguments)))
    for kind, value in zip(kinds, arguments):
        _put(body, kind, value)
    fields: List[Tuple[int, Variant]] = [
        (_PATH, Variant("o", path)),
        (_INTERFACE, Variant("s", interface)),
        (_MEMBER, Variant("s", member)),
        (_DESTINATION, Variant("s", destination)),
    ]
    if signature:
        fields.append((_SIGNATURE, Variant("g", signature)))
    message = bytearray(struct.pack("<BBBBII", 108, _CALL, _NO_AUTO_START, 1, len(body), serial))
    _put(message, "a(yv)", fields)
    _pad(message, 8)
    return bytes(message + body)


def decode_fields(message: bytes) -> Tuple[Dict[int, Any], int]:
    """Read the header of a message.

    :returns: its fields by their code, and where its body starts.
    :raises ValueError: not a message.
    """
    try:
        pairs, offset = _get(message, 12, "a(yv)", "<" if message[0] == 108 else ">")
        return dict(pairs), offset + -offset % 8
    except (struct.error, IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("this is no D-Bus message: %s" % error)


def decode_message(message: bytes) -> Tuple[int, Dict[int, Any], List[Any]]:
    """Read a whole message.

    :returns: its type, its header fields by their code, and the values of its body.
    :raises ValueError: not a message.
    """
    fields, offset = decode_fields(message)
    order = "<" if message[0] == 108 else ">"
    try:
        values: List[Any] = []
        # Alignment counts from the start of the message; the body starts at a multiple of 8, the largest.
        for kind in split_signature(fields.get(_SIGNATURE, "")):
            value, offset = _get(message, offset, kind, order)
            values.append(value)
    except (struct.error, IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("this is no D-Bus message: %s" % error)
    return message[1], fields, values


def split_signature(signature: str) -> List[str]:
    """Split a signature into its complete types: ``sa{sv}i`` into ``s``, ``a{sv}``, ``i``."""
    kinds: List[str] = []
    start = 0
    while start < len(signature):
        end = _end(signature, start)
        kinds.append(signature[start:end])
        start = end
    return kinds


def _end(signature: str, start: int) -> int:
    first = signature[start : start + 1]
    if first == "a":
        return _end(signature, start + 1)
    if first in ("(", "{"):
        closing = ")" if first == "(" else "}"
        position = start + 1
        while signature[position : position + 1] != closing:
            position = _end(signature, position)
        # An array of what takes no bytes would never end.
        if position > start + 1:
            return position + 1
    if first and (first in _FIXED or first in "sogv"):
        return start + 1
    raise ValueError("%r is not a D-Bus signature" % signature)


def _pad(data: bytearray, alignment: int) -> None:
    data.extend(b"\0" * (-len(data) % alignment))


def _align(kind: str) -> int:
    return _FIXED[kind][1] if kind in _FIXED else _ALIGNMENT[kind[0]]


def _put(data: bytearray, kind: str, value: Any) -> None:
    _pad(data, _align(kind))
    if kind in _FIXED:
        data.extend(struct.pack("<" + _FIXED[kind][0], value))
    elif kind in ("s", "o"):
        raw = value.encode("utf-8")
        data.extend(struct.pack("<I", len(raw)) + raw + b"\0")
    elif kind == "g":
        raw = value.encode("ascii")
        data.extend(struct.pack("<B", len(raw)) + raw + b"\0")
    elif kind == "v":
        _put(data, "g", value.signature)
        _put(data, value.signature, value.value)
    elif kind[0] == "a":
        position = len(data)
        data.extend(b"\0\0\0\0")
        # The padding before the first element does not count in the array's length.
        _pad(data, _align(kind[1:]))
        start = len(data)
        for element in value.items() if kind[1] == "{" else value:
            _put(data, kind[1:], element)
        struct.pack_into("<I", data, position, len(data) - start)
    else:
        kinds = split_signature(kind[1:-1])
        if len(kinds) != len(value):
            raise ValueError("%r does not fit D-Bus type %s" % (value, kind))
        for inner, element in zip(kinds, value):
            _put(data, inner, element)


def _get(data: bytes, offset: int, kind: str, order: str, depth: int = 0) -> Tuple[Any, int]:
    if depth > _LARGEST_DEPTH:
        raise ValueError("a value is nested deeper than D-Bus allows")
    offset += -offset % _align(kind)
    if kind in _FIXED:
        letter, size = _FIXED[kind]
        value = struct.unpack_from(order + letter, data, offset)[0]
        return (bool(value) if kind == "b" else value), offset + size
    if kind in ("s", "o"):
        size = struct.unpack_from(order + "I", data, offset)[0]
        return data[offset + 4 : offset + 4 + size].decode("utf-8"), offset + 4 + size + 1
    if kind == "g":
        size = data[offset]
        return data[offset + 1 : offset + 1 + size].decode("ascii"), offset + 1 + size + 1
    if kind == "v":
        signature, offset = _get(data, offset, "g", order, depth + 1)
        return _get(data, offset, signature, order, depth + 1)
    if kind[0] == "a":
        size = struct.unpack_from(order + "I", data, offset)[0]
        offset += 4
        offset += -offset % _align(kind[1:])
        end = offset + size
        if end > len(data):
            raise ValueError("an array is longer than its message")
        elements: List[Any] = []
        while offset < end:
            element, offset = _get(data, offset, kind[1:], order, depth + 1)
            elements.append(element)
        return (dict(elements) if kind[1] == "{" else elements), offset
    members: List[Any] = []
    for inner in split_signature(kind[1:-1]):
        member, offset = _get(data, offset, inner, order, depth + 1)
        members.append(member)
    return tuple(members), offset


def connect(root: str = "/") -> Optional[Bus]:
    """Connect to the system bus of a host; ``None`` where there is none."""
    for name in SOCKETS:
        path = os.path.join(root, name)
        if os.path.exists(path):
            try:
                return Bus(path)
            except BusError:
                continue
    return None
