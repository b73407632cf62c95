# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host names of Apple's article on enterprise networks, read from ``data/hosts.json``."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError
from ansible_collections.netports.apple.plugins.plugin_utils._names import nearest, normalise

SYSTEMS = ("iOS", "iPadOS", "tvOS", "watchOS", "visionOS", "macOS")

Entry = dict[str, Any]

_DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "hosts.json")
_LONGEST_TERM = 253  # of a host name, RFC 1035


@functools.lru_cache(maxsize=1)
def _load() -> dict[str, Any]:
    with open(_DATA, encoding="utf-8") as stream:
        data: dict[str, Any] = json.load(stream)
    return data


def select(
    terms: Iterable[object] | None,
    *,
    os_name: str | None = None,
    protocol: str | None = None,
    port: int | None = None,
    proxies: bool | None = None,
) -> list[Entry]:
    """Answer by product, section or host.

    :param terms: names of products or sections, or host names; ``None`` for every row.
    :param os_name: one of SYSTEMS; an entry that names no system matches every one.
    :param proxies: ``True`` for hosts that the article says a proxy may stand before, ``False`` for all others.
    :returns: dicts as hosts.json has them, in the order of the terms, then of the article; each once.
    :raises CatalogueError: a term that finds nothing.
    """
    entries: list[Entry] = _load()["entries"]
    groups = [entries] if terms is None else [_of_term(term, entries) for term in _each(terms)]
    found = {
        (entry["section"], entry["host"], entry["protocol"]): entry
        for group in groups
        for entry in group
        if protocol in (None, entry["protocol"])
        and (port is None or port in entry["ports"])
        and (proxies is None or bool(entry["proxies"]) == proxies)
        and (os_name is None or entry["os"] is None or os_name in entry["os"])
    }
    return [
        {**entry, **{key: list(entry[key]) for key in ("ports", "products", "os") if entry[key] is not None}}
        for entry in found.values()
    ]


def merge(entries: Iterable[Entry], port: int | None = None) -> list[dict[str, Any]]:
    """Join entries by host name, and leave out names that say no more than a wildcard above them.

    :param entries: as ``select`` returns them.
    :param port: the only port that counts; ``None`` for all.
    :returns: dicts with ``host``, ``domain`` (the name without ``*.``), ``wildcard``, ``tcp`` and ``udp`` (ports, with
        those of the wildcards above), ``inspection_breaks``, ``sections`` and ``products``; a domain before those below
        it, and a wildcard before the bare name.
    """
    names: dict[str, list[Entry]] = {}
    for entry in entries:
        names.setdefault(entry["host"], []).append(entry)
    above = {host: _above(host, names) for host in names}
    merged = {
        host: _joined(host, own, [entry for wider in above[host] for entry in names[wider]], port)
        for host, own in names.items()
    }
    kept = [
        item
        for host, item in merged.items()
        if all(_ports_of(item) != _ports_of(merged[wider]) for wider in above[host])
    ]
    return sorted(kept, key=lambda item: (item["domain"].split(".")[::-1], not item["wildcard"]))


def _joined(host: str, own: list[Entry], wider: list[Entry], port: int | None) -> dict[str, Any]:
    """The answer for one name.

    :param own: its entries.
    :param wider: the entries of the wildcards above it.
    """
    ports: dict[str, set[int]] = {protocol: set() for protocol in _catalogue.PROTOCOLS}
    for entry in (*own, *wider):
        ports[entry["protocol"]].update(entry["ports"] if port is None else [port])
    return {
        "host": host,
        "domain": host.removeprefix("*."),
        "wildcard": host.startswith("*."),
        **{protocol: sorted(own_ports) for protocol, own_ports in ports.items()},
        "inspection_breaks": any(entry["inspection_breaks"] for entry in own),
        "sections": list(dict.fromkeys(entry["section"] for entry in own)),
        "products": list(dict.fromkeys(product for entry in own for product in entry["products"])),
    }


def _ports_of(item: Mapping[str, Any]) -> tuple[list[int], ...]:
    return tuple(item[protocol] for protocol in _catalogue.PROTOCOLS)


def _above(host: str, names: Iterable[str]) -> list[str]:
    """The wildcards among some names that cover a host or another wildcard."""
    parts = host.removeprefix("*.").split(".")
    start = 1 if not host.startswith("*.") else 0
    wider = ["*." + ".".join(parts[number:]) for number in range(start, len(parts))]
    return [name for name in wider if name in names and name != host]


def _each(terms: Iterable[object]) -> Iterator[object]:
    """The terms one by one: a text may list several, separated by commas, as elsewhere; no name of a section has one."""
    for term in terms:
        parts = re.split(r"\s*,\s*", term) if isinstance(term, str) and len(term) <= _LONGEST_TERM else [term]
        if len(parts) > 1 and normalise(str(term)) not in _catalogue_with_everyday_names().index:
            yield from (part for part in parts if part)
        else:
            yield term


def _catalogue_with_everyday_names() -> _catalogue.Catalogue:
    catalogue = _catalogue.load(supplement=True)
    catalogue.everyday()
    return catalogue


def _of_term(term: object, entries: list[Entry]) -> list[Entry]:
    wanted = normalise(term) if isinstance(term, str) and len(term) <= _LONGEST_TERM else ""
    found = _of_host(str(term).strip().lower().removesuffix("."), entries) if wanted else []
    if found:
        return found
    catalogue = _catalogue_with_everyday_names()
    section = _load()["index"].get(wanted)
    product = catalogue.index.get(wanted, "") if section else _product(catalogue, term, wanted)
    found = [entry for entry in entries if entry["section"] == section or product in entry["products"]]
    if not found:
        # Names for a family are names for each member that has none of its own.
        family = catalogue.products[product]["family"]
        found = [entry for entry in entries if family in entry["products"]]
    if not found:
        name = catalogue.products[product]["name"]["en"]
        raise CatalogueError(
            f"Apple's article on enterprise networks names no hosts for {name}: allow it by port (lookup "
            "netports.apple.ports)"
        )
    return found


def _of_host(name: str, entries: list[Entry]) -> list[Entry]:
    names = {entry["host"] for entry in entries}
    wanted = {name, *_above(name, names)}
    return [entry for entry in entries if entry["host"] in wanted]


def _product(catalogue: _catalogue.Catalogue, term: object, wanted: str) -> str:
    """The product of a term that is no host and no section.

    :raises CatalogueError: there is none; the nearest hosts or sections, or what the catalogue says of it.
    """
    data = _load()
    if isinstance(term, str) and "." in term:
        hosts = dict.fromkeys(entry["host"] for entry in data["entries"])
        near = nearest(term[:_LONGEST_TERM].lower(), hosts, cutoff=0.8)
        hint = f"did you mean {' or '.join(near)}?" if near else "query('netports.apple.hosts') lists them all"
        raise CatalogueError(
            f"{_ports.shown(term)} is not a host name of Apple's article on enterprise networks: {hint}"
        )
    try:
        return catalogue.resolve(term)
    except CatalogueError:
        near = [data["sections"][data["index"][match]] for match in nearest(wanted, data["index"], cutoff=0.8)]
        if not near:
            raise
    listed = " or ".join(repr(name) for name in dict.fromkeys(near))
    raise CatalogueError(f"{_ports.shown(term)} is no product, section or host name: did you mean {listed}?")
