# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to say of a name that is no product's: why it is none, and what would do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.netports.apple.plugins.plugin_utils._errors import Wording
from ansible_collections.netports.apple.plugins.plugin_utils._names import nearest, normalise

# How like two words have to be to be the same word with a slip in it, from 0 (anything) to 1 (the same).
_LIKE = 0.8
_MOST_CANDIDATES = 12


def names(product: Mapping[str, Any]) -> list[str]:
    """All names of a product but its id."""
    return [*product["name"].values(), *product["aliases"]]


def unknown(
    term: str,
    products: Mapping[str, Mapping[str, Any]],
    without_ports: Mapping[str, Mapping[str, str]],
    newer: Iterable[Mapping[str, Any]],
    services: Iterable[str],
    wording: Wording,
) -> str:
    """Say why a term is no product.

    :param products: by id, with everyday names.
    :param without_ports: names that have no port: ``reason`` and ``instead`` by normalised name.
    :param newer: the supplement's products, where it is off.
    :param services: labels and short forms of services.
    """
    wanted = normalise(term)
    if wanted in without_ports:
        found = without_ports[wanted]
        return f"{term!r} has no port that a port firewall could open: {found['reason']}. {_sentence(found['instead'])}"
    for product in newer:
        if wanted in (product["id"], *map(normalise, names({"aliases": [], **product}))):
            return (
                f"{term!r} is in the supplement to the article, which is off: switch it on with "
                f"{wording.give('supplement', True)}"
            )
    if any(normalise(service) == wanted for service in services):
        return f"{term!r} is a service, not a product: ask for it with {wording.give('service', term)}"
    candidates = _containing(term, products)
    if len(candidates) > 1:
        return f"{term!r} may be any of {listed(candidates)}: name the one that you mean"
    near = candidates or _near(term, products)
    hint = f"did you mean {listed(near, 'or')}?" if near else "query('netports.apple.products') lists them all"
    return f"{term!r} is not a product of the catalogue: {hint}"


def listed(texts: Iterable[str], last: str = "and") -> str:
    """Write names one after another, in quotes."""
    quoted = [repr(text) for text in texts]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def _containing(term: str, products: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The products, by their English names, that have the term's words in a name of theirs; the article's first."""
    words = _words(term)
    found = [
        (bool(product.get("by_name")), str(product["name"]["en"]))
        for product in products.values()
        if words and any(_contains(_words(name), words) for name in names(product))
    ]
    return [name for _everyday, name in sorted(found, key=lambda item: item[0])][:_MOST_CANDIDATES]


def _near(term: str, products: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names, one for each product, that are the term but for slips in its spelling, the best first.

    Letters alone would lead astray: "Contacten" has most of those of "Content Caching".
    """
    owners: dict[str, tuple[str, str]] = {}
    for identifier, own in products.items():
        for name in names(own):
            owners.setdefault(normalise(name), (identifier, name))
    found: dict[str, str] = {}
    wanted = normalise(term)
    swapped = [key for key in owners if sorted(key) == sorted(wanted)]
    for key in [*swapped, *nearest(wanted, owners, count=9, cutoff=_LIKE)]:
        identifier, name = owners[key]
        if identifier not in found and _same_words(_words(term), _words(name)):
            found[identifier] = name
    return list(found.values())[:3]


def _same_words(words: list[str], others: list[str]) -> bool:
    """Say whether two names have the same words but for slips; words may be written together or apart."""
    if len(words) == len(others):
        pairs = zip(words, others, strict=True)
        return all(sorted(word) == sorted(other) or nearest(word, [other], 1, _LIKE) for word, other in pairs)
    return bool(nearest("".join(words), ["".join(others)], 1, 0.85))


def _words(text: str) -> list[str]:
    return [word for word in (normalise(part) for part in re.split(r"[\W_]+", text)) if word]


def _contains(words: list[str], part: list[str]) -> bool:
    return any(words[start : start + len(part)] == part for start in range(len(words) - len(part) + 1))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
