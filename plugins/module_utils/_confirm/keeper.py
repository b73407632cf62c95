# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keeper: a process of its own that undoes a change unless it is told not to.

It holds the plan, which knows how to undo itself, in its memory, and the host's lock. It needs no controller, no
systemd and no ``at``. A watcher, one process more, undoes the change in its place where the keeper is killed.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import syslog
import time
from typing import Any, NoReturn, Tuple

from ansible_collections.netports.apple.plugins.module_utils._confirm import wire
from ansible_collections.netports.apple.plugins.module_utils._confirm.journal import ANSWER_WAIT, Journal, clock
from ansible_collections.netports.apple.plugins.module_utils._confirm.pending import Pending
from ansible_collections.netports.apple.plugins.module_utils._confirm.process import Runner, Started, detach
from ansible_collections.netports.apple.plugins.module_utils._confirm.wire import Answer, Message
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Json, Plan
from ansible_collections.netports.apple.plugins.module_utils._values import replace

# Seconds that a run may take until its change is loaded. Each of its programs has a limit of its own.
_LOAD_LIMIT = 600.0
# Seconds to wait for the children of a dead run; longer than any lock they may wait for.
_ORPHANS = 60.0
# Seconds until killed processes have ended.
_KILLED = 10.0
# How often the keeper tries to put things back, with growing pauses: for some 20 minutes.
_TRIES = 45


class Keeper:
    """The process that undoes a change unless it is told not to.

    :param journal: the host's journal.
    :param lock: the host's lock, as ``Journal.lock`` gave it.
    :param plan: the change.
    :param pending: its record.
    """

    def __init__(self, journal: Journal, lock: int, plan: Plan, pending: Pending) -> None:
        self.journal = journal
        self.lock = lock
        self.plan = plan
        self.pending = pending
        self.run = os.getpid()
        self.state = wire.LOADING
        self.loaded: Json = None

    def start(self) -> Tuple[socket.socket, int]:
        """Split the keeper off.

        :returns: the socket by which to talk to it, and the descriptor to lend to what the run starts.
        :raises OSError: it could not be started.
        """
        here, there = socket.socketpair()
        alive, lent = os.pipe()
        # A keeper that reads nothing must not hold up the run.
        os.set_blocking(lent, False)
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                if os.fork() == 0:
                    detach([self.lock, there.fileno(), alive])
                    if self._is_keeper(there, alive):
                        self._run(there, alive)
            # Nothing may come back from here into the module's code.
            except BaseException as error:  # noqa: BLE001
                syslog.syslog(syslog.LOG_ERR, "netports.apple: %s" % error)
            finally:
                os._exit(0)
        there.close()
        os.close(alive)
        os.waitpid(child, 0)
        here.settimeout(ANSWER_WAIT)
        if wire.receive(here).kind != wire.READY:
            raise OSError(errno.ECHILD, "it ended at once")
        return here, lent

    def _is_keeper(self, there: socket.socket, alive: int) -> bool:
        """Split off the keeper proper, and undo the change in its place where it is killed.

        :returns: whether this is the keeper; its watcher comes back when there is nothing left to do.
        """
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        keeper = os.fork()
        if keeper == 0:
            return True
        there.close()
        while os.WIFSTOPPED(os.waitpid(keeper, os.WUNTRACED)[1]):
            os.kill(keeper, signal.SIGCONT)
        why = "the process that kept it was killed"
        if not self._settled():
            # A run that is still at it undoes the change by itself when it finds nobody to hand it to.
            why += self._end_children(Started(alive))
        if not self._settled():
            self._undo(why)
        return False

    def _end_children(self, started: Started) -> str:
        """Wait for what a dead run started, and kill what does not end.

        :returns: what was killed, as the end of a sentence.
        """
        if started.ended(_ORPHANS):
            return ""
        name = started.kill()
        started.ended(_KILLED)
        return ", and %s, which it had started, did not end and was killed" % (name or "a program")

    def _settled(self) -> bool:
        """Whether the change's end is written down, whoever died behind it."""
        try:
            return self.journal.outcome().id == self.pending.id
        except FirewallError:
            return False

    def _waits(self) -> bool:
        """Whether the change is loaded and waits. The watcher was split off before, and knows only what is written down.

        Where that cannot be read, the old rules come back all the same.
        """
        try:
            found = self.journal.pending()
        except (FirewallError, OSError):
            return False
        return bool(found and found.waits)

    def _run(self, there: socket.socket, alive: int) -> None:
        """Wait for the end of the load, and do what it asks for."""
        if isinstance(self.plan.host.run, Runner):
            self.plan.host.run.lent = None
        wire.send(there, Message(kind=wire.READY))
        there.settimeout(_LOAD_LIMIT)
        try:
            order = wire.receive(there)
        except OSError:
            order = Message(kind=wire.EXPIRE, why="the run did not load the change within %d seconds" % _LOAD_LIMIT)
            # It hangs, and would go on once it is let.
            os.kill(self.run, signal.SIGKILL)
        self.state = wire.follow(self.state, order.kind)
        if self.state == wire.WAITING:
            self.loaded = order.loaded
            self._wait(there, order.seconds)
        elif self.state == wire.RESTORED:
            # A lost run is dead. What it started may not be: first all of that.
            why = order.why or "the run that made the change died"
            why += self._end_children(Started(alive))
            if not self._settled():
                self._undo(why)
            try:
                wire.send(there, Message(kind=wire.RESTORED))
            except OSError:
                pass

    def _wait(self, there: socket.socket, seconds: int) -> None:
        """Wait for the confirmation, and undo the change without one."""
        deadline = time.monotonic() + seconds
        until = clock(seconds)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            try:
                if os.path.lexists(self.journal.socket):
                    os.unlink(self.journal.socket)
                server.bind(self.journal.socket)
                server.listen(8)
                self.journal.update(replace(self.pending, until=until, keeper=os.getpid(), waits=True))
                wire.send(there, Message(kind=wire.WAITING, until=until))
            except OSError as error:
                self._end(wire.UNDO, "nobody could be waited for (%s)" % error)
                return
            there.close()
            signal.signal(signal.SIGTERM, _stop)
            try:
                while self.state == wire.WAITING:
                    left = deadline - time.monotonic()
                    if left <= 0 or not select.select([server], [], [], left)[0]:
                        self._end(wire.EXPIRE, "no new connection confirmed the change within %d seconds" % seconds)
                        break
                    self._asked(server.accept()[0])
            except _Stopped:
                self._end(wire.STOP, "the process that waited for the confirmation was told to end")
            # Who came too late is told so.
            server.settimeout(0)
            try:
                while True:
                    _reply(server.accept()[0], self.journal.outcome())
            except OSError:
                return

    def _asked(self, stream: socket.socket) -> None:
        """Answer a request, and settle the change where it is a confirmation."""
        stream.settimeout(5)
        try:
            request = json.loads(wire.read_line(stream) or "null")
        except (OSError, ValueError):
            request = None
        if not isinstance(request, dict) or request.get("confirm") != self.pending.id:
            _reply(stream, Answer(id=self.pending.id, state=wire.GONE, why="another change waits here"))
            return
        before, now = self.pending.origin, request.get("origin")
        if before is not None and (now is None or list(now) == list(before)):
            why = "the confirmation came over the connection that the change was made over"
            _reply(stream, Answer(id=self.pending.id, state=wire.REFUSED, why=why))
            return
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            self.journal.prepare(self.pending.id, wire.CONFIRMED)
            self.plan.commit(self.loaded)
            self.journal.close(self.pending.id, wire.CONFIRMED)
            self.state = wire.follow(self.state, wire.CONFIRM)
        # Whatever it was, the old rules come back.
        except BaseException as error:  # noqa: BLE001
            self._end(wire.UNDO, " ".join(str(error).split()))
        os.close(self.lock)
        _reply(stream, self.journal.outcome())

    def _end(self, event: str, why: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.state = wire.follow(self.state, event)
        self._undo(why)

    def _undo(self, why: str) -> None:
        """Put back what was there, and try again until it is."""
        for number in range(_TRIES):
            try:
                self.plan.rollback(waits=self._waits())
                self.journal.close(self.pending.id, wire.RESTORED, why)
            # Nobody else is left to try again.
            except BaseException as error:  # noqa: BLE001
                syslog.syslog(syslog.LOG_ERR, "netports.apple: cannot restore the old rules yet: %s" % error)
                time.sleep(min(0.5 * 2**number, 30))
            else:
                syslog.syslog(syslog.LOG_WARNING, "netports.apple: restored the old rules: %s" % why)
                return


class _Stopped(Exception):
    """The keeper was told to end."""


def _stop(_number: int, _frame: Any) -> NoReturn:
    raise _Stopped


def _reply(stream: socket.socket, answer: Answer) -> None:
    try:
        stream.sendall(wire.line(answer.to_dict()))
    except OSError:
        pass
    stream.close()
