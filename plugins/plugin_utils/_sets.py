# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From sets of products and services to the rules of one ruleset, and to what an administrator should decide."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _rules
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import (
    _catalogue,
    _options,
    _ruleset,
    _sides,
    _surprises,
)
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue import Catalogue, Entry
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError, Wording
from ansible_collections.netports.apple.plugins.plugin_utils._port_words import SITE_PORT

SET_KEYS = (
    *("products", "services", "side", "ports", "directions", "sources", "local_networks", "destinations"),
    *("interface", "out_interface", "obsolete"),
)
# What goes to the rules as it is.
_OF_RULES = SET_KEYS[4:]


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The rules of a ruleset.

    :param rules: rules as plain dicts.
    :param warnings: what the products do not do, though their names may let one expect it.
    :param entries: the catalogue's own entries that the rules are made of, on the sides that were asked for. Those of a
        service have no product, and the name that it was given.
    :param destinations: those of each set, as they were given.
    """

    rules: list[dict[str, Any]]
    warnings: list[str]
    entries: list[Entry]
    destinations: list[Any]


def prepare() -> None:
    """Read the collection's own catalogue ahead of the first question."""
    _catalogue.load()


def compile_sets(
    catalogue: Catalogue,
    sets: Sequence[Any],
    defaults: Any = None,
    *,
    prefixes: Sequence[str] = (),
    decided: bool = True,
) -> Compiled:
    """Turn sets of products and services into the rules of one ruleset.

    :param sets: mappings with the keys SET_KEYS, of which ``products`` or ``services`` has to name something.
    :param defaults: a mapping with values for the keys that a set does not have. A side, and ports of the site's own,
        count for the sets that have a product with them.
    :param prefixes: for each set, what stands before the names of its keys, such as ``host_firewall_``; for messages.
    :param decided: whether somebody chose to have the supplement or to do without it.
    :raises RuleError: a value that no rule may have.
    :raises CatalogueError: a set without products and services, an unknown product, service or side.
    """
    if not sets:
        raise CatalogueError(
            "there is no product to allow: name some (host_firewall_products, host_firewall_services or "
            "host_firewall_rules), or remove the ruleset (host_firewall_state: absent)"
        )
    shared = _mapping({} if defaults is None else defaults)
    wordings = [Wording(sets=True, prefix=prefix) for prefix in prefixes] or [Wording(sets=True)] * len(sets)
    chosen = [_chosen(catalogue, value, shared, wording) for value, wording in zip(sets, wordings, strict=True)]
    _check_shared(chosen, shared, wordings[0])
    made: list[Rule] = []
    silent: dict[str, str] = {}
    for own, wording in zip(chosen, wordings, strict=True):
        options = {key: own.options.get(key) for key in _OF_RULES}
        answers = [_catalogue.answer(entry, "en") for entry in own.entries]
        found, without = _ruleset.rules(answers, **options, prefix=wording.prefix)
        made += [Rule.from_dict(rule) for rule in found]
        for name, why in without.items():
            if silent.get(name, "unused") == "unused":
                silent[name] = why
    # What is not used in a set's directions may be used in those of another.
    opened = {rule.name.removesuffix(" local") for rule in made}
    silent = {name: why for name, why in silent.items() if why != "unused" or _ruleset.rule_name(name) not in opened}
    surprises = _surprises.warnings(catalogue, [own.wish for own in chosen], wordings[0], decided)
    entries = [_catalogue.answer(entry, "en") for own in chosen for entry in own.entries]
    return Compiled(
        rules=[rule.to_dict() for rule in _rules.normalise(made)],
        warnings=[*_ruleset.silence(silent), *surprises, *_surprises.multicast(catalogue, made, entries)],
        entries=[entry for own in chosen for entry in own.entries],
        destinations=[own.options.get("destinations") for own in chosen],
    )


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """A set, with its names looked up.

    :param options: its values, with the defaults'.
    :param known: the entries of its products and services, whatever the side.
    :param entries: what it needs, on its side.
    :param wish: what it asks for.
    """

    options: Mapping[str, Any]
    known: Sequence[Entry]
    entries: Sequence[Entry]
    wish: _surprises.Wish


def _products(catalogue: Catalogue, given: Mapping[str, Any], wording: Wording) -> dict[str, str]:
    """The names that were given for a set's products, by their ids, without the members of families.

    :raises CatalogueError: not a list of names, or an unknown or ambiguous name.
    """
    with _about("products", wording):
        return catalogue.resolve_all(name_list(given.get("products"), "products"), wording)


def _chosen(catalogue: Catalogue, given: Any, shared: Mapping[str, Any], wording: Wording) -> _Chosen:
    """Look up what a set names."""
    _options.check_known([str(key) for key in (*_mapping(given), *shared)], SET_KEYS)
    options = {**shared, **given}
    products = _products(catalogue, options, wording)
    with _about("services", wording):
        services = [_service(value) for value in name_list(options.get("services"), "services")]
        rows = [(service, entry) for service in services for entry in _catalogue.of_service(catalogue, service)]
    if not products and not services:
        raise CatalogueError("a set names neither products nor services: name what its rules are for")
    known = [entry for identifier in products for entry in catalogue.of_product(identifier, members=True)]
    known += [{**entry, "product": None, "name": dict.fromkeys(entry["name"], service)} for service, entry in rows]
    with _about("side", wording):
        side = _options.check_side(options.get("side"))
        if given.get("side") is not None:
            _sides.check(side, _sides.of(known), [entry["name"]["en"] for entry in known])
    entries = _sides.on(known, side)
    if given.get("ports") is not None or any(entry["port"] == SITE_PORT for entry in entries):
        entries = _sides.with_ports(entries, options.get("ports"), wording, products)
    wish = _surprises.Wish(
        products=list(dict.fromkeys([*products, *(entry["product"] for entry in known if entry["product"])])),
        services=services,
        directions=_ruleset.check_directions(options.get("directions"), f"{wording.prefix}directions"),
        site_ports=options.get("ports") is not None,
        connecting=[identifier for identifier in products if _connects(catalogue, identifier, entries)],
    )
    return _Chosen(options=options, known=known, entries=entries, wish=wish)


def _connects(catalogue: Catalogue, identifier: str, entries: Sequence[Entry]) -> bool:
    """Whether a product and its members only connect, without a side that somebody chose."""
    whose = {identifier, *catalogue.products[identifier]["members"]}
    own = [entry for entry in entries if entry["product"] in whose and not entry.get("obsolete")]
    return bool(own) and all(entry["direction"] == "out" and not entry.get("side") for entry in own)


def _check_shared(chosen: Sequence[_Chosen], shared: Mapping[str, Any], wording: Wording) -> None:
    """Refuse a side or ports in the defaults that no set has a use for."""
    known = [entry for own in chosen for entry in own.known]
    with _about("side", wording):
        side = _options.check_side(shared.get("side"))
        if any(own.options.get("side") is shared.get("side") for own in chosen):
            _sides.check(side, _sides.of(known), [entry["name"]["en"] for entry in known])
    if shared.get("ports") is not None and all(entry["port"] != SITE_PORT for entry in known):
        _sides.with_ports([], shared["ports"], wording)


@contextlib.contextmanager
def _about(option: str, wording: Wording) -> Iterator[None]:
    """Name the variable that a refusal is about, where there is a prefix for it."""
    try:
        yield
    except CatalogueError as error:
        if not wording.prefix:
            raise
        raise CatalogueError(f"{wording.prefix}{option}: {error}") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CatalogueError(f"{value!r} is not a set of products: give a mapping with products or services")
    return value


def name_list(value: Any, what: str) -> Sequence[Any]:
    """Names, given as a list or as one text, which may list several, separated by commas."""
    if value is None:
        return ()
    if isinstance(value, str) and value.strip():
        return [value] if what == "products" else [name for name in map(str.strip, value.split(",")) if name]
    if not isinstance(value, (list, tuple)):
        raise CatalogueError(f"{what} is {value!r}: give a list of names")
    return value


def _service(value: Any) -> str:
    text = _options.check_text("service", value)
    if text is None:
        # It would select every row.
        raise CatalogueError("services names None: give the label or the name of a service")
    return text
