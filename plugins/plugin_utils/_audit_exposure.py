# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that let anywhere reach what nobody wants to be reached from anywhere. Pure.

ssh is not among them: it is how most hosts are managed, and how this collection reaches them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._ports import PortRange
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# More ports than this from anywhere are worth a word: the module warns at the same number.
WIDE = 1000
EVERYTHING: PortRange = (_ports.LOWEST, _ports.HIGHEST)
ANYWHERE = ("0.0.0.0/0", "::/0")

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
# What firewalld's own services of that kind are called.
SERVICES: dict[str, dict[str, list[PortRange]]] = {
    "ftp": {"tcp": [(21, 21)]},
    "nfs": {"tcp": [(2049, 2049)]},
    "nfs3": {"tcp": [(2049, 2049)], "udp": [(2049, 2049)]},
    "rdp": {"tcp": [(3389, 3389)]},
    "rsyncd": {"tcp": [(873, 873)]},
    "samba": {"tcp": [(139, 139), (445, 445)], "udp": [(137, 138)]},
    "telnet": {"tcp": [(23, 23)]},
    "vnc-server": {"tcp": [(5900, 5903)]},
}
# What FreeBSD's pfctl prints for ports of these kinds: its services(5).
NAMES = {
    "ftp-data": 20, "ftp": 21, "telnet": 23, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139,
    "microsoft-ds": 445, "afpovertcp": 548, "rsync": 873, "nfsd": 2049, "eppc": 3031, "net-assistant": 3283,
    "ms-wbt-server": 3389, "rfb": 5900,
}  # fmt: skip

_LONGEST = 1_000_000
_TUPLE = re.compile(
    r"^### tuple ### (?:allow|limit)(?:_log(?:-all)?)? (\S+) (\S+) (\S+) (\S+) (\S+)((?: \S+)*) in(?:_\S+)?(?: comment=\S+)?$",
    re.MULTILINE,
)
_ZONE = re.compile(r"^(\S+)(?: \(([^)]*)\))?$")
_RICH_PORT = re.compile(r'(?<!source-)port port="([0-9-]+)" protocol="(tcp|udp)"')
_RICH_SERVICE = re.compile(r'service name="([^"]+)"')
_ACCEPTED_BY_DEFAULT = re.compile(r'^DEFAULT_INPUT_POLICY="?ACCEPT"?\s*$', re.MULTILINE)
# A rule as pfctl prints it, that lets in from anywhere: protocol, lowest or only port with its operator, highest port.
_PASS = re.compile(
    r"^pass(?: in)?(?: log(?: \([^)]*\))?)?(?: quick)?(?: on (?:! )?\S+)?(?: inet6?)?(?: proto (\S+))?"
    r" (?:all|from any to (?:! )?\S+(?: port (?:(=|>=|>) )?([a-z0-9-]+)(?::(\d+))?)?)(?: |$)",
    re.MULTILINE,
)

Finding = dict[str, str]


def own(rules: Iterable[Rule]) -> list[Finding]:
    """Findings about rules of the ruleset itself.

    :returns: dicts with ``kind`` (a key of KINDS, or ``wide``), ``owner`` (``own`` or ``foreign``), ``rule`` and
        ``ports``.
    """
    found: list[Finding] = []
    for rule in rules:
        if rule.direction == "in" and (not rule.sources or any(one in ANYWHERE for one in rule.sources)):
            found += _findings("own", rule.name, {"tcp": list(rule.tcp), "udp": list(rule.udp)})
    return found


def foreign(backend: str, text: Any, clean: Callable[[Any], str]) -> list[Finding]:
    """Findings about rules that are not of this collection.

    :param backend: whose text it is.
    :param text: for ufw its settings and rules files, for firewalld what C(firewall-cmd --list-all-zones) prints, for
        pf what C(pfctl -s rules) does; as the host sent it, so anything at all.
    :param clean: makes a text of the host fit for the report.
    :returns: as L(own).
    """
    if not isinstance(text, str):
        return []
    readers = {"ufw": _ufw, "firewalld": _firewalld, "pf": _pf}
    found = readers[backend](text[:_LONGEST], clean) if backend in readers else []
    # A rule for both IP versions stands in two files.
    return list({tuple(sorted(one.items())): one for one in found}.values())


def _findings(owner: str, rule: str, ports: Mapping[str, list[PortRange]]) -> list[Finding]:
    found = []
    for kind, sensitive in KINDS.items():
        hit = [
            _ports.text((max(first, start), min(last, end))) + f"/{protocol}"
            for protocol, ranges in sensitive.items()
            for first, last in ranges
            for start, end in _ports.merge(ports.get(protocol, []))
            if first <= end and start <= last
        ]
        if hit:
            found.append({"kind": kind, "owner": owner, "rule": rule, "ports": ", ".join(hit)})
    count = sum(_ports.size(ranges) for ranges in ports.values())
    if count > WIDE:
        found.append({"kind": "wide", "owner": owner, "rule": rule, "ports": f"{count} ports"})
    return found


def _ufw(text: str, clean: Callable[[Any], str]) -> list[Finding]:
    """ufw's rules files: a tuple is action, protocol, port, to, source port, from, profiles if any, and direction."""
    found: list[Finding] = []
    if _ACCEPTED_BY_DEFAULT.search(text):
        found += _findings("foreign", "default: allow incoming", {"tcp": [EVERYTHING], "udp": [EVERYTHING]})
    for protocol, port, _to, source_port, source, profiles in _TUPLE.findall(text):
        if source not in ANYWHERE or source_port != "any" or profiles.startswith(" Apple%20"):
            continue
        ranges = [EVERYTHING] if port == "any" else _ranges(port.replace(":", "-").split(","))
        protocols = ("tcp", "udp") if protocol == "any" else (protocol,)
        profile = unquote(profiles.split()[0]) if profiles.split() else ""
        told = profile if profile not in ("", "-") else f"allow {port}/{protocol}"
        found += _findings("foreign", clean(told), dict.fromkeys(protocols, ranges))
    return found


def _firewalld(text: str, clean: Callable[[Any], str]) -> list[Finding]:
    """What zones let in that catch interfaces: zones of sources alone are not open to anywhere."""
    zones: list[tuple[str, str, dict[str, str], list[str]]] = []
    for line in text.splitlines():
        head = _ZONE.match(line)
        if head and not line.startswith((" ", "\t")):
            zones.append((head.group(1), head.group(2) or "", {}, []))
        elif zones and line.startswith("\t"):
            zones[-1][3].append(line.strip())
        elif zones and ":" in line:
            key, value = line.strip().split(":", 1)
            zones[-1][2][key] = value.strip()
    found: list[Finding] = []
    for name, state, values, rich in zones:
        if not values.get("interfaces") and "default" not in state:
            continue
        told = f"zone {name}"
        if values.get("target") == "ACCEPT":
            found += _findings("foreign", clean(f"{told}: target ACCEPT"), {"tcp": [EVERYTHING], "udp": [EVERYTHING]})
        for service in values.get("services", "").split():
            found += _findings("foreign", clean(f"{told}: service {service}"), SERVICES.get(service, {}))
        for item in values.get("ports", "").split():
            port, _slash, protocol = item.partition("/")
            found += _findings("foreign", clean(f"{told}: port {item}"), {protocol: _ranges([port])})
        for rule in rich:
            if "accept" in rule.split() and "source " not in rule and "source NOT" not in rule:
                for port, protocol in _RICH_PORT.findall(rule):
                    found += _findings("foreign", clean(f"{told}: {rule}"), {protocol: _ranges([port])})
                for service in _RICH_SERVICE.findall(rule):
                    found += _findings("foreign", clean(f"{told}: {rule}"), SERVICES.get(service, {}))
    return found


def _pf(text: str, clean: Callable[[Any], str]) -> list[Finding]:
    """The main ruleset of pf: the ruleset's own rules are in an anchor. Whether a later rule blocks is not asked."""
    found: list[Finding] = []
    for rule in _PASS.finditer(text):
        protocol, operator, first, last = rule.groups()
        low = NAMES.get(first or "", int(first) if (first or "").isdecimal() else 0)
        if protocol not in (None, "tcp", "udp") or (first and not low) or low > _ports.HIGHEST:
            continue
        high = int(last) if last else low
        if operator in (">", ">="):
            low, high = low + (operator == ">"), _ports.HIGHEST
        ranges = [(low, max(low, min(high, _ports.HIGHEST)))] if first else [EVERYTHING]
        line = rule.string[rule.start() :].partition("\n")[0]
        found += _findings("foreign", clean(line), dict.fromkeys((protocol,) if protocol else ("tcp", "udp"), ranges))
    return found


def _ranges(ports: Iterable[str]) -> list[PortRange]:
    found = []
    for port in ports:
        try:
            found.append(_ports.parse(port))
        except ValueError:
            continue
    return found
