# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the ssh connection that manages this host, so that a run does not lock it out."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from typing import Any, Iterator, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Host
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

GUARD_NAME = "management"

# The kernel's tables of TCP sockets on Linux, and the states in them (include/net/tcp_states.h).
_TABLES = ("proc/net/tcp", "proc/net/tcp6")
_ESTABLISHED = "01"
# The BSDs and macOS; their tables have no names of programs.
NETSTAT = ["netstat", "-an", "-p", "tcp"]


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


def connection(host: Host) -> Optional[Connection]:
    """Find the ssh connection that this process came by.

    sshd puts ``SSH_CONNECTION`` into its session's environment (sshd(8)): the other side's address and port, then this
    side's. ``sudo`` and the like take it out again, so that the environments of the parent processes are asked too.
    A session that outlives its connection, of tmux for example, has it still: the kernel has to have it as well.

    :param host: a host without /proc has this process's environment alone, and is believed.
    :returns: ``None`` when there is none: a local run, a console, or another transport.
    """
    for value in _candidates(host.path("proc")):
        found = _parsed(value)
        if found and (not kernel_tables(host) or established(host, found)):
            return found
    return None


def established(host: Host, found: Connection) -> bool:
    """Whether the kernel has a connection; true where it cannot be asked. Starts a process where there is no /proc."""
    tables = kernel_tables(host)
    if tables:
        ends = [" ".join(pair) for pair in zip(_hex(found.local, found.port), _hex(found.address, found.origin))]
        return any("%s %s" % (end, _ESTABLISHED) in table for end in ends for table in tables)
    code, out, _err = host.run(NETSTAT, None)
    if code != 0:
        return True
    # netstat cuts long addresses off: the ports tell connections apart.
    line = r"[.:]%d\s+\S+[.:]%d\s+ESTABLISHED" % (found.port, found.origin)
    return re.search(line, out) is not None


def _parsed(value: str) -> Optional[Connection]:
    """What ``SSH_CONNECTION`` says; ``None`` where it says nothing of the kind."""
    fields = value.split()
    if len(fields) != 4 or not fields[1].isdigit() or not fields[3].isdigit():
        return None
    try:
        address, local = _address(fields[0]), _address(fields[2])
    except ValueError:
        return None
    return Connection(address=address, port=int(fields[3]), origin=int(fields[1]), local=local)


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


# The kernel


def _hex(address: str, port: int) -> Tuple[str, str]:
    """An end of a connection as the tables of IPv4 and IPv6 have it: words of 32 bits in the machine's own order."""
    packed = ipaddress.ip_address(address).packed
    mapped = packed if len(packed) == 16 else b"\0" * 10 + b"\xff\xff" + packed
    return _words(packed, port), _words(mapped, port)


def _words(packed: bytes, port: int) -> str:
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "%s:%04X" % ("".join("%08X" % word for word in words), port)


def kernel_tables(host: Host) -> List[str]:
    return [text for text in (_files.read(host.path(table)) for table in _TABLES) if text is not None]
