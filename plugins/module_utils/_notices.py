# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run found, as data: a code for programs and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Tuple

# Every code and its meaning. docs/troubleshooting.md has a row for each.
CODES = {
    "no-firewall": "No firewall that this collection manages is installed.",
    "several-firewalls": "More than one firewall is in use.",
    "none-in-use": "More than one firewall is installed and none is in use.",
    "not-installed": "The firewall that was asked for is not installed.",
    "off": "The firewall is off: rules are stored and filter nothing.",
    "off-at-boot": "The firewall is on and will be off after the next boot.",
    "unsupported": "The firewall cannot have a rule of this kind.",
    "left-out": "Rules of a direction that this firewall is too old for were left out.",
    "guard": "The ruleset itself admits the connection that manages the host.",
    "wide": "A rule lets anywhere reach many ports.",
    "forwarding-off": "The kernel forwards no packets of an IP version.",
    "docker": "Ports that Docker publishes pass by the firewall.",
    "waiting": "Another run's change waits for its confirmation.",
    "ipv6-off": "The firewall does no IPv6.",
    "not-loaded": "A part of the firewall is not loaded; its rules are stored.",
    "no-effect": "Rules have no effect, since something else decides.",
    "runtime-lost": "A reload drops what others have at runtime alone.",
    "other": "Anything else worth a sentence.",
}


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
