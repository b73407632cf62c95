# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The word ``host_ephemeral`` in a rule's ports: the range from which this host's kernel takes ports.

The kernel gives a port of this range to a program that asks for any port. The range is the host's own, so only the
host can put numbers in the place of the word.
"""

from __future__ import annotations

import platform
from typing import List, Sequence

from ansible_collections.netports.apple.plugins.module_utils import _files, _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Host
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError

# Linux: Documentation/networking/ip-sysctl.rst. IPv6 has no range of its own.
_LINUX = "proc/sys/net/ipv4/ip_local_port_range"
# ip(4) of FreeBSD and macOS, sysctl(2) of OpenBSD.
_SYSCTLS = {
    "Darwin": ("net.inet.ip.portrange.first", "net.inet.ip.portrange.last"),
    "FreeBSD": ("net.inet.ip.portrange.first", "net.inet.ip.portrange.last"),
    "OpenBSD": ("net.inet.ip.portfirst", "net.inet.ip.portlast"),
}


def resolved(rules: Sequence[Rule], host: Host) -> List[Rule]:
    """Put the host's range in the place of the word; rules without the word stay as they are.

    The host is asked only where a rule has the word.

    :raises RuleError: the host does not tell its range.
    """
    if not any(_ports.HOST_EPHEMERAL in rule.tcp + rule.udp for rule in rules):
        return list(rules)
    own = _range(host)
    return [
        rule._replace(
            tcp=tuple(_ports.merge(own if ports == _ports.HOST_EPHEMERAL else ports for ports in rule.tcp)),
            udp=tuple(_ports.merge(own if ports == _ports.HOST_EPHEMERAL else ports for ports in rule.udp)),
        )
        for rule in rules
    ]


def _range(host: Host) -> _ports.PortRange:
    names = _SYSCTLS.get(platform.system())
    if names is None:
        where, told = "net.ipv4.ip_local_port_range", _files.read(host.path(_LINUX)) or ""
    else:
        where, told = " and ".join(names), host.run(["sysctl", "-n"] + list(names), None)[1]
    try:
        first, last = told.split()
        return _ports.parse("%s-%s" % (first, last))
    except ValueError:
        raise RuleError(
            "%s: this host does not tell its range of ports (%s is %s): give the range in numbers"
            % (_ports.HOST_EPHEMERAL_WORD, where, _ports.shown(told.strip()))
        )
