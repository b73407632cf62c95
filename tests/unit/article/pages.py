# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make pages of the article from facts, in the layouts that Apple has used, and their text as browsers copy it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

HEADINGS = {
    "en": ("Port", "TCP or UDP", "Service or protocol name", "RFC", "Service name", "Used by"),
    "en-new": ("Port", "Type", "Service or protocol", "RFC", "Service name", "Used by"),
    "nl": ("Poort", "TCP of UDP", "Naam van voorziening of protocol", "RFC", "Naam voorziening", "Gebruikt door"),
    "de": ("Port", "TCP oder UDP", "Dienst- oder Protokollname", "RFC", "Dienstname", "Verwendet von"),
}
LEGACY = {"en": "legacy", "nl": "verouderd", "de": "veraltet"}


class Layout(NamedTuple):
    """How a page prints the table."""

    name: str
    language: str = "nl"
    declared: str | None = "nl-NL"  # the page's lang attribute
    protocols: str = "/"
    dash: str = "\u2013"
    empty: str = ""
    mark: str = "<sup>{}</sup>"  # of a footnote
    columns: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    head: str = "th"
    row_head: str = "td"
    paragraphs: bool = False
    split: bool = False  # TCP and UDP in a row each, below one port
    words: str = "nl"  # whose headings


LAYOUTS = [
    Layout("dutch"),
    Layout("english", "en", "en-US", words="en"),
    Layout("english-2025", "en", "en-US", ", ", "\u2013", "\u2014", words="en-new", row_head="th"),
    Layout("plain-marks", mark="{}", head="td"),
    Layout("hyphens", dash="-", empty="-", paragraphs=True),
    Layout("spaced", dash=" \u2013 ", empty="&nbsp;", protocols=" / "),
    Layout("linked-marks", mark='<sup><a href="#fn{0}">{0}</a></sup>', empty="\u2014", paragraphs=True),
    Layout("undeclared", declared=None),
    Layout("undeclared-english", "en", None, words="en"),
    Layout("split", split=True),
    Layout("five-2008", "en", "en", "/", "-", "-", columns=(0, 1, 2, 3, 5), words="en"),
    Layout("five-without-rfc", columns=(0, 1, 2, 4, 5)),
    Layout("german", "de", "de-DE", words="de"),
    Layout("german-2025", "de", "de-DE", ", ", "\u2013", "\u2014", words="de", row_head="th", paragraphs=True),
]


def row_cells(facts: Mapping[str, Any], row: Mapping[str, Any], layout: Layout) -> list[str]:
    """The six cells of a row, as text."""
    language = layout.language if layout.language in ("en", "nl") else "en"
    names = {product["id"]: product["name"][language] for product in facts["products"]}
    uses = [
        names[use["product"]] + (f" ({use['detail'][language]})" if "detail" in use else "") for use in row["used_by"]
    ]
    label = row["label"] or ""
    if layout.language == "de":
        # What a page in another language has for names is not compared, and must not be.
        uses, label = [f"Etwas ({len(uses)})" for _use in uses], label and f"{label}-dienst"
    if row.get("legacy"):
        label += f" ({LEGACY[layout.language]})"
    return [
        row["port"].replace("-", layout.dash),
        layout.protocols.join(protocol.upper() for protocol in row["protocols"]),
        row["service"][language] if row["service"] else "",
        str(row["rfc"] or ""),
        label,
        ", ".join(uses),
    ]


def table_cells(facts: Mapping[str, Any], layout: Layout) -> list[list[str]]:
    """All cells of the table, the headings first, in the layout's columns."""
    headings = list(HEADINGS[layout.words])
    rows = [headings, *(row_cells(facts, row, layout) for row in facts["rows"])]
    return [[cells[column] for column in layout.columns] for cells in rows]


def page(facts: Mapping[str, Any], layout: Layout, cells: Sequence[Sequence[str]] | None = None) -> str:
    """The whole page as HTML; ``cells`` instead of those that the facts give."""
    lang = f' lang="{layout.declared}"' if layout.declared else ""
    return (
        f"<!DOCTYPE html>\n<html{lang}><head><meta charset='utf-8'><title>Ports</title>"
        "<script>var table = '<table><tr><td>1</td><td>TCP</td></tr>';</script></head><body>\n"
        "<table class='navigation'><tr><td>Support</td><td>Contact</td></tr></table>\n"
        f"<h1>Ports</h1>\n{table(cells or table_cells(facts, layout), layout)}\n"
        "<ol><li>The service registered with the authority.</li></ol><p>65535 TCP</p></body></html>\n"
    )


def table(cells: Sequence[Sequence[str]], layout: Layout) -> str:
    """The table as HTML."""
    marks = {2: 1, 3: 2, 4: 3}
    head = "".join(
        f"<{layout.head}>{html.escape(text)}{layout.mark.format(marks[column]) if column in marks else ''}</{layout.head}>"
        for column, text in zip(layout.columns, cells[0], strict=False)
    )
    lines = ["<div><table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for own in cells[1:]:
        lines += _lines(own, layout)
    return "\n".join([*lines, "</tbody>", "</table></div>"])


def _lines(cells: Sequence[str], layout: Layout) -> list[str]:
    first, *others = cells
    if layout.split and others and "/" in others[0]:
        one, other = others[0].split("/")
        rest = "".join(f"<td rowspan='2'>{_inner(text, layout)}</td>" for text in others[1:])
        return [
            f"<tr><td rowspan=2>{_inner(first, layout)}</td><td>{one}</td>{rest}</tr>",
            f"<tr><td>{other}</td></tr>",
        ]
    tags = [layout.row_head, *["td"] * len(others)]
    inner = "".join(f"<{tag}>{_inner(text, layout)}</{tag}>" for tag, text in zip(tags, cells, strict=True))
    return [f"<tr>{inner}</tr>"]


def _inner(text: str, layout: Layout) -> str:
    escaped = html.escape(text) or layout.empty
    if layout.paragraphs:
        return f"\n  <p><span>{escaped.replace(', ', ',<br/> ', 1)}</span></p>\n  <!-- -->"
    return escaped


def flattened(facts: Mapping[str, Any], language: str, lines_of_cells: bool = False) -> str:
    """The article's text as a browser copies it, with what is hard about it.

    No-break spaces inside names, en dashes in ranges, footnote marks on lines of their own, a cell on the line after the
    next, a service that goes on on the next line, both separators, and names that leave out what both parts have.
    """
    layout = Layout("", language, words=language)
    headings = list(HEADINGS[language])
    lines = ["About ports", "", "Some services may use more than one of these ports, such as 500.", ""]
    lines += [f"{headings[0]} {headings[1].replace(' UDP', '')}", "UDP", headings[2], "1"]
    lines += [f"RFC2 {headings[4]}3 {headings[5]}"]
    for row in facts["rows"]:
        port, protocols, service, rfc, label, uses = row_cells(facts, row, layout)
        uses = elided(uses).replace("Game Center", "Game\u00a0Center").replace("), iCloud Mail", "); iCloud\u00a0Mail")
        if row["port"] == "110":
            service = service.replace(", ", ", \n")
        if row["port"] == "2195":
            label = "\u2014 "
        if row["port"] == "25":
            uses = f"\n\n{uses}\n"
        cells = [port, protocols, service, rfc, f" {label}" if row.get("legacy") else label, uses]
        lines.append(("\n" if lines_of_cells else " ").join(cell for cell in cells if cell))
    lines += ["", "1. The service that is registered.", "", "2. The number of the RFC.", "Date: 2026"]
    return "\n".join(lines) + "\n"


def elided(text: str) -> str:
    """Names as the article shortens them."""
    for whole, short in (
        ("iCloud-identiteitscontrole, iCloud DAV-voorzieningen", "iCloud-identiteitscontrole en DAV-voorzieningen"),
        ("iCloud-reservekopie, iCloud-apps", "iCloud-reservekopie en -apps"),
        ("Bestandsdeling, Windows-afdrukservices", "Bestandsdeling en Windows-afdrukservices"),
        ("iCloud Authentication, iCloud DAV Services", "iCloud Authentication & DAV Services"),
        ("iCloud Backup, iCloud Apps", "iCloud Backup & Apps"),
        ("File Sharing, Windows Print Services", "File Sharing and Windows Print Services"),
        ("Kerberos (including Screen Sharing authentication)", "Kerberos, including Screen Sharing authentication"),
    ):
        text = text.replace(whole, short)
    return text
