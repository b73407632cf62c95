# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes: those that a firewall starts, and the way out of a login session."""

from __future__ import annotations

import os
from typing import Callable, List, Optional, Sequence, Tuple

# Where firewalls' programs are, beside what PATH has: su, cron and others leave these folders out.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path(path: str) -> str:
    """A value of ``PATH`` with the system's folders for administrators behind its own."""
    folders = [folder for folder in path.split(os.pathsep) if folder]
    return os.pathsep.join(folders + [folder for folder in _SBIN if folder not in folders])


class Runner:
    """Starts processes for a firewall, and lends them a descriptor by which the keeper sees that they live.

    :param start: ``AnsibleModule.run_command``, or what has its arguments and results.
    """

    def __init__(self, start: Callable[..., Tuple[int, str, str]]) -> None:
        self.start = start
        self.lent: Tuple[int, ...] = ()

    def __call__(self, argv: List[str], stdin: Optional[str]) -> Tuple[int, str, str]:
        # Left to itself, run_command ends the module where a program does not take its input, with nothing undone.
        try:
            code, out, err = self.start(
                argv,
                data=stdin,
                binary_data=True,
                handle_exceptions=False,
                pass_fds=self.lent or None,
                environ_update={"PATH": search_path(os.environ.get("PATH", os.defpath))},
            )
        except OSError as error:
            return 127, "", "%s: %s" % (argv[0], error)
        return int(code), str(out), str(err)


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
