# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the ssh connection that manages this host, and its ssh daemon, so that a run does not lock anybody out."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Host
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

GUARD_NAME = "management"

# The kernel's tables of TCP sockets on Linux, and the states in them (include/net/tcp_states.h).
_TABLES = ("proc/net/tcp", "proc/net/tcp6")
_ESTABLISHED = "01"
_LISTEN = "0A"
# The BSDs and macOS; their tables have no names of programs.
_NETSTAT = ["netstat", "-an", "-p", "tcp"]
_SSH_PORT = 22
# Programs that serve ssh, as the kernel shows their names.
_DAEMONS = ("sshd", "dropbear")
_CONFIGURATION = ("etc/ssh/sshd_config", "etc/ssh/sshd_config.d")


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
        if found and (not _tables(host) or established(host, found)):
            return found
    return None


def established(host: Host, found: Connection) -> bool:
    """Whether the kernel has a connection; true where it cannot be asked. Starts a process where there is no /proc."""
    tables = _tables(host)
    if tables:
        ends = [" ".join(pair) for pair in zip(_hex(found.local, found.port), _hex(found.address, found.origin))]
        return any("%s %s" % (end, _ESTABLISHED) in table for end in ends for table in tables)
    code, out, _err = host.run(_NETSTAT, None)
    if code != 0:
        return True
    # netstat cuts long addresses off: the ports tell connections apart.
    line = r"[.:]%d\s+\S+[.:]%d\s+ESTABLISHED" % (found.port, found.origin)
    return re.search(line, out) is not None


def ssh_ports(host: Host) -> Tuple[int, ...]:
    """The TCP ports at which an ssh daemon of this host listens for others than the host itself, ascending."""
    listening = _listening(host)
    if listening is None:
        # It cannot be told, which is no reason to take it for shut.
        return tuple(sorted({_SSH_PORT} | _configured(host)))
    sockets = _sockets_of_daemons(host) if any(listening.values()) else set()
    by_name = {port for port, inode in listening.items() if inode in sockets}
    # A daemon that systemd or inetd starts has a listening socket of theirs.
    return tuple(sorted(by_name | ({_SSH_PORT} | _configured(host)) & set(listening)))


# The variable


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


def _listening(host: Host) -> Optional[Dict[int, str]]:
    """The ports that others can reach and the inodes of their sockets; ``None`` where the kernel cannot be asked."""
    tables = _tables(host)
    if tables:
        rows = [line.split() for table in tables for line in table.splitlines()]
        found = [(row[1].rpartition(":"), row[9]) for row in rows if len(row) > 9 and row[3] == _LISTEN]
        return {int(port, 16): inode for (address, _colon, port), inode in found if not _is_loopback(address)}
    code, out, _err = host.run(_NETSTAT, None)
    if code != 0:
        return None
    ends = re.findall(r"^tcp\S*\s+\S+\s+\S+\s+(\S+)[.:]([0-9]+)\s+\S+\s+LISTEN", out, re.MULTILINE)
    return {int(port): "" for address, port in ends if not address.startswith("127.") and address != "::1"}


def _is_loopback(address: str) -> bool:
    """Whether an address of a table is of the host itself alone."""
    words = [int(address[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8)]
    found = ipaddress.ip_address(b"".join(words))
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _tables(host: Host) -> List[str]:
    return [text for text in (_files.read(host.path(table)) for table in _TABLES) if text is not None]


def _sockets_of_daemons(host: Host) -> Set[str]:
    """The inodes of the sockets that ssh daemons have open."""
    proc = host.path("proc")
    found = set()
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            if (_files.read(os.path.join(proc, pid, "comm")) or "").strip() not in _DAEMONS:
                continue
            folder = os.path.join(proc, pid, "fd")
            links = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
        except OSError:
            continue
        found |= {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    return found


def _configured(host: Host) -> Set[int]:
    """The ports that the configuration of OpenSSH names (sshd_config(5): ``Port``, ``ListenAddress``)."""
    main, folder = map(host.path, _CONFIGURATION)
    paths = [main] + (
        [os.path.join(folder, name) for name in sorted(os.listdir(folder))] if os.path.isdir(folder) else []
    )
    found = set()
    for path in filter(os.path.isfile, paths):
        text = _files.read(path) or ""
        found |= set(re.findall(r"^\s*Port[ \t=]+([0-9]{1,5})\b", text, re.MULTILINE | re.IGNORECASE))
        pattern = r"^\s*ListenAddress[ \t=]+\S*[\]a-z0-9.]:([0-9]{1,5})\b"
        found |= set(re.findall(pattern, text, re.MULTILINE | re.IGNORECASE))
    return {int(port) for port in found}
