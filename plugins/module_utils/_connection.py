# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the ssh connection that manages this host, so that a run does not lock it out."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

GUARD_NAME = "management"


@dataclass(frozen=True)
class Connection:
    """The ssh connection that a process serves.

    :param address: the other side's address.
    :param port: the port here.
    :param origin: the port there: another connection has another one.
    :param local: this host's own address.
    """

    address: str
    port: int
    origin: int = 0
    local: str = ""

    def identity(self) -> List[Any]:
        """What tells it from every other connection, in the types of JSON."""
        return [self.address, self.port, self.origin]

    def guard(self) -> Rule:
        """The rule that keeps it admitted: its port, from its address alone."""
        return Rule(name=GUARD_NAME, direction="in", tcp=((self.port, self.port),), udp=(), sources=(self.address,))


def connection(proc: str = "/proc") -> Optional[Connection]:
    """Find the ssh connection that this process came by.

    sshd puts ``SSH_CONNECTION`` into its session's environment (sshd(8)): the other side's address and port, then this
    side's. ``sudo`` and the like take it out again, so that the environments of the parent processes are asked too.

    :param proc: where the kernel shows processes; a host without it has this process's environment alone.
    :returns: ``None`` when there is none: a local run, a console, or another transport.
    """
    for value in _candidates(proc):
        fields = value.split()
        if len(fields) != 4 or not fields[1].isdigit() or not fields[3].isdigit():
            continue
        try:
            address, local = _address(fields[0]), _address(fields[2])
        except ValueError:
            continue
        return Connection(address=address, port=int(fields[3]), origin=int(fields[1]), local=local)
    return None


def _address(text: str) -> str:
    """The canonical form of an address, of IPv4 where it stands in one of IPv6.

    :raises ValueError: it is none.
    """
    address = ipaddress.ip_address(text.split("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)


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
