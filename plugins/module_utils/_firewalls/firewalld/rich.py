# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rich rules, as firewalld prints them and as its files have them. firewalld.richlanguage(5)."""

from __future__ import annotations

import re
import shlex
from typing import Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import Attachment, Rich
from ansible_collections.netports.apple.plugins.module_utils._rules import RuleError, network, version

# Each part of a rule by its name, with its attributes.
Parts = Dict[str, Dict[str, str]]

_ACTIONS = ("accept", "reject", "drop", "mark")
_ELEMENTS = (
    *("service", "port", "protocol", "source-port", "forward-port"),
    *("icmp-block", "icmp-type", "masquerade", "tcp-mss-clamp"),
)
_LIMIT = " limit"
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
    return rich(_parts(text), text)


def identity(text: str) -> FrozenSet[Tuple[str, FrozenSet[Tuple[str, str]]]]:
    """What all ways to write a rule have in common.

    firewalld takes parts in any order, and prints them in its own. Source: its ``Rich_Rule``, 0.9 to 2.3.
    """
    parts = _parts(text)
    for name, attributes in parts.items():
        if name.endswith(_LIMIT):
            # It prints "1/minute" as "1/m".
            rate, slash, unit = attributes.get("value", "").partition("/")
            attributes["value"] = rate + slash + unit.strip()[:1]
    return frozenset(
        (name, frozenset(item for item in attributes.items() if item != ("priority", "0")))
        for name, attributes in parts.items()
    )


def _parts(text: str) -> Parts:
    parts: Parts = {}
    current: Dict[str, str] = {}
    name = ""
    try:
        words = shlex.split(text)
    except ValueError:
        words = [text]
    for word in words:
        key, sign, value = word.partition("=")
        if sign:
            # These two may stand anywhere.
            (parts.setdefault("rule", {}) if key in ("family", "priority") else current)[key] = value
        elif word in ("NOT", "not"):
            current["invert"] = "yes"
        else:
            # A log and an action may have a limit each.
            name = name + _LIMIT if word == "limit" else word
            current = parts.setdefault(name, {})
    return parts


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
