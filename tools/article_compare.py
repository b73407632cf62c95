# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how the facts of the catalogue differ from what Apple's article says now."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import build_catalogue
import saved_page
from article_page import Page, Row
from saved_page import ArticleError

normalise = build_catalogue.utils("_names").normalise

# How a page marks a label as legacy.
_LEGACY = {"en": "legacy", "nl": "verouderd"}
_CONJUNCTIONS = {"en": (" and ", " & "), "nl": (" en ",)}
# "Apps that look up addresses, such as Mail and Address Book" is one name with a comma in it; none has more.
_LONGEST_NAME = 3


class Use(NamedTuple):
    """Somebody who uses a row's ports: a product (None where no product has that name), and what is said of the use."""

    product: str | None
    name: str
    detail: str | None


class Said(NamedTuple):
    """A row as it is compared, of the facts or of a page, in one language.

    ``place`` is the index of the facts' row, or the page's "row 12".
    """

    place: int | str
    port: str
    protocols: tuple[str, ...]
    service: str | None
    rfcs: tuple[int, ...]
    label: str | None
    legacy: bool
    uses: tuple[Use, ...]


class Pair(NamedTuple):
    """A row of the facts and the row of the page that says what is now so; either may be missing."""

    old: Said | None
    new: Said | None


class Comparison(NamedTuple):
    """``differences`` has a line for each; ``pairs`` has all rows, those that the page has in its order."""

    pairs: list[Pair]
    differences: list[str]


def compare(facts: Mapping[str, Any], page: Page) -> Comparison:
    """Compare the facts with a page, as far as the page's language and columns go.

    :raises ArticleError: a row cannot be told apart into its cells.
    """
    olds = [_of_facts(number, row, page.language or "en") for number, row in enumerate(facts["rows"])]
    speller = Speller(facts, page.language) if page.language else None
    problems: list[str] = []
    said: list[Said] = []
    for row in page.rows:
        try:
            said.append(_of_page(row, speller, [old for old in olds if old.port == row.port]))
        except ValueError as error:
            problems.append(f"{row.where}: {error}")
    if problems:
        raise ArticleError(problems)
    fields = ["rfcs"] if "rfc" in page.columns else []
    if speller:
        fields = [name for name in ("service", "rfc", "label", "used_by") if name in page.columns]
        fields = [{"rfc": "rfcs", "used_by": "uses"}.get(name, name) for name in fields]
    pairs = _pair(_merged(olds, fields), _merged(said, fields), fields)
    lines = [line for pair in pairs for line in _describe(pair, fields)]
    return Comparison(pairs, [*page.notes, *lines])


class Speller:
    """Knows the names, services and labels of the facts in one language."""

    def __init__(self, facts: Mapping[str, Any], language: str) -> None:
        self.language = language
        self.names: dict[str, str] = {}
        for product in facts["products"]:
            for name in (*product["name"].values(), *product.get("aliases", ())):
                self.names[normalise(name)] = product["id"]
        self.services = {row["service"][language] for row in facts["rows"] if row["service"]}
        self.labels = {row["label"] for row in facts["rows"] if row["label"]}

    def uses(self, text: str | None) -> tuple[Use, ...]:
        """Tell a cell of products apart: names with what stands in parentheses behind them."""
        found: list[Use] = []
        parts = _parts(text or "")
        while parts:
            for length in range(min(_LONGEST_NAME, len(parts)), 0, -1):
                name, detail = _detail(", ".join(parts[:length]))
                products = self._products(name) if length == 1 else [self.names.get(normalise(name))]
                if all(products):
                    found += [Use(product, name, None) for product in products[:-1]]
                    found.append(Use(products[-1], name, detail))
                    break
            else:
                length = 1
                found.append(Use(None, name, detail))
            del parts[:length]
        return tuple(found)

    def split(self, rest: str, rfcs: tuple[int, ...], known: Sequence[Said]) -> Said:
        """Tell the cells of a copied row apart, where nothing separates them, by what the facts know.

        No character is left out, so that a row which is split wrong differs from the facts instead of being the same.
        """
        if rfcs:
            service, _number, behind = re.split(rf"(?:^| )({rfcs[0]})(?= |$)", rest, maxsplit=1)
            candidates = [(one_or_none(service), *end) for end in self._labelled(behind.strip(), guess=True)]
        else:
            starts = [(None, rest), *((name, rest[len(name) :]) for name in self.services if _begins(rest, name))]
            candidates = [
                (service, label, legacy, used)
                for service, behind in starts
                for label, legacy, used in self._labelled(behind.strip(), guess=False)
            ]
            candidates += [
                (rest[: match.start()].strip(), *end)
                for label in self.labels
                for match in re.finditer(rf"(?<= ){re.escape(label)}(?= |$)", rest)
                for end in self._labelled(rest[match.start() :], guess=False)
                if end[0] == label
            ]
        hints = {(old.service, old.label) for old in known}

        def merit(candidate: tuple[str | None, str | None, bool, str]) -> tuple[bool, bool, bool, int]:
            service, label, _legacy, used = candidate
            resolved = all(use.product for use in self.uses(used))
            hinted = (service, label) in hints
            vocabulary = service is None or service in self.services
            return resolved and hinted, resolved and vocabulary, hinted, len(service or "") + len(label or "")

        service, label, legacy, used = max(candidates, key=merit)
        return Said("", "", (), service, rfcs, label, legacy, self.uses(used))

    def label(self, text: str | None) -> tuple[str | None, bool]:
        """Tell a label and the mark of something legacy apart."""
        mark = f"({_LEGACY[self.language]})"
        if text and text.casefold().endswith(mark):
            return one_or_none(text[: -len(mark)]), True
        return text, False

    def _labelled(self, text: str, guess: bool) -> list[tuple[str | None, bool, str]]:
        """All ways to begin a text with a label: (label, legacy, what follows)."""
        ways: list[tuple[str | None, bool, str]] = [(None, False, text)]
        words = [word for word in (*self.labels, "\u2014", "\u2013", "-") if _begins(text, word)]
        if guess and text:
            words.append(text.split(" ")[0])
        mark = f"({_LEGACY[self.language]})"
        for word in words:
            behind = text[len(word) :].strip()
            label = None if saved_page.is_dash(word) else word
            ways.append((label, False, behind))
            if behind.casefold().startswith(mark):
                ways.append((label, True, behind[len(mark) :].strip()))
        return ways

    def _products(self, name: str) -> list[str | None]:
        """The product of a name, or the two of a name that leaves out what both have ("iCloud Backup & Apps")."""
        found = self.names.get(normalise(name))
        if found:
            return [found]
        for word in _CONJUNCTIONS[self.language]:
            for match in re.finditer(re.escape(word), name):
                left, right = name[: match.start()], name[match.end() :]
                stem = re.split(r"[ -]", left)[0]
                first = self.names.get(normalise(left))
                for spelled in (right, f"{stem} {right}"):
                    second = self.names.get(normalise(spelled))
                    if first and second:
                        return [first, second]
        return [None]


def one_or_none(text: str) -> str | None:
    """Return a text without the white space around it, or None where nothing is left."""
    return text.strip() or None


def _begins(text: str, start: str) -> bool:
    return text.startswith(start) and text[len(start) : len(start) + 1] in ("", " ")


def _parts(text: str) -> list[str]:
    """Split at commas and semicolons that stand in no parentheses."""
    parts, depth, start = [], 0, 0
    for number, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char in ",;" and depth <= 0:
            parts.append(text[start:number])
            start = number + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _detail(part: str) -> tuple[str, str | None]:
    """Split "Mail (sending email)" into name and detail."""
    match = re.fullmatch(r"([^()]*[^() ]) ?\(([^()]+)\)", part)
    return (match.group(1), match.group(2).strip()) if match else (part, None)


# --- Rows as they are compared ----------------------------------------------------------------------------------------


def _of_facts(number: int, row: Mapping[str, Any], language: str) -> Said:
    return Said(
        number,
        row["port"],
        tuple(sorted(row["protocols"])),
        row["service"] and row["service"][language],
        (row["rfc"],) if row["rfc"] else (),
        row["label"],
        row.get("legacy", False),
        tuple(
            Use(use["product"], use["product"], use["detail"][language] if "detail" in use else None)
            for use in row["used_by"]
        ),
    )


def _of_page(row: Row, speller: Speller | None, known: Sequence[Said]) -> Said:
    if speller is None:
        return Said(row.where, row.port, row.protocols, None, row.rfcs, None, False, ())
    if row.rest is not None:
        said = speller.split(row.rest, row.rfcs, known)
    else:
        label, legacy = speller.label(row.label)
        said = Said("", "", (), row.service, row.rfcs, label, legacy, speller.uses(row.used_by))
    return said._replace(
        place=row.where, port=row.port, protocols=row.protocols, uses=_with_open_details(said.uses, known)
    )


def _with_open_details(uses: tuple[Use, ...], known: Sequence[Said]) -> tuple[Use, ...]:
    """Take "Kerberos, including Screen Sharing authentication" for a detail that lacks its parentheses."""
    details = {(use.product, normalise(use.detail)) for old in known for use in old.uses if use.detail}
    found: list[Use] = []
    for use in uses:
        before = found[-1] if found else None
        if use.product is None and before and not before.detail and (before.product, normalise(use.name)) in details:
            found[-1] = before._replace(detail=use.name)
        else:
            found.append(use)
    return tuple(found)


def _spelled(said: Said, field: str) -> Any:
    """The form in which a field is compared: spelling that does not count for names does not count here."""
    if field == "rfcs":
        return said.rfcs
    if field == "uses":
        return sorted((use.product or normalise(use.name), normalise(use.detail or "")) for use in said.uses)
    if field == "label":
        return normalise(said.label or ""), said.legacy
    return normalise(said.service or "")


def _merged(rows: Iterable[Said], fields: Sequence[str]) -> list[Said]:
    """Put rows together that differ in their protocol alone: a page may give TCP and UDP a row each."""
    merged: dict[tuple[Any, ...], Said] = {}
    for row in rows:
        key = (row.port, *(repr(_spelled(row, name)) for name in fields))
        before = merged.get(key)
        if before and not set(before.protocols) & set(row.protocols):
            merged[key] = before._replace(protocols=tuple(sorted((*before.protocols, *row.protocols))))
        else:
            # A row that stands twice stays twice, under a key of its own.
            merged[(*key, row.place) if before else key] = row
    return list(merged.values())


def _pair(olds: Sequence[Said], news: Sequence[Said], fields: Sequence[str]) -> list[Pair]:
    """Find for each row of the page the row of the facts of the same port that is most like it."""
    pairs: dict[int, Pair] = {}
    for _port, group in itertools.groupby(
        sorted(range(len(news)), key=lambda number: news[number].port), key=lambda number: news[number].port
    ):
        own = list(group)
        left = [old for old in olds if old.port == news[own[0]].port]
        likeness = {
            (number, place): (
                len(set(old.protocols) & set(news[number].protocols)),
                sum(_spelled(old, name) == _spelled(news[number], name) for name in fields),
            )
            for number in own
            for place, old in enumerate(left)
        }
        taken: set[int] = set()
        for (number, place), _merit in sorted(likeness.items(), key=lambda item: item[1], reverse=True):
            if number not in pairs and place not in taken:
                pairs[number] = Pair(left[place], news[number])
                taken.add(place)
        for number in own:
            pairs.setdefault(number, Pair(None, news[number]))
    matched = {id(pair.old) for pair in pairs.values()}
    gone = [Pair(old, None) for old in olds if id(old) not in matched]
    return [pairs[number] for number in range(len(news))] + gone


# --- Lines for people -------------------------------------------------------------------------------------------------


def _describe(pair: Pair, fields: Sequence[str]) -> list[str]:
    """The lines of a pair: "+ 5000/tcp: …", "- 2196/tcp: …", "~ 88/tcp: RFC 4120 is now 4121 (row 5)"."""
    old, new = pair
    lines = []
    for sign, one, other in (("-", old, new), ("+", new, old)):
        if one:
            gone = [protocol for protocol in one.protocols if other is None or protocol not in other.protocols]
            where = f" ({one.place})" if sign == "+" else ""
            lines += [f"{sign} {one.port}/{protocol}: {_summary(one, fields)}{where}" for protocol in gone]
    if old and new:
        changes = [change for field in fields for change in _changes(old, new, field)]
        both = [protocol for protocol in new.protocols if protocol in old.protocols] or new.protocols
        lines += [f"~ {new.port}/{'+'.join(both)}: {change} ({new.place})" for change in changes]
    return lines


def _summary(said: Said, fields: Sequence[str]) -> str:
    parts = []
    if "service" in fields and said.service:
        parts.append(said.service)
    if said.rfcs:
        parts.append("RFC " + ", ".join(map(str, said.rfcs)))
    if "label" in fields and said.label:
        parts.append(said.label + (" (legacy)" if said.legacy else ""))
    if "uses" in fields:
        parts.append("used by " + (", ".join(map(_use, said.uses)) or "nobody"))
    return "; ".join(parts) or "nothing but the port"


def _use(use: Use) -> str:
    name = use.product or f"'{use.name}' (no product has this name)"
    return f"{name} ({use.detail})" if use.detail else name


def _changes(old: Said, new: Said, field: str) -> list[str]:
    if _spelled(old, field) == _spelled(new, field):
        return []
    if field == "service":
        return [f"service {_shown(old.service)} is now {_shown(new.service)}"]
    if field == "rfcs":
        return [f"RFC {_shown(old.rfcs)} is now {_shown(new.rfcs)}"]
    if field == "label":
        labels = [_shown(said.label) + (" (legacy)" if said.legacy else "") for said in (old, new)]
        return [f"label {labels[0]} is now {labels[1]}"]
    before = {use.product or use.name: use for use in old.uses}
    now = {use.product or use.name: use for use in new.uses}
    changes = [f"no longer used by {_use(use)}" for name, use in before.items() if name not in now]
    changes += [f"also used by {_use(use)}" for name, use in now.items() if name not in before]
    for name, use in before.items():
        if name in now and normalise(use.detail or "") != normalise(now[name].detail or ""):
            details = (_shown(use.detail), _shown(now[name].detail))
            changes.append(f"what is said of {name}, {details[0]}, is now {details[1]}")
    return changes or [f"names one product more than once: {', '.join(map(_use, new.uses))}"]


def _shown(value: str | tuple[int, ...] | None) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"'{value}'" if value else "none"
