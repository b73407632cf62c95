# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters from entries to rules, and from rules to a firewall's own text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._firewalls import registry
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.standalone import documents
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import (
    _catalogue,
    _networks,
    _options,
    _ruleset,
    _surprises,
)


def rules(
    entries: Any,
    directions: Any = None,
    sources: Any = None,
    local_networks: Any = None,
    destinations: Any = None,
    interface: Any = None,
    out_interface: Any = None,
    obsolete: Any = None,
) -> list[dict[str, Any]]:
    """The filter ``rules``: see :func:`_ruleset.rules`. Bad input is an AnsibleFilterError."""
    try:
        options = _options.decrypted(
            [directions, sources, local_networks, destinations, interface, out_interface, obsolete]
        )
        made, silent = _ruleset.rules(entries, *options)
    except ValueError as error:
        raise AnsibleFilterError(f"netports.apple.rules: {error}") from None
    multicast = _surprises.multicast(_catalogue.load(), [Rule.from_dict(rule) for rule in made], entries)
    for warning in [*_ruleset.silence(silent), *_networks.warnings([options[3]]), *multicast]:
        Display().warning(warning)
    return made


def _made(rules: Any) -> list[Rule]:
    """The rules that a filter was given."""
    if isinstance(rules, (str, dict)) or not isinstance(rules, Iterable):
        raise _rules.RuleError(f"{rules!r} is not a list of rules: give what the filter rules returns")
    made = _rules.normalise(Rule.from_dict(_options.decrypted(rule)) for rule in rules)
    if any(_ports.HOST_EPHEMERAL in rule.tcp + rule.udp for rule in made):
        raise _rules.RuleError(
            "host_ephemeral has no numbers here, since a host alone knows its range: give the range in its place"
        )
    return made


def to_firewalld(rules: Any, ruleset: Any = "apple", zones: Any = None) -> dict[str, str]:
    """Rules as whole files of firewalld's, by their path on a host."""
    try:
        given = _options.decrypted(zones or {})
        if not isinstance(given, dict):
            raise _rules.RuleError(
                f"zones is {given!r}: give a zone for each interface, such as {{'eth1': 'internal'}}"
            )
        named = {_rules.check_interface(interface): _rules.check_zone(zone) for interface, zone in given.items()}
        return documents(_made(rules), _rules.check_ruleset(_options.decrypted(ruleset)), named)
    except (ValueError, FirewallError) as error:
        raise AnsibleFilterError(f"netports.apple.to_firewalld: {error}") from None


def _to(backend: str) -> Callable[..., str]:
    def filter_function(rules: Any, ruleset: Any = "apple") -> str:
        """Rules as a firewall's own text; several files follow one another."""
        try:
            made = _made(rules)
            texts = registry.load(backend).render(made, _rules.check_ruleset(_options.decrypted(ruleset)), own=False)
        except (ValueError, FirewallError) as error:
            raise AnsibleFilterError(f"netports.apple.to_{backend}: {error}") from None
        return "".join(texts.values())

    return filter_function


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "rules": rules,
            **{f"to_{name}": _to(name) for name in registry.NAMES},
            "to_firewalld": to_firewalld,
        }
