# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Products described: names, family, ports in each direction, sides, and types of service discovery."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.plugin_utils import _sides
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue import PROTOCOLS, Catalogue, Entry
from ansible_collections.netports.apple.plugins.plugin_utils._port_words import SITE_PORT


def describe(
    catalogue: Catalogue,
    terms: Iterable[object] | None,
    *,
    language: str = "en",
    everyday: bool = False,
    obsolete: bool = False,
) -> list[dict[str, Any]]:
    """Describe products, with their ports; a family's include its members'.

    :param everyday: whether to list everyday names, too, where there is no term.
    :param obsolete: whether to count ports on which Apple no longer answers.
    :returns: dicts with ``id``, ``name``, ``names``, ``aliases``, ``family``, ``members``, ``in`` and ``out`` (each
        ``{"tcp": [...], "udp": [...]}`` of merged ports), ``in_ranges`` and ``out_ranges`` (the same with numbers),
        ``sides``, ``site_port`` and ``dns_sd``, in the order of the terms or of the names.
    :raises CatalogueError: an unknown or ambiguous product.
    """
    dns_sd = catalogue.everyday()["dns_sd"]
    if terms is None:
        listed = [name for name, product in catalogue.products.items() if everyday or not product.get("by_name")]
        identifiers = sorted(listed, key=lambda name: catalogue.products[name]["name"][language].casefold())
    else:
        identifiers = list(catalogue.resolve_all(terms))
    described = []
    for identifier in identifiers:
        product = catalogue.products[identifier]
        entries = _sides.without_obsolete(catalogue.of_product(identifier, members=True), obsolete)
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
                "in_ranges": _port_numbers(entries, "in"),
                "out_ranges": _port_numbers(entries, "out"),
                "sides": _sides.of(entries),
                "site_port": any(entry["port"] == SITE_PORT for entry in entries),
                "dns_sd": list(dns_sd.get(identifier, ())),
            }
        )
    return described


def _port_strings(entries: Iterable[Entry], direction: str) -> dict[str, list[str]]:
    """Merged ports of a direction by protocol, as texts; words come last."""
    own = [entry for entry in entries if entry["direction"] in (direction, "both")]
    return {
        protocol: [
            *(_ports.text(port_range) for port_range in ranges),
            *dict.fromkeys(entry["port"] for entry in own if entry["protocol"] == protocol and entry["first"] is None),
        ]
        for protocol, ranges in _merged(own).items()
    }


def _port_numbers(entries: Iterable[Entry], direction: str) -> dict[str, list[dict[str, int]]]:
    """Merged ports of a direction by protocol, as numbers; what is a word has none."""
    own = [entry for entry in entries if entry["direction"] in (direction, "both")]
    return {
        protocol: [{"first": first, "last": last} for first, last in ranges]
        for protocol, ranges in _merged(own).items()
    }


def _merged(entries: Iterable[Entry]) -> dict[str, list[_ports.PortRange]]:
    numbered = [entry for entry in entries if entry["first"] is not None]
    return {
        protocol: _ports.merge((entry["first"], entry["last"]) for entry in numbered if entry["protocol"] == protocol)
        for protocol in PROTOCOLS
    }
