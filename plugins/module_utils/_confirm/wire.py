# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the run, the keeper and a confirmation say to each other, and the states that a change goes through.

Every message is a JSON object on a line of its own.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Dict, List, Optional

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Json
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# States of a change. The last two are final: they are what a host remembers of it.
LOADING = "loading"
WAITING = "waiting"
CONFIRMED = "confirmed"
RESTORED = "restored"
# Answers to a confirmation that leave the change as it is: over the old connection; no such change.
REFUSED = "refused"
GONE = "gone"

# From the run to the keeper.
DONE = "done"
WAIT = "wait"
UNDO = "undo"
# Nobody is at the other end any more, or says something that is no message.
LOST = "lost"
# From a confirmation, the clock, and whoever ends the keeper.
CONFIRM = "confirm"
EXPIRE = "expire"
STOP = "stop"
# From the keeper to the run.
READY = "ready"

# What may happen to a change, and its state from then on.
TRANSITIONS = {
    (LOADING, DONE): CONFIRMED,
    (LOADING, WAIT): WAITING,
    (LOADING, UNDO): RESTORED,
    (LOADING, LOST): RESTORED,
    (LOADING, EXPIRE): RESTORED,
    (WAITING, CONFIRM): CONFIRMED,
    (WAITING, UNDO): RESTORED,
    (WAITING, EXPIRE): RESTORED,
    (WAITING, STOP): RESTORED,
}

# The address and the ports that tell an ssh connection from another: [address, port here, port there].
Origin = Optional[List[Any]]


@dataclass(frozen=True)
class Message:
    """A message between the run and the keeper.

    :param kind: what it says, such as ``wait``.
    :param why: a sentence, with ``undo``.
    :param seconds: how long to wait for the confirmation, with ``wait``.
    :param until: until when the keeper waits, with ``waiting``.
    :param loaded: what ``Plan.load`` returned, with ``wait``.
    """

    kind: str
    why: str = ""
    seconds: int = 0
    until: str = ""
    loaded: Json = None


@dataclass(frozen=True)
class Answer:
    """How a change stands.

    :param id: the change.
    :param state: ``confirmed``, ``restored``, ``refused``, ``waiting`` or ``gone``.
    :param why: why, for people; may be empty.
    :param at: when it ended, or when it will; may be empty.
    """

    id: str
    state: str
    why: str = ""
    at: str = ""

    def to_dict(self) -> Dict[str, Any]:
        """The plain form: a dictionary of the four texts."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, found: Any) -> Answer:
        """Read the plain form.

        :raises ValueError: it is something else.
        """
        if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("id", "state")):
            raise ValueError("not an answer: %r" % (found,))
        return cls(**{key: str(found.get(key, "")) for key in ("id", "state", "why", "at")})


def follow(state: str, event: str) -> str:
    """The state of a change behind an event.

    :raises ValueError: nothing of that kind may happen in that state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ValueError("a change that is %s cannot meet %r" % (state, event))


def send(stream: socket.socket, message: Message) -> None:
    """Send a message.

    :raises OSError: nobody is at the other end.
    """
    stream.sendall(line(dict(vars(message))))


def receive(stream: socket.socket) -> Message:
    """Wait for a message; its kind is ``lost`` where none comes.

    :raises OSError: the stream's limit of time is over.
    """
    try:
        return Message(**json.loads(read_line(stream)))
    except (ValueError, TypeError, ConnectionError):
        return Message(kind=LOST)


def line(value: Dict[str, Any]) -> bytes:
    """A JSON object on a line."""
    return json.dumps(value).encode("ascii") + b"\n"


def read_line(stream: socket.socket) -> str:
    """A line from the other side, without its end; empty where the other side has gone."""
    found = bytearray()
    while not found.endswith(b"\n"):
        more = stream.recv(65536)
        if not more:
            return ""
        found += more
    return found.decode("ascii", "replace")
