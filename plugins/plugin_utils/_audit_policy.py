# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a declaration asks for, and what is behind its rules. Pure, but for the catalogues that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _ruleset, _sets
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue import Catalogue, Entry


@dataclass(frozen=True)
class Column:
    """A column of the report's matrix.

    :param id: a product's id, ``service:LABEL``, or ``rule:NAME`` for a rule that no product of the catalogue has.
    :param name: its title.
    """

    id: str
    name: str


class Policy:
    """What a declaration asks for, worked out once for all hosts that share it.

    A rule's name is its product's, in the letters that firewalls take. Products whose names are the same in these
    letters share their rules, so a rule's name may stand for several columns.

    :param declared: ``sets``, ``defaults``, ``catalogues``, ``supplement`` and ``state``, as the role has them.
    :param folder: where relative paths of catalogues start.
    :raises ValueError: the declaration names what the catalogue does not have, or a value that no rule may have.
    """

    def __init__(self, declared: Mapping[str, Any], folder: str) -> None:
        paths = [os.path.join(folder, os.path.expanduser(path)) for path in declared.get("catalogues") or []]
        self.catalogue: Catalogue = _catalogue.load(paths, bool(declared.get("supplement")))
        # A rule that is left over may be an everyday name's.
        self.catalogue.everyday()
        self._known: dict[str, list[Column]] = {}
        for identifier, product in self.catalogue.products.items():
            name = product["name"]["en"]
            self._known.setdefault(_ruleset.rule_name(name), []).append(Column(id=identifier, name=name))
        self._declared: dict[str, list[Column]] = {}
        self._terms: dict[Column, list[str]] = {}
        self._entries: dict[Column, list[Entry]] = {}
        self.wanted: dict[Any, Rule] = {}
        sets = declared.get("sets") or []
        if declared.get("state") == "absent" or not sets:
            return
        for given in sets:
            for term in _sets.name_list(given.get("products"), "products"):
                for identifier in self.catalogue.resolve_all([term]):
                    for entry in self.catalogue.of_product(identifier, members=True):
                        self._declare(_column(entry), str(term))
            for service in _sets.name_list(given.get("services"), "services"):
                self._declare(_service(str(service)), str(service))
        compiled = _sets.compile_sets(self.catalogue, sets, declared.get("defaults") or {})
        for entry in compiled.entries:
            self._entries.setdefault(_column(entry), []).append(entry)
        self.wanted = {rule.key: rule for rule in map(Rule.from_dict, compiled.rules)}

    def _declare(self, column: Column, term: str) -> None:
        columns = self._declared.setdefault(_ruleset.rule_name(column.name), [])
        if column not in columns:
            columns.append(column)
        terms = self._terms.setdefault(column, [])
        if term not in terms:
            terms.append(term)

    @property
    def bases(self) -> list[str]:
        """The names that rules of the declaration have, each without the ending of rules of local scope."""
        return list(self._declared)

    def base(self, name: str) -> str:
        """A rule's name without the ending that rules of local scope may get."""
        short = name.removesuffix(" local")
        return short if name not in self._declared and (short in self._declared or short in self._known) else name

    def columns(self, base: str) -> list[Column]:
        """The columns that the rules of a name belong to."""
        return self._declared.get(base) or self._known.get(base) or [Column(id=f"rule:{base}", name=base)]

    def declared_as(self, column: Column) -> list[str]:
        """The terms that asked for a column; none where it is not declared."""
        return self._terms.get(column, [])

    def why(self, rule: Rule) -> list[Entry]:
        """The entries of the catalogue that a rule is made of: its product's, in its direction, within its ports."""
        return [
            entry
            for column in self.columns(self.base(rule.name))
            for entry in self._of(column)
            if _used(entry, rule, whole=True)
        ]

    def needed_by(self, rule: Rule) -> list[str]:
        """The declared products, by name, that use a port of the rule in its direction."""
        return [
            column.name
            for columns in self._declared.values()
            for column in columns
            if any(_used(entry, rule, whole=False) for entry in self._of(column))
        ]

    def _of(self, column: Column) -> list[Entry]:
        """The entries of a column."""
        if column not in self._entries:
            known = column.id in self.catalogue.products
            self._entries[column] = list(self.catalogue.of_product(column.id, False)) if known else []
        return self._entries[column]


def _column(entry: Entry) -> Column:
    """The column of an entry: its product's, or that of the service under whose name it was asked for."""
    name = entry["name"]["en"]
    return Column(id=entry["product"], name=name) if entry["product"] else _service(name)


def _service(name: str) -> Column:
    return Column(id=f"service:{name}", name=name)


def _used(entry: Entry, rule: Rule, whole: bool) -> bool:
    """Whether an entry is in a rule (or, not whole, shares a port with it) in the rule's direction."""
    if not _ruleset.used(entry, rule):
        return False
    first, last = entry["first"], entry["last"]
    ranges = rule.tcp if entry["protocol"] == "tcp" else rule.udp
    if first is None:
        # The host put its own range in the place of the word, and which range that is it alone knows.
        return whole and bool(ranges)
    if whole:
        return _ports.covers(ranges, (first, last))
    return any(start <= last and first <= end for start, end in ranges)
