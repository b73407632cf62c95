# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that holds only when it is confirmed, and that is put back when its run dies.

Before the first write a process of its own, the keeper, is split off. It holds what the change was and how to
undo it, in its memory, and the host's lock. It undoes the change when the run dies in the middle, when the
time is over, and when it is told to stop; it needs no controller, no systemd and no at. A confirmation goes
through the keeper too, by a socket that root alone can open: one process decides, so that a confirmation and
the end of the time cannot both win.

Until the confirmation the disk has what was there before, so that a reboot needs no help to bring it back.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import select
import signal
import socket
import string
import syslog
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Json, Plan

# Where programs keep what survives a reboot: Linux; macOS and the BSDs.
_STATE_FOLDERS = ("var/lib", "var/db")
_NAME = "netports-apple"
# How long a run waits for another one's change to be confirmed or put back, in seconds.
WAIT = 120.0
# How long what a dead run started may go on, in seconds: above the longest wait for a lock of a program's.
_ORPHANS = 60.0
# How often the keeper tries to put things back, with growing pauses: for some 20 minutes.
_TRIES = 45
_ANSWER = 120.0

CONFIRMED = "confirmed"
RESTORED = "restored"
REFUSED = "refused"
WAITING = "waiting"
GONE = "gone"

# The fields of SSH_CONNECTION that tell one connection from another.
Origin = Optional[Sequence[Any]]


class Journal:
    """What a host remembers of a change that is not confirmed yet, and of how the last one ended.

    :param root: the host's root folder, another one in tests.
    """

    def __init__(self, root: str = "/") -> None:
        states = [os.path.join(root, one) for one in _STATE_FOLDERS]
        self.folder = os.path.join(next((one for one in states if os.path.isdir(one)), states[0]), _NAME)
        self._pending = os.path.join(self.folder, "pending.json")
        self._outcome = os.path.join(self.folder, "outcome.json")
        self.socket = os.path.join(self.folder, "keeper")

    def pending(self) -> Optional[Dict[str, Any]]:
        """The change that is under way: its keys as L(carry_out) writes them. ``None`` when there is none."""
        return _read(self._pending)

    def outcome(self) -> Dict[str, Any]:
        """How the last change ended: ``id``, ``state``, ``why`` and ``at``. Empty when none ever did."""
        return _read(self._outcome) or {}

    def stamp(self) -> Tuple[Any, ...]:
        """A value that another change's beginning or end makes another one."""
        return tuple((found.st_ino, found.st_mtime_ns) for found in map(_stat, (self._pending, self._outcome)) if found)

    def lock(self, wait: float = WAIT) -> int:
        """Take the host's lock, which every run holds that changes something, and its keeper.

        :param wait: how long to wait for it, in seconds.
        :returns: a descriptor; the lock goes when the last process that has it closes it.
        :raises FirewallError: another run's change is still under way, or nothing can be kept here.
        """
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            descriptor = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
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

    def busy(self) -> str:
        """Why the lock is taken, for people."""
        found = self.pending() or {}
        if found.get("until"):
            return "another run's change (ruleset %r) waits until %s for its confirmation" % (
                found.get("ruleset"),
                found["until"],
            )
        return "another run is changing this host's firewall"

    def recover(self) -> bool:
        """Put back the files of a change whose keeper is gone, by a power cut or a signal that none survives.

        The caller holds the lock. What is loaded is the next run's to bring to the files: after a reboot it
        is what they say.

        :returns: whether there was such a change.
        """
        found = self.pending()
        if found is None:
            return False
        _files.put_back([FileChange(*item) for item in found.get("files", [])])
        self.close(str(found.get("id")), RESTORED, "the process that kept it was gone")
        return True

    def begin(self, record: Dict[str, Any]) -> None:
        """Write down a change before its first step, or another phase of it.

        :raises OSError: it cannot be kept.
        """
        _files.replace(self._pending, json.dumps(record), 0o600)

    def close(self, identity: str, state: str, why: str = "") -> None:
        """Write down how a change ended."""
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        try:
            outcome = {"id": identity, "state": state, "why": why, "at": _clock()}
            _files.replace(self._outcome, json.dumps(outcome), 0o600)
        finally:
            # Behind the outcome, so that a change that nobody knows the end of never looks as if there were none.
            _files.replace(self._pending, None)
            _files.sweep(self.folder)

    def ask(self, identity: str, origin: Origin) -> Dict[str, Any]:
        """Confirm a change over the present connection.

        :param identity: what L(carry_out) returned as ``id``.
        :param origin: the present connection.
        :returns: ``state`` (``confirmed``, ``restored``, ``refused`` or ``gone``: nobody keeps it), ``why``, ``at``.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(_ANSWER)
            try:
                stream.connect(self.socket)
                stream.sendall(json.dumps({"confirm": identity, "origin": origin}).encode() + b"\n")
                answer = _line(stream)
                if answer:
                    return dict(json.loads(answer))
            except (OSError, ValueError):
                pass
        return self.status(identity)

    def status(self, identity: str) -> Dict[str, Any]:
        """How a change stands: as L(ask), or ``waiting``."""
        outcome = self.outcome()
        if outcome.get("id") == identity:
            return outcome
        pending = self.pending() or {}
        if pending.get("id") == identity and os.path.exists(self.socket):
            return {"id": identity, "state": WAITING, "why": "", "at": pending.get("until")}
        return {"id": identity, "state": GONE, "why": "", "at": ""}


class Runner:
    """Starts processes for a backend, and lends them a descriptor by which the keeper sees that they live.

    :param start: C(AnsibleModule.run_command), or what has its arguments and results.
    """

    def __init__(self, start: Callable[..., Tuple[int, str, str]]) -> None:
        self.start = start
        self.lent: Tuple[int, ...] = ()

    def __call__(self, argv: List[str], stdin: Optional[str]) -> Tuple[int, str, str]:
        # Left to itself, run_command ends the module where a program does not take its input, with nothing undone.
        try:
            code, out, err = self.start(
                argv, data=stdin, binary_data=True, handle_exceptions=False, pass_fds=self.lent or None
            )
        except OSError as error:
            return 127, "", "%s: %s" % (argv[0], error)
        return int(code), str(out), str(err)


def carry_out(journal: Journal, lock: int, plan: Plan, seconds: int, origin: Origin) -> Optional[Dict[str, Any]]:
    """Make a change under the eyes of a keeper.

    :param lock: the host's lock, as L(Journal.lock) gave it.
    :param seconds: how long the change waits for its confirmation; 0 when it needs none.
    :param origin: the connection that it is made over.
    :returns: ``id``, ``seconds`` and ``until`` of the change that waits; ``None`` when none does.
    :raises FirewallError: it failed; the host is as it was.
    """
    seconds = seconds if plan.live else 0
    letters = random.SystemRandom()
    identity = "".join(letters.choice(string.ascii_lowercase + string.digits) for _unused in range(20))
    record = {
        "id": identity,
        "ruleset": plan.ruleset,
        "files": [[item.path, item.before, item.after, item.mode] for item in plan.files],
        "origin": origin,
        "until": "",
    }
    try:
        journal.begin(record)
    except OSError as error:
        raise FirewallError("what the change needs to be undone cannot be kept (%s): nothing was changed" % error)
    try:
        here, lent = _Keeper(journal, lock, plan, record).start()
    except OSError as error:
        journal.close(identity, RESTORED, str(error))
        raise FirewallError("no process can be started to undo the change (%s): nothing was changed" % error)
    loaded: Json = None
    runner = plan.host.run if isinstance(plan.host.run, Runner) else None
    if runner:
        runner.lent = (lent,)
    try:
        if seconds:
            loaded = plan.load()
        else:
            plan.apply()
    except BaseException as error:
        # Backends put back what they did. That it is so is the keeper's to see, and to mend.
        os.close(lent)
        try:
            here.sendall(("undo %s\n" % " ".join(str(error).split())).encode("utf-8", "replace"))
            _line(here)
        except OSError:
            pass
        raise
    finally:
        if runner:
            runner.lent = ()
    if not seconds:
        journal.close(identity, CONFIRMED)
        here.sendall(b"done\n")
        os.close(lent)
        here.close()
        return None
    try:
        here.sendall(("wait %d %s\n" % (seconds, json.dumps(loaded))).encode())
        answer = _line(here)
    except OSError:
        answer = ""
    here.close()
    if not answer:
        why = "the process that was to wait for the confirmation is gone"
        plan.rollback()
        journal.close(identity, RESTORED, why)
    os.close(lent)
    if not answer:
        raise FirewallError("%s: the old rules were restored; run this again" % why)
    return {"id": identity, "seconds": seconds, "until": answer}


class _Keeper:
    """The process that undoes a change unless it is told not to."""

    def __init__(self, journal: Journal, lock: int, plan: Plan, record: Dict[str, Any]) -> None:
        self.journal = journal
        self.lock = lock
        self.plan = plan
        self.record = record
        self.loaded: Json = None

    def start(self) -> Tuple[socket.socket, int]:
        """Split the keeper off.

        :returns: the socket by which to talk to it, and the descriptor to lend to what the run starts.
        """
        here, there = socket.socketpair()
        alive, lent = os.pipe()
        child = os.fork()
        if child == 0:
            # Nothing may come back from here into the module's code.
            try:
                os.setsid()
                if os.fork() == 0:
                    _detach([self.lock, there.fileno(), alive])
                    if self._watched(there, alive):
                        self._run(there, alive)
            except BaseException as error:  # noqa: BLE001
                syslog.syslog(syslog.LOG_ERR, "netports.apple: %s" % error)
            finally:
                os._exit(0)
        there.close()
        os.close(alive)
        os.waitpid(child, 0)
        here.settimeout(_ANSWER)
        if _line(here) != "ready":
            raise OSError(errno.ECHILD, "it ended at once")
        return here, lent

    def _watched(self, there: socket.socket, alive: int) -> bool:
        """Split off the keeper proper, and undo the change in its place where it is killed.

        :returns: whether this is the keeper; its watcher comes back when there is nothing left to do.
        """
        for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        keeper = os.fork()
        if keeper == 0:
            return True
        there.close()
        os.waitpid(keeper, 0)
        if self._pending():
            # A run that is still at it undoes the change by itself when it finds nobody to hand it to.
            select.select([alive], [], [], _ORPHANS)
        if self._pending():
            self._undo("the process that kept it was killed")
        return False

    def _pending(self) -> bool:
        return bool((self.journal.pending() or {}).get("id") == self.record["id"])

    def _run(self, there: socket.socket, alive: int) -> None:
        if isinstance(self.plan.host.run, Runner):
            self.plan.host.run.lent = ()
        there.sendall(b"ready\n")
        order, _unused, rest = _line(there).partition(" ")
        if order == "done":
            return
        if order == "wait":
            seconds, _unused, loaded = rest.partition(" ")
            self.loaded = json.loads(loaded)
            self._wait(there, int(seconds))
            return
        # An end of file says that the run is dead. What it started may not be: first all of that.
        select.select([alive], [], [], _ORPHANS)
        self._undo(rest or "the run that made the change died")
        try:
            there.sendall(b"undone\n")
        except OSError:
            pass

    def _wait(self, there: socket.socket, seconds: int) -> None:
        deadline = time.monotonic() + seconds
        until = _clock(seconds)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            try:
                if os.path.exists(self.journal.socket):
                    os.unlink(self.journal.socket)
                server.bind(self.journal.socket)
                server.listen(8)
                self.record.update(until=until, keeper=os.getpid())
                self.journal.begin(self.record)
                there.sendall(until.encode() + b"\n")
            except OSError as error:
                self._undo("nobody could be waited for (%s)" % error)
                return
            there.close()
            signal.signal(signal.SIGTERM, _stop)
            try:
                while True:
                    left = deadline - time.monotonic()
                    if left <= 0 or not select.select([server], [], [], left)[0]:
                        why = "no new connection confirmed the change within %d seconds" % seconds
                        break
                    stream, _address = server.accept()
                    if self._asked(stream):
                        return
            except _Stopped:
                why = "the process that waited for the confirmation was told to end"
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._undo(why)
            # Who came too late is told so.
            server.settimeout(0)
            try:
                while True:
                    _reply(server.accept()[0], self.journal.outcome())
            except OSError:
                return

    def _asked(self, stream: socket.socket) -> bool:
        """Answer one request, and say whether the change is settled by it."""
        stream.settimeout(5)
        try:
            request = json.loads(_line(stream) or "null")
        except (OSError, ValueError):
            request = None
        if not isinstance(request, dict) or request.get("confirm") != self.record["id"]:
            _reply(stream, {"state": GONE, "why": "another change waits here", "at": ""})
            return False
        before, now = self.record["origin"], request.get("origin")
        if before is not None and (now is None or list(now) == list(before)):
            why = "the confirmation came over the connection that the change was made over"
            _reply(stream, {"state": REFUSED, "why": why, "at": ""})
            return False
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            self.plan.commit(self.loaded)
        # Whatever it was, the old rules come back.
        except BaseException as error:  # noqa: BLE001
            self._undo(" ".join(str(error).split()))
        else:
            self.journal.close(self.record["id"], CONFIRMED)
        os.close(self.lock)
        _reply(stream, self.journal.outcome())
        return True

    def _undo(self, why: str) -> None:
        for number in range(_TRIES):
            try:
                self.plan.rollback()
                self.journal.close(self.record["id"], RESTORED, why)
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


def _detach(kept: Sequence[int]) -> None:
    """Leave the session, the terminal and the descriptors of the run behind, but for those that are kept."""
    os.chdir("/")
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except (OSError, ValueError):
        numbers = []
    # Without fdescfs the BSDs show the first three alone there.
    for number in numbers if len(numbers) > 3 else range(1024):
        if number > 2 and number not in kept:
            try:
                os.close(number)
            except OSError:
                pass
    _leave_session()


def _leave_session() -> None:
    """Have systemd not count this process to the login session, which ends before the time does.

    Where logind is told to kill what a session leaves behind (C(KillUserProcesses)) it would go with it.
    """
    for folder in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        try:
            with open(os.path.join(folder, "cgroup.procs"), "w") as stream:
                stream.write(str(os.getpid()))
        except OSError:
            continue


def _line(stream: socket.socket) -> str:
    """One line from the other side, without its end; empty when there is none."""
    found = bytearray()
    while not found.endswith(b"\n"):
        more = stream.recv(65536)
        if not more:
            return ""
        found += more
    return found.decode("utf-8", "replace").rstrip("\n")


def _reply(stream: socket.socket, answer: Dict[str, Any]) -> None:
    try:
        stream.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        pass
    stream.close()


def _clock(ahead: float = 0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead))


def _stat(path: str) -> Optional[os.stat_result]:
    try:
        return os.stat(path)
    except OSError:
        return None


def _read(path: str) -> Optional[Dict[str, Any]]:
    """A JSON object from a file; ``None`` when there is none, empty when it cannot be read."""
    text = _files.read(path) if os.path.exists(path) else None
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
