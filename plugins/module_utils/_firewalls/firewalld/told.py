# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A configuration as text for people."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import compare, daemon, emit, others
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ETC,
    Config,
    Owned,
    Reading,
)


def part(config: Config) -> Dict[str, Optional[str]]:
    """The ruleset's part of the files, by title."""
    parts: Dict[str, Optional[str]] = {}
    for name, service in sorted(config.services.items()):
        parts["/%s/services/%s.xml" % (ETC, name)] = emit.service_text(service)
    for name, attachments in sorted(config.zones.items()):
        parts["zone " + name] = "".join("%s\n" % attachment.text() for attachment in sorted(attachments))
    for name, policy in sorted(config.policies.items()):
        parts["/%s/policies/%s.xml" % (ETC, name)] = emit.policy_text(policy)
    return parts


def diff(reading: Reading, target: Config, owned: Owned) -> List[str]:
    """The ruleset's part of the host before and after a run, each as a text.

    The runtime is part of it where it was not what the files said.
    """
    before, after = part(reading.own), part(target)
    if reading.runtime:
        loaded = _lines(compare.config_of(reading.runtime.loaded, owned))
        if loaded != _lines(reading.own):
            before["at runtime"], after["at runtime"] = loaded, _lines(target)
    return [_files.diff_text(before), _files.diff_text(after)]


def _lines(config: Config) -> str:
    """A configuration as it is at runtime."""
    lines: List[str] = []
    for name, service in sorted(config.services.items()):
        lines.append("service %s: %s" % (name, " ".join(sorted("%s/%s" % port for port in service.ports))))
    for name, attachments in sorted(config.zones.items()):
        lines.extend("zone %s: %s" % (name, attachment.text()) for attachment in sorted(set(attachments)))
    for name, policy in sorted(config.policies.items()):
        settings = daemon.settings_of(policy)
        more = ["and more"] if policy.more else []
        found = [others.word(key, value) for key, values in settings.items() if values for value in values]
        lines.extend("policy %s: %s" % (name, item) for item in sorted(found) + more)
    return "".join("%s\n" % line for line in lines)


def some(items: Sequence[str], limit: int = 10) -> str:
    """A list for people: the first few, and how many more."""
    shown = "; ".join(items[:limit])
    return shown if len(items) <= limit else "%s; and %d more" % (shown, len(items) - limit)
