# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is managing this host at this moment, so that a run does not shut the door behind itself."""

from __future__ import annotations

import ipaddress
import os
from typing import Iterator, NamedTuple, Optional

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

GUARD_NAME = "management"


class Connection(NamedTuple):
    """The ssh connection that a process serves: the other side's address and the port that it came to here.

    ``origin`` is the port that it came from there: another connection has another one.
    """

    address: str
    port: int
    origin: int = 0


def connection(proc: str = "/proc") -> Optional[Connection]:
    """Find the ssh connection that this process came by.

    sshd puts ``SSH_CONNECTION`` into its session's environment; ``sudo`` and the like take it out again, so
    that the environments of the parent processes are asked as well.

    :param proc: where the kernel shows processes; a host without one has this process's environment alone.
    :returns: ``None`` when there is none: a local run, a console, or another transport.
    """
    for value in _candidates(proc):
        fields = value.split()
        if len(fields) != 4 or not fields[1].isdigit() or not fields[3].isdigit():
            continue
        try:
            address = ipaddress.ip_address(fields[0].split("%")[0])
        except ValueError:
            continue
        mapped = getattr(address, "ipv4_mapped", None)
        return Connection(str(mapped or address), int(fields[3]), int(fields[1]))
    return None


def guard(found: Connection) -> Rule:
    """The rule that keeps a connection admitted: its port, from its address alone."""
    return Rule(GUARD_NAME, "in", ((found.port, found.port),), (), (found.address,))


def _candidates(proc: str) -> Iterator[str]:
    if os.environ.get("SSH_CONNECTION"):
        yield os.environ["SSH_CONNECTION"]
    pid = os.getppid()
    while pid > 1:
        try:
            with open(os.path.join(proc, str(pid), "environ"), "rb") as stream:
                environment = stream.read().split(b"\0")
            with open(os.path.join(proc, str(pid), "stat"), "rb") as stream:
                # The name in parentheses may hold anything, a parenthesis too; the parent is the second field behind.
                pid = int(stream.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
        for variable in environment:
            if variable.startswith(b"SSH_CONNECTION="):
                yield variable.partition(b"=")[2].decode("ascii", "replace")
