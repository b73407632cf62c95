#!/usr/bin/env python
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate the JSON that the plugins read, from the files that people write.

    python tools/build_catalogue.py            write it
    python tools/build_catalogue.py --check    write nothing; exit 1 when it is not current

Facts (apple_ports.yml) and judgement (traffic.yml) are merged into catalogue.json once, so that nothing is left to
compute in the many short processes that look ports up. The supplement becomes supplement.json as it stands, for the
processes that ask for it; the everyday names (practice.yml), networks.yml and hosts.yml become JSON of their own. Needs
PyYAML alone; the schemas are checked by the tests.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import build_destinations

ROOT = Path(__file__).resolve().parent.parent
FACTS = ROOT / "data" / "apple_ports.yml"
TRAFFIC = ROOT / "data" / "traffic.yml"
CATALOGUE = ROOT / "data" / "catalogue.json"
PRACTICE = ROOT / "data" / "practice.yml"
PRACTICE_JSON = ROOT / "data" / "practice.json"
SUPPLEMENT = ROOT / "data" / "supplement.yml"
SUPPLEMENT_JSON = ROOT / "data" / "supplement.json"
NETWORKS = ROOT / "data" / "networks.yml"
HOSTS = ROOT / "data" / "hosts.yml"


def utils(name: str) -> Any:
    """Return a module of plugins/plugin_utils, by path: the collection need not be installed."""
    package = types.ModuleType("netports_apple_utils")
    package.__path__ = [str(ROOT / "plugins" / "plugin_utils")]
    sys.modules.setdefault(package.__name__, package)
    return importlib.import_module(f"{package.__name__}.{name}")


_merge = utils("_catalogue_merge")
_names = utils("_names")
_yaml = utils("_strict_yaml")


class CatalogueError(ValueError):
    """The data contradict themselves; ``problems`` has a sentence for each contradiction."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(path: Path) -> Any:
    """Return what a YAML file holds. Raises OSError, and CatalogueError for what is not YAML or has a key twice."""
    try:
        return _yaml.read(str(path))
    except _yaml.ReadError as error:
        raise CatalogueError([f"{path.name}, {error}"]) from error


def parse(text: str) -> Any:
    """Return what YAML holds. Raises CatalogueError for what is none or has a key twice."""
    try:
        return _yaml.parse_yaml(text)
    except _yaml.ReadError as error:
        raise CatalogueError([str(error)]) from error


def build(facts: Mapping[str, Any], traffic: Mapping[str, Any]) -> dict[str, Any]:
    """Merge facts and judgement, each as its file holds it, into the catalogue.

    :raises CatalogueError: with everything in which the two contradict themselves or each other.
    :returns: {"format", "edition", "products" by id, "index": {normalised name: id}, "entries" in the article's order}.
    """
    try:
        built: dict[str, Any] = _merge.extend(_merge.NO_CATALOGUE, {**facts, "traffic": traffic})
    except _merge.ContradictionError as error:
        raise CatalogueError(
            [
                f"{TRAFFIC.name}, {place.removeprefix('traffic.')}: {why}"
                if place.startswith("traffic.")
                else f"{FACTS.name}, {place}: {why}"
                for place, why in error.problems
            ]
        ) from error
    return built


def supplemented(catalogue: Mapping[str, Any], supplement: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the supplement into the catalogue.

    :raises CatalogueError: with everything in which it contradicts itself or the catalogue.
    """
    try:
        built: dict[str, Any] = _merge.extend(catalogue, supplement)
    except _merge.ContradictionError as error:
        raise CatalogueError([f"{SUPPLEMENT.name}, {place}: {why}" for place, why in error.problems]) from error
    return built


def everyday(catalogue: Mapping[str, Any], practice: Mapping[str, Any]) -> dict[str, Any]:
    """Work out what everyday names add to the catalogue.

    :param practice: what practice.yml holds.
    :raises CatalogueError: with everything in which they contradict themselves or the catalogue.
    :returns: {"edition", "products", "index", "entries"}, as in the catalogue and nothing that is there already,
        "without_ports": {normalised name: {"reason", "instead"}} and "dns_sd": {product: [types]}.
    """
    addition = {key: practice[key] for key in ("edition", "products", "rows", "traffic")}
    try:
        built = _merge.extend(catalogue, addition)
    except _merge.ContradictionError as error:
        raise CatalogueError([f"{PRACTICE.name}, {place}: {why}" for place, why in error.problems]) from error
    products = {name: product for name, product in built["products"].items() if name not in catalogue["products"]}
    index = {name: product for name, product in built["index"].items() if name not in catalogue["index"]}
    entries = built["entries"][len(catalogue["entries"]) :]
    without_ports = {
        _names.normalise(name): {"reason": group["reason"], "instead": group["instead"]}
        for group in practice["without_ports"]
        for name in group["names"]
    }
    dns_sd: dict[str, list[str]] = {}
    for group in practice["dns_sd"]:
        for product in group["products"]:
            dns_sd.setdefault(product, []).extend(group["types"])
    meant = {name for hint in practice["usually_meant"] for name in (hint["product"], *hint["instead"])}
    problems = [f"{PRACTICE.name}, {name} is no product" for name in (meant | dns_sd.keys()) - built["products"].keys()]
    problems += [
        f"{PRACTICE.name}, {entry['port']}/{entry['protocol']}: {entry['product']} is a product of the article"
        for entry in entries
        if entry["product"] not in products
    ]
    problems += [
        f"{PRACTICE.name}, without_ports: {name} is a name of {built['index'][name]}"
        for name in without_ports.keys() & built["index"].keys()
    ]
    if problems:
        raise CatalogueError(sorted(problems))
    return {
        "edition": practice["edition"],
        "products": {name: {**product, "by_name": True} for name, product in products.items()},
        "index": index,
        "entries": entries,
        "without_ports": without_ports,
        "dns_sd": dict(sorted(dns_sd.items())),
    }


def newer(supplement: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Return the ports that the supplement adds to products: {product: {"in" or "out": ["7000/tcp", ...]}}."""
    found: dict[str, dict[str, list[str]]] = {}
    for (product, port, protocol), judgement, _place in _merge.judged(supplement["traffic"]):
        for direction in ("in", "out"):
            if judgement["direction"] in (direction, "both"):
                found.setdefault(product, {}).setdefault(direction, []).append(f"{port}/{protocol}")
    return dict(sorted(found.items()))


def compact(value: Any) -> str:
    """Return JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def serialise(catalogue: Mapping[str, Any]) -> str:
    """Return the catalogue as compact JSON with one product, one name and one entry a line, so that a diff can be read."""
    parts = []
    for key, value in catalogue.items():
        if key in ("entries", "usually_meant"):
            text = "[\n" + ",\n".join(map(compact, value)) + "\n]"
        elif key in ("products", "index", "supplement", "without_ports", "dns_sd"):
            text = "{\n" + ",\n".join(f"{compact(name)}:{compact(item)}" for name, item in value.items()) + "\n}"
        else:
            text = compact(value)
        parts.append(f"{compact(key)}:{text}")
    return "{" + ",\n".join(parts) + "}\n"


def generate() -> dict[Path, str]:
    """Return the texts of the generated files. Raises OSError, and CatalogueError for data that are wrong."""
    catalogue, supplement, practice = build(load(FACTS), load(TRAFFIC)), load(SUPPLEMENT), load(PRACTICE)
    names = everyday(catalogue, practice)
    whole = supplemented(catalogue, supplement)
    everyday(whole, practice)
    products = {**whole["products"], **names["products"]}
    networks, problems = build_destinations.networks(load(NETWORKS), products)
    hosts, others = build_destinations.hosts(load(HOSTS), products, _names.normalise)
    if problems or others:
        raise CatalogueError([*problems, *others])
    return {
        CATALOGUE: serialise(
            {**catalogue, "supplement": newer(supplement), "usually_meant": practice["usually_meant"]}
        ),
        PRACTICE_JSON: serialise(names),
        SUPPLEMENT_JSON: json.dumps(supplement, ensure_ascii=False, indent=1) + "\n",
        NETWORKS.with_suffix(".json"): serialise(networks),
        HOSTS.with_suffix(".json"): serialise(hosts),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status: 0, or 1 when the data are wrong or (--check) a file is stale."""
    parser = argparse.ArgumentParser(description="Generate the JSON of data/ that the plugins read.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is not current")
    options = parser.parse_args(arguments)
    try:
        texts = generate()
    except (CatalogueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    status = 0
    for path, text in texts.items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if not options.check:
            path.write_text(text, encoding="utf-8")
        else:
            print(f"data/{path.name} is not current: run python tools/build_catalogue.py", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
