# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a gateway forwards between two networks: what the two sides of a product open to each other, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue

Ask = Callable[..., list[dict[str, Any]]]

SENDERS, RECEIVERS = ["10.1.0.0/16", "fd00:1::/48"], ["10.2.0.0/16", "fd00:2::/48"]
BETWEEN = {"directions": ["forward"], "sources": SENDERS, "destinations": RECEIVERS}
# Every range that another host may take ports from: Linux' own, and that of Apple's devices and RFC 6335.
EPHEMERAL = "32768-65535"


def opened(rules: list[dict[str, Any]]) -> set[str]:
    """``>`` and a port for what goes from the senders to the receivers, ``<`` and a port for what comes back."""
    ways = {(tuple(SENDERS), tuple(RECEIVERS)): ">", (tuple(RECEIVERS), tuple(SENDERS)): "<"}
    return {
        f"{ways[tuple(rule['sources']), tuple(rule['destinations'])]} {port}/{protocol}"
        for rule in rules
        for protocol in ("tcp", "udp")
        for port in rule[protocol]
    }


def test_a_receiver_and_the_ports_that_a_sender_chose(ask: Ask) -> None:
    rules = ask("rules", {"products": ["AirPlay receiver"], **BETWEEN, "interface": "eth1", "out_interface": "eth0"})
    both = {"319-320/udp", "5353/udp", "6000-6009/udp", f"{EPHEMERAL}/tcp", f"{EPHEMERAL}/udp"}
    assert opened(rules) == {f"> {port}" for port in {*both, "3689/tcp", "5000/tcp", "7000/tcp"}} | {
        f"< {port}" for port in both
    }
    assert [(rule["direction"], rule["interface"], rule["out_interface"]) for rule in rules] == [
        ("forward", "eth1", "eth0"),
        ("forward", "eth0", "eth1"),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # Unset, the first network has the clients.
        ({"products": ["Screen Sharing"]}, {"> 5900/tcp", "> 5900/udp"}),
        ({"products": ["Screen Sharing"], "side": "client"}, {"> 5900/tcp", "> 5900/udp"}),
        ({"products": ["Screen Sharing"], "side": "server"}, {"< 5900/tcp", "< 5900/udp"}),
        ({"products": ["AirPrint"]}, {"> 631/tcp", "> 5353/udp", "< 5353/udp"}),
        # What a receiver fetches from web servers is no business of the senders' network.
        ({"products": ["AirPlay"]}, {"> 554/tcp", "> 3689/tcp", "> 554/udp", "> 5353/udp", "< 5353/udp"}),
        ({"products": ["HomeKit bridge"], "ports": [21064]}, {"> 21064/tcp", "> 5353/udp", "< 5353/udp"}),
        # Who has no side connects, and peers do both.
        ({"products": ["Push provider"]}, {"> 443/tcp", "> 2197/tcp"}),
        (
            {"products": ["FaceTime"]},
            {"> 80/tcp", "> 443/tcp", "> 5223/tcp"}
            | {f"{way} {port}/udp" for way in "<>" for port in ("3478-3497", "16384-16387", "16393-16402")},
        ),
        ({"services": ["microsoft-ds"]}, {"> 445/tcp"}),
        ({"services": ["microsoft-ds"], "side": "server"}, {"< 445/tcp"}),
    ],
)
def test_sides(ask: Ask, given: dict[str, Any], expected: set[str]) -> None:
    assert opened(ask("rules", {**given, **BETWEEN}, supplement=False)) == expected


def products(ask: Ask) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """A set for each product, also of everyday names, and the product's sides."""
    catalogue = _catalogue.load(supplement=True)
    catalogue.everyday()
    for product in ask("products", *catalogue.products, supplement=True):
        own = {"products": [product["id"]], "ports": [21064] if product["site_port"] else None}
        yield own, list(product["sides"])


def test_exchanged_networks_give_the_mirrored_rules(ask: Ask) -> None:
    seen = 0
    for own, sides in products(ask):
        for side in (None, *sides):
            given = {**own, **BETWEEN, "side": side}
            rules = ask("rules", {**given, "interface": "eth1"}, supplement=True)
            exchanged = {"sources": RECEIVERS, "destinations": SENDERS, "interface": "eth1"}
            other = ask("rules", {**given, **exchanged}, supplement=True)
            assert other == [
                {**rule, "sources": rule["destinations"], "destinations": rule["sources"]} for rule in rules
            ], given
            seen += len(rules)
    assert seen > 100


def test_a_server_there_is_a_client_here(ask: Ask) -> None:
    """The two sides of a product say the same of what stands between them, seen from either end."""
    seen = []
    for own, sides in products(ask):
        rows = [
            row
            for row in ask("ports", *own["products"], ports=own["ports"], supplement=True)
            if row["scope"] == "local"
        ]
        whole = all(row["direction"] == "both" or len(row["sides"]) == 2 for row in rows)
        if {"server", "client"} <= set(sides) and whole:
            clients = {**own, **BETWEEN, "side": "client"}
            servers = {**own, **BETWEEN, "side": "server", "sources": RECEIVERS, "destinations": SENDERS}
            local = {f"{port['port']}/{port['protocol']}" for port in rows}
            one, other = (
                {way for way in opened(ask("rules", given, supplement=True)) if way[2:] in local}
                for given in (clients, servers)
            )
            # Content caches talk to each other, too.
            assert one - other == set() and (one == other or own["products"] == ["content-cache"]), own
            seen += own["products"]
    assert len(seen) > 10 and {"screen-sharing", "airprint-server"} <= set(seen)


def test_the_filter_says_the_same(ask: Ask, template: Callable[..., Any]) -> None:
    for names, side in ((["AirPlay receiver", "Screen Sharing"], None), (["Screen Sharing"], "server")):
        text = "{{ query('netports.apple.ports', *names, side=side) | netports.apple.rules(**between) }}"
        wanted = ask("rules", {"products": names, "side": side, **BETWEEN})
        assert wanted and template(text, names=names, side=side, between=BETWEEN) == wanted


@pytest.mark.parametrize(
    "named",
    [
        {"sources": None},
        {"destinations": None},
        {"sources": ["any"]},
        {"destinations": ["any"]},
        # Networks that do not count as local are somebody else's.
        {"destinations": ["0.0.0.0/0", "::/0"]},
        {"destinations": ["203.0.113.0/24"]},
        {"destinations": [*RECEIVERS, "203.0.113.0/24"]},
        {"sources": ["203.0.113.0/24"]},
        {"local_networks": ["10.1.0.0/16", "fd00:1::/48"]},
    ],
    ids=str,
)
def test_without_two_local_networks_nothing_comes_back(ask: Ask, named: dict[str, Any]) -> None:
    given = {"products": ["AirPlay receiver", "FaceTime", "Screen Sharing"], **BETWEEN, **named}
    rules = ask("rules", given)
    assert {rule["name"] for rule in rules} <= {"AirPlay receiver", "FaceTime"}
    assert len({(tuple(rule["sources"]), tuple(rule["destinations"])) for rule in rules}) == 1
    assert not any("7000" in rule["tcp"] or "5900" in rule["tcp"] for rule in rules)


def test_a_sites_own_local_networks_count(ask: Ask) -> None:
    given = {**BETWEEN, "sources": ["2001:db8:1::/64"], "destinations": ["2001:db8:2::/64"]}
    (rule,) = ask("rules", {"products": ["Screen Sharing"], **given, "local_networks": ["2001:db8::/32"]})
    assert (rule["sources"], rule["destinations"]) == (["2001:db8:1::/64"], ["2001:db8:2::/64"])
    assert ask("rules", {"products": ["Screen Sharing"], **given, "local_networks": ["any"]}) == [rule]


# --- What is said of it -----------------------------------------------------------------------------------------------


def test_multicast_needs_a_reflector(ask: Ask, warnings: list[str]) -> None:
    ask("rules", {"products": ["AirPlay receiver", "Screen Sharing"], **BETWEEN}, supplement=False)
    (told,) = warnings
    assert told == (
        "no router forwards the multicast that finds the other side of AirPlay receiver: a reflector on the gateway has to "
        "repeat it between the networks (avahi-daemon.conf: enable-reflector=yes, "
        "reflect-filters=_airplay._tcp.local,_raop._tcp.local)"
    )
    warnings.clear()
    ask("rules", {"products": ["mDNS"], **BETWEEN})
    assert [text.endswith("(avahi-daemon.conf: enable-reflector=yes)") for text in warnings] == [True]
    warnings.clear()
    # A filter for AirPlay would keep back everything else.
    ask("rules", {"products": ["AirPlay receiver", "mDNS"], **BETWEEN})
    assert [text.endswith("(avahi-daemon.conf: enable-reflector=yes)") for text in warnings] == [True]


def test_the_filter_tells_of_multicast(template: Callable[..., Any], warnings: list[str]) -> None:
    text = "{{ query('netports.apple.ports', 'AirPrint') | netports.apple.rules(**between) }}"
    assert template(text, between=BETWEEN)
    assert [text.startswith("no router forwards the multicast") for text in warnings] == [True]
    assert "_ipp._tcp.local" in warnings[0]


@pytest.mark.parametrize(
    "given",
    [
        {"products": ["Screen Sharing"], **BETWEEN},
        {"products": ["AirPlay receiver"], "directions": ["forward"], "destinations": RECEIVERS},
        {"products": ["AirPlay receiver"], "sources": SENDERS, "destinations": RECEIVERS},
    ],
    ids=str,
)
def test_where_nothing_goes_both_ways_nothing_is_said_of_multicast(
    ask: Ask, warnings: list[str], given: dict[str, Any]
) -> None:
    assert ask("rules", given, supplement=False) and warnings == []


def test_networks_that_are_not_local_are_told_of(ask: Ask, warnings: list[str]) -> None:
    given = {**BETWEEN, "destinations": ["203.0.113.0/24"], "sources": ["10.1.0.0/16"]}
    rules = ask(
        "rules",
        {"products": ["AirPlay receiver", "Screen Sharing", "FaceTime", "iCloud Mail"], **given},
        supplement=False,
    )
    assert "Screen Sharing" not in {rule["name"] for rule in rules}
    (told,) = warnings
    assert told == (
        # Of Screen Sharing it is nothing.
        "AirPlay receiver, Screen Sharing: only what devices use outward is forwarded, if anything, and not what either side "
        "opens to the other, since local_networks does not have all networks of sources and destinations"
    )
