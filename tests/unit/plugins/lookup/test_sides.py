# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sides, ports of a site's own, dead ports, and warnings that turn a surprise into a decision: in sets and in the role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible.release import __version__

Ask = Callable[..., list[dict[str, Any]]]


def opened(rules: list[dict[str, Any]]) -> set[str]:
    """What rules open, as "in File Sharing 139/tcp"."""
    return {
        f"{rule['direction']} {rule['name']} {port}/{protocol}"
        for rule in rules
        for protocol in ("tcp", "udp")
        for port in rule[protocol]
    }


# --- Sides ------------------------------------------------------------------------------------------------------------


def test_a_client_opens_nothing_inbound(ask: Ask, warnings: list[str]) -> None:
    assert opened(ask("rules", {"products": ["File Sharing", "SMB file sharing"], "side": "client"})) == {
        *("out File Sharing 139/tcp", "out File Sharing 548/tcp", "out SMB file sharing 445/tcp"),
        *("in SMB file sharing 5353/udp", "out SMB file sharing 5353/udp"),
    }
    assert warnings == []


def test_each_set_has_its_own_side_and_the_defaults_fill_in(ask: Ask) -> None:
    sets = [{"products": ["Screen Sharing"]}, {"products": ["File Sharing"], "side": "Client"}, {"products": ["Siri"]}]
    found = opened(ask("rules", *sets, defaults={"side": "server"}))
    assert "in Screen Sharing 5900/tcp" in found and "out File Sharing 548/tcp" in found
    assert not any(one.startswith("in File Sharing") for one in found) and "out Siri 443/tcp" in found
    assert opened(ask("rules", *sets, side="server")) == found


def test_products_without_the_side_stay_as_they_are(ask: Ask) -> None:
    both = opened(ask("rules", {"products": ["Screen Sharing", "FaceTime", "Bonjour"], "side": "server"}))
    assert opened(ask("rules", {"products": ["FaceTime", "Bonjour"]})) < both


def test_a_service_has_sides_too(ask: Ask) -> None:
    assert opened(ask("rules", {"services": ["microsoft-ds"], "side": "client"})) == {"out microsoft-ds 445/tcp"}


@pytest.mark.parametrize(
    ("sets", "defaults", "message"),
    [
        ([{"products": ["Siri"], "side": "server"}], {}, "'Siri' has no side 'server': leave it out"),
        ([{"products": ["Siri"]}], {"side": "server"}, "'Siri' has no side 'server': leave it out"),
        (
            [{"products": ["Push Notifications"], "side": "client"}],
            {},
            "'Push Notifications' has no side 'client': give 'device' or 'provider'",
        ),
        ([{"products": ["Siri"], "side": ""}], {}, "side '' is not a text"),
        ([{"products": ["Siri"], "side": ["server"]}], {}, "side ['server'] is not a text"),
        ([{"products": ["Siri"]}], {"ports": [1]}, "ports: [1]: no product takes them"),
        ([{"products": ["Siri"], "ports": [1]}], {}, "ports: [1]: no product takes them"),
        ([{"services": ["domain"], "ports": [1]}], {}, "ports: [1]: no product takes them"),
        ([{"products": ["HomeKit"]}], {}, "give it with ports: ['21064']"),
        ([{"products": ["HomeKit"], "ports": ["x"]}], {}, "'x' is not a port"),
        ([{"products": ["HomeKit"], "ports": [True]}], {}, "True is not a port"),
        ([{"products": ["HomeKit"], "ports": {"a": 1}}], {}, "is not a port"),
    ],
    ids=str,
)
def test_bad_sides_and_ports(
    refusal: Callable[..., str], sets: list[Any], defaults: dict[str, Any], message: str
) -> None:
    assert message in refusal("rules", *sets, defaults=defaults)


def test_messages_name_the_variable_where_there_is_one(refusal: Callable[..., str]) -> None:
    def said(own: Any, *others: Any) -> str:
        return refusal("rules", own, list(others), prefix="host_firewall_", defaults={"directions": ["in"]})

    assert "host_firewall_products: 'iTunes' may be any of" in said([{"products": ["iTunes"]}])
    assert "host_firewall_rules[1].products: 'iTunes' may be" in said(
        [], {"products": ["Siri"]}, {"products": ["iTunes"]}
    )
    assert "host_firewall_services: ['ldaps']" in said([{"products": ["ldaps"]}])
    assert "host_firewall_rules[0].services: 'gopher' is not a service" in said([], {"services": ["gopher"]})
    assert "host_firewall_rules[0].sources is an empty list" in said([], {"products": ["Siri"], "sources": []})
    assert "host_firewall_supplement: true" in said([{"products": ["Private Relay"]}])


# --- Ports of the site's own, and the host's own range -----------------------------------------------------------------


def test_ports_of_the_sites_own(ask: Ask) -> None:
    found = opened(
        ask("rules", {"products": ["HomeKit bridge"], "ports": [21064, "21070-21080"], "directions": ["in"]})
    )
    assert found == {f"in HomeKit accessory {port}" for port in ("21064/tcp", "21070-21080/tcp", "5353/udp")}
    mixed = ask("rules", {"products": ["HomeKit", "Siri"]}, {"products": ["FaceTime"]}, defaults={"ports": "21064"})
    assert "in HomeKit accessory 21064/tcp" in opened(mixed)


@pytest.mark.parametrize(
    ("products", "named"),
    [
        (["HomeKit bridge"], "'HomeKit bridge' (HomeKit accessory) has no port of its own"),
        (["FaceTime, homekit Bridge"], "'homekit Bridge' (HomeKit accessory) has no port of its own"),
        (["HomeKit accessory"], "'HomeKit accessory' has no port of its own"),
        (["homekit-accessory"], "'HomeKit accessory' has no port of its own"),
        (["HomeKit-accessoire"], "'HomeKit-accessoire' (HomeKit accessory) has no port of its own"),
    ],
)
def test_a_product_without_its_port_is_called_as_it_was_typed(
    refusal: Callable[..., str], products: list[str], named: str
) -> None:
    assert named in refusal("rules", {"products": products})
    assert named in refusal("ports", *products)


def test_products_that_share_ports_are_called_as_they_were_typed(refusal: Callable[..., str]) -> None:
    said = refusal("rules", {"products": ["Homebridge", "Content cache"], "ports": [21064]})
    assert "'Homebridge' (HomeKit accessory) and 'Content cache' take ports of their own" in said


def test_the_hosts_own_range_stays_a_word(ask: Ask) -> None:
    (rule,) = ask("rules", {"products": ["AirPlay receiver"], "directions": ["in"]})
    assert rule["tcp"] == ["host_ephemeral", "3689", "5000", "7000"] and "host_ephemeral" in rule["udp"]
    (rule,) = ask("rules", {"products": ["HomeKit"], "ports": ["host_ephemeral/tcp"], "directions": ["in"]})
    assert (rule["tcp"], rule["udp"]) == (["host_ephemeral"], ["5353"])


@pytest.mark.parametrize("text", ["to_ufw", "to_firewalld", "to_nftables", "to_pf"])
def test_no_text_of_a_firewall_without_numbers(template: Callable[..., Any], text: str) -> None:
    with pytest.raises(Exception, match="host_ephemeral has no numbers here"):
        template(
            f"{{{{ query('netports.apple.ports', 'AirPlay receiver') | netports.apple.rules | netports.apple.{text} }}}}"
        )


# --- Dead ports -------------------------------------------------------------------------------------------------------


def test_dead_ports_are_left_out_unless_they_are_asked_for(ask: Ask, warnings: list[str]) -> None:
    push = {"products": ["Push Notifications"], "directions": ["out"]}
    assert ask("rules", push)[0]["tcp"] == ["443", "2197", "5223"]
    assert ask("rules", {**push, "obsolete": True})[0]["tcp"] == ["443", "2195", "2197", "5223"]
    assert ask("rules", {**push, "side": "provider", "obsolete": "yes"})[0]["tcp"] == ["443", "2195", "2197"]
    assert warnings == []
    assert ask("rules", {"products": ["Feedback service"]}) == []
    assert warnings == [
        "no rule for Feedback service: Apple no longer answers on the ports; obsolete: true opens them all the same"
    ]


def test_the_article_is_answered_whole(ask: Ask) -> None:
    found = {entry["port"]: entry["obsolete"] for entry in ask("ports", "Push Notifications", "Feedback service")}
    assert found.keys() == {"443", "2195", "2196", "2197", "5223"}
    assert {port for port, dead in found.items() if dead} == {"2195", "2196"}
    assert found["2195"] == {"since": "2021-03-31", "source": "https://developer.apple.com/news/?id=c88acm2b"}
    assert [entry["port"] for entry in ask("ports", "Push Notifications", obsolete=False)] == ["443", "2197", "5223"]
    assert all(not entry["legacy"] for entry in ask("ports", "Push Notifications"))


# --- Surprises --------------------------------------------------------------------------------------------------------


def test_ports_in_the_supplement_are_told_of_until_somebody_decides(
    ask: Ask, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"products": ["AirPlay", "Screen Sharing", "iCloud"], "directions": ["in"]}
    ask("rules", given)
    (told,) = (text for text in warnings if "no rule for" not in text)
    assert told == (
        "newer ports in the supplement are off: AirPlay (5000/tcp, 6000/tcp, 7000/tcp, 49152-65535/tcp, "
        "49152-65535/udp), Screen Sharing (5901-5902/udp); supplement: true opens them, supplement: false ends this warning"
    )
    warnings.clear()
    for decided in (True, False):
        ask("rules", {"products": ["AirPlay"]}, supplement=decided)
    monkeypatch.setenv("NETPORTS_APPLE_SUPPLEMENT", "false")
    ask("rules", {"products": ["AirPlay"]})
    assert warnings == []


def test_what_is_usually_meant_is_told_of_unless_it_is_there(ask: Ask, warnings: list[str]) -> None:
    ask("rules", {"products": ["File Sharing"]})
    (told,) = warnings
    assert told.startswith("File Sharing does not have 445/tcp, on which file sharing runs today; ")
    assert told.endswith("usually meant is 'SMB file sharing' or 'Time Machine server'")
    warnings.clear()
    ask("rules", {"products": ["File Sharing"]}, {"products": ["SMB"]})
    ask("rules", {"products": ["File Sharing"], "services": ["microsoft-ds"]})
    ask("rules", {"products": ["Printing"], "directions": ["out"]})
    assert warnings == []
    ask("rules", {"products": ["Printing"]})
    assert warnings == [
        "Printing opens nothing inbound: the host prints; usually meant is 'AirPrint server' or 'macOS Printer Sharing'"
    ]


def test_a_server_without_its_own_port_is_told_of(ask: Ask, warnings: list[str]) -> None:
    assert opened(ask("rules", {"products": ["MDM server"]})) == {"out MDM server 443/tcp", "out MDM server 2197/tcp"}
    assert warnings == ["MDM server opens nothing inbound: its own port is the site's, give it with ports: ['8443']"]
    warnings.clear()
    assert "in MDM server 443/tcp" in opened(ask("rules", {"products": ["MDM"], "ports": [443]}))
    ask("rules", {"products": ["MDM"], "directions": ["out"]})
    assert warnings == []


def test_what_opens_nothing_inbound_is_named_once(ask: Ask, warnings: list[str]) -> None:
    rules = ask(
        "rules",
        {"products": ["Push provider", "FaceTime", "iCloud"]},
        {"products": ["Push provider", "Maps"], "directions": ["in", "forward"]},
        supplement=False,
    )
    assert {rule["name"] for rule in rules if rule["direction"] == "in"} == {"FaceTime"}
    names = "Push provider, iCloud, Maps"
    # Not directions: ['out'], which would take away what is forwarded.
    end = "directions without 'in', in a set of its own, ends this warning"
    assert warnings == [f"nothing inbound is opened for what only connects: {names}; {end}"]


@pytest.mark.parametrize(
    "given",
    [
        {"products": ["Push provider", "iCloud"], "directions": ["out"]},
        {"products": ["Push provider"], "directions": ["forward"]},
        # Somebody chose the side that connects.
        {"products": ["Screen Sharing", "Time Machine"], "side": "client"},
        {"products": ["Screen Sharing", "FaceTime"]},
        {"services": ["ldaps"]},
    ],
    ids=str,
)
def test_what_opens_nothing_inbound_and_is_known_to(ask: Ask, warnings: list[str], given: dict[str, Any]) -> None:
    assert ask("rules", given, supplement=False) and warnings == []


def test_without_a_rule_at_all_that_alone_is_said(ask: Ask, warnings: list[str]) -> None:
    assert ask("rules", {"products": ["Push provider"], "directions": ["in"]}) == []
    assert [text.partition(":")[0] for text in warnings] == ["no rule for Push provider"]


@pytest.mark.parametrize(
    "expression",
    [
        "query('netports.apple.rules', {'products': ['iTunes']})",
        "query('netports.apple.products', 'iTunes')",
        "query('netports.apple.ports', 'FaceTime', catalogues=['/iTunes may be any of.yml'])",
        "[{'iTunes may be any of': 1}] | netports.apple.rules",
    ],
)
def test_one_message_once(template: Callable[..., Any], expression: str) -> None:
    with pytest.raises(Exception, match="may be any of") as caught:
        template("{{ " + expression + " }}")
    assert caught.value.__cause__ is None or "may be any of" not in str(caught.value.__cause__.__cause__)
    # Up to 2.18 ansible-core itself says the error of a lookup twice.
    assert str(caught.value).count("may be any of") <= (1 if __version__ >= "2.19" else 2)
