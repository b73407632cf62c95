# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup ``rules``: sets of products, with defaults."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

Ask = Callable[..., list[dict[str, Any]]]

LOCAL = ["10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"]


def names(rules: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(rule["name"], rule["direction"]) for rule in rules]


def test_one_set(ask: Ask, warnings: list[str], plain: Callable[[Any], bool]) -> None:
    rules = ask("rules", {"products": ["FaceTime", "Screen Sharing"], "directions": ["in"]}, supplement=False)
    assert rules == [
        {
            "name": "FaceTime",
            "direction": "in",
            "tcp": [],
            "udp": ["3478-3497", "16384-16387", "16393-16402"],
            "sources": [],
            "destinations": [],
            "interface": "",
            "out_interface": "",
        },
        {
            "name": "Screen Sharing",
            "direction": "in",
            "tcp": ["5900"],
            "udp": ["5900"],
            "sources": LOCAL,
            "destinations": [],
            "interface": "",
            "out_interface": "",
        },
    ]
    assert plain(rules) and warnings == []
    assert yaml.safe_load(yaml.safe_dump(rules)) == json.loads(json.dumps(rules)) == rules


def test_several_sets_each_with_its_own(ask: Ask) -> None:
    rules = ask(
        "rules",
        {"products": ["Screen Sharing"], "directions": ["in"], "sources": ["10.20.0.0/16"], "interface": "eth0"},
        [{"products": ["Screen Sharing"], "directions": ["in"], "sources": ["any"]}],
        {"services": ["domain"], "directions": ["out"], "destinations": ["192.0.2.53"]},
    )
    assert [(rule["name"], rule["sources"], rule["destinations"], rule["interface"]) for rule in rules] == [
        ("Screen Sharing", ["10.20.0.0/16"], [], "eth0"),
        ("Screen Sharing", [], [], ""),
        ("domain", [], ["192.0.2.53"], ""),
    ]


def test_rules_that_differ_in_nothing_but_ports_are_joined(ask: Ask) -> None:
    twice = ask("rules", {"products": ["FaceTime"]}, {"products": ["facetime"]})
    assert twice == ask("rules", {"products": ["FaceTime"]})


def test_defaults_fill_what_a_set_leaves_out(ask: Ask) -> None:
    defaults = {"directions": ["in"], "sources": ["192.0.2.0/24"], "interface": "eth0", "local_networks": ["any"]}
    given = {"products": ["Screen Sharing"], "sources": ["198.51.100.0/24"]}
    before = json.dumps([defaults, given])
    assert ask("rules", given, defaults=defaults) == ask("rules", {**defaults, **given})
    assert json.dumps([defaults, given]) == before
    assert ask("rules", {"products": ["Siri"]}, defaults={}) == ask("rules", {"products": ["Siri"]}, defaults=None)


def test_a_set_can_unset_what_the_defaults_set(ask: Ask) -> None:
    rules = ask("rules", {"products": ["Screen Sharing"], "sources": None}, defaults={"sources": ["192.0.2.0/24"]})
    assert rules[0]["sources"] == LOCAL


def test_defaults_as_the_role_gives_them(ask: Ask) -> None:
    """Unset variables of the role arrive as None."""
    defaults = {
        "directions": ["in", "out"],
        "local_networks": LOCAL,
        "sources": None,
        "destinations": None,
        "interface": None,
        "out_interface": None,
    }
    for products in (["FaceTime"], ["Screen Sharing", "AirPlay"], ["iCloud"]):
        assert ask("rules", {"products": products, "services": []}, defaults=defaults) == ask(
            "rules", {"products": products}
        )


def test_services_reach_rows_without_a_product(ask: Ask) -> None:
    rules = ask("rules", {"services": ["domain", "LDAPS", "Secure LDAP", "microsoft-ds"]})
    assert [(rule["name"], rule["direction"], rule["tcp"], rule["udp"], rule["sources"]) for rule in rules] == [
        ("domain", "out", ["53"], ["53"], []),
        ("LDAPS", "out", ["636"], [], []),
        ("Secure LDAP", "out", ["636"], [], []),
        ("microsoft-ds", "in", ["445"], [], LOCAL),
        ("microsoft-ds", "out", ["445"], [], []),
    ]


def test_every_service_makes_valid_rules(ask: Ask) -> None:
    for entry in ask("ports"):
        for service in filter(None, [entry["service_name"], entry["service"]]):
            for rule in ask("rules", {"services": [service], "directions": ["in", "out"]}):
                assert Rule.from_dict(rule).to_dict() == rule


def test_silent_products_are_warned_of_by_name(ask: Ask, warnings: list[str]) -> None:
    rules = ask("rules", {"products": ["iCloud", "Siri", "Screen Sharing"], "directions": ["in"]}, supplement=False)
    assert names(rules) == [("Screen Sharing", "in")]
    assert len(warnings) == 1
    for name in ("iCloud", "iCloud Mail", "Siri"):
        assert f"{name}," in warnings[0] or f"{name}:" in warnings[0]
    assert "Screen Sharing" not in warnings[0] and "nothing is opened" in warnings[0]


@pytest.mark.parametrize("directions", [["out", "in"], ["in", "out"]])
def test_what_another_set_opens_is_not_warned_of(ask: Ask, warnings: list[str], directions: list[str]) -> None:
    made = ask("rules", *({"products": ["Mail"], "directions": [direction]} for direction in directions))
    assert [rule["direction"] for rule in made] == ["out"] and warnings == []
    ask("rules", {"products": ["Mail"], "directions": ["in"]})
    assert [warning.partition(":")[0] for warning in warnings] == ["no rule for Mail"]


def test_one_warning_for_all_sets_each_name_once(ask: Ask, warnings: list[str]) -> None:
    ask("rules", *[{"products": ["Siri", "Screen Sharing"], "directions": ["in"]}] * 2, supplement=False)
    assert len(warnings) == 1 and warnings[0].count("Siri") == 1
    assert warnings[0].endswith("nothing is opened for it")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "there is no product to allow: name some"),
        ([[]], "there is no product to allow: name some"),
        ([{}], "a set names neither products nor services"),
        ([{"products": []}], "a set names neither products nor services"),
        ([{"products": None, "services": []}], "a set names neither products nor services"),
        ([{"products": ["Siri"]}, {"interface": "eth0"}], "a set names neither products nor services"),
        (["FaceTime"], "'FaceTime' is not a set of products: give a mapping"),
        ([None], "None is not a set of products"),
        ([5], "5 is not a set of products"),
        ([{"products": 5}], "products is 5: give a list of names"),
        ([{"products": {"FaceTime": 1}}], "products is {'FaceTime': 1}: give a list"),
        ([{"services": True}], "services is True: give a list of names"),
        ([{"services": [None]}], "services names None"),
        ([{"services": [""]}], "service '' is not a text"),
        ([{"services": ["gopher"]}], "'gopher' is not a service of the catalogue"),
        ([{"services": [22]}], "service 22 is not a text"),
        ([{"products": [None]}], "None is not the name of a product"),
        ([{"products": ["iTunes"]}], "'iTunes' may be any of"),
        ([{"products": [["FaceTime"]]}], "['FaceTime'] is not the name of a product"),
        ([{"products": ["Siri"], "source": ["any"]}], "'source' is not an option: did you mean 'sources'?"),
        ([{"products": ["Siri"], 5: 1}], "'5' is not an option"),
        ([{"products": ["Siri"], "sources": []}], "sources is an empty list"),
        ([{"products": ["Siri"], "destinations": []}], "destinations is an empty list"),
        ([{"products": ["Siri"], "local_networks": []}], "local_networks is an empty list"),
        ([{"products": ["Siri"], "directions": []}], "directions is []"),
        ([{"products": ["Siri"], "directions": ["inout"]}], "directions is ['inout']"),
        ([{"products": ["Siri"], "sources": ["10.0.0.1/8"]}], "'10.0.0.1/8' has bits set beyond its prefix"),
        ([{"products": ["Siri"], "interface": "eth0; id"}], "'eth0; id' is not an interface name"),
    ],
    ids=str,
)
def test_bad_sets(refusal: Callable[..., str], sets: list[Any], message: str) -> None:
    assert message in refusal("rules", *sets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"defaults": "x"}, "'x' is not a set of products"),
        ({"defaults": ["in"]}, "['in'] is not a set of products"),
        ({"defaults": {"direction": ["in"]}}, "'direction' is not an option: did you mean 'directions'?"),
        ({"defaults": {"sources": []}}, "sources is an empty list"),
        ({"default": {}}, "'default' is not an option: did you mean 'defaults'?"),
        ({"catalogues": ["/nowhere.yml"]}, "catalogue '/nowhere.yml' cannot be read"),
    ],
    ids=str,
)
def test_bad_options(refusal: Callable[..., str], options: dict[str, Any], message: str) -> None:
    assert message in refusal("rules", {"products": ["Siri"]}, **options)


def test_in_a_template(template: Callable[..., Any], ask: Ask) -> None:
    sets = [{"products": ["FaceTime"]}, {"services": ["ldaps"], "directions": ["out"]}]
    assert template("{{ query('netports.apple.rules', sets, defaults={'interface': 'eth0'}) }}", sets=sets) == ask(
        "rules", *sets, defaults={"interface": "eth0"}
    )


# --- Apple's networks -------------------------------------------------------------------------------------------------

APNS = [
    *("17.57.144.0/22", "17.188.20.0/23", "17.188.128.0/18", "17.249.0.0/16", "17.252.0.0/16"),
    *("2403:300:a42::/48", "2403:300:a51::/48", "2620:149:a44::/48", "2a01:b740:a42::/48"),
]
PUSH = {"products": ["Push Notifications"], "directions": ["out"]}


def test_words_for_networks_of_apples(ask: Ask, warnings: list[str]) -> None:
    (rule,) = ask("rules", {**PUSH, "destinations": ["APNs"]})
    assert rule["destinations"] == APNS
    (rule,) = ask("rules", PUSH, defaults={"destinations": ["apple", "apns", "192.0.2.0/24"]})
    assert rule["destinations"] == ["17.0.0.0/8", *APNS[:5], "192.0.2.0/24", *APNS[5:]]
    (rule,) = ask("rules", {**PUSH, "directions": ["forward"], "destinations": ["apns"], "sources": ["10.1.0.0/16"]})
    assert (rule["direction"], rule["destinations"]) == ("forward", APNS)
    assert warnings == []


@pytest.mark.parametrize(
    ("facts", "warned"),
    [
        ({}, True),
        ({"ansible_facts": {}}, True),
        ({"ansible_facts": {"all_ipv6_addresses": ["fe80::1", "2001:db8::7"]}}, True),
        ({"ansible_facts": {"all_ipv6_addresses": ["fe80::1", "::1"]}}, False),
        ({"ansible_facts": {"all_ipv6_addresses": []}}, False),
    ],
)
def test_ipv4_alone_is_warned_of_where_the_host_may_have_ipv6(
    facts: dict[str, Any], warned: bool, warnings: list[str]
) -> None:
    from ansible.plugins.loader import lookup_loader

    for destinations in (["apple"], ["apple", "192.0.2.0/24"]):
        lookup_loader.get("netports.apple.rules").run([{**PUSH, "destinations": destinations}], variables=facts)
    lookup_loader.get("netports.apple.rules").run([{**PUSH, "destinations": ["apple", "fd00::/8"]}], variables=facts)
    assert len(warnings) == (2 if warned else 0)
    assert all("destinations names 'apple', for which Apple publishes IPv4 networks alone" in text for text in warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"products": ["Software Update"], "destinations": ["apple"]}, "no networks for Software Update: "),
        (
            {"products": ["Push Notifications", "iCloud Mail"], "destinations": ["apns"]},
            "no networks for iCloud Mail: ",
        ),
        (
            {"products": ["Push Notifications"], "services": ["domain"], "destinations": ["apns"]},
            "networks for domain: ",
        ),
        ({"products": ["Push Notifications"], "destinations": ["apn"]}, "did you mean 'apns'?"),
        ({"products": ["Push Notifications"], "destinations": ["example"]}, "neither a network nor a word"),
        ({"products": ["Push Notifications"], "destinations": ["push.apple.com"]}, "no host names"),
        ({"products": ["Push Notifications"], "destinations": ["any", "apns"]}, "names 'any' beside other networks"),
        ({"products": ["Push Notifications"], "sources": ["apns"]}, "'apns' is not a network"),
    ],
    ids=str,
)
def test_bad_words(refusal: Callable[..., str], given: dict[str, Any], message: str) -> None:
    assert message in refusal("rules", given)
