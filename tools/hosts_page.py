# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the tables of Apple's article "Use Apple products on enterprise networks" from HTML as a browser saves it.

The article has a table for each section: hosts, ports, protocols, and, not in every table, systems, a description and
whether a proxy may stand in between. Headings differ by language, so columns are known by what stands in them. Whatever is
not understood is an error that names the row: nothing is ever left out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

import saved_page
from saved_page import ArticleError
from selectolax.lexbor import LexborHTMLParser, LexborNode

# The order of hosts.yml and of its schema.
SYSTEMS = ("iOS", "iPadOS", "tvOS", "watchOS", "visionOS", "macOS")

_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
# Numbers, with what separates and joins them in any language ("443, 80", "443 und 80").
_PORTS = re.compile(r"[0-9]{1,5}(?:\W+(?:[^\W\d]{1,5}\W+)?[0-9]{1,5})*")
_PROTOCOLS = re.compile(r"(?:TCP|UDP)(?:\W+(?:[^\W\d]{1,5}\W+)?(?:TCP|UDP))*", re.IGNORECASE)
_SYSTEM = re.compile("|".join(SYSTEMS), re.IGNORECASE)
# What is left of a cell of systems without their names: "and", "only", "Apple" of "Apple tvOS".
_LONGEST_REST = 24
# A cell that says whether proxies are supported is a word, and a description is more.
_LONGEST_WORD = 14
_NO = {
    *(
        "no",
        "nee",
        "nein",
        "non",
        "nej",
        "nei",
        "ei",
        "n\u00e3o",
        "nie",
        "ne",
        "nem",
        "nu",
        "hay\u0131r",
        "\u043d\u0435\u0442",
    ),
    *("\u3044\u3044\u3048", "\u5426", "\uc544\ub2c8\uc694", "\u4e0d\u652f\u63f4", "\u4e0d\u652f\u6301"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A host of a section. ``os`` and ``proxies`` are None where its table has no such column, or the cell says nothing.

    ``where`` is "Device setup, row 3"; ``ports`` are ``"443/tcp"``, by protocol and number.
    """

    where: str
    host: str
    ports: tuple[str, ...]
    os: tuple[str, ...] | None
    proxies: bool | None


@dataclasses.dataclass(frozen=True)
class Section:
    """A table with the heading above it."""

    heading: str
    rows: tuple[Row, ...]


@dataclasses.dataclass(frozen=True)
class Page:
    """What a page says."""

    sections: tuple[Section, ...]


@dataclasses.dataclass(frozen=True)
class _Table:
    heading: str
    cells: tuple[tuple[str, tuple[str, ...]], ...]  # (where, the cells' texts) of each row below the headings
    os: int | None
    proxies: int | None


def is_meant(content: bytes) -> bool:
    """Say whether a page is the article on hosts, by its tables; a page that cannot be read is not."""
    try:
        tree = saved_page.parse(saved_page.decode(content))
    except ArticleError:
        return False
    return any(_lists_hosts(table) for table in tree.css("table"))


def read(content: bytes) -> Page:
    """Read the article's tables.

    :param content: the saved file.
    :raises ArticleError: it is no such page, or it is cut off, or something in it is not understood.
    """
    tree = saved_page.parse(saved_page.decode(content))
    tables = [_table(heading, table) for heading, table in _tables(tree)]
    if not tables:
        raise ArticleError(["no table of hosts is in the page: is it the article?"])
    yes = _yes(tables)
    sections: list[Section] = []
    problems: list[str] = []
    for table in tables:
        rows = []
        for where, cells in table.cells:
            try:
                rows.append(_row(where, cells, table, yes))
            except ValueError as error:
                problems.append(f"{where}: {error}")
        sections.append(Section(table.heading, tuple(rows)))
    if problems:
        raise ArticleError(problems)
    return Page(tuple(sections))


def _tables(tree: LexborHTMLParser) -> Iterator[tuple[str, LexborNode]]:
    """The tables of hosts, each with the heading above it."""
    heading = ""
    for node in tree.css("h1, h2, h3, h4, h5, table"):
        if node.tag != "table":
            heading = saved_page.cell_text(node)
        elif _lists_hosts(node):
            if any(inner.mem_id != node.mem_id for inner in node.css("table")):
                raise ArticleError([f"{heading}: a cell of the table holds a table"])
            yield heading, node


def _lists_hosts(table: LexborNode) -> bool:
    """Say whether some row begins with a host and a port."""
    for row in table.css("tr"):
        texts = [saved_page.cell_text(cell) for cell in row.css("td, th")[:2]]
        if len(texts) == 2 and _HOST.fullmatch(texts[0].lower()) and _PORTS.fullmatch(saved_page.digits(texts[1])):
            return True
    return False


def _table(heading: str, table: LexborNode) -> _Table:
    """A table's texts, and what its columns behind the third are."""
    name = heading or "a table without a heading"
    grid = saved_page.grid(table)
    texts = [tuple(saved_page.cell_text(cell) for cell in cells) for _where, cells in grid]
    if _HOST.fullmatch(texts[0][0].lower()):
        raise ArticleError([f"{name}: the table has no headings: save the whole article"])
    below = texts[1:]
    uneven = [f"{name}, row {number}" for number, cells in enumerate(below, 1) if len(cells) != len(texts[0])]
    if uneven or not 3 <= len(texts[0]) <= 6:
        raise ArticleError(
            [f"{', '.join(uneven) or name}: 3 to 6 cells are known in a row, the same in all of a table"]
        )
    columns = [[cells[number] for cells in below] for number in range(len(texts[0]))]
    # A table has systems only beside a description.
    has_os = len(columns) > 4 and all(_names_systems(text) for text in columns[3])
    has_proxies = len(columns) > 4 + has_os and all(_is_word(text) for text in columns[-1])
    return _Table(
        heading=name,
        cells=tuple((f"{name}, row {number}", cells) for number, cells in enumerate(below, 1)),
        os=3 if has_os else None,
        proxies=len(columns) - 1 if has_proxies else None,
    )


def _names_systems(text: str) -> bool:
    return saved_page.is_dash(text) or (
        bool(_SYSTEM.search(text)) and len("".join(_SYSTEM.sub("", text).split())) <= _LONGEST_REST
    )


def _is_word(text: str) -> bool:
    return saved_page.is_dash(text) or (len(text) <= _LONGEST_WORD and not re.search(r"[\s.]", text))


def _yes(tables: Sequence[_Table]) -> str:
    """The page's word for "yes".

    :raises ArticleError: several words might be it.
    """
    said = {cells[table.proxies].casefold() for table in tables if table.proxies for _where, cells in table.cells}
    words = sorted(word for word in said if not saved_page.is_dash(word) and word not in _NO)
    if len(words) > 1:
        raise ArticleError([f"whether proxies are supported is said by several words: {', '.join(words)}"])
    return words[0] if words else ""


def _row(where: str, cells: tuple[str, ...], table: _Table, yes: str) -> Row:
    host = cells[0].lower()
    if not _HOST.fullmatch(host):
        raise ValueError(f"{cells[0]!r} is no host name")
    numbers = saved_page.digits(cells[1])
    if not _PORTS.fullmatch(numbers):
        raise ValueError(f"{cells[1]!r} are no ports")
    ports = sorted({int(number) for number in re.findall(r"[0-9]+", numbers)})
    if not all(1 <= port <= 65535 for port in ports):
        raise ValueError(f"{cells[1]!r} has a port that is not from 1 to 65535")
    if not _PROTOCOLS.fullmatch(cells[2]):
        raise ValueError(f"{cells[2]!r} is neither TCP nor UDP, nor both")
    protocols = sorted({word.lower() for word in re.findall("TCP|UDP", cells[2], re.IGNORECASE)})
    systems = {word.casefold() for word in _SYSTEM.findall(cells[table.os])} if table.os else set()
    return Row(
        where=where,
        host=host,
        ports=tuple(f"{port}/{protocol}" for protocol in protocols for port in ports),
        os=tuple(name for name in SYSTEMS if name.casefold() in systems) or None,
        proxies=cells[table.proxies].casefold() == yes and bool(yes) if table.proxies else None,
    )
