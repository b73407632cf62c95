# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of ports that nobody wants open to anywhere, and which of a host's exposures are of them. Pure.

ssh is not among them: it is how most hosts are managed, and how this collection reaches them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure
from ansible_collections.netports.apple.plugins.module_utils._ports import PortRange

# More ports than this from anywhere are an exposure: the module has a notice at the same number.
WIDE = 1000

# Ports by what they open. Apple's are those of the article; the others are registered with IANA under these services.
KINDS: dict[str, dict[str, list[PortRange]]] = {
    "remote control": {
        # telnet, Remote Apple Events, Apple Remote Desktop, RDP, VNC and Screen Sharing, WinRM
        "tcp": [(23, 23), (3031, 3031), (3283, 3283), (3389, 3389), (5900, 5903), (5985, 5986)],
        "udp": [(3283, 3283), (3389, 3389), (5900, 5902)],
    },
    "file sharing": {
        # FTP, NetBIOS and SMB, AFP, rsync, NFS
        "tcp": [(20, 21), (139, 139), (445, 445), (548, 548), (873, 873), (2049, 2049)],
        "udp": [(137, 138), (2049, 2049)],
    },
}


@dataclass(frozen=True)
class Finding:
    """An exposure that an administrator should see.

    :param kind: a key of ``KINDS``, or ``wide``.
    :param owner: ``own`` where a ruleset of this collection has the rule, else ``foreign``.
    :param ruleset: the ruleset that has it; empty for a foreign rule.
    :param rule: the rule's name; of a foreign rule, the rule as the firewall's own tools show it.
    :param ports: the ports of that kind, such as ``139/tcp, 445/tcp``; for ``wide``, how many.
    """

    kind: str
    owner: str
    ruleset: str
    rule: str
    ports: str


def findings(exposed: Iterable[Exposure]) -> list[Finding]:
    """Judge what lets anywhere in.

    A rule may be several exposures: for each protocol, IP version and line of the firewall. It is judged as a whole.

    :param exposed: what the module returned.
    """
    ports: dict[tuple[str, str], dict[str, list[PortRange]]] = {}
    for exposure in exposed:
        name = exposure.name if exposure.ruleset else exposure.text or exposure.name
        own = ports.setdefault((exposure.ruleset, name), {"tcp": [], "udp": []})
        for protocol in own if exposure.protocol == "any" else (exposure.protocol,):
            own[protocol] += [parsed(text) for text in exposure.ports]
    return [
        Finding(kind=kind, owner="own" if ruleset else "foreign", ruleset=ruleset, rule=name, ports=text)
        for (ruleset, name), found in ports.items()
        for kind, text in _kinds(found)
    ]


def parsed(text: str) -> PortRange:
    """Read the ports of an exposure; a firewall's range of every port may begin at 0.

    :raises ValueError: they are not ports.
    """
    return _ports.parse(f"1{text[1:]}" if text.startswith("0-") else text)


def _kinds(ports: Mapping[str, list[PortRange]]) -> list[tuple[str, str]]:
    """The kinds that some ports are of, each with the ports in words."""
    found = []
    for kind, sensitive in KINDS.items():
        hit = [
            _ports.text((max(first, start), min(last, end))) + f"/{protocol}"
            for protocol, ranges in sensitive.items()
            for first, last in ranges
            for start, end in _ports.merge(ports[protocol])
            if first <= end and start <= last
        ]
        if hit:
            found.append((kind, ", ".join(hit)))
    count = sum(_ports.size(ranges) for ranges in ports.values())
    if count > WIDE:
        found.append(("wide", f"{count} ports"))
    return found
