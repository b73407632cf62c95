# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guide and the examples recommend does the job: the port that has to answer is in the rules."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from matrix.plays import ROOT

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _sets

CHOOSING = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (a .+?) \| (.+?) \| ((?:in|out) .+) \|$", CHOOSING, re.MULTILINE)
FLEET = ROOT / "examples" / "fleet" / "group_vars"


def opened(given: dict[str, Any], supplement: bool = False) -> tuple[set[tuple[str, str]], list[str]]:
    """The ports of a set's rules, as ("in", "445/tcp"), and the warnings."""
    compiled = _sets.compile_sets(_catalogue.load(supplement=supplement), [given])
    ports = {
        (rule["direction"], f"{port}/{protocol}")
        for rule in compiled.rules
        for protocol in ("tcp", "udp")
        for port in rule[protocol]
    }
    return ports, compiled.warnings


def promised(text: str) -> set[tuple[str, str]]:
    """What a cell such as "in 443/tcp, out 443/tcp, 2197/tcp" says."""
    found, direction = set(), ""
    for word in text.replace(",", "").split():
        if word in ("in", "out"):
            direction = word
        else:
            found.add((direction, word))
    return found


def test_every_host_of_the_guide_is_there() -> None:
    assert len(ROWS) == 12


@pytest.mark.parametrize(("host", "products", "works"), ROWS)
def test_recommendation_of_the_guide(host: str, products: str, works: str) -> None:
    names, _with, option = products.partition(", with ")
    given = {"products": names.split(", "), **(yaml.safe_load(option.strip("`")) if option else {})}
    ports, warnings = opened(given)
    assert promised(works) <= ports, f"{host}: {sorted(ports)}"
    assert not any("usually meant" in text or "opens nothing inbound" in text for text in warnings), warnings


# What has to answer on a host of a group, inbound or outbound.
NEEDS = {
    "all": "out 443/tcp, 5223/tcp, 53/udp",
    "clients": "out 587/tcp, 993/tcp, 443/tcp",
    "file_servers": "in 445/tcp, 5353/udp",
    "gateways": "out 123/udp, 636/tcp",
    "macs": "in 7000/tcp, 5353/udp, 3478-3497/udp",
    "print_servers": "in 631/tcp, 5353/udp",
}


def test_every_group_of_the_fleet_is_there() -> None:
    assert NEEDS.keys() == {path.stem for path in FLEET.glob("*.yml")}
    inventory = InventoryManager(DataLoader(), [str(FLEET.parent / "inventory.yml")])
    assert NEEDS.keys() <= set(inventory.groups)


@pytest.mark.parametrize("group", sorted(NEEDS))
def test_recommendation_of_the_fleet(group: str) -> None:
    values = yaml.safe_load((FLEET / f"{group}.yml").read_text(encoding="utf-8"))
    given = {key: values.get(f"fleet_{key}_{group}", []) for key in ("products", "services")}
    supplement = values.get("host_firewall_supplement")
    ports, warnings = opened(given, bool(supplement))
    assert promised(NEEDS[group]) <= ports, sorted(ports)
    assert not any("usually meant" in text for text in warnings), warnings
