# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw's own lock (ufw.util.create_lock), so that ufw and this never write at the same time.

ufw reads its rules first and takes the lock then. A command that waits for the lock writes what it read before, and so
takes back what was written meanwhile. Hence whoever waits goes first, and whoever was about to wait is waited for.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import ExitStack, contextmanager
from typing import IO, Iterator, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host

_FILE = "run/ufw.lock"
# Seconds: for a lock that somebody holds; for those who wait for it themselves; and until a lock that is not ufw's,
# or any where a change has to be undone, is passed by.
_WAIT = 30.0
_COURTESY = 10.0
_PATIENCE = 5.0
_PAUSE = 0.05
_LINE = re.compile(r"\d+: (-> )?POSIX +ADVISORY +(READ|WRITE) +(\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")


@contextmanager
def locked(host: Host, insist: bool = False) -> Iterator[Lock]:
    """Hold ufw's lock.

    :param insist: go on without the lock after some seconds.
    :raises FirewallError: somebody else holds it for too long.
    """
    # Held by the process: it goes with it, however that ends.
    with open(host.path(_FILE), "a") as stream:
        lock = Lock(host, stream, insist)
        start = time.monotonic()
        while not lock.taken(time.monotonic() - start):
            time.sleep(_PAUSE)
        yield lock


class Lock:
    """ufw's lock, see ``locked``.

    :param host: the host.
    :param stream: the lock's file.
    :param insist: go on without the lock after some seconds.
    """

    def __init__(self, host: Host, stream: IO[str], insist: bool) -> None:
        self.host = host
        self.stream = stream
        self.insist = insist

    def taken(self, passed: float) -> bool:
        """Try to take the lock.

        :param passed: the seconds since the first try.
        """
        try:
            fcntl.lockf(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return self._passed_by(passed)
        if passed < _COURTESY and self.waiting()[1]:
            fcntl.lockf(self.stream, fcntl.LOCK_UN)
            return False
        return True

    def _passed_by(self, passed: float) -> bool:
        """Whether to go on without the lock.

        :raises FirewallError: it has been held for too long.
        """
        holders, _waiters = self.waiting()
        # A lock for reading is not ufw's, and any user can have it. ufw itself waits for it, so that none is at work.
        if passed > _PATIENCE and (self.insist or holders and all(kind == "READ" for _pid, kind in holders)):
            return True
        if passed > _WAIT:
            raise FirewallError(
                "another ufw or netports run has held %s for %d seconds (process %s): nothing was changed; run it again "
                "when that one is done"
                % (self.host.path(_FILE), _WAIT, ", ".join(str(pid) for pid, _kind in sorted(holders)))
            )
        return False

    def waiting(self) -> Tuple[Set[Tuple[int, str]], Set[int]]:
        """Who has the lock, with its kind, and who waits for it, by process."""
        found = os.fstat(self.stream.fileno())
        file = (os.major(found.st_dev), os.minor(found.st_dev), found.st_ino)
        holders: Set[Tuple[int, str]] = set()
        waiters: Set[int] = set()
        for arrow, kind, pid, major, minor, inode in _LINE.findall(_text(self.host.path("proc/locks"))):
            if (int(major, 16), int(minor, 16), int(inode)) == file and int(pid) != os.getpid():
                if arrow:
                    waiters.add(int(pid))
                else:
                    holders.add((int(pid), kind))
        return holders, waiters

    def others(self) -> Set[int]:
        """The processes of ufw that may have read its files before they were written."""
        return self.waiting()[1] | _commands(self.host)


def wait_for(host: Host, processes: Set[int]) -> None:
    """Wait until processes have ended, or for some seconds: one may wait for somebody's answer."""
    deadline = time.monotonic() + _COURTESY
    while time.monotonic() < deadline and processes & _commands(host):
        time.sleep(_PAUSE)


@contextmanager
def steady(host: Host) -> Iterator[None]:
    """Keep ufw from writing its files, which it does in place, while they are read."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open(host.path(_FILE)))
        except OSError:
            # No ufw has run since the boot, or the lock is not this user's to read.
            stream = None
        deadline = time.monotonic() + _PATIENCE
        while stream and time.monotonic() < deadline:
            try:
                fcntl.lockf(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(_PAUSE)
        yield


def _commands(host: Host) -> Set[int]:
    """The processes that run ufw's command."""
    found: Set[int] = set()
    folder = host.path("proc")
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        words = _text(os.path.join(folder, name, "cmdline")).split("\0")[:2] if name.isdigit() else []
        if any(os.path.basename(word) == "ufw" for word in words):
            found.add(int(name))
    return found


def _text(path: str) -> str:
    try:
        with open(path, errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
