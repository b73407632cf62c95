# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the table of Apple's article on ports, from HTML as a browser saves it or from the text as it copies it.

Apple has printed the table in several layouts: five columns (without labels) and six, "TCP/UDP" and "TCP, UDP", ranges
with an en dash or a hyphen, empty cells that are empty or hold a dash, footnote marks in headings and cells, and cells
over several rows. Whatever is not understood is an error that names the row: nothing is ever left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import saved_page
from saved_page import ArticleError
from selectolax.lexbor import LexborHTMLParser, LexborNode

LANGUAGES = ("en", "nl")

COLUMNS = {
    6: ("port", "protocols", "service", "rfc", "label", "used_by"),
    5: ("port", "protocols", "service", "rfc", "used_by"),
}
_NO_RFC = ("port", "protocols", "service", "label", "used_by")

# Headings that the article has had, after _heading().
_HEADINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "port": ("port",),
        "protocols": ("tcp or udp", "type"),
        "service": ("service or protocol name", "service or protocol"),
        "rfc": ("rfc",),
        "label": ("service name",),
        "used_by": ("used by", "used by/additional information", "used by / additional information"),
    },
    "nl": {
        "port": ("poort",),
        "protocols": ("tcp of udp", "type"),
        "service": ("naam van voorziening of protocol", "voorziening of protocol"),
        "rfc": ("rfc",),
        "label": ("naam voorziening", "naam van voorziening"),
        "used_by": ("gebruikt door",),
    },
}

_RANGE = f"[{saved_page.DASHES}~\u301c\uff5e]"
_PORT = re.compile(rf"([0-9]{{1,5}})(?: ?{_RANGE} ?([0-9]{{1,5}}))?")
_PROTOCOLS = re.compile(r"(TCP|UDP)(?: ?[/,;\u3001\uff0c] ?(TCP|UDP))?", re.IGNORECASE)
_RFC = re.compile(r"(?:RFC ?)?([0-9]{1,5})(?: ?, ?(?:RFC ?)?([0-9]{1,5}))*", re.IGNORECASE)
# The first footnote stands right behind the table, in every language.
_FIRST_FOOTNOTE = re.compile(r"1\. ?\S")
_TEXT_ROW = re.compile(rf"([0-9]{{1,5}}(?: ?{_RANGE} ?[0-9]{{1,5}})?) ((?:TCP|UDP)(?: ?[/,;] ?(?:TCP|UDP))?)(?: (.*))?")


class Row(NamedTuple):
    """A row of the table, as the page prints it but with one kind of space.

    ``where`` is "row 12" or "line 34"; ``port`` "443" or "3478-3497"; ``protocols`` ("tcp", "udp"). A text is None where
    its cell is empty or a dash, or the page has no such column. ``rest`` is what follows the protocols in a copied text,
    where nothing separates the cells; then ``service``, ``label`` and ``used_by`` are None.
    """

    where: str
    port: str
    protocols: tuple[str, ...]
    rfcs: tuple[int, ...]
    service: str | None
    label: str | None
    used_by: str | None
    rest: str | None = None


class Page(NamedTuple):
    """What a page says.

    ``language`` is None where it is none whose names are known; ``columns`` are those that the table has; ``notes`` are
    differences that stand in no row, such as a heading that the article never had.
    """

    language: str | None
    columns: tuple[str, ...]
    rows: list[Row]
    notes: list[str]


def read(content: bytes, language: str | None = None) -> Page:
    """Read the article's table.

    :param content: the saved file.
    :param language: the page's language ("nl"), where it is to be taken for that.
    :raises ArticleError: it is no such page, or it is cut off, or something in it is not understood.
    """
    text = saved_page.decode(content)
    if re.search(r"<(?:html|table|body|!doctype)\b", text, re.IGNORECASE):
        return _read_html(text, language)
    return _read_text(text, language)


# --- Cells ------------------------------------------------------------------------------------------------------------


def _read_port(text: str) -> str:
    """Return "443" or "3478-3497". Raises ValueError for what is no port."""
    match = _PORT.fullmatch(saved_page.digits(text))
    if not match:
        raise ValueError(f"{text!r} is no port")
    ports = [int(part) for part in match.groups() if part]
    if not all(1 <= port <= 65535 for port in ports) or ports != sorted(set(ports)):
        raise ValueError(f"{text!r} is no port or range from 1 to 65535")
    return "-".join(map(str, ports))


def _read_protocols(text: str) -> tuple[str, ...]:
    match = _PROTOCOLS.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is neither TCP nor UDP, nor both")
    found = [part.lower() for part in match.groups() if part]
    if len(set(found)) < len(found):
        raise ValueError(f"{text!r} names one protocol twice")
    return tuple(sorted(found))


def _read_rfcs(text: str) -> tuple[int, ...]:
    if saved_page.is_dash(text):
        return ()
    if not _RFC.fullmatch(saved_page.digits(text)):
        raise ValueError(f"{text!r} is no number of an RFC")
    return tuple(int(number) for number in re.findall(r"[0-9]+", saved_page.digits(text)))


def _read_row(where: str, columns: tuple[str, ...], cells: list[str]) -> Row:
    by_name = dict(zip(columns, cells, strict=True))
    texts = {
        name: None if saved_page.is_dash(by_name.get(name, "")) else by_name[name]
        for name in ("service", "label", "used_by")
    }
    return Row(
        where,
        _read_port(by_name["port"]),
        _read_protocols(by_name["protocols"]),
        _read_rfcs(by_name.get("rfc", "")),
        **texts,
    )


# --- HTML -------------------------------------------------------------------------------------------------------------


def _read_html(text: str, language: str | None) -> Page:
    tree = saved_page.parse(text)
    table = _table_of_ports(tree)
    grid = saved_page.grid(table)
    if _PORT.fullmatch(saved_page.digits(saved_page.cell_text(grid[0][1][0]))):
        raise ArticleError(["the table of ports has no headings: save the whole article"])
    header = [_heading(cell) for cell in grid[0][1]]
    columns = _columns(header)
    declared = tree.root.attributes.get("lang") if tree.root else None
    found, notes = _language(language, declared or "", header, columns)
    rows: list[Row] = []
    problems: list[str] = []
    for where, cells in grid[1:]:
        texts = [saved_page.cell_text(cell) for cell in cells]
        if len(cells) != len(columns):
            problems.append(f"{where} has {len(cells)} cells, and the table has {len(columns)} columns")
            continue
        try:
            rows.append(_read_row(where, columns, texts))
        except ValueError as error:
            problems.append(f"{where}: {error}")
    if problems:
        raise ArticleError(problems)
    return Page(found, columns, rows, notes)


def _table_of_ports(tree: LexborHTMLParser) -> LexborNode:
    """The one table that lists ports: its rows begin with a port and a protocol."""
    tables = tree.css("table")
    of_ports = [table for table in tables if _lists_ports(table)]
    # A table that only holds the one that lists them is not meant.
    holders = {above for table in of_ports for above in _above(table)}
    innermost = [table for table in of_ports if table.mem_id not in holders]
    if not innermost:
        raise ArticleError([f"no table of ports is in the page, of {len(tables)} tables: is it the article?"])
    if len(innermost) > 1:
        sizes = " and ".join(f"{len(table.css('tr'))} rows" for table in innermost)
        raise ArticleError([f"{len(innermost)} tables of ports are in the page, of {sizes}: save the article alone"])
    if any(table.mem_id != innermost[0].mem_id for table in innermost[0].css("table")):
        raise ArticleError(["a cell of the table of ports holds a table"])
    return innermost[0]


def _above(node: LexborNode) -> Iterable[int]:
    """What a node is in, by identity."""
    above = node.parent
    while above is not None:
        yield above.mem_id
        above = above.parent


def _lists_ports(table: LexborNode) -> bool:
    for row in table.css("tr"):
        texts = [saved_page.cell_text(cell) for cell in row.css("td, th")[:2]]
        if len(texts) == 2 and (_PORT.fullmatch(saved_page.digits(texts[0])) or _PROTOCOLS.fullmatch(texts[1])):
            return True
    return False


def _heading(cell: LexborNode) -> str:
    """A heading as _HEADINGS has it: in lower case, without footnote marks that stand as plain digits."""
    return re.sub(r"(?<=\w)[0-9]+\b", "", saved_page.cell_text(cell)).casefold()


def _columns(header: list[str]) -> tuple[str, ...]:
    shown = ", ".join(header)
    if len(header) not in COLUMNS:
        raise ArticleError([f"the table has {len(header)} columns ({shown}): 5 and 6 are known"])
    columns = COLUMNS[len(header)]
    # "RFC" is RFC in every language, so it tells the columns apart.
    places = [number for number, heading in enumerate(header) if "rfc" in heading]
    if len(header) == 5 and not places:
        return _NO_RFC
    if places != [3]:
        raise ArticleError([f"the fourth of the table's columns ({shown}) should be that of the RFCs"])
    return columns


def _language(
    asked: str | None, declared: str, header: list[str], columns: tuple[str, ...]
) -> tuple[str | None, list[str]]:
    """Find the page's language, and what of the header is new in it."""
    fits = {
        language: [heading in known[name] for name, heading in zip(columns, header, strict=True)]
        for language, known in _HEADINGS.items()
    }
    primary = (asked or declared).replace("_", "-").split("-")[0].lower()
    if not primary:
        primary = next((language for language, flags in fits.items() if all(flags)), "")
    if primary not in LANGUAGES:
        return None, []
    new = [heading for heading, fit in zip(header, fits[primary], strict=True) if not fit]
    return primary, [f"the heading {heading!r} is none that the article had" for heading in new]


# --- Copied text ------------------------------------------------------------------------------------------------------


def _read_text(text: str, language: str | None) -> Page:
    lines = [(f"line {number}", saved_page.one_space(line)) for number, line in enumerate(text.splitlines(), 1)]
    lines = list(_joined([line for line in lines if line[1]]))
    starts = [number for number, (_where, line) in enumerate(lines) if _TEXT_ROW.fullmatch(line)]
    if not starts:
        raise ArticleError(["no table of ports is in the text: is it the article?"])
    header = " ".join(line for _where, line in lines[max(0, starts[0] - 12) : starts[0]]).casefold()
    if "rfc" not in header:
        raise ArticleError([f"{lines[starts[0]][0]}: the table begins without its headings: copy the whole article"])
    end = next((n for n in range(starts[0], len(lines)) if _FIRST_FOOTNOTE.match(lines[n][1])), None)
    if end is None:
        raise ArticleError(["the text ends within the table, before the first footnote: copy the whole article"])
    problems = [f"{lines[number][0]}: a row of ports behind the table's end" for number in starts if number > end]
    rows: list[Row] = []
    for number, start in enumerate(starts):
        if start > end:
            break
        where = f"row {number + 1}, {lines[start][0]}"
        until = min([other for other in (*starts, end) if other > start])
        match = _TEXT_ROW.fullmatch(lines[start][1])
        assert match is not None
        rest = saved_page.one_space(
            " ".join([match.group(3) or "", *(line for _where, line in lines[start + 1 : until])])
        )
        try:
            row = Row(where, _read_port(match.group(1)), _read_protocols(match.group(2)), (), None, None, None, rest)
            rows.append(row._replace(rfcs=_rfcs_in(rest)))
        except ValueError as error:
            problems.append(f"{where}: {error}")
    if problems:
        raise ArticleError(problems)
    primary = (language or "").split("-")[0].lower() or _language_of(header)
    return Page(primary if primary in LANGUAGES else None, COLUMNS[6], rows, [])


def _joined(lines: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Some browsers copy each cell to a line of its own: put a port and the protocol below it together."""
    number = 0
    while number < len(lines):
        where, line = lines[number]
        if _PORT.fullmatch(line) and number + 1 < len(lines) and _PROTOCOLS.fullmatch(lines[number + 1][1]):
            line = f"{line} {lines[number + 1][1]}"
            number += 1
        yield where, line
        number += 1


def _rfcs_in(rest: str) -> tuple[int, ...]:
    """The RFC of a row without cells: its one number of three digits or more that stands alone."""
    numbers = re.findall(r"(?:^| )([0-9]{3,5})(?= |$)", rest)
    if len(numbers) > 1:
        raise ValueError(f"any of {', '.join(numbers)} may be the RFC")
    return tuple(int(number) for number in numbers)


def _language_of(header: str) -> str:
    for language, known in _HEADINGS.items():
        if any(header.endswith(heading) for heading in known["used_by"]):
            return language
    return ""
