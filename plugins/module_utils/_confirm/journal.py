# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host remembers of a change that is not confirmed yet, and of how the last change ended."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import time
from typing import Any, Callable, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._confirm import wire
from ansible_collections.netports.apple.plugins.module_utils._confirm.pending import Pending, parsed
from ansible_collections.netports.apple.plugins.module_utils._confirm.wire import Answer, Origin
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

# Where programs keep what survives a reboot: Linux; macOS and the BSDs.
_STATE_FOLDERS = ("var/lib", "var/db")
_NAME = "netports-apple"
# Seconds that a run waits until another run's change is confirmed or put back.
LOCK_WAIT = 120.0
# Seconds that a confirmation waits for the keeper's answer.
ANSWER_WAIT = 120.0
# Bytes that are kept free for the outcome, so that a disk that fills up does not lose it.
_ROOM = 8192
_LONGEST_WHY = 500


@dataclass(frozen=True)
class Recovered:
    """What :meth:`Journal.recover` found.

    :param pending: the change whose files were put back; ``None`` where its record could not be read.
    :param text: what happened, for people.
    """

    pending: Optional[Pending]
    text: str


class Journal:
    """The folder in which a host remembers changes.

    :param root: the host's root folder, another one in tests.
    """

    def __init__(self, root: str = "/") -> None:
        states = [os.path.join(root, state) for state in _STATE_FOLDERS]
        self.folder = os.path.join(next((state for state in states if os.path.isdir(state)), states[0]), _NAME)
        self._pending = os.path.join(self.folder, "pending.json")
        self._unreadable = os.path.join(self.folder, "pending.unreadable")
        self._outcome = os.path.join(self.folder, "outcome.json")
        self._room = os.path.join(self.folder, "outcome.room")
        self.socket = os.path.join(self.folder, "keeper")

    # What is there

    def pending(self) -> Optional[Pending]:
        """The change that is under way; ``None`` when there is none, or when it cannot be read.

        A change whose outcome is known is settled, also where its keeper died before it took the record away. A change
        that is being confirmed no longer waits.

        :raises FirewallError: somebody else may write to the folder.
        """
        text = self._read(self._pending)
        try:
            found = None if text is None else Pending.from_json(text)
        except ValueError:
            return None
        if found is None or found.id == self.outcome().id:
            return None
        begun = self._answer(self._room)
        return replace(found, waits=found.waits and (begun.id, begun.state) != (found.id, wire.CONFIRMED))

    def unsettled(self) -> bool:
        """Whether the record of a change is there, under way or left over.

        :raises FirewallError: somebody else may write to the folder.
        """
        return self._read(self._pending) is not None

    def outcome(self) -> Answer:
        """How the last change ended; with an empty id when none ever did."""
        return self._answer(self._outcome)

    def fingerprint(self) -> Tuple[Any, ...]:
        """A value that differs after any change begins or ends."""
        found = map(_stat, (self._pending, self._outcome))
        return tuple((entry.st_ino, entry.st_mtime_ns) for entry in found if entry)

    def busy(self) -> str:
        """Why the lock is taken, for people."""
        found = self.pending()
        if found and found.until:
            return "another run's change (ruleset %r) waits until %s for its confirmation" % (
                found.ruleset,
                found.until,
            )
        return "another run is changing this host's firewall"

    # The life of a change

    def lock(self, wait: float = LOCK_WAIT) -> int:
        """Take the host's lock. Every run that changes something holds it, and its keeper does.

        :param wait: how long to wait for it, in seconds.
        :returns: a descriptor; the lock goes when the last process that has it closes it.
        :raises FirewallError: another run's change is still under way, or nothing can be kept here.
        """
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            _check_folder(self.folder)
            descriptor = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise FirewallError("what a change needs to be undone cannot be kept (%s): nothing was changed" % error)
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES) or time.monotonic() > deadline:
                    os.close(descriptor)
                    raise FirewallError("%s: nothing was changed; run this again then" % self.busy())
            time.sleep(0.2)

    def begin(self, pending: Pending, places: Sequence[str]) -> None:
        """Write down a change before its first step, and take the room for its outcome.

        :param places: the files and folders that its firewall may write.
        :raises OSError: it cannot be kept.
        :raises FirewallError: it writes a file that is no firewall's, which nobody could put back.
        """
        for item in pending.files:
            _check_place(item.path, places, self._pending)
        with open(os.open(self._room, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "wb") as stream:
            stream.write(b" " * _ROOM)
            stream.flush()
            os.fsync(stream.fileno())
        self.update(pending)

    def update(self, pending: Pending) -> None:
        """Write down another phase of the change.

        :raises OSError: it cannot be kept.
        """
        _files.replace(self._pending, pending.to_json(), 0o600)

    def prepare(self, identity: str, state: str, why: str = "") -> None:
        """Write down how a change is about to end: ``confirmed`` before its files are written.

        In place: the bytes are there already, also on a full disk. They may hold what a process wrote that died then.

        :raises OSError: it could not be written down.
        """
        answer = Answer(id=identity, state=state, why=why[:_LONGEST_WHY], at=clock())
        with open(os.open(self._room, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b") as stream:
            stream.write(wire.line(answer.to_dict()).ljust(_ROOM))
            stream.flush()
            os.fsync(stream.fileno())

    def close(self, identity: str, state: str, why: str = "") -> None:
        """Write down how a change ended. It is settled by that, before its record goes.

        :raises OSError: it could not be written down; the change is still unsettled.
        """
        self.prepare(identity, state, why)
        os.rename(self._room, self._outcome)
        _files.sync_folder(self.folder)
        try:
            for path in (self.socket, self._pending):
                if os.path.lexists(path):
                    os.unlink(path)
            _files.sync_folder(self.folder)
            _files.sweep(self.folder)
        except OSError:
            # The change is settled all the same: the next run takes away what is left.
            pass

    def recover(
        self, places: Callable[[str], Sequence[str]], take_back: Callable[[Pending], Optional[str]]
    ) -> Optional[Recovered]:
        """Put back a change that nobody keeps any more, after a power cut or a kill. The caller holds the lock.

        :param places: the files and folders that a firewall may write, by its name.
        :param take_back: puts back its files, what is loaded and what is switched; returns ``None``, or why it could not.
        :returns: what was found; ``None`` when there was no such change.
        :raises FirewallError: its record names files that are no firewall's. They stay as they are.
        """
        if not self.unsettled():
            return None
        found = self.pending()
        if found is None:
            return self._set_aside()
        allowed = places(found.firewall)
        for item in found.files:
            _check_place(item.path, allowed, self._pending)
        problem = take_back(found)
        if problem is not None and not found.waits:
            _files.put_back(found.files)
        self.close(found.id, wire.RESTORED, "the process that kept it was gone")
        text = "a change of ruleset %r was left unfinished, with nobody to undo it: it was put back"
        text %= found.ruleset
        return Recovered(pending=found, text="%s, but for what is loaded (%s)" % (text, problem) if problem else text)

    def _set_aside(self) -> Optional[Recovered]:
        """Take away the record of a settled change, and keep a record that cannot be read for people."""
        try:
            Pending.from_json(self._read(self._pending) or "")
        except ValueError as error:
            os.replace(self._pending, self._unreadable)
            text = "the record of an unfinished change cannot be read (%s), so that nothing was put back: it is %s now"
            return Recovered(pending=None, text=text % (error, self._unreadable))
        os.unlink(self._pending)
        return None

    # Confirmations

    def ask(self, identity: str, origin: Origin) -> Answer:
        """Confirm a change over the present connection.

        :param identity: what ``carry_out`` returned as ``id``.
        :param origin: the present connection.
        :returns: an answer that is ``confirmed``, ``restored``, ``refused`` or ``gone`` (nobody keeps it).
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(ANSWER_WAIT)
            try:
                _check_folder(self.folder)
                stream.connect(self.socket)
                stream.sendall(wire.line({"confirm": identity, "origin": origin}))
                return Answer.from_dict(json.loads(wire.read_line(stream)))
            except (OSError, ValueError):
                return self.status(identity)

    def status(self, identity: str) -> Answer:
        """How a change stands: as :meth:`ask`, or ``waiting``."""
        outcome = self.outcome()
        if outcome.id == identity:
            return outcome
        pending = self.pending()
        if pending and pending.id == identity and self._kept():
            return Answer(id=identity, state=wire.WAITING, at=pending.until)
        return Answer(id=identity, state=wire.GONE)

    def _kept(self) -> bool:
        """Whether somebody holds the lock. The keeper does, its watcher too, and nobody for longer than they live."""
        try:
            descriptor = os.open(os.path.join(self.folder, "lock"), os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except OSError:
            return True
        finally:
            os.close(descriptor)

    # Whom to believe

    def _answer(self, path: str) -> Answer:
        """The answer that a file of the folder holds; with an empty id when it holds none."""
        try:
            return Answer.from_dict(parsed(self._read(path) or "{}"))
        except ValueError:
            return Answer(id="", state=wire.GONE)

    def _read(self, path: str) -> Optional[str]:
        """The text of a file of the folder; ``None`` when there is none."""
        try:
            _check_folder(self.folder)
            found = os.lstat(path)
        except (FileNotFoundError, PermissionError):
            return None
        if not stat.S_ISREG(found.st_mode) or not _private(found):
            raise FirewallError("%s is not a file that root alone may write: see what is in it, and remove it" % path)
        try:
            return _files.read(path)
        except PermissionError:
            return None


def _check_folder(folder: str) -> None:
    """Refuse a folder that somebody else may write to: what is in it is written to files as root.

    :raises FirewallError: it is one.
    """
    found = os.lstat(folder)
    if stat.S_ISDIR(found.st_mode) and _private(found):
        return
    raise FirewallError(
        "%s is not a folder that root alone may write to (mode %s, owner %s): see what is in it, and remove it"
        % (folder, oct(stat.S_IMODE(found.st_mode))[2:], found.st_uid)
    )


def _check_place(path: str, places: Sequence[str], record: str) -> None:
    path = os.path.normpath(path)
    if not any(path == place or path.startswith(place + os.sep) for place in places):
        raise FirewallError(
            "an unfinished change names %s, which is no firewall's file: see who wrote %s, and remove it"
            % (path, record)
        )


def _private(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def clock(ahead: float = 0) -> str:
    """The time, in seconds from now, as text in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead))


def _stat(path: str) -> Optional[os.stat_result]:
    try:
        return os.stat(path)
    except OSError:
        return None
