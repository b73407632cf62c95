# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules and operations in words, the same for a diff, a preview, an audit and ``make apply``. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Operation
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# A rule's direction in words.
WAYS = {"in": "inbound", "out": "outbound", "forward": "forwarded"}
# What an operation does to a rule, in a single character.
_SIGNS = {"add": "+", "remove": "-", "change": "~"}


def sentence(operation: Operation) -> str:
    """Put an operation in words, such as ``+ FaceTime, outbound 80,443,5223/tcp to anywhere``."""
    rule = operation.rule
    if rule is None:
        return f"! {operation.action} {operation.what}"
    was = f" (was {told(operation.was)})" if operation.was else ""
    return f"{_SIGNS[operation.action]} {rule.name}, {WAYS[rule.direction]} {told(rule)}{was}"


def told(rule: Rule) -> str:
    """A rule's ports, and from or to where, in a few words."""
    words = _listed(rule.tcp, rule.udp)
    for preposition, networks, matters in (
        ("from", rule.sources, rule.direction != "out"),
        ("to", rule.destinations, rule.direction != "in"),
    ):
        if networks or matters:
            more = f" and {len(networks) - 2} more" if len(networks) > 2 else ""
            words += f" {preposition} {', '.join(networks[:2]) or 'anywhere'}{more}"
    words += f" on {rule.interface}" if rule.interface else ""
    return words + (f" out on {rule.out_interface}" if rule.out_interface else "")


def apart(rule: Rule, other: Rule) -> str:
    """The ports that a rule has and another has not."""
    return _listed(_ports.subtract(rule.tcp, other.tcp), _ports.subtract(rule.udp, other.udp))


def _listed(tcp: Iterable[_ports.PortRange], udp: Iterable[_ports.PortRange]) -> str:
    parts = [
        f"{','.join(_ports.text(ports) for ports in ranges)}/{protocol}"
        for protocol, ranges in (("tcp", tcp), ("udp", udp))
        if ranges
    ]
    return " and ".join(parts)
