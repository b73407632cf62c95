# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people type and what they get: two tables, read like a specification.

``names.tsv`` has names with the ports that they open inbound and outbound, as judged or on a side.
``refused_names.tsv`` has names that are refused, with a part of the message.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _products
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError

HERE = Path(__file__).parent
PRACTICE: dict[str, Any] = json.loads((HERE.parents[2] / "data" / "practice.json").read_text(encoding="utf-8"))
EDITION = "practice-2026"


def table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))


@pytest.fixture
def catalogue() -> _catalogue.Catalogue:
    """A catalogue that has not read the everyday names yet."""
    return _catalogue.Catalogue(_catalogue.read("catalogue.json"))


def test_the_tables_are_whole() -> None:
    assert len(table("names.tsv")) >= 60 and len(table("refused_names.tsv")) >= 28


@pytest.mark.parametrize("row", table("names.tsv"), ids=lambda row: f"{row['name']} {row['side']}".strip())
def test_name(catalogue: _catalogue.Catalogue, row: dict[str, str]) -> None:
    entries = _catalogue.select(catalogue, [row["name"]], side=row["side"] or None)
    for direction in ("in", "out"):
        found = {
            f"{entry['port']}/{entry['protocol']}" for entry in entries if entry["direction"] in (direction, "both")
        }
        assert found == set(row[direction].split()), direction


@pytest.mark.parametrize("row", table("refused_names.tsv"), ids=lambda row: row["name"])
def test_refused_name(catalogue: _catalogue.Catalogue, row: dict[str, str]) -> None:
    with pytest.raises(CatalogueError) as caught:
        _catalogue.select(catalogue, [row["name"]])
    assert row["message"] in str(caught.value), str(caught.value)


def test_every_everyday_name_and_alias_is_found(catalogue: _catalogue.Catalogue) -> None:
    for identifier, product in PRACTICE["products"].items():
        for name in (identifier, *product["name"].values(), *product["aliases"]):
            assert catalogue.resolve(name) == identifier


def test_every_name_without_ports_is_refused_with_its_reason(catalogue: _catalogue.Catalogue) -> None:
    for name, group in PRACTICE["without_ports"].items():
        with pytest.raises(CatalogueError) as caught:
            catalogue.resolve(name)
        assert group["reason"] in str(caught.value)


def test_they_enter_no_other_answer(catalogue: _catalogue.Catalogue) -> None:
    before = [_catalogue.select(catalogue, None), _catalogue.select(catalogue, ["AirPlay", "Bonjour", "iCloud"])]
    before.append(_catalogue.select(catalogue, None, port=7000))
    catalogue.everyday()
    after = [_catalogue.select(catalogue, None), _catalogue.select(catalogue, ["AirPlay", "Bonjour", "iCloud"])]
    after.append(_catalogue.select(catalogue, None, port=7000))
    assert after == before and before[2] == []
    assert {entry["edition"] for entry in before[0]} == {"nl-2026"} and len(before[0]) == 143
    assert all(not product["id"].startswith("airprint") for product in _products.describe(catalogue, None))


def test_each_port_has_a_source_and_its_class(catalogue: _catalogue.Catalogue) -> None:
    classes = {"apple", "apple-secondhand", "standard", "implementer", "field"}
    for identifier in PRACTICE["products"]:
        catalogue.everyday()
        for entry in catalogue.of_product(identifier, members=True):
            assert entry["edition"] == EDITION and entry["source"] and entry["class"] in classes
            assert (entry["class"] == "standard") == entry["source"].startswith("RFC ")
            assert entry["class"] not in ("apple", "apple-secondhand") or ".apple.com/" in entry["source"]


def test_nothing_of_them_comes_in_from_the_internet_but_devices_to_their_mdm_server() -> None:
    inbound = [e for e in PRACTICE["entries"] if e["direction"] != "out" and e["scope"] == "internet"]
    assert [(entry["product"], entry["port"]) for entry in inbound] == [("mdm-server", "site_port")]


def test_ports_of_the_sites_own(catalogue: _catalogue.Catalogue) -> None:
    def found(ports: Any, name: str = "HomeKit", **options: Any) -> list[str]:
        entries = _catalogue.select(catalogue, [name], ports=ports, **options)
        return [f"{entry['port']}/{entry['protocol']} {entry['direction']}" for entry in entries]

    assert found([21064]) == found("21064") == found(["21064/tcp"]) == ["21064/tcp in", "5353/udp both"]
    assert found(["21064-21070", 30000])[:2] == ["21064-21070/tcp in", "30000/tcp in"]
    assert found(["host_ephemeral"])[0] == "host_ephemeral/tcp in"
    assert found(["443"], "MDM server") == ["443/tcp out", "443/tcp in", "2197/tcp out"]
    assert found([49200], "Content cache", side="client") == ["443/tcp out", "49200/tcp out"]
    for ports, message in (
        ([], "is an empty list"),
        ([0], "out of range"),
        (["21064/sctp"], "names no protocol that there is"),
        (["x"], "is not a port"),
    ):
        with pytest.raises(CatalogueError, match=message):
            found(ports)
    with pytest.raises(CatalogueError, match="no product takes them"):
        found([21064], "FaceTime")
    with pytest.raises(CatalogueError, match="give each a set of its own"):
        _catalogue.select(catalogue, ["HomeKit", "Content cache"], ports=[21064])


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("DNS", {"53/tcp", "53/udp"}),
        ("SMB", {"139/tcp"}),
        ("mdns", {"5353/udp"}),
        ("HTTPS", {"443/tcp"}),
        ("ssl", {"443/tcp"}),
        ("SFTP", {"22/tcp"}),
        ("WINS", {"137/udp"}),
    ],
)
def test_services_are_found_by_their_short_forms(
    catalogue: _catalogue.Catalogue, service: str, ports: set[str]
) -> None:
    entries = _catalogue.select(catalogue, None, service=service)
    assert {f"{entry['port']}/{entry['protocol']}" for entry in entries} == ports
