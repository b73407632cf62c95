#!/usr/bin/env python
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate docs/products.md: all products with their ports, directions, scopes and reasons, for people to read.

python tools/products_page.py            write it
python tools/products_page.py --check    write nothing; exit 1 when it is not current
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import build_catalogue
import generated

PAGE = build_catalogue.ROOT / "docs" / "products.md"

_DIRECTIONS = {"in": "in", "out": "out", "both": "in and out"}
_WORDS = {"site_port": "the site's port", "host_ephemeral": "the host's own range"}
_INTRODUCTION = """\
<!--
Copyright (c) 2026, netports.apple contributors
GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Written by tools/products_page.py from data/: change those, and run it again.
-->
# Products

What the catalogue knows, edition `{edition}`: {products} products and {entries} entries, without the
supplement, and [{everyday} everyday names](#everyday-names). Ask for a product by its name in English or Dutch, an alias, or
its id. [The catalogue](catalogue.md) has where all this comes from, and how a site adds its own. Who uses a port is in the
[index by port](#ports).

- **In**: the host listens, and needs the port open inbound. **Out**: the host connects. **In and out**: peers.
- **Local**: inbound only ever from local networks. **Internet**: from anywhere. This limits nothing outbound.
- **Sides**: what a port is to the `side` that a host is on, where a product has sides.
- Ports marked † are of the supplement (`{supplement}`), which is off unless asked for. On those marked (obsolete) Apple no
  longer answers: they get a rule only with `obsolete: true`.

| product | in | out |
|---|---|---|
"""

_EVERYDAY = "practice-2026"
_ABOUT_EVERYDAY = [
    "What administrators call the services that their hosts offer to Apple devices and use. They are no names of the article, are",
    "found by name alone, and enter no other answer. Each port says what kind of source it has: `apple`, `apple-secondhand` (a copy",
    "of Apple's page), `standard` (an RFC), `implementer` (software that speaks the protocol) or `field` (what users saw).",
]


def _text(text: str) -> str:
    """Text as a cell of a table takes it."""
    return text.replace("|", "\\|")


def _anchor(heading: str) -> str:
    """The anchor that a Markdown page gives to a heading."""
    return "".join(char for char in heading.lower().replace(" ", "-") if char.isalnum() or char in "-_")


def _source(source: str | None) -> str:
    if not source:
        return ""
    if source.startswith("RFC "):
        return f"[{source}](https://www.rfc-editor.org/rfc/rfc{source[4:]})"
    return f"[{source.split('/')[2]}]({source})"


def _ports(entries: Iterable[Mapping[str, Any]], direction: str, base: str) -> str:
    """The ports of a direction in one cell, as their rows print them, each once: "443/tcp, 3478-3497/udp"."""
    own = sorted((entry for entry in entries if entry["direction"] in (direction, "both")), key=_order)
    texts = [
        f"{_port(entry)}{'' if entry['edition'] in (base, _EVERYDAY) else ' †'}"
        + (" (obsolete)" if entry.get("obsolete") else "")
        + (" local" if direction == "in" and entry["scope"] == "local" else "")
        for entry in own
    ]
    return ", ".join(dict.fromkeys(texts))


def _port(entry: Mapping[str, Any]) -> str:
    """A port with its protocol; a word in words."""
    return f"{_WORDS.get(entry['port'], entry['port'])}/{entry['protocol']}"


def _order(entry: Mapping[str, Any]) -> tuple[str, int, int]:
    """By protocol and port; what is a word comes last."""
    return entry["protocol"], entry["first"] or 65536, entry["last"] or 0


def _sides(entry: Mapping[str, Any]) -> str:
    """What a port is to each side: "server in, client out"."""
    return ", ".join(f"{side['id']} {_DIRECTIONS[side['direction']]}" for side in entry.get("sides", ()))


def _table(entries: Iterable[Mapping[str, Any]], base: str) -> list[str]:
    """A table with a line for each judgement: ports that are judged alike, with the reason, stand together."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        judgement = (entry["direction"], entry["scope"], entry["reason"], entry["source"], _sides(entry))
        groups.setdefault(judgement, []).append(entry)
    lines = ["| ports | direction | scope | sides | why | source |", "|---|---|---|---|---|---|"]
    for (direction, scope, reason, source, sides), own in groups.items():
        ports = []
        for entry in own:
            marks = [
                *(["†"] if entry["edition"] not in (base, _EVERYDAY) else []),
                *(["(nested)"] if entry["nested"] else []),
                *(["(legacy)"] if entry["legacy"] else []),
                *([f"(obsolete since {entry['obsolete']['since']})"] if entry.get("obsolete") else []),
            ]
            ports.append(" ".join([_port(entry), *marks]))
        kind = f" ({own[0]['class']})" if own[0].get("class") else ""
        cells = [", ".join(ports), _DIRECTIONS[direction], scope, sides, _text(reason), f"{_source(source)}{kind}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _overview(products: Mapping[str, Any], entries: Mapping[str | None, list[Any]], base: str) -> list[str]:
    """A row of the table at the head for each product."""
    lines = []
    for name, product in products.items():
        own = [entry for member in (name, *product["members"]) for entry in entries[member]]
        heading = product["name"]["en"]
        cells = [f"[{_text(heading)}](#{_anchor(heading)})", _ports(own, "in", base), _ports(own, "out", base)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _chapters(
    products: Mapping[str, Any], entries: Mapping[str | None, list[Any]], base: str, dns_sd: Mapping[str, list[str]]
) -> list[str]:
    """A chapter for each product."""
    lines = []
    for name, product in products.items():
        others = dict.fromkeys([product["name"]["nl"], *product["aliases"]])
        others.pop(product["name"]["en"], None)
        lines += ["", f"## {product['name']['en']}", ""]
        also = ", ".join(f'"{other}"' for other in others)
        lines.append(f"`{name}`" + (f", also {also}" if also else "") + ".")
        if product["family"]:
            family = products[product["family"]]["name"]["en"]
            lines.append(f"Of the family [{family}](#{_anchor(family)}).")
        if product["members"]:
            names = [products[member]["name"]["en"] for member in product["members"]]
            lines.append(f"With its members: {', '.join(f'[{member}](#{_anchor(member)})' for member in names)}.")
        if product["nested_only"]:
            lines.append("The article names it only inside another product's parentheses.")
        if name in dns_sd:
            lines.append(f"Service discovery: {', '.join(f'`{kind}`' for kind in dns_sd[name])}.")
        if entries[name]:
            lines += ["", *_table(entries[name], base)]
    return lines


def _index(catalogue: Mapping[str, Any], base: str) -> list[str]:
    """A table of all ports with who uses them."""
    lines = ["", "## Ports", "", "| port | in | out |", "|---|---|---|"]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in sorted(catalogue["entries"], key=lambda entry: (entry["first"] or 65536, entry["last"] or 0)):
        found.setdefault(_port(entry), []).append(entry)
    for port, own in found.items():
        cells = [port]
        for direction in ("in", "out"):
            users = [
                f"`{entry['service_name']}`"
                if entry["product"] is None
                else f"[{_text(entry['name']['en'])}](#{_anchor(entry['name']['en'])})"
                + ("" if entry["edition"] in (base, _EVERYDAY) else " †")
                for entry in own
                if entry["direction"] in (direction, "both")
            ]
            cells.append(", ".join(dict.fromkeys(users)))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page(catalogue: Mapping[str, Any], supplement: Mapping[str, Any], everyday: Mapping[str, Any]) -> str:
    """Return the page's text.

    :param catalogue: catalogue.json with the supplement merged in.
    :param supplement: supplement.json.
    :param everyday: practice.json.
    """
    base = catalogue["edition"]["id"]
    articles, usual = (
        dict(sorted(data["products"].items(), key=lambda item: item[1]["name"]["en"].casefold()))
        for data in (catalogue, everyday)
    )
    entries: dict[str | None, list[Any]] = {name: [] for name in (*articles, *usual, None)}
    for entry in (*catalogue["entries"], *everyday["entries"]):
        entries[entry["product"]].append(entry)
    dns_sd = everyday["dns_sd"]
    lines = _overview(articles, entries, base)
    lines += ["", "## Everyday names", "", *_ABOUT_EVERYDAY, "", "| name | in | out |", "|---|---|---|"]
    lines += _overview(usual, entries, base)
    lines += _index({"entries": [*catalogue["entries"], *everyday["entries"]]}, base)
    lines += _chapters(articles, entries, base, dns_sd) + _chapters(usual, entries, base, dns_sd)
    lines += ["", "## Rows without a product", "", "Found by port, and by service: `service='ldaps'`.", ""]
    lines += ["| service | ports | direction | scope | why | source |", "|---|---|---|---|---|---|"]
    for entry in entries[None]:
        cells = [f"`{entry['service_name']}`", f"{entry['port']}/{entry['protocol']}", _DIRECTIONS[entry["direction"]]]
        cells += [entry["scope"], _text(entry["reason"]), _source(entry["source"])]
        lines.append(f"| {' | '.join(cells)} |")
    introduction = _INTRODUCTION.format(
        edition=base,
        products=len(articles) - len(supplement["products"]),
        everyday=len(usual),
        entries=sum(entry["edition"] == base for entry in catalogue["entries"]),
        supplement=supplement["edition"]["id"],
    )
    return introduction + "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status: 0, or 1 when the data are wrong or (--check) the page is stale."""
    parser = argparse.ArgumentParser(description="Generate docs/products.md from the catalogue.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is not current")
    options = parser.parse_args(arguments)
    try:
        catalogue = json.loads(build_catalogue.CATALOGUE.read_text(encoding="utf-8"))
        supplement = json.loads(build_catalogue.SUPPLEMENT_JSON.read_text(encoding="utf-8"))
        everyday = json.loads(build_catalogue.PRACTICE_JSON.read_text(encoding="utf-8"))
        text = page(build_catalogue.supplemented(catalogue, supplement), supplement, everyday)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return generated.keep(PAGE, text, "tools/products_page.py", options.check)


if __name__ == "__main__":
    sys.exit(main())
