# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python program that stays on a test host and answers there, so that its start and its imports are paid for once."""

from __future__ import annotations

import json
import subprocess
import weakref
from typing import Any

from .host import ENVIRONMENT, Host
from .machine import HostsError


class Resident:
    """Keeps a program on each host that is asked something: a process each, until the host stops or restarts.

    :param program: prints the line ``ready``, then a line of JSON for each line of JSON that it reads. It ends with its
        input, and behind the answer "anew" where another process has to answer.
    :param attempts: how often a question may be put to a new process where one ended without an answer.
    """

    def __init__(self, program: str, attempts: int = 1) -> None:
        self._program = program
        self._attempts = attempts
        self._processes: weakref.WeakKeyDictionary[Host, subprocess.Popen[str]] = weakref.WeakKeyDictionary()

    def ask(self, host: Host, asked: Any) -> Any:
        """What the program answers on a host.

        :raises HostsError: it cannot start there, or ended without an answer.
        """
        attempts = self._attempts
        while attempts:
            process = self._process(host)
            assert process.stdin and process.stdout
            try:
                process.stdin.write(json.dumps(asked) + "\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline() or '""')
            except BrokenPipeError:
                answer = ""
            except BaseException:
                # Its answer would be taken for that to the next question.
                process.kill()
                process.wait()
                raise
            if answer not in ("", "anew"):
                return answer
            process.wait()
            attempts -= answer == ""
        raise HostsError(f"{host.name} does not answer {asked}")

    def _process(self, host: Host) -> subprocess.Popen[str]:
        """The host's process; a new one where it has none that runs."""
        process = self._processes.get(host)
        if process is None or process.poll() is not None:
            process = subprocess.Popen(
                host.argv(["python3", "-c", self._program]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=ENVIRONMENT,
                text=True,
            )
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise HostsError(f"{host.name} cannot be asked: its program ended with {process.wait()}")
            self._processes[host] = process
            host.accompany(process)
        return process
