# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup ``products``."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Ask = Callable[..., list[dict[str, Any]]]

ROOT = Path(__file__).resolve().parents[4]
PRODUCTS: dict[str, Any] = json.loads((ROOT / "data" / "catalogue.json").read_text(encoding="utf-8"))["products"]
KEYS = ["id", "name", "names", "aliases", "family", "members", "in", "out", "in_ranges", "out_ranges"]
KEYS += ["sides", "site_port", "dns_sd"]


def names(answer: list[dict[str, Any]]) -> list[str]:
    return [product["name"] for product in answer]


@pytest.mark.parametrize("language", ["en", "nl"])
def test_all_of_them_by_name(ask: Ask, plain: Callable[[Any], bool], language: str) -> None:
    answer = ask("products", language=language)
    assert plain(answer)
    assert names(answer) == sorted(names(answer), key=str.casefold)
    assert {product["id"] for product in answer} == PRODUCTS.keys()
    for product in answer:
        assert list(product) == KEYS
        known = PRODUCTS[product["id"]]
        assert product["names"] == known["name"] and product["name"] == known["name"][language]
        assert (product["aliases"], product["family"], product["members"]) == (
            known["aliases"],
            known["family"],
            known["members"],
        )
        for direction in ("in", "out"):
            assert list(product[direction]) == ["tcp", "udp"]
            assert all(type(port) is str for found in product[direction].values() for port in found)


def test_every_product_is_used_in_some_direction(ask: Ask) -> None:
    for product in ask("products", everyday=True):
        used = any(found for direction in ("in", "out") for found in product[direction].values())
        assert used == (product["id"] != "feedback-service"), "Apple no longer answers on its port"
    assert ask("products", "Feedback service", obsolete=True)[0]["out"]["tcp"] == ["2196"]


def test_ports_are_those_of_the_lookup_of_ports(ask: Ask) -> None:
    for product in ask("products", everyday=True, obsolete=True):
        for direction in ("in", "out"):
            for protocol in ("tcp", "udp"):
                if product["site_port"]:
                    continue
                merged = ask("ports", product["id"], direction=direction, protocol=protocol, merge=True)
                assert product[direction][protocol] == [one["port"] for one in merged]
                assert product[f"{direction}_ranges"][protocol] == [
                    {"first": one["first"], "last": one["last"]} for one in merged if one["first"] is not None
                ]


def test_everyday_names_are_listed_where_they_are_asked_for(ask: Ask) -> None:
    usual, every = ask("products"), ask("products", everyday=True)
    assert [product for product in every if product in usual] == usual
    assert {"AirPrint server", "DNS", "MDM server"} <= set(names(every)) - set(names(usual))
    assert names(every) == sorted(names(every), key=str.casefold)


def test_types_of_service_discovery(ask: Ask) -> None:
    found = {product["id"]: product["dns_sd"] for product in ask("products", everyday=True)}
    assert found["airplay"] == found["airplay-receiver"] == ["_airplay._tcp", "_raop._tcp"]
    assert found["time-machine-server"] == ["_smb._tcp", "_adisk._tcp", "_device-info._tcp"]
    assert found["facetime"] == []


def test_sides_and_ports_of_the_sites_own(ask: Ask) -> None:
    homekit, push = ask("products", "HomeKit", "Push Notifications")
    assert homekit["site_port"] and homekit["in"] == {"tcp": ["site_port"], "udp": ["5353"]}
    assert homekit["sides"] == ["server", "client"] and push["sides"] == ["device", "provider"]
    assert not push["site_port"]


def test_facetime(ask: Ask) -> None:
    (facetime,) = ask("products", "facetime")
    media = [{"first": first, "last": last} for first, last in ((3478, 3497), (16384, 16387), (16393, 16402))]
    assert facetime == {
        "id": "facetime",
        "name": "FaceTime",
        "names": {"en": "FaceTime", "nl": "FaceTime"},
        "aliases": [],
        "family": None,
        "members": [],
        "in": {"tcp": [], "udp": ["3478-3497", "16384-16387", "16393-16402"]},
        "out": {"tcp": ["80", "443", "5223"], "udp": ["3478-3497", "16384-16387", "16393-16402"]},
        "in_ranges": {"tcp": [], "udp": media},
        "out_ranges": {"tcp": [{"first": port, "last": port} for port in (80, 443, 5223)], "udp": media},
        "sides": [],
        "site_port": False,
        "dns_sd": [],
    }


def test_a_family_has_the_ports_of_its_members(ask: Ask) -> None:
    icloud, printing = ask("products", "iCloud", "Afdrukken")
    assert icloud["members"] == PRODUCTS["icloud"]["members"]
    assert icloud["in"] == {"tcp": [], "udp": []}
    assert icloud["out"] == {"tcp": ["25", "80", "443", "587", "993", "5223"], "udp": []}
    assert printing["id"] == "printing" and printing["out"]["tcp"] == ["515", "631", "9100"]
    assert [product["family"] for product in ask("products", *icloud["members"])] == ["icloud"] * 6


def test_order_of_the_terms_each_once(ask: Ask) -> None:
    assert names(ask("products", "Siri", ["Mail", "Kaarten"], "maps")) == ["Siri", "Mail", "Maps"]
    assert names(ask("products", "Siri", "Maps", language="nl")) == ["Siri", "Kaarten"]


def test_answers_can_be_written_and_spoilt(ask: Ask) -> None:
    answer = ask("products", "iCloud", "Calendar")
    before = json.dumps(answer)
    assert yaml.safe_load(yaml.safe_dump(answer)) == json.loads(before)
    for product in answer:
        product["aliases"].append("spoilt")
        product["members"].append("spoilt")
        product["names"]["en"] = "spoilt"
        product["in"]["tcp"].append("1")
    assert json.dumps(ask("products", "iCloud", "Calendar")) == before
    assert [entry for entry in ask("ports", "iCloud") if "spoilt" in str(entry)] == []


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        (["iTunes"], {}, "'iTunes' may be any of"),
        (["FaceTim"], {}, "did you mean 'FaceTime'"),
        ([""], {}, "an empty name"),
        ([[]], {}, "an empty list of products"),
        ([None], {}, "None is not the name of a product"),
        ([443], {}, "use port=443"),
        (["ldaps"], {}, "is a service, not a product"),
        ([], {"language": "fr"}, "language 'fr' is not one of en, nl"),
        ([], {"protocol": "tcp"}, "'protocol' is not an option: the options are everyday, obsolete, language, "),
        ([], {"catalogues": ["/nowhere.yml"]}, "catalogue '/nowhere.yml' cannot be read"),
        ([], {"catalogues": [None]}, "catalogues names None"),
    ],
    ids=str,
)
def test_bad_input(refusal: Callable[..., str], terms: list[Any], options: dict[str, Any], message: str) -> None:
    assert message in refusal("products", *terms, **options)


def test_in_a_template(template: Callable[..., Any]) -> None:
    assert (
        template("{{ query('netports.apple.products', 'iCloud')[0].out.tcp | join(' ') }}") == "25 80 443 587 993 5223"
    )
