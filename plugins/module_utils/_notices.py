# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run found, as data: a code for programs and a sentence for people; and what every firewall's run looks for."""

from __future__ import annotations

import os
import platform
from typing import Any, Dict, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files, _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# Every code and its meaning. docs/troubleshooting.md has a row for each.
CODES = {
    "no-firewall": "No firewall that this collection manages is installed.",
    "several-firewalls": "More than one firewall is in use.",
    "none-in-use": "More than one firewall is installed and none is in use.",
    "not-installed": "The firewall that was asked for is not installed.",
    "not-root": "The module does not run as root.",
    "off": "The firewall is off: rules are stored and filter nothing.",
    "blocked": "A file of the firewall cannot be written.",
    "left-over": "Rules are left that may be the ruleset's, and no file says so.",
    "broken": "The firewall's own configuration cannot be loaded or read.",
    "off-at-boot": "The firewall is on and will be off after the next boot.",
    "unsupported": "The firewall cannot have a rule of this kind.",
    "left-out": "Rules of a direction that this firewall is too old for were left out.",
    "guard": "The ruleset itself admits the connection that manages the host.",
    "guard-kept": "The ruleset itself goes on admitting somebody who managed the host before.",
    "guard-dropped": "The ruleset no longer admits somebody who managed the host before.",
    "no-way-in": "No ssh connection is known, and no rule admits anybody to the host's ssh daemon.",
    "limited": "A limit admits the connection that manages the host: many new ones in a short time are refused.",
    "wide": "A rule lets anywhere reach many ports.",
    "forwarding-off": "The kernel forwards no packets of an IP version.",
    "docker": "Ports that Docker publishes pass by the firewall.",
    "waiting": "Another run's change waits for its confirmation.",
    "ipv6-off": "The firewall does no IPv6.",
    "not-loaded": "A part of the firewall is not loaded; its rules are stored.",
    "main-ruleset-differs": "The kernel's main ruleset has what its file does not, and a load would drop it.",
    "name-taken": "Somebody else's rules have the name of ours.",
    "no-effect": "Rules have no effect, since something else decides.",
    "refused": "Something else refuses packets of rules before the rules are asked.",
    "no-packets": "No packet comes to the zone that the rules are in: it has no interface and no source.",
    "recovered": "An unfinished change of another run was put back, or could not be read.",
    "elsewhere": "Some packets come by another zone than that of the rules, which do not hold for them.",
    "slow-reload": "A reload of so many rules refuses new connections for long.",
    "runtime-lost": "A reload drops what others have at runtime alone.",
    "other": "Anything else worth a sentence.",
}

# The codes that an administrator may accept: a run that would refuse, or do something in their place, goes on.
ACCEPTABLE = ("guard-dropped", "main-ruleset-differs", "no-way-in", "slow-reload")


@dataclass(frozen=True)
class Notice:
    """A finding that a person should see.

    :param code: a key of ``CODES``.
    :param text: a sentence for people. No program reads it.
    :param rules: the names of the rules that it is about.
    :param direction: the direction of these rules: ``in``, ``out`` or ``forward``; empty for all.
    """

    code: str
    text: str
    rules: Tuple[str, ...] = ()
    direction: str = ""

    def to_dict(self) -> Dict[str, Any]:
        """The plain form: a dictionary of the four fields, a list for the tuple."""
        return {"code": self.code, "text": self.text, "rules": list(self.rules), "direction": self.direction}


# More ports than this, inbound or forwarded and from anywhere, are worth a notice.
_WIDE = 1000

# The kernel's own switches for forwarding, by IP version: their files and their names.
_FORWARDING = (
    (4, "proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"),
    (6, "proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"),
)


def wide(rules: Sequence[Rule]) -> List[Notice]:
    """Rules that let anywhere reach many ports."""
    notices = []
    for rule in rules:
        ports = _ports.size(rule.tcp) + _ports.size(rule.udp)
        if rule.direction != "out" and not rule.sources and ports > _WIDE:
            text = "rule %r lets anywhere reach %d ports: set sources" % (rule.name, ports)
            notices.append(Notice(code="wide", text=text, rules=(rule.name,), direction=rule.direction))
    return notices


def forwarding(rules: Sequence[Rule], root: str) -> List[Notice]:
    """Forward rules where the kernel forwards nothing, whatever the rules say.

    :param root: the host's root folder.
    """
    wanted = {family for rule in rules if rule.direction == "forward" for family in _rules.families(rule)}
    notices = []
    for family, path, switch in _FORWARDING:
        if family in wanted and (_files.read(os.path.join(root, path)) or "").strip() == "0":
            text = (
                "this host forwards no IPv%d (%s is 0): the forward rules let nothing through there until it is 1, "
                "in a file of /etc/sysctl.d; or give sources of the other IP version alone" % (family, switch)
            )
            notices.append(Notice(code="forwarding-off", text=text, direction="forward"))
    return notices


def docker(root: str) -> List[Notice]:
    """Docker, whose published ports pass by the firewall.

    :param root: the host's root folder.
    """
    if platform.system() == "Linux" and os.path.exists(os.path.join(root, "sys/class/net/docker0")):
        text = "ports that Docker publishes pass by this firewall's rules: no ruleset opens or closes them"
        return [Notice(code="docker", text=text)]
    return []
