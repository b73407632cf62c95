#!/usr/bin/env python
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate data/catalogue.json, which the plugins read, from the two files that people write.

    python tools/build_catalogue.py            write it
    python tools/build_catalogue.py --check    write nothing; exit 1 when it is not current

Facts (apple_ports.yml) and judgement (traffic.yml) are merged here once, so that nothing is left to compute in the
many short processes that look ports up. Needs PyYAML alone; the schemas are checked by the tests.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
FACTS = ROOT / "data" / "apple_ports.yml"
TRAFFIC = ROOT / "data" / "traffic.yml"
CATALOGUE = ROOT / "data" / "catalogue.json"
FORMAT = 1
LANGUAGES = ("en", "nl")

Judgements = dict[tuple[str, str, str], dict[str, Any]]  # (product, or "" without one; port; protocol)


class CatalogueError(ValueError):
    """The data contradict themselves; ``problems`` has a sentence for each contradiction."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(path: Path) -> Any:
    """Return what a YAML file holds. Raises yaml.YAMLError, and CatalogueError for a key that a mapping has twice.

    YAML itself lets the second of two equal keys win silently, and with it a product's judgements.
    """
    text = path.read_text(encoding="utf-8")
    problems: list[str] = []
    nodes = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _value in node.value]
            problems += [
                f"{path.name}, line {node.start_mark.line + 1}: key {key} is given twice"
                for key in sorted(set(keys))
                if keys.count(key) > 1
            ]
            nodes += [value for _key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    if problems:
        raise CatalogueError(problems)
    return yaml.safe_load(text)


def _normalise() -> Callable[[str], str]:
    """Return the plugins' own rule for comparing names, by path: the collection need not be installed."""
    path = ROOT / "plugins" / "plugin_utils" / "_names.py"
    spec = importlib.util.spec_from_file_location("netports_apple_names", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[str], str] = module.normalise
    return function


def _bounds(port: str) -> tuple[int, int]:
    first, _hyphen, last = port.partition("-")
    return int(first), int(last or first)


def _row_name(row: dict[str, Any]) -> dict[str, str]:
    """Return the name of a row that no product uses: its label, or else its service."""
    name: dict[str, str] = dict.fromkeys(LANGUAGES, row["label"]) if row["label"] else row["service"]
    return name


def _used(row: dict[str, Any]) -> Iterator[tuple[str | None, dict[str, str] | None, bool]]:
    """Yield (product, detail, nested) for a row, each product once, a nested one after what nests it.

    A product that the row names itself is not nested, whatever else nests it. A row that nobody uses yields None once.
    """
    named = {use["product"] for use in row["used_by"]}
    seen: set[str] = set()
    for use in row["used_by"]:
        yield use["product"], use.get("detail"), False
        for nested in use.get("nests", ()):
            if nested not in named and nested not in seen:
                seen.add(nested)
                yield nested, None, True
    if not row["used_by"]:
        yield None, None, False


def _judgements(traffic: dict[str, Any], problems: list[str]) -> Judgements:
    found: Judgements = {}
    groups = [(product, group) for product, groups in traffic["products"].items() for group in groups]
    groups += [("", group) for group in traffic["rows_without_product"]]
    for product, group in groups:
        for pair in group["ports"]:
            port, _slash, protocol = pair.partition("/")
            if (product, port, protocol) in found:
                problems.append(f"traffic.yml judges {pair} of {product or 'the row without product'} twice")
            found[product, port, protocol] = group
    return found


def _products(facts: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the products by id, sorted, with members filled in from each member's family."""
    named = {use["product"] for row in facts["rows"] for use in row["used_by"]}
    nested = {product for row in facts["rows"] for use in row["used_by"] for product in use.get("nests", ())}
    products: dict[str, Any] = {}
    for product in facts["products"]:
        if product["id"] in products:
            problems.append(f"product {product['id']} is defined twice")
        products[product["id"]] = {
            "name": {language: product["name"][language] for language in LANGUAGES},
            "aliases": product.get("aliases", []),
            "family": product.get("family"),
            "members": [member["id"] for member in facts["products"] if member.get("family") == product["id"]],
            "nested_only": product["id"] in nested - named,
        }
    for name, product in products.items():
        family = product["family"]
        if family is not None and family not in products:
            problems.append(f"{name} is of the family {family}, which is no product")
        elif family is not None and products[family]["family"] is not None:
            problems.append(f"{name} is of the family {family}, which is itself a member: families do not nest")
        if name not in named | nested and not product["members"]:
            problems.append(f"product {name} is used by no row and has no members")
    problems += [f"a row names {name}, which is no product" for name in sorted((named | nested) - set(products))]
    return dict(sorted(products.items()))


def _index(products: dict[str, Any], problems: list[str]) -> dict[str, str]:
    """Return the normal form of every id, name and alias with the id that it finds."""
    normalise = _normalise()
    index: dict[str, str] = {}
    for identifier, product in products.items():
        names = {normalise(name): name for name in product["name"].values()}
        for alias in product["aliases"]:
            if normalise(alias) in names:
                problems.append(f'{identifier}: alias "{alias}" is the same name as "{names[normalise(alias)]}"')
            names[normalise(alias)] = alias
        names.setdefault(normalise(identifier), identifier)
        for key, name in names.items():
            if not key:
                problems.append(f'{identifier}: nothing of the name "{name}" counts in a comparison')
            elif key in index:
                problems.append(f'"{name}" is a name of both {index[key]} and {identifier}')
            index[key] = identifier
    return dict(sorted(index.items()))


def build(facts: dict[str, Any], traffic: dict[str, Any]) -> dict[str, Any]:
    """Merge facts and judgement, each as its file holds it, into the catalogue.

    :raises CatalogueError: with everything in which the two contradict themselves or each other.
    :returns: {"format", "edition", "products" by id, "index": {normalised name: id}, "entries" in the article's order}.
    """
    problems: list[str] = []
    products = _products(facts, problems)
    index = _index(products, problems)
    judgements = _judgements(traffic, problems)
    unjudged = set(judgements)
    entries: list[dict[str, Any]] = []
    seen: set[tuple[str, str, str]] = set()
    for row in facts["rows"]:
        first, last = _bounds(row["port"])
        if first > last or row["port"] == f"{first}-{first}":
            problems.append(f"port {row['port']}: a range runs from a lower to a higher port")
        for product, detail, nested in _used(row):
            if product is not None and product not in products:
                continue
            for protocol in row["protocols"]:
                key = (product or "", row["port"], protocol)
                if key in seen:
                    problems.append(f"{row['port']}/{protocol} of {product or 'no product'} stands in two rows")
                seen.add(key)
                unjudged.discard(key)
                judgement = judgements.get(key)
                if judgement is None:
                    whose = product or "the row without product"
                    problems.append(f"traffic.yml has no judgement of {row['port']}/{protocol} of {whose}")
                    continue
                entries.append(
                    {
                        "product": product,
                        "name": products[product]["name"] if product else _row_name(row),
                        "port": row["port"],
                        "first": first,
                        "last": last,
                        "protocol": protocol,
                        "service": row["service"],
                        "service_name": row["label"],
                        "rfc": row["rfc"],
                        "detail": detail,
                        "nested": nested,
                        "direction": judgement["direction"],
                        "scope": judgement["scope"],
                        "legacy": row.get("legacy", False),
                        "edition": facts["edition"]["id"],
                        "reason": judgement["reason"],
                        "source": judgement.get("source"),
                    }
                )
    problems += [
        f"traffic.yml judges {port}/{protocol} of {product or 'a row without product'}, which apple_ports.yml does not have"
        for product, port, protocol in sorted(unjudged)
    ]
    if problems:
        raise CatalogueError(problems)
    return {"format": FORMAT, "edition": facts["edition"], "products": products, "index": index, "entries": entries}


def serialise(catalogue: dict[str, Any]) -> str:
    """Return the catalogue as compact JSON with one product, one name and one entry a line, so that a diff can be read."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    parts = []
    for key, value in catalogue.items():
        if key == "entries":
            text = "[\n" + ",\n".join(map(compact, value)) + "\n]"
        elif key in ("products", "index"):
            text = "{\n" + ",\n".join(f"{compact(name)}:{compact(item)}" for name, item in value.items()) + "\n}"
        else:
            text = compact(value)
        parts.append(f"{compact(key)}:{text}")
    return "{" + ",\n".join(parts) + "}\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status: 0, or 1 when the data are wrong or (--check) catalogue.json is stale."""
    parser = argparse.ArgumentParser(description="Generate data/catalogue.json from apple_ports.yml and traffic.yml.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when catalogue.json is not current")
    options = parser.parse_args(arguments)
    try:
        text = serialise(build(load(FACTS), load(TRAFFIC)))
    except (CatalogueError, yaml.YAMLError) as error:
        print(error, file=sys.stderr)
        return 1
    if not options.check:
        CATALOGUE.write_text(text, encoding="utf-8")
    elif not CATALOGUE.is_file() or CATALOGUE.read_text(encoding="utf-8") != text:
        print("data/catalogue.json is not current: run python tools/build_catalogue.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
