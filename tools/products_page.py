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
_INTRODUCTION = """\
<!--
Copyright (c) 2026, netports.apple contributors
GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Written by tools/products_page.py from data/: change those, and run it again.
-->
# Products

What the catalogue knows, edition `{edition}`: {products} products and {entries} entries, without the
supplement. Ask for a product by its name in English or Dutch, an alias, or its id. [The catalogue](catalogue.md) has
where all this comes from, and how a site adds its own.

- **In**: the host listens, and needs the port open inbound. **Out**: the host connects. **In and out**: peers.
- **Local**: inbound only ever from local networks. **Internet**: from anywhere. This limits nothing outbound.
- Ports marked † are of the supplement (`{supplement}`), which is off unless asked for.

| product | in | out |
|---|---|---|
"""


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
    own = sorted(
        (entry for entry in entries if entry["direction"] in (direction, "both")),
        key=lambda entry: (entry["protocol"], entry["first"], entry["last"]),
    )
    texts = [
        f"{entry['port']}/{entry['protocol']}{'' if entry['edition'] == base else ' †'}"
        + (" local" if direction == "in" and entry["scope"] == "local" else "")
        for entry in own
    ]
    return ", ".join(dict.fromkeys(texts))


def _table(entries: Iterable[Mapping[str, Any]], base: str) -> list[str]:
    """A table with a line for each judgement: ports that are judged alike, with the reason, stand together."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        judgement = (entry["direction"], entry["scope"], entry["reason"], entry["source"])
        groups.setdefault(judgement, []).append(entry)
    lines = ["| ports | direction | scope | why | source |", "|---|---|---|---|---|"]
    for (direction, scope, reason, source), own in groups.items():
        ports = []
        for entry in own:
            marks = [
                *(["†"] if entry["edition"] != base else []),
                *(["(nested)"] if entry["nested"] else []),
                *(["(legacy)"] if entry["legacy"] else []),
            ]
            ports.append(" ".join([f"{entry['port']}/{entry['protocol']}", *marks]))
        cells = [", ".join(ports), _DIRECTIONS[direction], scope, _text(reason), _source(source)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page(catalogue: Mapping[str, Any], supplement: Mapping[str, Any]) -> str:
    """Return the page's text.

    :param catalogue: catalogue.json with the supplement merged in.
    :param supplement: supplement.json.
    """
    base = catalogue["edition"]["id"]
    products = dict(sorted(catalogue["products"].items(), key=lambda item: item[1]["name"]["en"].casefold()))
    entries: dict[str | None, list[Any]] = {name: [] for name in (*products, None)}
    for entry in catalogue["entries"]:
        entries[entry["product"]].append(entry)
    lines = []
    for name, product in products.items():
        own = [entry for member in (name, *product["members"]) for entry in entries[member]]
        heading = product["name"]["en"]
        cells = [f"[{_text(heading)}](#{_anchor(heading)})", _ports(own, "in", base), _ports(own, "out", base)]
        lines.append(f"| {' | '.join(cells)} |")
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
        if entries[name]:
            lines += ["", *_table(entries[name], base)]
    lines += ["", "## Rows without a product", "", "Found by port, and by service: `service='ldaps'`.", ""]
    lines += ["| service | ports | direction | scope | why | source |", "|---|---|---|---|---|---|"]
    for entry in entries[None]:
        cells = [f"`{entry['service_name']}`", f"{entry['port']}/{entry['protocol']}", _DIRECTIONS[entry["direction"]]]
        cells += [entry["scope"], _text(entry["reason"]), _source(entry["source"])]
        lines.append(f"| {' | '.join(cells)} |")
    introduction = _INTRODUCTION.format(
        edition=base,
        products=len(products) - len(supplement["products"]),
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
        text = page(build_catalogue.supplemented(catalogue, supplement), supplement)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return generated.keep(PAGE, text, "tools/products_page.py", options.check)


if __name__ == "__main__":
    sys.exit(main())
