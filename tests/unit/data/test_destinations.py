# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and host names: they hold to their schemas, agree with the catalogue, and say what Apple's pages say."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import build_catalogue
import build_destinations
import pytest
from jsonschema import Draft202012Validator

DATA = Path(__file__).resolve().parents[3] / "data"
NETWORKS: dict[str, Any] = build_catalogue.load(DATA / "networks.yml")
HOSTS: dict[str, Any] = build_catalogue.load(DATA / "hosts.yml")


def ids(name: str) -> set[str]:
    """The ids of the products of a generated file."""
    found = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["products"]
    return {product["id"] for product in found} if isinstance(found, list) else set(found)


PRODUCTS = ids("catalogue") | ids("practice") | ids("supplement")
ROWS = {(section["id"], row["host"]): row for section in HOSTS["sections"] for row in section["hosts"]}


def refusals(name: str, data: Any) -> list[str]:
    schema = json.loads((DATA / f"{name}.schema.json").read_text(encoding="utf-8"))
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(data)]


@pytest.mark.parametrize(("name", "data"), [("networks", NETWORKS), ("hosts", HOSTS)])
def test_data_hold_to_their_schema(name: str, data: Any) -> None:
    assert refusals(name, data) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda data: data["sections"][0]["hosts"][0].update(host="Albert.apple.com"), "$.sections[0].hosts[0].host"),
        (lambda data: data["sections"][0]["hosts"][0].update(host="a.*.com"), "$.sections[0].hosts[0].host"),
        (lambda data: data["sections"][0]["hosts"][0].update(host="apple"), "$.sections[0].hosts[0].host"),
        (lambda data: data["sections"][0]["hosts"][0].update(ports=["0/tcp"]), "$.sections[0].hosts[0].ports[0]"),
        (lambda data: data["sections"][0]["hosts"][0].update(ports=[]), "$.sections[0].hosts[0].ports"),
        (lambda data: data["sections"][0]["hosts"][0].update(os=["iphoneOS"]), "$.sections[0].hosts[0].os[0]"),
        (lambda data: data["edition"].update(date="2025-13-01"), "$.edition.date"),
        (lambda data: data["products"].update(siri={}), "$.products.siri"),
    ],
)
def test_schema_refuses(change: Callable[[Any], None], place: str) -> None:
    data = copy.deepcopy(HOSTS)
    change(data)
    assert refusals("hosts", data) == [place]


# --- What Apple's pages say -------------------------------------------------------------------------------------------


def test_networks_are_those_of_the_page() -> None:
    sets = {given["id"]: (given["ipv4"], given["ipv6"]) for given in NETWORKS["networks"]}
    assert sets == {
        "apple": (["17.0.0.0/8"], []),
        "apns": (
            ["17.57.144.0/22", "17.188.20.0/23", "17.188.128.0/18", "17.249.0.0/16", "17.252.0.0/16"],
            ["2403:300:a42::/48", "2403:300:a51::/48", "2620:149:a44::/48", "2a01:b740:a42::/48"],
        ),
    }


def test_no_product_has_networks_of_a_content_delivery_network() -> None:
    assert {product for given in NETWORKS["networks"] for product in given["products"]} == {
        "push-notifications",
        "push-provider",
    }


@pytest.mark.parametrize(
    ("section", "host", "ports", "proxies"),
    [
        ("device-setup", "albert.apple.com", ["443/tcp"], True),
        ("device-setup", "time.apple.com", ["123/udp"], False),
        ("device-management", "*.push.apple.com", ["80/tcp", "443/tcp", "2197/tcp", "5223/tcp"], None),
        ("device-management", "axm-servicediscovery.apple.com", ["443/tcp"], None),
        ("business-and-school-manager", "upload.appleschoolcontent.com", ["22/tcp"], True),
        ("software-updates", "updates-http.cdn-apple.com", ["80/tcp"], False),
        ("icloud", "mask.icloud.com", ["443/udp"], False),
        ("icloud", "*.icloud-content.com", ["443/tcp", "443/udp"], False),
        ("certificate-validation", "ocsp2.apple.com", ["443/tcp"], False),
        ("apple-account", "account.apple.com", ["443/tcp"], None),
        ("apple-intelligence", "apple-relay.fastly-edge.com", ["443/tcp", "443/udp"], None),
    ],
)
def test_row_of_the_article(section: str, host: str, ports: list[str], proxies: bool | None) -> None:
    row = ROWS[section, host]
    assert (row["ports"], row.get("proxies")) == (ports, proxies)


def test_doubtful_names_stay_out_and_are_listed() -> None:
    page = (DATA / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"`([a-z0-9*.-]+)`", page.split("## Host names that stay out")[1].split("\n## ")[0])
    doubtful = {"apple-native-relay.apple.com", "appleid.apple.com", "crl.entrust.net", "metrics.icloud.com"}
    doubtful |= {"ns.itunes.apple.com", "ocsp.entrust.net", "pong.icloud.com", "probe.icloud.com"}
    doubtful |= {"api-business.apple.com", "api-school.apple.com"}
    assert set(listed) == doubtful
    assert {host for _section, host in ROWS} & doubtful == set()
    assert len({host for _section, host in ROWS}) == 127


# --- What the generator refuses ---------------------------------------------------------------------------------------


def test_generated_files_are_current() -> None:
    assert build_catalogue.main(["--check"]) == 0


def networks_problems(change: Callable[[Any], None]) -> list[str]:
    data = copy.deepcopy(NETWORKS)
    change(data)
    return build_destinations.networks(data, PRODUCTS)[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda sets: sets[0]["products"].append("pigeon"), "networks.yml, apns: pigeon is no product"),
        (lambda sets: sets[0]["ipv4"].append("10.0.0.1/8"), "networks.yml, apns: 10.0.0.1/8 has host bits set"),
        (lambda sets: sets[0]["ipv4"].append("9.0.0.0/8"), "networks.yml, apns: its networks of IPv4 do not ascend"),
        (lambda sets: sets[0]["ipv4"].append("fd00::/8"), "networks.yml, apns: fd00::/8 is not of IPv4"),
        (lambda sets: sets.append(sets[0]), "networks.yml: two sets have one id"),
    ],
)
def test_contradiction_in_networks(change: Callable[[Any], None], problem: str) -> None:
    assert networks_problems(lambda data: change(data["networks"])) == [problem]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data["products"].update(pigeon={"hosts": ["gs.apple.com"]}), "products.pigeon: it is no product"),
        (lambda data: data["products"]["siri"].update(sections=["x"]), "hosts.yml, products.siri: x is no section"),
        (lambda data: data["products"]["siri"].update(hosts=["x.y"]), "products.siri: x.y stands in no section"),
        (lambda data: data["sections"][1].update(names=["Device Setup"]), "devicesetup is a name of device-setup too"),
        (
            lambda data: data["sections"][0]["hosts"].append(data["sections"][0]["hosts"][0]),
            "hosts.yml, device-setup: albert.apple.com stands there twice",
        ),
    ],
)
def test_contradiction_in_hosts(change: Callable[[Any], None], problem: str) -> None:
    data = copy.deepcopy(HOSTS)
    change(data)
    (found,) = build_destinations.hosts(data, PRODUCTS, build_catalogue.utils("_names").normalise)[1]
    assert problem in found


def test_contradiction_stops_the_generator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / "networks.yml"
    wrong.write_text((DATA / "networks.yml").read_text(encoding="utf-8").replace("push-notifications", "pigeon"))
    monkeypatch.setattr(build_catalogue, "NETWORKS", wrong)
    with pytest.raises(build_catalogue.CatalogueError, match="pigeon is no product"):
        build_catalogue.generate()
