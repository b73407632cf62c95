# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of Apple's as a browser saves them: their text, their tables as grids, and whether they are whole."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

from selectolax.lexbor import LexborHTMLParser, LexborNode

# A page is some 100 kB, with its scripts.
LARGEST = 20 * 1024 * 1024

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
_FOOTNOTE = re.compile(r"[0-9]{1,2}|[*\u2020\u2021]+")
_UNSEEN = {"-comment", "script", "style", "template", "noscript"}
_BLOCKS = {"p", "div", "li", "ul", "ol", "br", "section", "article", "dd", "dt", "dl", "h1", "h2", "h3", "h4"}


class ArticleError(ValueError):
    """The page cannot be read; ``problems`` has a sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def one_space(text: str) -> str:
    """Return text with one plain space for white space of any kind, without invisible characters and raised digits.

    Raised digits are footnote marks: the article has no other use for them.
    """
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf" and char not in _RAISED)
    return " ".join(visible.split())


def is_dash(text: str) -> bool:
    """Say whether a text is empty, or only dashes, which is how the article leaves a cell empty."""
    return not text.strip(DASHES + " ")


def decode(content: bytes) -> str:
    """Return the text of a saved file.

    :raises ArticleError: it is too large, or an archive, or not in the encoding that it declares.
    """
    if len(content) > LARGEST:
        raise ArticleError([f"the file has more than {LARGEST // 2**20} MiB, which is no page of Apple's"])
    if content.startswith(b"bplist") or re.match(rb"(?:From|MIME-Version|Content-Type): ", content):
        raise ArticleError(["the file is a web archive: save the page as page source, or as HTML only"])
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            break
    else:
        declared = re.search(rb"<meta[^>]{0,200}charset=[\"']?([A-Za-z0-9_-]{2,40})", content[:4096], re.IGNORECASE)
        encoding = declared.group(1).decode("ascii") if declared else "utf-8"
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ArticleError([f"the file is not {encoding}, which it should be: save the page again"]) from error


def digits(text: str) -> str:
    """Write digits of any script as those of ours."""
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


class _Ends(HTMLParser):
    """Counts what is opened and closed: a parser of whole pages mends what is cut off without a word."""

    def __init__(self) -> None:
        super().__init__()
        self.open = {"html": 0, "table": 0}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.open:
            self.open[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            self.open[tag] -= 1


def parse(text: str) -> LexborHTMLParser:
    """Return the tree of a page.

    :raises ArticleError: it is cut off.
    """
    ends = _Ends()
    ends.feed(text)
    ends.close()
    if any(ends.open.values()):
        where = "within a table" if ends.open["table"] else "behind its tables"
        raise ArticleError([f"the page is cut off {where}: save it again"])
    return LexborHTMLParser(text)


def grid(table: LexborNode) -> list[tuple[str, list[LexborNode]]]:
    """The table's rows with a cell for each column, those that span rows or columns repeated. (where, cells).

    :raises ArticleError: cells overlap, or reach where there is no row.
    """
    made = _Grid()
    for number, row in enumerate(table.css("tr")):
        made.add(f"row {number}", row.css("td, th"))
    if made.pending:
        made.problems.append(f"{made.rows[-1][0]}: a cell reaches below the table's end")
    if made.problems:
        raise ArticleError(made.problems)
    return made.rows


class _Grid:
    """A table as it is filled, row by row. ``pending`` has by column a cell from above, and for how many more rows."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, list[LexborNode]]] = []
        self.problems: list[str] = []
        self.pending: dict[int, tuple[LexborNode, int]] = {}

    def add(self, where: str, own: list[LexborNode]) -> None:
        """Add a row with its own cells; a row without any, and none from above, is no row."""
        if not own and not self.pending:
            return
        cells: list[LexborNode] = []
        while own or len(cells) in self.pending:
            if len(cells) in self.pending:
                cell, left = self.pending.pop(len(cells))
                if left > 1:
                    self.pending[len(cells)] = cell, left - 1
                cells.append(cell)
            else:
                self._put(where, cells, own.pop(0))
        if any(column > len(cells) for column in self.pending):
            self.problems.append(f"{where}: it has fewer cells than the rows above reach into it")
        self.rows.append((where, cells))

    def _put(self, where: str, cells: list[LexborNode], cell: LexborNode) -> None:
        """Put a cell into all of its columns, and keep it for the rows below that it reaches into."""
        try:
            down, across = (_span(cell, name) for name in ("rowspan", "colspan"))
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            down = across = 1
        for _column in range(across):
            if down > 1:
                if len(cells) in self.pending:
                    self.problems.append(f"{where}: two cells overlap")
                self.pending[len(cells)] = cell, down - 1
            cells.append(cell)


def _span(cell: LexborNode, name: str) -> int:
    value = (cell.attributes.get(name) or "1").strip()
    if not value.isdecimal() or not 1 <= int(value) <= 200:
        raise ValueError(f"{name}={value!r} of a cell is not understood")
    return int(value)


def cell_text(cell: LexborNode) -> str:
    """A cell's text, without footnote marks."""
    parts: list[str] = []

    def collect(node: LexborNode) -> None:
        for child in node.iter(include_text=True):
            if child.tag == "-text":
                parts.append(child.text_content or "")
            elif child.tag not in _UNSEEN and not (child.tag == "sup" and _FOOTNOTE.fullmatch(one_space(child.text()))):
                block = " " if child.tag in _BLOCKS else ""
                parts.append(block)
                collect(child)
                parts.append(block)

    collect(cell)
    return one_space("".join(parts))
