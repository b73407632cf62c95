# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that make an audit's report and write it in other forms; the playbook C(netports.apple.audit) uses them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.plugins.filter.core import to_json
from ansible.plugins.loader import lookup_loader
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _audit_write, _options

# What is read of the module's result; the rest may be long.
_RESULT = ("unreachable", "failed", "msg", "backend", "before", "operations", "warnings")


def audit(hosts: Any, variables: Any, folder: Any = "", generated: Any = None) -> Any:
    """The filter C(audit): see C(_audit.Auditor.report)."""
    if isinstance(hosts, (str, Mapping)) or not hasattr(variables, "__getitem__"):
        raise AnsibleFilterError("netports.apple.audit: give a list of hosts, and hostvars")
    now = generated or datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    settings = _settings()
    records = [_record(str(host), variables[host], settings) for host in hosts]
    # Up to ansible-core 2.18, a text of a host that is not marked so could come to be templated.
    return wrap_var(_audit.Auditor(str(folder)).report(records, str(now)))


def _settings() -> dict[str, Any]:
    """What ansible.cfg and the environment say for hosts that say nothing of catalogues and the supplement."""
    lookup = lookup_loader.get("netports.apple.rules")
    lookup.set_options(var_options={}, direct={})
    names = lookup.get_option("catalogues")
    return {"catalogues": _options.check_paths(names), "supplement": lookup.get_option("supplement")}


def _record(host: str, variables: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """One host's record, from the variables that the playbook registers."""
    result = variables.get("host_firewall_result") or {}
    declared = _plain(_options.decrypted(variables.get("netports_declared") or {}))
    if declared:
        declared["catalogues"] = declared.get("catalogues") or settings["catalogues"]
        given = declared.get("supplement", "")
        declared["supplement"] = settings["supplement"] if given == "" else _options.check_bool("supplement", given)
    foreign = variables.get("netports_foreign") or {}
    return {
        "host": host,
        "groups": _plain(variables.get("group_names") or []),
        "declared": declared,
        "result": {key: _plain(result[key]) for key in _RESULT if key in result},
        "foreign": _plain(foreign.get("stdout")),
    }


def _plain(value: Any) -> Any:
    """A value in JSON's own types: Ansible's containers look at each item anew whenever it is read."""
    return json.loads(to_json(value))


def audit_changes(operations: Any) -> Any:
    """The filter C(audit_changes): a sentence for each operation."""
    if isinstance(operations, (str, Mapping)):
        raise AnsibleFilterError("netports.apple.audit_changes: give the operations that the module returns")
    return wrap_var([_audit.sentence(_plain(one)) for one in operations])


def _writer(name: str, write: Callable[[Mapping[str, Any]], str]) -> Callable[[Any], Any]:
    def filter_function(report: Any) -> Any:
        """A report in another form."""
        if not isinstance(report, Mapping) or "hosts" not in report:
            raise AnsibleFilterError(f"netports.apple.{name}: give the report that netports.apple.audit returns")
        return wrap_var(write(_plain(report)))

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
