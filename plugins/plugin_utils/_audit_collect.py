# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From Ansible's variables of hosts to an audit's report."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.plugins.filter.core import to_json
from ansible.plugins.loader import lookup_loader

from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _options

_ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
# What is read of the module's result; the rest may be long.
_RESULT = (
    *("unreachable", "failed", "msg", "module_stderr", "backend", "before", "operations", "warnings"),
    *("notices", "exposed", "rulesets"),
)


def report(hosts: Iterable[Any], variables: Any, folder: str, generated: str = "") -> dict[str, Any]:
    """Audit hosts by the variables that the playbook ``netports.apple.audit`` registers.

    :param hosts: names of hosts.
    :param variables: Ansible's ``hostvars``, or a mapping with each host's variables.
    :param folder: where relative paths of catalogues start.
    :param generated: when the audit was, in ISO 8601; now, when empty.
    :returns: as ``_audit.Auditor.report``.
    :raises ValueError: a host that is not known, or a setting of ansible.cfg or the environment that cannot be.
    """
    names = [str(host) for host in hosts]
    unknown = [name for name in names if name not in variables]
    if unknown:
        raise ValueError(f"nothing is known of {', '.join(unknown)}: give names of hosts in the inventory")
    now = generated or datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    settings = _settings()
    records = [_record(name, variables[name], settings) for name in names]
    return _audit.Auditor(folder).report(records, now, version())


def version() -> str:
    """The version of this collection: an installed one has it in its manifest, a checkout in galaxy.yml."""
    try:
        with open(os.path.join(_ROOT, "MANIFEST.json"), encoding="utf-8") as stream:
            return str(json.load(stream)["collection_info"]["version"])
    except FileNotFoundError:
        with open(os.path.join(_ROOT, "galaxy.yml"), encoding="utf-8") as stream:
            return next(line.split()[1] for line in stream if line.startswith("version:"))


def plain(value: Any) -> Any:
    """A value in JSON's own types: Ansible's containers look at each item anew whenever it is read."""
    return json.loads(to_json(value))


def _settings() -> dict[str, Any]:
    """What ansible.cfg and the environment say for hosts that say nothing of catalogues and the supplement."""
    lookup = lookup_loader.get("netports.apple.rules")
    lookup.set_options(var_options={}, direct={})
    names = lookup.get_option("catalogues")
    return {"catalogues": _options.check_paths(names), "supplement": lookup.get_option("supplement")}


def _record(host: str, variables: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """One host's record, as ``_audit.Auditor.report`` wants it."""
    found = variables.get("host_firewall_result") or {}
    result = {key: plain(found[key]) for key in _RESULT if key in found}
    declared = plain(_options.decrypted(variables.get("netports_declared") or {}))
    if declared:
        declared["catalogues"] = declared.get("catalogues") or settings["catalogues"]
        given = declared.get("supplement", "")
        try:
            declared["supplement"] = settings["supplement"] if given == "" else _options.check_bool("supplement", given)
        except ValueError as error:
            # One host's mistake, and not the whole report's.
            declared, result = {}, {"failed": True, "msg": str(error)}
    return {"host": host, "groups": plain(variables.get("group_names") or []), "declared": declared, "result": result}
