# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what hosts declare, and what the module found on them in check mode, to one report. Pure.

Everything that comes from a host is hostile: ``_audit_answer`` holds it to types and lengths, and whoever writes it
out escapes it (``_audit_write``).
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Operation
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _audit_answer, _audit_kinds, _audit_words
from ansible_collections.netports.apple.plugins.plugin_utils._audit_answer import Answer, Failure, text
from ansible_collections.netports.apple.plugins.plugin_utils._audit_policy import Policy

FORMAT = 1
# The worst first: the status of a cell and of a host is the first of these that holds.
STATUSES = ("unreachable", "error", "unsupported", "off", "missing", "drifted", "stale", "compliant")

# What a notice of the module means for the whole host, and for the rules that it names.
OFF = ("off", "off-at-boot")
OF_RULES = {
    "left-out": "unsupported",
    "unsupported": "unsupported",
    "no-effect": "off",
    "refused": "missing",
    "no-packets": "missing",
}


class _Table:
    """Rows that many hosts share, kept once and named by an id."""

    def __init__(self, letter: str) -> None:
        self._letter = letter
        self._ids: dict[str, str] = {}
        self.rows: dict[str, Any] = {}

    def put(self, row: dict[str, Any]) -> str:
        """The id of a row, which is added when it is new."""
        key = json.dumps(row, sort_keys=True)
        if key not in self._ids:
            self._ids[key] = f"{self._letter}{len(self._ids) + 1}"
            self.rows[self._ids[key]] = row
        return self._ids[key]


class _States:
    """What was found of each name that rules have: lines by status.

    :param policy: what the host declares; each of its names has a state, if an empty one.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.found: dict[str, dict[str, list[str]]] = {base: {} for base in policy.bases}

    def add(self, rule_name: str, status: str, line: str) -> None:
        """Note a finding on a rule."""
        self.found.setdefault(self._policy.base(rule_name), {}).setdefault(status, []).append(line)

    def known(self, rule_name: str) -> bool:
        """Whether the rule's name is declared, or was found."""
        return self._policy.base(rule_name) in self.found

    def all(self, status: str) -> None:
        """Give every name a status, without a line."""
        for state in self.found.values():
            state.setdefault(status, [])


class Auditor:
    """Makes the report, host by host.

    :param folder: where relative paths of catalogues start.
    """

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self._policies: dict[str, Policy | str] = {}
        self._entries = _Table("e")
        self._rules = _Table("r")
        self._columns: dict[str, str] = {}
        self._known: dict[tuple[int, Rule], str] = {}

    def report(self, records: Iterable[Mapping[str, Any]], generated: str, collection: str = "") -> dict[str, Any]:
        """Audit hosts.

        :param records: for each host ``host`` (its name), ``groups``, ``declared`` (as for :class:`Policy`, with
            ``ruleset`` and ``rulesets``) and ``result`` (what the module returned for a run in check mode, with
            ``foreign``; ``unreachable`` or ``failed`` where it could not).
        :param generated: when, in ISO 8601.
        :param collection: the version of this collection.
        :returns: the report, of the form of ``data/audit.schema.json``.
        """
        hosts = [self._guarded(record) for record in records]
        cells = Counter(cell["status"] for host in hosts for cell in host["products"])
        states = Counter(host["status"] for host in hosts)
        return {
            "format": FORMAT,
            "generated": generated,
            "collection": collection,
            "editions": self._editions(),
            "summary": {
                "compliant": all(host["status"] == "compliant" for host in hosts),
                "hosts": {status: states[status] for status in STATUSES},
                "products": {status: cells[status] for status in STATUSES},
                "exposures": sum(len(host["exposures"]) for host in hosts),
            },
            "products": [
                {"id": column, "name": name}
                for column, name in sorted(self._columns.items(), key=lambda item: (item[1].casefold(), item[0]))
            ],
            "entries": self._entries.rows,
            "rules": self._rules.rows,
            "hosts": hosts,
        }

    def _editions(self) -> list[str]:
        """The editions of all catalogues that hosts are compared with."""
        policies = [policy for policy in self._policies.values() if isinstance(policy, Policy)]
        return sorted({entry["edition"] for policy in policies for entry in policy.catalogue.entries})

    def _guarded(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A host of the report. Whatever a host answered, the others keep their place in the report."""
        try:
            return self._host(record, self._blank(record))
        except _audit_answer.BAD_VALUE as error:
            message = text(f"this host cannot be audited ({type(error).__name__}: {error})")
            return {**self._blank(record), "status": "error", "message": message}

    @staticmethod
    def _blank(record: Mapping[str, Any]) -> dict[str, Any]:
        declared = _audit_answer.mapping(record.get("declared"))
        result = _audit_answer.mapping(record.get("result"))
        return {
            "host": text(record.get("host")),
            "groups": [text(name) for name in _audit_answer.sequence(record.get("groups"))],
            "ruleset": text(declared.get("ruleset") or "apple"),
            "backend": None,
            "status": "compliant",
            "message": "",
            "products": [],
            "rules": [],
            "rulesets": [],
            "drift": [],
            "exposures": [],
            "warnings": [text(warning) for warning in _audit_answer.sequence(result.get("warnings"))],
        }

    def _host(self, record: Mapping[str, Any], host: dict[str, Any]) -> dict[str, Any]:
        result = _audit_answer.mapping(record.get("result"))
        declared = _audit_answer.mapping(record.get("declared"))
        policy = self._policy(declared)
        if not declared and result.get("msg"):
            policy = text(result["msg"])
        if isinstance(policy, str):
            return {**host, "status": "error", "message": policy}
        states = _States(policy)
        answer = _audit_answer.read(result)
        if isinstance(answer, Failure):
            host.update(status=answer.status, message=answer.message)
            states.all(answer.status)
            self._cells(host, policy, states)
            return host
        host["backend"] = answer.backend
        self._compare(host, policy, answer, states)
        _drift(host, answer, states)
        _notices(host, answer, states)
        self._others(host, policy, answer, declared.get("rulesets") or ())
        host["exposures"] = [dataclasses.asdict(finding) for finding in _audit_kinds.findings(answer.exposed)]
        self._cells(host, policy, states)
        worst = [cell["status"] for cell in host["products"]] + [host["status"]]
        worst += ["drifted"] * bool(host["drift"])
        worst += ["stale"] * any(other["status"] == "stale" for other in host["rulesets"])
        host["status"] = min(worst, key=STATUSES.index)
        return host

    def _policy(self, declared: Mapping[str, Any]) -> Policy | str:
        """The policy of a declaration, or why there is none."""
        if not declared:
            return "nothing is known of what this host declares: its variables could not be read"
        key = json.dumps(declared, sort_keys=True)
        if key not in self._policies:
            try:
                self._policies[key] = Policy(declared, self._folder)
            except (ValueError, AttributeError, TypeError) as error:
                self._policies[key] = text(f"what this host declares cannot be worked out: {error}")
        return self._policies[key]

    def _compare(self, host: dict[str, Any], policy: Policy, answer: Answer, states: _States) -> None:
        """What of the ruleset is there, is missing, is too much, or has other ports."""
        rows: dict[Any, dict[str, Any]] = {
            rule.key: {"rule": self._rule(policy, rule), "state": "present"} for rule in answer.rules
        }
        for operation in answer.operations:
            if operation.rule is not None:
                rows[operation.rule.key] = self._row(policy, operation, operation.rule)
                for status, line in _lines(operation, operation.rule):
                    states.add(operation.rule.name, status, line)
        host["rules"] = list(rows.values())

    def _row(self, policy: Policy, operation: Operation, rule: Rule) -> dict[str, Any]:
        """A rule of the host's list that is not as it is declared."""
        state = {"add": "missing", "remove": "stale", "change": "differs"}[operation.action]
        row = {"rule": self._rule(policy, rule), "state": state}
        if operation.was is not None:
            row["found"] = self._rule(policy, operation.was)
        return row

    def _others(self, host: dict[str, Any], policy: Policy, answer: Answer, declared: Any) -> None:
        """The host's other rulesets of this collection.

        :param declared: the names of those that the host is to have; ``all`` among them for every one.
        """
        for name, rules in answer.rulesets.items():
            if name == host["ruleset"]:
                continue
            expected = "all" in declared or name in declared
            found = [self._rule(policy, rule) for rule in rules]
            host["rulesets"].append({"ruleset": name, "status": "declared" if expected else "stale", "rules": found})
            if not expected and not host["message"]:
                host["message"] = f"ruleset {name} is not declared: name it in netports_rulesets, or remove it"

    def _cells(self, host: dict[str, Any], policy: Policy, states: _States) -> None:
        """The host's row of the matrix."""
        for base, state in states.found.items():
            for column in policy.columns(base):
                self._columns.setdefault(column.id, column.name)
                host["products"].append(
                    {
                        "id": column.id,
                        "status": min(state or ("compliant",), key=STATUSES.index),
                        "declared_as": policy.declared_as(column),
                        "findings": [f"{status}: {line}" for status in STATUSES for line in state.get(status, ())],
                    }
                )

    def _rule(self, policy: Policy, rule: Rule) -> str:
        key = (id(policy), rule)
        if key not in self._known:
            why = [
                self._entries.put(
                    {
                        "product": entry["product"],
                        "name": entry["name"]["en"],
                        "port": entry["port"],
                        "protocol": entry["protocol"],
                        "service": entry["service_name"],
                        "direction": entry["direction"],
                        "scope": entry["scope"],
                        "reason": entry["reason"],
                        "source": entry["source"],
                        "edition": entry["edition"],
                    }
                )
                for entry in policy.why(rule)
            ]
            self._known[key] = self._rules.put({**rule.to_dict(), "needed_by": policy.needed_by(rule), "entries": why})
        return self._known[key]


def _lines(operation: Operation, rule: Rule) -> list[tuple[str, str]]:
    """What an operation on a rule says of its product: pairs of a status and a line."""
    where = _audit_words.WAYS[rule.direction]
    if operation.action == "add":
        return [("missing", f"{where} {_audit_words.told(rule)} is missing")]
    if operation.was is None:
        return [("stale", f"{where} {_audit_words.told(rule)} is no longer declared")]
    lacking, more = _audit_words.apart(rule, operation.was), _audit_words.apart(operation.was, rule)
    found = [("missing", f"{where} {lacking} is missing")] if lacking else []
    if more or not lacking:
        found.append(("stale", f"{where} {more or _audit_words.told(operation.was)} is no longer declared"))
    return found


def _drift(host: dict[str, Any], answer: Answer, states: _States) -> None:
    """How the running firewall, or a file, is not as the ruleset was written."""
    for operation in answer.operations:
        if operation.action == "mend":
            host["drift"].append(operation.what)
            for name in operation.rules:
                states.add(name, "drifted", operation.what)
        elif operation.action == "enable":
            _off(host, states, "the firewall is off, now or at the next boot")


def _notices(host: dict[str, Any], answer: Answer, states: _States) -> None:
    """What the module noticed, by its codes."""
    for notice in answer.notices:
        for name in notice.rules:
            if notice.code in OF_RULES and states.known(name):
                states.add(name, OF_RULES[notice.code], notice.text)
        if notice.code in OFF:
            _off(host, states, notice.text)


def _off(host: dict[str, Any], states: _States, message: str) -> None:
    host.update(status="off", message=message)
    states.all("off")
