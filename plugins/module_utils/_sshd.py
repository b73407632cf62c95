# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the ssh daemon of this host. Loaded alone where no connection says who manages the host."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from typing import Dict, Optional, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _connection, _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Host

# The state in the kernel's tables of TCP sockets (include/net/tcp_states.h).
_LISTEN = "0A"
_SSH_PORT = 22
# Programs that serve ssh, as the kernel shows their names.
_DAEMONS = ("sshd", "dropbear")
_CONFIGURATION = ("etc/ssh/sshd_config", "etc/ssh/sshd_config.d")


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


def _listening(host: Host) -> Optional[Dict[int, str]]:
    """The ports that others can reach and the inodes of their sockets; ``None`` where the kernel cannot be asked."""
    tables = _connection.kernel_tables(host)
    if tables:
        rows = [line.split() for table in tables for line in table.splitlines()]
        found = [(row[1].rpartition(":"), row[9]) for row in rows if len(row) > 9 and row[3] == _LISTEN]
        return {int(port, 16): inode for (address, _colon, port), inode in found if not _is_loopback(address)}
    code, out, _err = host.run(_connection.NETSTAT, None)
    if code != 0:
        return None
    ends = re.findall(r"^tcp\S*\s+\S+\s+\S+\s+(\S+)[.:]([0-9]+)\s+\S+\s+LISTEN", out, re.MULTILINE)
    return {int(port): "" for address, port in ends if not address.startswith("127.") and address != "::1"}


def _is_loopback(address: str) -> bool:
    """Whether an address of a table is of the host itself alone."""
    words = [int(address[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8)]
    found = ipaddress.ip_address(b"".join(words))
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


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
