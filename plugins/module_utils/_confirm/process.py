# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes: those that a firewall starts, and the way out of a login session."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from typing import List, Optional, Sequence, Tuple

# Seconds that a program may take; longer than any lock that one waits for.
LIMIT = 120.0
# The exit codes of timeout(1) and of a shell that finds no program.
_TIMED_OUT = 124
_NOT_FOUND = 127
# Where firewalls' programs are, beside what PATH has: su, cron and others leave these folders out.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path(path: str) -> str:
    """A value of ``PATH`` with the system's folders for administrators behind its own."""
    folders = [folder for folder in path.split(os.pathsep) if folder]
    return os.pathsep.join(folders + [folder for folder in _SBIN if folder not in folders])


class Runner:
    """Starts processes for a firewall, with a limit of time, each as the leader of a session of its own.

    :param limit: seconds that a program may take.
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self.limit = limit
        # A descriptor that the keeper sees close when all have ended. It is told of each process by it.
        self.lent: Optional[int] = None

    def __call__(self, argv: List[str], stdin: Optional[str]) -> Tuple[int, str, str]:
        # Messages of programs are read: they have to be in one language.
        path = search_path(os.environ.get("PATH", os.defpath))
        environment = dict(os.environ, LC_ALL="C", LANGUAGE="C", PATH=path)
        try:
            # run_command has no limit of time, and does not say which process it started.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                argv,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=() if self.lent is None else (self.lent,),
                start_new_session=True,
            )
        except OSError as error:
            return _NOT_FOUND, "", "%s: %s" % (argv[0], error)
        self._tell(process.pid, argv[0])
        try:
            data = None if stdin is None else stdin.encode("utf-8", "surrogateescape")
            out, err = process.communicate(data, self.limit)
        except subprocess.TimeoutExpired:
            end_session(process.pid)
            process.wait()
            return _TIMED_OUT, "", "%s did not end within %g seconds and was killed" % (argv[0], self.limit)
        return process.returncode, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "surrogateescape")

    def _tell(self, pid: int, program: str) -> None:
        if self.lent is not None:
            try:
                os.write(self.lent, b"%d %s\n" % (pid, os.path.basename(program).encode("ascii", "replace")))
            except OSError:
                # The keeper is gone, or has been told of thousands.
                pass


class Started:
    """What the keeper knows of the processes that a run started.

    :param pipe: the other end of the runner's ``lent``.
    """

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self._told = b""

    def ended(self, seconds: float) -> bool:
        """Wait until the run and all that it started have ended.

        :param seconds: how long to wait.
        """
        deadline = time.monotonic() + seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self.pipe], [], [], left)[0]:
                return False
            more = os.read(self.pipe, 65536)
            if not more:
                return True
            self._told = (self._told + more)[-65536:]

    def kill(self) -> str:
        """Kill the process that was started last, the only one that can be still there, and all of its session.

        :returns: its name; empty when none was started.
        """
        lines = self._told.decode("ascii", "replace").splitlines()
        pid, _space, name = lines[-1].partition(" ") if lines else ("", "", "")
        if pid.isdigit():
            end_session(int(pid))
        return name


def end_session(leader: int) -> None:
    """Kill a process and its group, as far as they are still there."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except OSError:
        pass


def detach(kept: Sequence[int]) -> None:
    """Leave the session, the terminal and the descriptors of the run behind.

    :param kept: descriptors that stay open.
    """
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
    _leave_cgroup()


def _leave_cgroup() -> None:
    """Have systemd not count this process to the login session, which ends before the time does.

    Where logind is told to kill what a session leaves behind (``KillUserProcesses``) it would go with it.
    """
    for folder in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        try:
            with open(os.path.join(folder, "cgroup.procs"), "w") as stream:
                stream.write(str(os.getpid()))
        except OSError:
            continue
