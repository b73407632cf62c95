# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that serve several tests, one after the other: each is as a fresh one when a test gets it.

A host's start and end cost a second or two of the processor, to look at all that a test may leave a tenth of that.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from . import code
from .firewalld import runtime
from .host import Host, Lab
from .machine import HostsError

_SAVED = "/var/tmp/netports-saved"
_FILES = ("/etc/firewalld", "/etc/ufw", "/etc/default/ufw", "/etc/nftables.conf", "/etc/nftables.d")
# Those that firewalls, gateways and the collection's tests set.
_PARAMETERS = (
    "/proc/sys/net; grep -s . ipv4/ip_forward ipv4/ip_local_port_range ipv4/icmp_[ei]* ipv4/tcp_syncookies ipv4/conf/*/* "
    "ipv6/conf/*/forwarding ipv6/conf/*/accept_r*"
)
_SAVE = f"""
mkdir {_SAVED}
tar -cpf {_SAVED}/files.tar $(ls -d {" ".join(_FILES)} 2>/dev/null)
ls -A /run /tmp /var/tmp >{_SAVED}/names
cd {_PARAMETERS} >{_SAVED}/parameters || true
"""
# A change that waits is the end of the host. Sessions would end later, and the kernel go on to admit connections.
_TIDY = f"""
folder=/var/lib/netports-apple
if [ -e $folder ]; then
    test ! -e $folder/pending.json
    flock --nonblock $folder/lock rm -r $folder
fi
for folder in /run /tmp /var/tmp; do
    cd $folder
    new=$(ls -A | grep -vxF -f {_SAVED}/names -e user -e sudo -e netports-code) && rm -rf --one-file-system -- $new
done
systemctl stop user.slice
conntrack -F 2>/dev/null
"""
_RESTORE = f"""
ip link delete eth1 2>/dev/null || true
rm -rf {" ".join(_FILES)}
tar -xpf {_SAVED}/files.tar -C /
cd {_PARAMETERS} | cmp -s - {_SAVED}/parameters || while IFS=: read -r path value; do
    echo "$value" >$path || true
done <{_SAVED}/parameters 2>/dev/null
"""
# How each firewall loads its files, as at a boot, and nothing beside them.
_LOAD = {
    "none": """
        ! systemctl --quiet is-enabled firewalld nftables || systemctl --quiet disable firewalld nftables
        systemctl stop firewalld nftables
        nft flush ruleset
    """,
    "ufw": "nft flush ruleset; /lib/ufw/ufw-init start quiet",
    "firewalld": "systemctl reset-failed firewalld; systemctl stop firewalld; nft flush ruleset; systemctl start firewalld",
    "nftables": """
        systemctl --quiet is-enabled nftables || systemctl --quiet enable nftables
        systemctl start nftables
        nft -f /etc/nftables.conf
    """,
}
_SEEN = f"""
ip -o link | sed 's/@if[0-9]*//'
ip -o address; ip route; ip -6 route; ip rule; ip netns; ss -Hltun
systemctl list-units --all --plain --no-legend --state=active,activating,deactivating,failed --type=service,timer,path,socket | awk '{{print $1, $3}}'
ps -e -o comm= | sed 's/^/process /'
findmnt -rno TARGET,FSTYPE,OPTIONS
ls -R /var/lib/netports-apple /run/systemd/system /run/systemd/system.control 2>/dev/null
cd {_PARAMETERS}
"""
# What comes and goes by itself, or by looking.
_NOISE = re.compile(
    r"process (sshd|sshd-session|sshd-auth|sftp-server|systemd.*|\(sd-pam\)|polkitd|sh|ps|sed|awk|mawk)"
    r"|(user@.*|user-.*|polkit\.service|systemd-.*) (active|activating|deactivating)"
    r"|/run/(user|credentials)/.*|/ overlay .*"
)
# Files that are compared by what is in them, and those of which no test reads what others wrote.
_APART = (
    *("/etc/firewalld/", "/etc/ufw/", "/etc/nftables.d/", "/var/log/", "/var/tmp/", "/var/cache/", "/var/lib/systemd/"),
    *("/root/.ansible/", "/home/admin/.ansible/", "/home/admin/.sudo_as_admin_successful"),
)


class Pool:
    """Hosts that no test has, by suite and firewall.

    :param lab: starts and stops them.
    :param most: how many wait at a time; the one that waits longest goes when it is one too many.
    """

    def __init__(self, lab: Lab, most: int) -> None:
        self._lab = lab
        self._most = most
        self._free: list[Host] = []
        self._fresh: dict[str, Any] = {}

    def take(self, suite: str, firewall: str) -> Host:
        """A host of a suite and firewall, which is as a fresh one."""
        for host in reversed(self._free):
            if (host.suite, host.firewall) == (suite, firewall):
                self._free.remove(host)
                return host
        host = self._lab.start(suite, firewall)
        host.sh(_SAVE)
        self._fresh[host.container] = _left(host)
        return host

    def give(self, host: Host) -> None:
        """Take a host back and reset its firewall; it goes where something is other than on a fresh host even then."""
        if self._reset(host):
            self._free.append(host)
            if len(self._free) <= self._most:
                return
            host = self._free.pop(0)
        self.drop(host)

    def _reset(self, host: Host) -> bool:
        """Whether the host is as a fresh one now."""
        code.forget(host)
        try:
            if host.sh(_TIDY, check=False).rc:
                return False
            host.sh(f"{_RESTORE}{_LOAD[host.firewall]}", check=False)
            host.settle()
            return bool(_left(host) == self._fresh[host.container])
        except HostsError:
            return False

    def drop(self, host: Host) -> None:
        """Stop a host that nobody can use any more."""
        del self._fresh[host.container]
        self._lab.stop(host)


def _left(host: Host) -> Any:
    """What a test may leave: files, the kernel's tables, firewalld's runtime, addresses, parameters, units, processes."""
    seen = Counter(host.run(["sh", "-c", _SEEN], check=False).out.splitlines())
    seen["process python3"] -= host.companions
    # A zone that no interface and no source leads to is not in the kernel.
    loaded = runtime(host) if host.firewall == "firewalld" and seen["process firewalld"] else None
    return {
        "firewall": host.files(*_FILES),
        "files": {
            path: found for path, found in host.written().items() if path not in _FILES and not path.startswith(_APART)
        },
        "kernel": Counter(host.kernel().splitlines()),
        "runtime": loaded,
        "others": {line for line, number in seen.items() if number > 0 and not _NOISE.fullmatch(line)},
    }
