# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue: which ports which product uses, which way, and how far.

Read from ``data/catalogue.json``, which ``tools/build_catalogue.py`` makes from the files that people edit.
Every task on every host is a fresh process, and JSON costs it a fraction of what YAML would. Everyday names
(``data/practice.json``) are read when a name is not found without them. A site's own files are merged in where they
are given, and only then is a schema checked.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue_names, _sides
from ansible_collections.netports.apple.plugins.plugin_utils._errors import LOOKUP, CatalogueError, Wording
from ansible_collections.netports.apple.plugins.plugin_utils._names import nearest, normalise

PROTOCOLS = ("tcp", "udp")
DIRECTIONS = ("in", "out")
SCOPES = ("local", "internet")

Entry = dict[str, Any]

_DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
# Longer ones are no name that anybody meant; comparing them with every name would only cost time.
_LONGEST_TERM = 200


class Catalogue:
    """Products, the names that find them, and the entries in the article's order.

    :param data: what catalogue.json holds: ``products`` by id, ``index`` (normalised name to id), ``entries``; with
        everyday names where it has ``without_ports``, which are read later where it has not.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.products: dict[str, dict[str, Any]] = dict(data["products"])
        self.index: dict[str, str] = dict(data["index"])
        self.newer: Mapping[str, Mapping[str, list[str]]] = data.get("supplement", {})
        self.usually_meant: Sequence[Mapping[str, Any]] = data.get("usually_meant", ())
        self._by_product: dict[str | None, list[Entry]] = {}
        self._everyday: Mapping[str, Any] | None = data if "without_ports" in data else None
        # Everyday names are asked for by name alone: no entry of theirs is among these.
        self.entries: list[Entry] = [
            entry for entry in data["entries"] if not self.products.get(entry["product"], {}).get("by_name")
        ]
        self._add(data["entries"])

    def _add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._by_product.setdefault(entry["product"], []).append(entry)

    def everyday(self) -> Mapping[str, Any]:
        """Read the everyday names, unless that is done already.

        :returns: at least ``without_ports`` and ``dns_sd``, as in practice.json.
        """
        if self._everyday is None:
            self._everyday = read("practice.json")
            self.products.update(self._everyday["products"])
            self.index.update(self._everyday["index"])
            self._add(self._everyday["entries"])
        return self._everyday

    def resolve(self, term: object, wording: Wording = LOOKUP) -> str:
        """Find the product that a term names.

        :param term: an id, an English or Dutch name, an alias, or an everyday name.
        :returns: the product's id.
        :raises CatalogueError: no product has that name, or several might be meant.
        """
        if not isinstance(term, str):
            number = isinstance(term, int) and not isinstance(term, bool)
            hint = (
                f"for the products of a port, use port={_ports.shown(term)}" if number else "give a name such as 'Mail'"
            )
            raise CatalogueError(f"{_ports.shown(term)} is not the name of a product: {hint}")
        if not term.strip():
            raise CatalogueError("an empty name of a product: leave the term out to ask for every row")
        wanted = normalise(term) if len(term) <= _LONGEST_TERM else ""
        if wanted not in self.index:
            without_ports = self.everyday()["without_ports"]
            if wanted not in self.index:
                why = _catalogue_names.unknown(
                    term[:_LONGEST_TERM],
                    self.products,
                    without_ports,
                    read("supplement.json")["products"] if self.newer else (),
                    sorted(self.labels() | self.short_forms()),
                    wording,
                )
                raise CatalogueError(why)
        return self.index[wanted]

    def resolve_all(self, terms: Iterable[object], wording: Wording = LOOKUP) -> dict[str, str]:
        """Find the products that terms name, each once; a text may list several, separated by commas.

        :returns: the name that was given for each product, by the product's id.
        :raises CatalogueError: as :meth:`resolve`.
        """
        found: dict[str, str] = {}
        for term in terms:
            parts: list[object] = [term]
            # A comma belongs to some names.
            if isinstance(term, str) and len(term) <= _LONGEST_TERM and normalise(term) not in self.index:
                self.everyday()
                if normalise(term) not in self.index:
                    parts = [part for part in re.split(r"\s*,\s*", term) if part] or [term]
            for part in parts:
                found.setdefault(self.resolve(part, wording), str(part))
        return found

    def of_product(self, identifier: str, members: bool) -> Iterator[Entry]:
        """The entries of a product; with ``members``, those of its members too."""
        yield from self._by_product.get(identifier, ())
        if members:
            for member in self.products[identifier]["members"]:
                yield from self._by_product.get(member, ())

    def labels(self) -> set[str]:
        """All service names ("ssh") that entries have."""
        return {label for entry in self.entries for label in _labels(entry)}

    def short_forms(self) -> set[str]:
        """All short forms of services, from their full names ("Domain Name System (DNS)")."""
        return {short for entry in self.entries for short in _short_forms(entry)}


def load(paths: Sequence[str] = (), supplement: bool = False) -> Catalogue:
    """The catalogue, with the supplement and a site's own files merged in.

    :param paths: YAML or JSON files of the form of ``data/site.schema.json``, later ones over earlier ones.
    :param supplement: whether to merge in, before them, what is known to be newer than the article's edition.
    :raises CatalogueError: a file cannot be read, or its schema refuses it: file, place in it, and why.
    """
    # A site's file may change between two lookups of a long run: its time is part of the key.
    stamps = tuple((path, _stamp(path)) for path in paths)
    return _load(stamps, supplement)


@functools.lru_cache(maxsize=8)
def _load(stamps: tuple[tuple[str, int], ...], supplement: bool) -> Catalogue:
    data = read("catalogue.json")
    if supplement:
        from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue_merge

        data = _catalogue_merge.extend({**data, "supplement": {}}, read("supplement.json"))
    if stamps:
        # Only a site's own file needs the libraries for YAML and for its schema.
        from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue_merge, _catalogue_site

        data = _catalogue_merge.with_everyday(data, read("practice.json"))
        for path, _stamp_of_it in stamps:
            data = _catalogue_site.merge(data, path)
    return Catalogue(data)


def read(name: str) -> Any:
    """Read a generated file of the collection."""
    with open(os.path.join(_DATA, name), encoding="utf-8") as stream:
        return json.load(stream)


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError as error:
        raise CatalogueError(f"catalogue {path!r} cannot be read: {error.strerror or error}") from None


def select(
    catalogue: Catalogue,
    terms: Iterable[object] | None,
    *,
    protocol: str | None = None,
    port: int | _ports.PortRange | None = None,
    service: str | None = None,
    direction: str | None = None,
    scope: str | None = None,
    members: bool = True,
    language: str = "en",
    side: str | None = None,
    ports: Any = None,
    obsolete: bool | None = None,
    wording: Wording = LOOKUP,
) -> list[Entry]:
    """Answer by product, port and service.

    :param terms: names of products, ``None`` for every row.
    :param port: a port, or a range of ports: the entries that share one with it.
    :param direction: ``in`` or ``out``, which those of both directions match too, or ``both`` for these alone.
    :param side: which side of a product the host is.
    :param ports: ports of the site's own, for a product that takes them.
    :param obsolete: whether to answer with ports on which Apple no longer answers. Unset, without a side: what the
        article lists is told.
    :returns: entries as plain dicts, in the order of the terms, then protocol, then port; each once.
    :raises CatalogueError: an unknown or ambiguous product, an unknown service or side, a missing port.
    """
    if service is not None:
        check_service(catalogue, service)
    groups: list[list[Entry]]
    called: Mapping[str, str] = {}
    if terms is None:
        groups = [catalogue.entries]
    else:
        called = catalogue.resolve_all(terms, wording)
        groups = [list(catalogue.of_product(identifier, members)) for identifier in called]
    # A product that two terms name has its place by the first.
    place = {entry["product"]: number for number, group in reversed([*enumerate(groups)]) for entry in group}
    gathered = [entry for group in groups for entry in group]
    if service is not None:
        gathered = [entry for entry in gathered if _serves(entry, service)]
    _sides.check(side, _sides.of(gathered), [entry["name"][language] for entry in gathered])
    gathered = _sides.without_obsolete(_sides.on(gathered, side), side is None if obsolete is None else obsolete)
    if terms is not None:
        gathered = _sides.with_ports(gathered, ports, wording, called)
    asked = (port, port) if isinstance(port, int) else port
    found: dict[tuple[str | None, str, str, str], Entry] = {}
    for entry in sorted(gathered, key=lambda entry: (place[entry["product"]], *_order(entry))):
        if (
            (protocol is None or entry["protocol"] == protocol)
            and (
                asked is None
                or (entry["first"] is not None and entry["first"] <= asked[1] and asked[0] <= entry["last"])
            )
            and (direction is None or entry["direction"] in (direction, "both"))
            and (scope is None or entry["scope"] == scope)
        ):
            found.setdefault((entry["product"], entry["port"], entry["protocol"], entry["direction"]), entry)
    return [answer(entry, language) for entry in found.values()]


def _order(entry: Entry) -> tuple[str, int, int]:
    """By protocol and port; ports that are words come last."""
    return entry["protocol"], entry["first"] or _ports.HIGHEST + 1, entry["last"] or 0


def merge(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Join the overlapping and adjacent ranges of a protocol.

    :param entries: as :func:`select` returns them.
    :returns: dicts with ``port``, ``first``, ``last``, ``protocol``, ``products`` (ids, in the entries' order),
        ``directions`` and ``scopes``, by protocol and port.
    """
    entries = list(entries)
    merged = []
    for protocol in PROTOCOLS:
        own = [entry for entry in entries if entry["protocol"] == protocol]
        for first, last in _ports.merge((entry["first"], entry["last"]) for entry in own if entry["first"] is not None):
            users = [entry for entry in own if entry["first"] and first <= entry["first"] and entry["last"] <= last]
            merged.append(_range(_ports.text((first, last)), first, last, users))
        for word in dict.fromkeys(entry["port"] for entry in own if entry["first"] is None):
            merged.append(_range(word, None, None, [entry for entry in own if entry["port"] == word]))
    return merged


def _range(port: str, first: int | None, last: int | None, users: Sequence[Entry]) -> dict[str, Any]:
    """A range of an answer, with what the entries in it say."""
    ways = {way for user in users for way in (DIRECTIONS if user["direction"] == "both" else (user["direction"],))}
    return {
        "port": port,
        "first": first,
        "last": last,
        "protocol": users[0]["protocol"],
        "products": list(dict.fromkeys(user["product"] for user in users if user["product"] is not None)),
        "directions": [way for way in DIRECTIONS if way in ways],
        "scopes": [scope for scope in SCOPES if scope in {user["scope"] for user in users}],
    }


def of_service(catalogue: Catalogue, service: str) -> list[Entry]:
    """The entries of a service, by label, full name or short form.

    :raises CatalogueError: there is none.
    """
    check_service(catalogue, service)
    return [entry for entry in catalogue.entries if _serves(entry, service)]


def check_service(catalogue: Catalogue, service: str) -> None:
    """Make sure that some entry has a service by that label or name.

    :raises CatalogueError: none has.
    """
    if not any(_serves(entry, service) for entry in catalogue.entries):
        near = nearest(service[:_LONGEST_TERM].casefold(), sorted(catalogue.labels()), cutoff=0.6)
        hint = (
            f"did you mean {_catalogue_names.listed(near, 'or')}?"
            if near
            else "give a label such as 'ssh' or a service's full name"
        )
        raise CatalogueError(f"{service[:_LONGEST_TERM]!r} is not a service of the catalogue: {hint}")


def answer(entry: Entry, language: str) -> Entry:
    """An entry in one language, with the keys in their documented order."""
    return {
        "product": entry["product"],
        "name": entry["name"][language],
        "port": entry["port"],
        "first": entry["first"],
        "last": entry["last"],
        "protocol": entry["protocol"],
        "service": entry["service"] and entry["service"][language],
        "service_name": entry["service_name"],
        "rfc": entry["rfc"],
        "detail": entry["detail"] and entry["detail"][language],
        "nested": entry["nested"],
        "direction": entry["direction"],
        "scope": entry["scope"],
        "legacy": entry["legacy"],
        "edition": entry["edition"],
        "reason": entry["reason"],
        "source": entry["source"],
        "source_class": entry.get("class"),
        "side": entry.get("side"),
        "sides": [dict(side) for side in entry.get("sides", ())],
        "obsolete": dict(entry["obsolete"]) if entry.get("obsolete") else None,
    }


def _labels(entry: Entry) -> list[str]:
    """The service names of an entry: "net-assistant, classroom" are two, the dash of "connected, —" is none."""
    parts = (entry["service_name"] or "").split(", ")
    return [part for part in parts if part and part != "—"]


def _short_forms(entry: Entry) -> tuple[str, ...]:
    """The short forms in a service's full name: "Domain Name System (DNS)", "Secure Sockets Layer (SSL or HTTPS)"."""
    return _in_brackets((entry["service"] or {}).get("en", ""))


@functools.cache
def _in_brackets(full: str) -> tuple[str, ...]:
    return tuple(short for inside in re.findall(r"\(([^()]+)\)", full) for short in re.split(r", | or ", inside))


def _serves(entry: Entry, service: str) -> bool:
    wanted = service.strip().casefold()
    names = [*_labels(entry), entry["service_name"] or "", *(entry["service"] or {}).values(), *_short_forms(entry)]
    return bool(wanted) and any(name.casefold() == wanted for name in names)
