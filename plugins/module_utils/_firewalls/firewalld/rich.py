# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rich rules, as firewalld prints them and as its files have them. firewalld.richlanguage(5)."""

from __future__ import annotations

import re
import shlex
from typing import Dict, List, Optional

from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import Attachment, Rich
from ansible_collections.netports.apple.plugins.module_utils._rules import RuleError, network, version

# Each part of a rule by its name, with its attributes.
Parts = Dict[str, Dict[str, str]]

_ACTIONS = ("accept", "reject", "drop", "mark")
_ELEMENTS = (
    *("service", "port", "protocol", "source-port", "forward-port"),
    *("icmp-block", "icmp-type", "masquerade", "tcp-mss-clamp"),
)
_YES = ("yes", "true", "1")
# How firewalld prints a rule of ours (str of its Rich_Rule), 0.4 to 2.3.
_OURS = re.compile(
    r'rule family="(?P<family>ipv4|ipv6)"(?: source address="(?P<source>[^"]*)")?'
    r'(?: destination address="(?P<destination>[^"]*)")? service name="(?P<service>[^"]*)" accept\Z'
)


def attachment_of(text: str) -> Optional[Attachment]:
    """Read a rich rule of the runtime; ``None`` for one that this collection would not write."""
    match = _OURS.match(text)
    if not match:
        return None
    return attachment(match.group("service"), match.group("source"), match.group("destination"), match.group("family"))


def attachment(service: str, source: Optional[str], destination: Optional[str], family: str) -> Optional[Attachment]:
    """The attachment of a rich rule's parts; ``None`` for a rule that this collection would not write."""
    if source is None and destination is None:
        return None
    try:
        found = Attachment(
            service=service,
            source=network(source) if source else "",
            destination=network(destination) if destination else "",
        )
    except RuleError:
        return None
    return found if family == "ipv%d" % version(found.source or found.destination) else None


def parse(text: str) -> Rich:
    """Read any rich rule as firewalld prints it."""
    parts: Parts = {}
    current: Dict[str, str] = {}
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    for word in words:
        key, sign, value = word.partition("=")
        if sign:
            current[key] = value
        elif word == "NOT":
            current["invert"] = "yes"
        else:
            current = parts.setdefault(word, {})
    return rich(parts, text)


def rich(parts: Parts, text: str = "") -> Rich:
    """A rule from its parts.

    :param parts: ``rule`` with its priority and family, and each part below it.
    :param text: the rule as it was printed; made from the parts when empty.
    """
    rule = parts.get("rule", {})
    source = parts.get("source", {})
    inverted = source.get("invert", source.get("NOT", "")).lower() in _YES
    kind = next((name for name in _ELEMENTS if name in parts), "")
    element = parts.get(kind, {})
    try:
        priority = int(rule.get("priority", "0"))
    except ValueError:
        priority = 0
    return Rich(
        text=text or _text(parts),
        action=next((action for action in _ACTIONS if action in parts), ""),
        priority=priority,
        family=rule.get("family", ""),
        source="" if inverted else source.get("address", ""),
        other_source="source" in parts and (inverted or not source.get("address")),
        destination="destination" in parts,
        kind=kind,
        value=element.get("name") or element.get("port") or element.get("value") or "",
        protocol=element.get("protocol", ""),
    )


def _text(parts: Parts) -> str:
    words: List[str] = []
    for name, attributes in parts.items():
        words.append(name)
        words.extend('%s="%s"' % item for item in attributes.items())
    return " ".join(words)
