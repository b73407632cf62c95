# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what hosts declare, and what the module found on them in check mode, to one report. Pure.

Everything that comes from a host is hostile: it is held to types and lengths here, and escaped by whoever
writes it out (C(_audit_write)).
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError
from ansible_collections.netports.apple.plugins.plugin_utils import _audit_exposure, _catalogue, _ruleset, _sets
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue import Catalogue, Entry

FORMAT = 1
# The worst first: the status of a cell and of a host is the first of these that holds.
STATUSES = ("unreachable", "error", "unsupported", "off", "missing", "drifted", "stale", "compliant")

_LONGEST_TEXT = 2000
_LONGEST_LIST = 2000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")

# The module says these things in words alone; each word is held to the backends by a test.
_OFF = re.compile(r"ufw is inactive|firewalld is not running|pf is off on this host|installed and neither is in use")
_UNSUPPORTED = re.compile(
    r"no firewall that this collection manages|both in use on this host|is not installed on this host|"
    r"is a forward rule, which pf cannot have"
)
_LEFT_OUT = re.compile(r"left out the (outbound|forwarded) rules of (.+)\Z", re.DOTALL)
# A rule's direction in words.
_WAYS = {"in": "inbound", "out": "outbound", "forward": "forwarded"}
# What an operation does to a rule, in one character.
_SIGNS = {"add": "+", "remove": "-", "change": "~"}


class Policy:
    """What a declaration asks for, worked out once for all hosts that share it.

    :param declared: ``sets``, ``defaults``, ``catalogues``, ``supplement`` and ``state``, as the role has them.
    :param folder: where relative paths of catalogues start.
    :raises ValueError: the declaration names what the catalogue does not have, or a value that no rule may have.
    """

    def __init__(self, declared: Mapping[str, Any], folder: str) -> None:
        paths = [os.path.join(folder, os.path.expanduser(path)) for path in declared.get("catalogues") or []]
        self.catalogue: Catalogue = _catalogue.load(paths, bool(declared.get("supplement")))
        self.names: dict[str, str] = {}
        # A rule that is left over may be an everyday name's.
        self.catalogue.everyday()
        for identifier, product in self.catalogue.products.items():
            self.names.setdefault(_ruleset.rule_name(product["name"]["en"]), identifier)
        self.columns: dict[str, tuple[str, str]] = {}  # a rule's base name: (column, name)
        self.declared_as: dict[str, list[str]] = {}  # a rule's base name: the terms that asked for it
        self.entries: dict[str, list[Entry]] = {}
        self.wanted: dict[Any, Rule] = {}
        sets = declared.get("sets") or []
        if declared.get("state") == "absent" or not sets:
            return
        defaults = declared.get("defaults") or {}
        for one in sets:
            for term in _sets.name_list(one.get("products"), "products"):
                for identifier in self.catalogue.resolve_all([term]):
                    for entry in self.catalogue.of_product(identifier, members=True):
                        name = entry["name"]["en"]
                        self._declare(_ruleset.rule_name(name), str(entry["product"]), name, str(term))
            for service in _sets.name_list(one.get("services"), "services"):
                base = _ruleset.rule_name(str(service))
                self._declare(base, f"service:{service}", str(service), str(service))
        compiled = _sets.compile_sets(self.catalogue, sets, defaults)
        for entry in compiled.entries:
            self.entries.setdefault(_ruleset.rule_name(entry["name"]["en"]), []).append(entry)
        self.wanted = {rule.key: rule for rule in map(Rule.from_dict, compiled.rules)}

    def _declare(self, base: str, column: str, name: str, term: str) -> None:
        self.columns.setdefault(base, (column, name))
        terms = self.declared_as.setdefault(base, [])
        if term not in terms:
            terms.append(term)

    def base(self, name: str) -> str:
        """The name that a rule's product has: without the ending that rules of local scope may get."""
        short = name.removesuffix(" local")
        return short if name not in self.columns and (short in self.columns or short in self.names) else name

    def column(self, base: str) -> tuple[str, str]:
        """The column of the matrix that a rule belongs to, and its title."""
        if base in self.columns:
            return self.columns[base]
        identifier = self.names.get(base)
        if identifier:
            return identifier, self.catalogue.products[identifier]["name"]["en"]
        return f"rule:{base}", base

    def why(self, rule: Rule) -> list[Entry]:
        """The entries of the catalogue that a rule is made of: the product's own, in its direction, in its ports."""
        base = self.base(rule.name)
        own = self.entries.get(base)
        if own is None:
            own = list(self.catalogue.of_product(self.names[base], False)) if base in self.names else []
        return [entry for entry in own if _used(entry, rule, whole=True)]

    def needed_by(self, rule: Rule) -> list[str]:
        """The declared products, by name, that use a port of the rule in its direction."""
        found = []
        for base, (column, name) in self.columns.items():
            own = self.entries.get(base)
            if own is None:
                own = list(self.catalogue.of_product(column, False))
            if any(_used(entry, rule, whole=False) for entry in own):
                found.append(name)
        return found


class _Table:
    """Rows that many hosts share, kept once and told by an id."""

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

    def report(self, records: Iterable[Mapping[str, Any]], generated: str) -> dict[str, Any]:
        """Audit hosts.

        :param records: for each host ``host`` (its name), ``groups``, ``declared`` (see L(Policy), with ``ruleset``)
            and ``result`` (what the module returned for a run in check mode, with ``foreign``; ``unreachable`` or
            ``failed`` where it could not).
        :param generated: when, in ISO 8601.
        :returns: the report, of the form of ``data/audit.schema.json``.
        """
        hosts = [self._host(record) for record in records]
        cells = Counter(cell["status"] for host in hosts for cell in host["products"])
        states = Counter(host["status"] for host in hosts)
        return {
            "format": FORMAT,
            "generated": generated,
            "summary": {
                "compliant": all(host["status"] == "compliant" for host in hosts),
                "hosts": {status: states[status] for status in STATUSES},
                "products": {status: cells[status] for status in STATUSES},
                "exposures": sum(len(host["exposures"]) for host in hosts),
            },
            "products": [
                {"id": column, "name": name}
                for column, name in sorted(self._columns.items(), key=lambda one: (one[1].casefold(), one[0]))
            ],
            "entries": self._entries.rows,
            "rules": self._rules.rows,
            "hosts": hosts,
        }

    def _host(self, record: Mapping[str, Any]) -> dict[str, Any]:
        result = _mapping(record.get("result"))
        declared = _mapping(record.get("declared"))
        host: dict[str, Any] = {
            "host": text(record.get("host")),
            "groups": [text(name) for name in _list(record.get("groups"))],
            "ruleset": text(declared.get("ruleset") or "apple"),
            "backend": None,
            "status": "compliant",
            "message": "",
            "products": [],
            "rules": [],
            "drift": [],
            "exposures": [],
            "warnings": [text(one) for one in _list(result.get("warnings"))],
        }
        policy = self._policy(declared)
        if not declared and result.get("msg"):
            policy = text(result["msg"])
        if isinstance(policy, str):
            return {**host, "status": "error", "message": policy}
        failure = _failure(result)
        if failure:
            host["status"], host["message"] = failure
            self._cells(host, policy, {base: {failure[0]: []} for base in policy.columns})
            return host
        host["backend"] = text(result["backend"])
        try:
            found = [Rule.from_dict(rule) for rule in result["before"]]
            operations = [_operation(one) for one in result["operations"]]
        except (RuleError, ValueError, TypeError, KeyError) as error:
            message = text(f"the host's answer is not the module's: {error}")
            host.update(status="error", message=message)
            self._cells(host, policy, {base: {"error": []} for base in policy.columns})
            return host
        states: dict[str, dict[str, list[str]]] = {base: {} for base in policy.columns}
        self._compare(host, policy, found, operations, states)
        self._whole(host, policy, operations, states)
        host["exposures"] = _audit_exposure.own(found) + _audit_exposure.foreign(
            host["backend"], result.get("foreign"), text
        )
        self._cells(host, policy, states)
        worst = [cell["status"] for cell in host["products"]] + [host["status"]]
        if host["drift"]:
            worst.append("drifted")
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

    def _compare(
        self,
        host: dict[str, Any],
        policy: Policy,
        found: Sequence[Rule],
        operations: Sequence[dict[str, Any]],
        states: dict[str, dict[str, list[str]]],
    ) -> None:
        """What of the ruleset is there, is missing, is too much, or is otherwise in the kernel."""
        rows: dict[Any, dict[str, Any]] = {
            rule.key: {"rule": self._rule(policy, rule), "state": "present"} for rule in found
        }
        for operation in operations:
            action, rule, was = operation["action"], operation["rule"], operation["was"]
            if rule is None:
                continue
            state = states.setdefault(policy.base(rule.name), {})
            where = _WAYS[rule.direction]
            if action == "add":
                rows[rule.key] = {"rule": self._rule(policy, rule), "state": "missing"}
                state.setdefault("missing", []).append(f"{where} {_told(rule)} is missing")
            elif action == "remove":
                rows[rule.key] = {"rule": self._rule(policy, rule), "state": "stale"}
                state.setdefault("stale", []).append(f"{where} {_told(rule)} is no longer declared")
            elif was is not None:
                rows[rule.key] = {
                    "rule": self._rule(policy, rule),
                    "state": "differs",
                    "found": self._rule(policy, was),
                }
                lacking, more = _apart(rule, was), _apart(was, rule)
                if lacking:
                    state.setdefault("missing", []).append(f"{where} {lacking} is missing")
                if more or not lacking:
                    state.setdefault("stale", []).append(f"{where} {more or _told(was)} is no longer declared")
        host["rules"] = list(rows.values())

    def _whole(
        self,
        host: dict[str, Any],
        policy: Policy,
        operations: Sequence[dict[str, Any]],
        states: dict[str, dict[str, list[str]]],
    ) -> None:
        """What is about the firewall as a whole, or is told in words alone."""
        for operation in operations:
            if operation["action"] == "mend":
                what = operation["what"]
                host["drift"].append(what)
                for base in [*policy.columns, *(one for one in states if one not in policy.columns)]:
                    if _names(what, base):
                        states[base].setdefault("drifted", []).append(what)
            elif operation["action"] == "enable":
                self._off(host, states, "the firewall is off, now or at the next boot")
        for warning in host["warnings"]:
            left_out = _LEFT_OUT.search(warning)
            if left_out:
                for name in left_out.group(2).split(", "):
                    base = policy.base(name.strip())
                    if base in states:
                        states[base].setdefault("unsupported", []).append(
                            f"this firewall cannot filter {left_out.group(1)}"
                        )
            if _OFF.search(warning):
                self._off(host, states, warning)

    @staticmethod
    def _off(host: dict[str, Any], states: dict[str, dict[str, list[str]]], message: str) -> None:
        host["status"], host["message"] = "off", message
        for state in states.values():
            state["off"] = []

    def _cells(self, host: dict[str, Any], policy: Policy, states: Mapping[str, Mapping[str, list[str]]]) -> None:
        """The host's row of the matrix."""
        for base, state in states.items():
            column, name = policy.column(base)
            self._columns.setdefault(column, name)
            host["products"].append(
                {
                    "id": column,
                    "status": min(state or ("compliant",), key=STATUSES.index),
                    "declared_as": policy.declared_as.get(base, []),
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


def sentence(operation: Any) -> str:
    """Put an operation of the module in words, such as C(+ FaceTime, outbound 80,443,5223/tcp to anywhere)."""
    try:
        one = _operation(operation)
    except (ValueError, KeyError) as error:
        return text(f"no operation: {error}")
    rule = one["rule"]
    if rule is None:
        return f"! {one['action']} {one['what']}"
    was = f" (was {_told(one['was'])})" if one["was"] else ""
    return f"{_SIGNS[one['action']]} {rule.name}, {_WAYS[rule.direction]} {_told(rule)}{was}"


def text(value: Any) -> str:
    """A value as text that every format can hold: no control characters, no lone surrogates, not endless."""
    plain = str(value if value is not None else "")[:_LONGEST_TEXT]
    return _CONTROL.sub("\ufffd", plain.encode("utf-8", "replace").decode("utf-8"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value[:_LONGEST_LIST]) if isinstance(value, (list, tuple)) else []


def _failure(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """Status and message of a host that could not be audited."""
    message = text(result.get("msg"))
    said = text(result.get("module_stderr")).strip()
    if said:
        # Where Python could not be started on the host, up to ansible-core 2.18, the message says no more than that.
        message = text(f"{message}: {said}")
    if result.get("unreachable"):
        return "unreachable", message or "no connection"
    if result.get("failed"):
        status = "unsupported" if _UNSUPPORTED.search(message) else "off" if _OFF.search(message) else "error"
        return status, message or "the audit failed"
    if not isinstance(result.get("before"), list) or not isinstance(result.get("operations"), list):
        return "error", message or "the host was not audited: its run ended before"
    return None


def _operation(value: Any) -> dict[str, Any]:
    """One operation of the module, held to its form.

    :raises ValueError: it is none.
    """
    if not isinstance(value, Mapping) or value.get("action") not in ("add", "change", "remove", "mend", "enable"):
        raise ValueError(f"{_ports.shown(value)} is not an operation")
    # A mend's rule is the kernel's own text.
    of_rule = value["action"] in ("add", "change", "remove")
    detail = "" if of_rule or not value.get("rule") else f": {value['rule']}"
    return {
        "action": value["action"],
        "rule": Rule.from_dict(value.get("rule")) if of_rule else None,
        "was": Rule.from_dict(value["was"]) if value["action"] == "change" else None,
        "what": text(f"{value.get('what', '')}{detail}"),
    }


def _used(entry: Entry, rule: Rule, whole: bool) -> bool:
    """Say whether an entry is in a rule (or, not whole, shares a port with it) in the rule's direction."""
    if entry["direction"] not in (_ruleset.use_of(rule.direction), "both"):
        return False
    if rule.direction == "forward" and not _ruleset.forwarded(entry, rule.destinations):
        return False
    first, last = entry["first"], entry["last"]
    if first is None:
        # The host put its own range in the place of the word, and which range that is it alone knows.
        return whole and bool(rule.tcp if entry["protocol"] == "tcp" else rule.udp)
    ranges = rule.tcp if entry["protocol"] == "tcp" else rule.udp
    if whole:
        return _ports.covers(ranges, (first, last))
    return any(one[0] <= last and first <= one[1] for one in ranges)


def _told(rule: Rule) -> str:
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


def _apart(rule: Rule, other: Rule) -> str:
    """The ports that one rule has and another has not."""
    return _listed(_ports.subtract(rule.tcp, other.tcp), _ports.subtract(rule.udp, other.udp))


def _listed(tcp: Iterable[_ports.PortRange], udp: Iterable[_ports.PortRange]) -> str:
    parts = [
        f"{','.join(_ports.text(one) for one in ranges)}/{protocol}"
        for protocol, ranges in (("tcp", tcp), ("udp", udp))
        if ranges
    ]
    return " and ".join(parts)


def _names(what: str, base: str) -> bool:
    """Say whether a text of the firewall's own names a product: as ufw's profile, or as firewalld's service."""
    for form in (f"Apple {base}", f"apple-{re.sub(r'[^a-z0-9]+', '-', base.lower()).strip('-')}"):
        if re.search(
            rf"(?<![A-Za-z0-9-]){re.escape(form)}(?:[ -]local)?(?:[ -](?:out|forward))?(?![\w-]| [A-Z])", unquote(what)
        ):
            return True
    return False
