# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make pages of the article on hosts from hosts.yml, in the forms and languages that it may have."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, NamedTuple


class Layout(NamedTuple):
    """How a page prints its tables."""

    name: str
    lang: str
    headings: tuple[str, ...]  # of the six columns
    yes: str
    no: str = "\u2014"
    comma: str = ", "
    conjunction: str = " and "
    only: str = ""  # behind the systems
    heading: str = "{name}"  # of a section
    columns: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    both: str = ""  # between TCP and UDP in one row, where a host has the same ports of both; else a row for each


LAYOUTS = [
    Layout("english", "en-US", ("Hosts", "Ports", "Protocol", "OS", "Description", "Supports proxies"), "Yes"),
    Layout(
        *("dutch", "nl-NL"),
        ("Hosts", "Poorten", "Protocol", "Besturingssysteem", "Omschrijving", "Ondersteunt proxy's"),
        *("Ja", "Nee", ", ", " en ", "", "Deel {number}"),
    ),
    Layout(
        *("chinese", "zh-CN"),
        ("\u4e3b\u673a", "\u7aef\u53e3", "\u534f\u8bae", "OS", "\u63cf\u8ff0", "\u652f\u6301\u4ee3\u7406"),
        *("\u662f", "\u2014", "\u3001", " \u548c ", "", "\u7b2c {number} \u8282"),
    ),
    Layout(
        *("german", "de-DE"),
        ("Hosts", "Ports", "Protokoll", "Betriebssystem", "Beschreibung", "Unterst\u00fctzt Proxys"),
        *("Ja", "Nein", ", ", " und ", " (nur)", "Abschnitt {number}"),
    ),
    Layout(
        "no-proxies", "en-GB", ("Hosts", "Ports", "Protocol", "OS", "Description", ""), "Yes", columns=(0, 1, 2, 3, 4)
    ),
    Layout(
        *("both", "en-US", ("Hosts", "Ports", "Protocol", "OS", "Description", "Supports proxies"), "Yes"),
        both=", ",
    ),
    Layout(
        "no-systems",
        "en-GB",
        ("Hosts", "Ports", "Protocol", "", "Description", "Proxies"),
        "Yes",
        columns=(0, 1, 2, 4, 5),
    ),
]


def page(data: Mapping[str, Any], layout: Layout) -> str:
    """The whole page as HTML."""
    parts = [
        f"<!DOCTYPE html>\n<html lang='{layout.lang}'><head><meta charset='utf-8'><title>Hosts</title></head><body>",
        "<table><tr><td>Support</td><td>Contact</td></tr></table><h1>Hosts and ports</h1>",
    ]
    for number, section in enumerate(data["sections"], 1):
        parts.append(f"<h2>{html.escape(layout.heading.format(name=section['name'], number=number))}</h2>")
        parts.append(f"<p>443 TCP</p><div>{table(section['hosts'], layout)}</div>")
    return "\n".join([*parts, "</body></html>\n"])


def table(rows: list[Mapping[str, Any]], layout: Layout) -> str:
    """A section's table."""
    head = "".join(f"<th>{html.escape(layout.headings[column])}</th>" for column in layout.columns)
    lines = [f"<table><thead><tr>{head}</tr></thead><tbody>"]
    for row in rows:
        ports = {
            protocol: [pair.split("/")[0] for pair in row["ports"] if pair.endswith(protocol)]
            for protocol in ("tcp", "udp")
        }
        if layout.both and ports["tcp"] == ports["udp"]:
            ports = {f"tcp{layout.both}udp": ports["tcp"]}
        for protocol, own in ports.items():
            if own:
                cells = _cells(row, own, protocol, layout)
                lines.append(
                    "<tr>" + "".join(f"<td>{html.escape(cells[column])}</td>" for column in layout.columns) + "</tr>"
                )
    return "\n".join([*lines, "</tbody></table>"])


def _cells(row: Mapping[str, Any], ports: list[str], protocol: str, layout: Layout) -> list[str]:
    systems = list(row.get("os", ()))
    said = layout.comma.join(systems[:-1]) + layout.conjunction + systems[-1] if len(systems) > 1 else "".join(systems)
    return [
        row["host"],
        layout.comma.join(reversed(ports)),
        protocol.upper(),
        said + layout.only if said else "\u2014",
        f"What {row['host']} is for, in a sentence.",
        {True: layout.yes, False: layout.no, None: "\u2014"}[row.get("proxies")],
    ]
