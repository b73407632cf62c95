# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that make an audit's report and write it in other forms, and that put changes in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.netports.apple.plugins.plugin_utils import (
    _audit_answer,
    _audit_collect,
    _audit_write,
)


def audit(hosts: Any, variables: Any, folder: Any = "", generated: Any = None) -> Any:
    """The filter ``audit``: see ``_audit_collect.report``."""
    if isinstance(hosts, (str, Mapping)) or not hasattr(variables, "__getitem__"):
        raise AnsibleFilterError("netports.apple.audit: give a list of hosts, and hostvars")
    try:
        report = _audit_collect.report(hosts, variables, str(folder), str(generated or ""))
    except ValueError as error:
        raise AnsibleFilterError(f"netports.apple.audit: {error}") from None
    # Up to ansible-core 2.18, a text of a host that is not marked so could come to be templated.
    return wrap_var(report)


def audit_changes(operations: Any) -> Any:
    """The filter ``audit_changes``: a sentence for each operation."""
    if isinstance(operations, (str, Mapping)):
        raise AnsibleFilterError("netports.apple.audit_changes: give the operations that the module returns")
    return wrap_var([_audit_answer.words(_audit_collect.plain(step)) for step in operations])


def _writer(name: str, write: Callable[[Mapping[str, Any]], str]) -> Callable[[Any], Any]:
    def filter_function(report: Any) -> Any:
        """A report in another form."""
        if not isinstance(report, Mapping) or "hosts" not in report:
            raise AnsibleFilterError(f"netports.apple.{name}: give the report that netports.apple.audit returns")
        return wrap_var(write(_audit_collect.plain(report)))

    return filter_function


class FilterModule:
    """The collection's filters for audits."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "audit": audit,
            "audit_changes": audit_changes,
            "audit_csv": _writer("audit_csv", _audit_write.to_csv),
            "audit_junit": _writer("audit_junit", _audit_write.to_junit),
            "audit_page": _writer("audit_page", _audit_write.to_page),
        }
