# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter from rules to the configuration of a network device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.netports.apple.plugins.module_utils import _rules
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _aerleon, _options


def to_aerleon(rules: Any, target: Any, ruleset: Any = "apple", from_zone: Any = None, to_zone: Any = None) -> str:
    """Write rules as a device's configuration; bad input is an AnsibleFilterError."""
    try:
        if isinstance(rules, (str, dict)) or not isinstance(rules, Iterable):
            raise _rules.RuleError(f"{rules!r} is not a list of rules: give what the filter rules returns")
        made = _rules.normalise(Rule.from_dict(_options.decrypted(rule)) for rule in rules)
        target, ruleset, from_zone, to_zone = _options.decrypted([target, ruleset, from_zone, to_zone])
        return _aerleon.render(made, target, _rules.check_ruleset(ruleset), from_zone, to_zone)
    except ValueError as error:
        raise AnsibleFilterError(f"netports.apple.to_aerleon: {error}") from None


class FilterModule:
    """The collection's filter for network devices."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"to_aerleon": to_aerleon}
