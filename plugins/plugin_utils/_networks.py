# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks that Apple publishes, read from ``data/networks.json``, and the words for them in ``destinations``."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError
from ansible_collections.netports.apple.plugins.plugin_utils._names import nearest, normalise

FAMILIES = ("ipv4", "ipv6")

_DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "networks.json")
# Addresses that reach no farther than the link or the host (RFC 4291, sections 2.5.3 and 2.5.6).
_NEAR = ("fe80:", "::1")
# A word, and neither an address nor a network: those have a dot or a colon. No word is near as long.
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,31}\Z")


@functools.lru_cache(maxsize=1)
def _load() -> dict[str, Any]:
    with open(_DATA, encoding="utf-8") as stream:
        data: dict[str, Any] = json.load(stream)
    return data


def words() -> tuple[str, ...]:
    """The words for Apple's networks: ``apns`` and ``apple``."""
    return tuple(_load()["names"])


def select(terms: Iterable[object] | None, family: str | None = None) -> list[dict[str, Any]]:
    """Answer by word or product.

    :param terms: words, or names of products, of which the narrowest networks are meant; ``None`` for all.
    :param family: ``ipv4``, ``ipv6`` or ``None`` for both.
    :returns: dicts as networks.json has them, each once.
    :raises CatalogueError: an unknown product, or a product for which Apple publishes no networks.
    """
    data = _load()
    chosen = list(words()) if terms is None else [word for term in terms for word in _resolve(term)]
    return [
        {**entry, "products": list(entry["products"])}
        for word in dict.fromkeys(chosen)
        for entry in data["entries"]
        if entry["network"] == word and family in (None, entry["family"])
    ]


def expand(destinations: Any, users: Iterable[tuple[str | None, str]]) -> Any:
    """Put networks in the place of the words in a list of destinations.

    :param destinations: a list of networks and words; anything else is returned as it is, for others to judge.
    :param users: ``(id or None, name)`` of each product or service that the destinations are for.
    :returns: the list, with networks alone.
    :raises CatalogueError: a word that is none, or a product for which Apple publishes no such networks.
    """
    if not isinstance(destinations, (list, tuple)):
        return destinations
    found: list[Any] = []
    for value in destinations:
        word = _word(value)
        if word is None:
            found.append(value)
            continue
        data = _load()
        for product, name in users:
            if product not in data["products"][word]:
                raise CatalogueError(
                    f"destinations names {value!r}, but {_none_for(name)}. Or give it a set of its own, without {value!r}"
                )
        found += [entry["cidr"] for entry in data["entries"] if entry["network"] == word]
    return found


def warnings(lists: Iterable[Any], addresses: Sequence[str] | None = None) -> list[str]:
    """Warn of words that leave a list of destinations without IPv6, where the host may have it.

    :param lists: lists of destinations, as ``expand`` takes them.
    :param addresses: the host's IPv6 addresses, or ``None`` where they are not known.
    """
    if addresses is not None and all(address.startswith(_NEAR) for address in addresses):
        return []
    lacking: dict[str, None] = {}
    for destinations in lists:
        given = destinations if isinstance(destinations, (list, tuple)) else ()
        if given and all(_rules.version(str(network)) == 4 for network in expand(given, ())):
            lacking.update(dict.fromkeys(word for word in map(_word, given) if word))
    return [
        f"destinations names '{word}', for which Apple publishes IPv4 networks alone: nothing is allowed over IPv6; "
        "add IPv6 networks, such as those of 'apns', if the host uses it"
        for word in lacking
    ]


def _word(value: object) -> str | None:
    """The set that a destination names, or ``None`` for what may be a network.

    :raises CatalogueError: a word that names no set.
    """
    if not isinstance(value, str) or not _WORD.match(value) or value == _rules.ANY:
        return None
    wanted = normalise(value)
    if wanted not in words():
        near = nearest(wanted, words(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the words are {', '.join(words())}"
        raise CatalogueError(f"{value!r} is neither a network nor a word for networks of Apple's: {hint}")
    return wanted


def _resolve(term: object) -> list[str]:
    """The words of a term: a word itself, or the narrowest networks of each product that it names."""
    data = _load()
    if isinstance(term, str) and normalise(term) in data["names"]:
        return [normalise(term)]
    catalogue = _catalogue.load(supplement=True)
    found = []
    try:
        products = catalogue.resolve_all([term])
    except CatalogueError as error:
        raise CatalogueError(f"{error}; words for networks of Apple's are {', '.join(words())}") from None
    for product in products:
        fitting = [word for word, users in data["products"].items() if product in users]
        if not fitting:
            raise CatalogueError(_none_for(catalogue.products[product]["name"]["en"]))
        found.append(fitting[0])
    return found


def _none_for(name: str) -> str:
    return (
        f"Apple publishes no networks for {_ports.shown(name)[1:-1]}: it is served from networks that change, also of "
        "content delivery networks; allow it by host name at a proxy or name server (lookup netports.apple.hosts), or by "
        "port to anywhere"
    )
