# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue: which ports which product uses, which way, and how far.

Read from ``data/catalogue.json``, which ``tools/build_catalogue.py`` makes from the files that people edit:
every task on every host is a fresh process, and JSON costs it a fraction of a millisecond where YAML costs
many. A site's own files are merged in where they are given, and only then is a schema checked.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError
from ansible_collections.netports.apple.plugins.plugin_utils._names import nearest, normalise

PROTOCOLS = ("tcp", "udp")
DIRECTIONS = ("in", "out")
SCOPES = ("local", "internet")
LANGUAGES = ("en", "nl")

Entry = dict[str, Any]

_DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "catalogue.json")
_SUPPLEMENT = os.path.join(os.path.dirname(_DATA), "supplement.json")
# Longer ones are no name that anybody meant; comparing them with every name would only cost time.
_LONGEST_TERM = 200


class Catalogue:
    """Products, the names that find them, and the entries in the article's order.

    :param data: what catalogue.json holds: ``products`` by id, ``index`` (normalised name to id), ``entries``.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.products: dict[str, dict[str, Any]] = data["products"]
        self.index: dict[str, str] = data["index"]
        self.entries: list[Entry] = data["entries"]
        self._by_product: dict[str | None, list[Entry]] = {}
        for entry in self.entries:
            self._by_product.setdefault(entry["product"], []).append(entry)

    def resolve(self, term: object) -> str:
        """Find the product that a term names.

        :param term: an id, an English or Dutch name, or an alias.
        :returns: the product's id.
        :raises CatalogueError: no product has that name, or several might be meant.
        """
        if not isinstance(term, str):
            number = isinstance(term, int) and not isinstance(term, bool)
            hint = (
                f"for the products of a port, use port={_ports.shown(term)}" if number else "give a name such as 'Mail'"
            )
            raise CatalogueError(f"{_ports.shown(term)} is not the name of a product: {hint}")
        wanted = normalise(term) if len(term) <= _LONGEST_TERM else ""
        if not term.strip():
            raise CatalogueError("an empty name of a product: leave the term out to ask for every row")
        found = self.index.get(wanted)
        if found is None:
            raise CatalogueError(self._unknown(term[:_LONGEST_TERM], wanted))
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

    def _unknown(self, term: str, wanted: str) -> str:
        words = _words(term)
        candidates = [
            product["name"]["en"]
            for product in self.products.values()
            if words and any(_contains(_words(name), words) for name in self._names(product))
        ]
        if len(candidates) > 1:
            return f"{term!r} may be any of {_listed(candidates)}: name the one that you mean"
        if any(normalise(label) == wanted for label in self.labels()):
            return f"{term!r} is a service, not a product: ask for it with service={term!r}"
        names = {normalise(name): name for product in self.products.values() for name in self._names(product)}
        near = [names[match] for match in nearest(wanted, names)]
        hint = (
            f"did you mean {_listed(candidates or near, 'or')}?"
            if candidates or near
            else ("query('netports.apple.products') lists them all")
        )
        return f"{term!r} is not a product of the catalogue: {hint}"

    @staticmethod
    def _names(product: Mapping[str, Any]) -> list[str]:
        return [*product["name"].values(), *product["aliases"]]


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
    with open(_DATA, encoding="utf-8") as stream:
        data = json.load(stream)
    if supplement:
        from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue_merge

        with open(_SUPPLEMENT, encoding="utf-8") as stream:
            data = _catalogue_merge.extend(data, json.load(stream))
    if stamps:
        # Only a site's own file needs the libraries for YAML and for its schema.
        from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue_site

        for path, _stamp_of_it in stamps:
            data = _catalogue_site.merge(data, path)
    return Catalogue(data)


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
    port: int | None = None,
    service: str | None = None,
    direction: str | None = None,
    scope: str | None = None,
    members: bool = True,
    language: str = "en",
) -> list[Entry]:
    """Answer by product, port and service.

    :param terms: names of products, ``None`` for every row.
    :returns: entries as plain dicts, in the order of the terms, then protocol, then port; each once.
    :raises CatalogueError: an unknown or ambiguous product, an unknown service.
    """
    if service is not None:
        check_service(catalogue, service)
    found: dict[tuple[str | None, str, str], Entry] = {}
    groups: Iterable[Iterable[Entry]]
    if terms is None:
        groups = [catalogue.entries]
    else:
        groups = [catalogue.of_product(catalogue.resolve(term), members) for term in terms]
    for group in groups:
        for entry in sorted(group, key=lambda one: (one["protocol"], one["first"], one["last"])):
            if (
                (protocol is None or entry["protocol"] == protocol)
                and (port is None or entry["first"] <= port <= entry["last"])
                and (direction is None or entry["direction"] in (direction, "both"))
                and (scope is None or entry["scope"] == scope)
                and (service is None or _serves(entry, service))
            ):
                found.setdefault((entry["product"], entry["port"], entry["protocol"]), entry)
    return [_answer(entry, language) for entry in found.values()]


def merge(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Join the overlapping and adjacent ranges of a protocol.

    :param entries: as L(select) returns them.
    :returns: dicts with ``port``, ``first``, ``last``, ``protocol`` and ``products`` (ids, in the entries' order),
        by protocol and port.
    """
    entries = list(entries)
    merged = []
    for protocol in PROTOCOLS:
        own = [entry for entry in entries if entry["protocol"] == protocol]
        for first, last in _ports.merge((entry["first"], entry["last"]) for entry in own):
            users = [entry["product"] for entry in own if first <= entry["first"] and entry["last"] <= last]
            merged.append(
                {
                    "port": _ports.text((first, last)),
                    "first": first,
                    "last": last,
                    "protocol": protocol,
                    "products": list(dict.fromkeys(user for user in users if user is not None)),
                }
            )
    return merged


def describe(catalogue: Catalogue, terms: Iterable[object] | None, *, language: str = "en") -> list[dict[str, Any]]:
    """Describe products, with their ports; a family's include its members'.

    :returns: dicts with ``id``, ``name``, ``names``, ``aliases``, ``family``, ``members``, ``in`` and ``out``
        (each ``{"tcp": [...], "udp": [...]}`` of merged ports), in the order of the terms or of the names.
    :raises CatalogueError: an unknown or ambiguous product.
    """
    if terms is None:
        identifiers = sorted(catalogue.products, key=lambda one: catalogue.products[one]["name"][language].casefold())
    else:
        identifiers = list(dict.fromkeys(catalogue.resolve(term) for term in terms))
    described = []
    for identifier in identifiers:
        product = catalogue.products[identifier]
        entries = list(catalogue.of_product(identifier, members=True))
        described.append(
            {
                "id": identifier,
                "name": product["name"][language],
                "names": dict(product["name"]),
                "aliases": list(product["aliases"]),
                "family": product["family"],
                "members": list(product["members"]),
                "in": _port_strings(entries, "in"),
                "out": _port_strings(entries, "out"),
            }
        )
    return described


def check_service(catalogue: Catalogue, service: str) -> None:
    """Make sure that some entry has a service by that label or name.

    :raises CatalogueError: none has.
    """
    if not any(_serves(entry, service) for entry in catalogue.entries):
        near = nearest(service[:_LONGEST_TERM].casefold(), sorted(catalogue.labels()), cutoff=0.5)
        hint = f"did you mean {_listed(near, 'or')}?" if near else "give a label such as 'ssh' or a service's full name"
        raise CatalogueError(f"{service[:_LONGEST_TERM]!r} is not a service of the catalogue: {hint}")


def _answer(entry: Entry, language: str) -> Entry:
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
    }


def _port_strings(entries: Iterable[Entry], direction: str) -> dict[str, list[str]]:
    own = [entry for entry in entries if entry["direction"] in (direction, "both")]
    return {
        protocol: [
            _ports.text(one)
            for one in _ports.merge((entry["first"], entry["last"]) for entry in own if entry["protocol"] == protocol)
        ]
        for protocol in PROTOCOLS
    }


def _labels(entry: Entry) -> list[str]:
    """The service names of an entry: "net-assistant, classroom" are two, the dash of "connected, —" is none."""
    parts = (entry["service_name"] or "").split(", ")
    return [part for part in parts if part and part != "—"]


def _serves(entry: Entry, service: str) -> bool:
    wanted = service.strip().casefold()
    names = [*_labels(entry), entry["service_name"] or "", *(entry["service"] or {}).values()]
    return bool(wanted) and any(name.casefold() == wanted for name in names)


def _words(text: str) -> list[str]:
    return [word for word in (normalise(part) for part in re.split(r"[\W_]+", text)) if word]


def _contains(words: list[str], part: list[str]) -> bool:
    return any(words[start : start + len(part)] == part for start in range(len(words) - len(part) + 1))


def _listed(names: Iterable[str], last: str = "and") -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
