# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module answered on a host, held to its form. Pure.

A host may answer anything at all. What passes here has the types, the lengths and the characters that a report may
have; whoever writes the report out escapes it (``_audit_write``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Exposure, Operation
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _audit_kinds, _audit_words

_LONGEST_TEXT = 2000
_LONGEST_LIST = 2000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")

# The status of a host whose run failed, by the code of the notice that the failure has. Any other is an error.
FAILURES = {
    "no-firewall": "unsupported",
    "several-firewalls": "unsupported",
    "not-installed": "unsupported",
    "unsupported": "unsupported",
    "none-in-use": "off",
    "off": "off",
}

# What code that reads a host's values may raise.
BAD_VALUE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class Answer:
    """What the module found on a host in check mode.

    :param backend: the firewall's name.
    :param rules: the ruleset's rules.
    :param operations: what a real run would do.
    :param notices: what the module noticed.
    :param exposed: what lets anywhere in.
    :param rulesets: the rules of every ruleset of this collection on the host, by its name.
    """

    backend: str
    rules: tuple[Rule, ...]
    operations: tuple[Operation, ...]
    notices: tuple[Notice, ...]
    exposed: tuple[Exposure, ...]
    rulesets: Mapping[str, tuple[Rule, ...]]


@dataclass(frozen=True)
class Failure:
    """Why a host could not be audited.

    :param status: one of ``_audit.STATUSES``.
    :param message: a sentence for people.
    """

    status: str
    message: str


def read(result: Mapping[str, Any]) -> Answer | Failure:
    """Hold a result of the module to its form.

    :param result: what the task registered, in JSON's own types.
    """
    failure = _failure(result)
    if failure:
        return failure
    try:
        return Answer(
            backend=text(result["backend"]),
            rules=tuple(Rule.from_dict(rule) for rule in result["before"]),
            operations=tuple(operation(step) for step in result["operations"]),
            notices=tuple(_notice(item) for item in sequence(result.get("notices"))),
            exposed=tuple(_exposure(item) for item in sequence(result.get("exposed"))),
            rulesets={
                text(name): tuple(Rule.from_dict(rule) for rule in sequence(rules))
                for name, rules in list(mapping(result.get("rulesets")).items())[:_LONGEST_LIST]
            },
        )
    except BAD_VALUE as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)
        return Failure(status="error", message=text(f"the host's answer is not the module's: {told}"))


def operation(value: Any) -> Operation:
    """Hold an operation to its form.

    :raises ValueError: it is none.
    """
    if not isinstance(value, Mapping) or value.get("action") not in ("add", "change", "remove", "mend", "enable"):
        raise ValueError(f"{_ports.shown(value)} is not an operation")
    of_rule = value["action"] in ("add", "change", "remove")
    return Operation(
        action=value["action"],
        rule=Rule.from_dict(value.get("rule")) if of_rule else None,
        was=Rule.from_dict(value.get("was")) if value["action"] == "change" else None,
        what=text(value.get("what")),
        rules=tuple(text(name) for name in sequence(value.get("rules"))),
    )


def words(value: Any) -> str:
    """An operation in words, or why it is none."""
    try:
        return _audit_words.sentence(operation(value))
    except BAD_VALUE as error:
        return text(f"no operation: {error}")


def text(value: Any) -> str:
    """A value as text that every format can hold: no control characters, no lone surrogates, not endless."""
    plain = str(value if value is not None else "")[:_LONGEST_TEXT]
    return _CONTROL.sub("\ufffd", plain.encode("utf-8", "replace").decode("utf-8"))


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:
    """The first items of a list, else an empty one."""
    return list(value[:_LONGEST_LIST]) if isinstance(value, (list, tuple)) else []


def _notice(value: Any) -> Notice:
    return Notice(
        code=text(value.get("code")),
        text=text(value.get("text")),
        rules=tuple(text(name) for name in sequence(value.get("rules"))),
        direction=text(value.get("direction")),
    )


def _exposure(value: Any) -> Exposure:
    protocol = value.get("protocol")
    if protocol not in ("tcp", "udp", "any"):
        raise ValueError(f"{_ports.shown(protocol)} is not the protocol of an exposure")
    ports = tuple(text(span) for span in sequence(value.get("ports")))
    for span in ports:
        _audit_kinds.parsed(span)
    return Exposure(
        kind=text(value.get("kind")),
        ruleset=text(value.get("ruleset")),
        name=text(value.get("name")),
        protocol=protocol,
        ports=ports,
        text=text(value.get("text")),
    )


def _failure(result: Mapping[str, Any]) -> Failure | None:
    """Why there is nothing to audit."""
    message = text(result.get("msg"))
    said = text(result.get("module_stderr")).strip()
    if said:
        # Where Python could not be started on the host, up to ansible-core 2.18, the message says no more than that.
        message = text(f"{message}: {said}")
    if result.get("unreachable"):
        return Failure(status="unreachable", message=message or "no connection")
    if result.get("failed"):
        codes = [text(mapping(notice).get("code")) for notice in sequence(result.get("notices"))]
        statuses = [FAILURES[code] for code in codes if code in FAILURES]
        return Failure(status=statuses[0] if statuses else "error", message=message or "the audit failed")
    if not isinstance(result.get("before"), list) or not isinstance(result.get("operations"), list):
        return Failure(status="error", message=message or "the host was not audited: its run ended before")
    return None
