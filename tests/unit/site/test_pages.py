# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages on the catalogue say what is so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import products_page
import pytest

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue

ROOT = Path(__file__).resolve().parents[3]
PRODUCTS = (ROOT / "docs" / "products.md").read_text(encoding="utf-8")
CATALOGUE = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")


def tables(text: str) -> list[list[list[str]]]:
    """Tables of a Markdown text, as rows of cells, without header and rule."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif found[-1]:
            found.append([])
    return [table[2:] for table in found if table]


# --- docs/products.md -------------------------------------------------------------------------------------------------


def test_products_page_is_current() -> None:
    assert products_page.main(["--check"]) == 0


def test_stale_page_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_page, "PAGE", tmp_path / "products.md")
    assert products_page.main(["--check"]) == 1
    assert products_page.main([]) == 0
    assert products_page.main(["--check"]) == 0
    (tmp_path / "products.md").write_text(PRODUCTS.replace("5223/tcp", "5224/tcp"), encoding="utf-8")
    assert products_page.main(["--check"]) == 1


def test_products_page_has_every_product_and_entry() -> None:
    catalogue = _catalogue.load(supplement=True)
    entries = [*catalogue.entries, *catalogue.everyday()["entries"]]
    first, usual, ports, *others = tables(PRODUCTS)
    assert len(first) + len(usual) == len(catalogue.products)
    assert set(re.findall(r"^## (.+)$", PRODUCTS, re.MULTILINE)) == {
        *(product["name"]["en"] for product in catalogue.products.values()),
        *("Rows without a product", "Everyday names", "Ports"),
    }
    listed = sum(len(cells[0].split(", ")) for table in others[:-1] for cells in table) + len(others[-1])
    assert listed == len(entries)
    assert all(entry["reason"].replace("|", "\\|") in PRODUCTS for entry in entries)
    assert len(ports) == len({(entry["port"], entry["protocol"]) for entry in entries})


def test_index_by_port_names_who_uses_a_port_which_way() -> None:
    found = {cells[0]: cells[1:] for cells in tables(PRODUCTS)[2]}
    assert found["137/udp"] == ["`netbios-ns`", "`netbios-ns`"]
    assert "[File Sharing](#file-sharing)" in found["548/tcp"][0] and found["548/tcp"][1] == ""
    assert (
        "[AirPlay](#airplay) †" in found["7000/tcp"][0]
        and "[AirPlay receiver](#airplay-receiver)" in found["7000/tcp"][0]
    )


def test_links_within_the_page_lead_somewhere() -> None:
    anchors = {products_page._anchor(heading) for heading in re.findall(r"^## (.+)$", PRODUCTS, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PRODUCTS)) <= anchors


def test_products_page_tells_ways_apart() -> None:
    first = {cells[0].split("]")[0].strip("["): cells[1:] for cells in tables(PRODUCTS)[0]}
    assert first["iCloud"][0] == "" and "443/udp †" in first["iCloud"][1]
    assert first["File Sharing"] == ["139/tcp local, 548/tcp local", ""]
    assert "2195/tcp (obsolete)" in first["Push Notifications"][1]
    assert first["FaceTime"][0] == "3478-3497/udp, 16384-16387/udp, 16393-16402/udp"


# --- docs/catalogue.md ------------------------------------------------------------------------------------------------


def test_worked_example_gives_what_the_page_says(write: Callable[..., str]) -> None:
    (site,) = re.findall(r"```yaml\n(---\n.*?)```", CATALOGUE, re.DOTALL)
    path = write(site, "example.yml")
    entries = _catalogue.select(_catalogue.load([path]), ["Sync", "File Sharing", "TLS websites"], direction="in")
    said = next(table for table in tables(CATALOGUE) if table[0][0] == "example-sync")
    assert said == [
        [entry["product"], f"{entry['port']}/{entry['protocol']}", entry["direction"], entry["scope"], entry["edition"]]
        for entry in entries
    ]


def test_page_lists_the_whole_supplement() -> None:
    said = next(table for table in tables(CATALOGUE) if table[0][0] == "AirPlay")
    supplement: dict[str, Any] = json.loads((ROOT / "data" / "supplement.json").read_text(encoding="utf-8"))
    entries = [entry for entry in _catalogue.load(supplement=True).entries if entry["edition"] == "supplement-2026"]
    assert len(said) == len({row["source"] for row in supplement["rows"]})
    for row in supplement["rows"]:
        (cells,) = [cells for cells in said if row["source"] in cells[3]]
        assert row["port"] in cells[1]
        own = [entry for entry in entries if entry["port"] == row["port"]]
        assert all(entry["name"]["en"] in cells[0] for entry in own if entry["source"] == row["source"])


def test_page_names_the_editions() -> None:
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", CATALOGUE, re.MULTILINE)) == {
        *(entry["edition"] for entry in _catalogue.load(supplement=True).entries),
        _catalogue.load().everyday()["edition"]["id"],
    }
