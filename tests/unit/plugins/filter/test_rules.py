# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``rules``: from entries to rules."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.netports.apple.plugins.filter.rules import FilterModule
from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _ruleset

Ask = Callable[..., list[dict[str, Any]]]

rules: Callable[..., list[dict[str, Any]]] = FilterModule().filters()["rules"]

KEYS = ["name", "direction", "tcp", "udp", "sources", "destinations", "interface", "out_interface"]
LOCAL = ["10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"]


def refused(*given: Any, **options: Any) -> str:
    """The message with which the filter refuses: an AnsibleFilterError and nothing else."""
    with pytest.raises(AnsibleFilterError) as caught:
        rules(*given, **options)
    message = str(caught.value)
    assert message.startswith("netports.apple.rules: ") and message.count("netports.apple.rules: ") == 1
    return message


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "product": "a", "name": "A", "port": "80", "first": 80, "last": 80, "protocol": "tcp", "direction": "in",
        "scope": "internet", **changes,
    }  # fmt: skip


def numbers(ports: list[str]) -> set[int]:
    return {port for first, last in map(_ports.parse, ports) for port in range(first, last + 1)}


# --- Directions -------------------------------------------------------------------------------------------------------


def test_facetime(ask: Ask, warnings: list[str], plain: Callable[[Any], bool]) -> None:
    made = rules(ask("ports", "FaceTime"))
    media = ["3478-3497", "16384-16387", "16393-16402"]
    nowhere = {"sources": [], "destinations": [], "interface": "", "out_interface": ""}
    assert made == [
        {"name": "FaceTime", "direction": "in", "tcp": [], "udp": media, **nowhere},
        {"name": "FaceTime", "direction": "out", "tcp": ["80", "443", "5223"], "udp": media, **nowhere},
    ]
    assert plain(made) and all(list(rule) == KEYS for rule in made) and warnings == []


@pytest.mark.parametrize(
    ("directions", "wanted"),
    [
        (None, ["in", "out"]),
        (["in", "out"], ["in", "out"]),
        (["out", "in"], ["in", "out"]),
        (["in"], ["in"]),
        (["out"], ["out"]),
        ("in", ["in"]),
        ("out", ["out"]),
        (["in", "in"], ["in"]),
        (("out",), ["out"]),
    ],
)
def test_directions(directions: Any, wanted: list[str]) -> None:
    entries = [
        entry(name="A", direction="in"),
        entry(name="B", direction="out"),
        entry(name="C", direction="both"),
    ]
    expected = [
        (name, direction)
        for name, own in (("A", ["in"]), ("B", ["out"]), ("C", ["in", "out"]))
        for direction in wanted
        if direction in own
    ]
    assert [(rule["name"], rule["direction"]) for rule in rules(entries, directions=directions)] == expected


def test_what_goes_out_opens_nothing_inbound(ask: Ask, warnings: list[str]) -> None:
    assert rules(ask("ports", "iCloud"), directions=["in"]) == []
    assert len(warnings) == 1 and "iCloud Mail" in warnings[0] and "nothing is opened for them" in warnings[0]
    both = rules(ask("ports", "iCloud"))
    assert {rule["direction"] for rule in both} == {"out"} and len(both) == 7
    assert rules(ask("ports", "iCloud"), sources=["any"], local_networks=["any"], directions=["in"]) == []


def test_ports_open_only_in_the_direction_in_which_they_are_used(ask: Ask) -> None:
    """Over the whole catalogue: a rule has exactly the ports that its product uses that way."""
    for directions in (["in"], ["out"], ["in", "out"]):
        opened: dict[tuple[str, str, str], set[int]] = {}
        for rule in rules(ask("ports"), directions=directions, obsolete=True):
            name = rule["name"].removesuffix(" local")
            for protocol in ("tcp", "udp"):
                opened.setdefault((name, rule["direction"], protocol), set()).update(numbers(rule[protocol]))
        used: dict[tuple[str, str, str], set[int]] = {}
        for one in ask("ports"):
            for direction in directions:
                for protocol in ("tcp", "udp"):
                    if one["direction"] in (direction, "both"):
                        ports = range(one["first"], one["last"] + 1) if one["protocol"] == protocol else ()
                        used.setdefault((_ruleset.rule_name(one["name"]), direction, protocol), set()).update(ports)
        assert opened == used


# --- Forwarded --------------------------------------------------------------------------------------------------------


def test_what_devices_use_outward_is_forwarded(warnings: list[str]) -> None:
    entries = [
        entry(name="A", first=1, last=1, direction="in"),
        entry(name="B", first=2, last=2, direction="out"),
        entry(name="C", first=3, last=3, direction="both"),
        entry(name="C", first=4, last=4, direction="both", scope="local"),
    ]
    made = rules(entries, directions=["forward"], interface="eth1", out_interface="eth0")
    assert [(rule["name"], rule["direction"], rule["tcp"]) for rule in made] == [
        ("B", "forward", ["2"]),
        ("C", "forward", ["3"]),
    ]
    assert {(*rule["sources"], rule["interface"], rule["out_interface"]) for rule in made} == {(*LOCAL, "eth1", "eth0")}
    assert all(rule["destinations"] == [] for rule in made)
    assert len(warnings) == 1 and "no rule for A: devices connect to it, which is forwarded only where" in warnings[0]


def test_forward_stands_behind_the_others_and_changes_nothing_of_them(ask: Ask) -> None:
    entries = ask("ports", "FaceTime", "AirPlay")
    made = rules(entries, directions=["forward", "out", "in"], out_interface="eth0")
    without = rules(entries)
    assert [rule for rule in made if rule["direction"] != "forward"] == without
    assert all(rule["out_interface"] == "" for rule in without)
    ways = [rule["direction"] for rule in made if rule["name"] == "FaceTime"]
    assert ways == ["in", "out", "forward"]


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        ({}, LOCAL),
        ({"local_networks": ["192.0.2.0/24"]}, ["192.0.2.0/24"]),
        ({"sources": ["10.30.0.0/16"]}, ["10.30.0.0/16"]),
        ({"sources": ["any"]}, []),
    ],
)
def test_where_forwarded_packets_come_from(options: dict[str, Any], sources: list[str]) -> None:
    (rule,) = rules([entry(direction="out")], directions=["forward"], **options)
    assert rule["sources"] == sources


@pytest.mark.parametrize(
    ("destinations", "ports"), [(None, ["1"]), (["any"], ["1"]), (["10.40.0.0/16"], ["1-2"]), (["0.0.0.0/0"], ["1-2"])]
)
def test_what_is_local_is_forwarded_to_networks_that_are_named(destinations: Any, ports: list[str]) -> None:
    entries = [
        entry(first=1, last=1, direction="out"),
        entry(first=2, last=2, direction="both", scope="local"),
        entry(first=3, last=3, direction="in", scope="local"),
    ]
    (rule,) = rules(entries, directions=["forward"], destinations=destinations)
    assert rule["tcp"] == ports


def test_products_with_nothing_to_forward_are_named(ask: Ask, warnings: list[str]) -> None:
    assert rules(ask("ports", "Bonjour", "iCloud"), directions=["forward"]) != []
    assert len(warnings) == 1
    assert warnings[0].startswith("[WARNING]: no rule for Bonjour: connects to local networks alone") or warnings[
        0
    ].startswith("no rule for Bonjour: connects to local networks alone")
    assert "destinations" in warnings[0] and warnings[0].endswith("nothing is opened for it")
    warnings.clear()
    assert rules(ask("ports", "Bonjour"), directions=["forward"], destinations=["10.40.0.0/16"]) and warnings == []


def test_out_interface_is_checked_also_where_nothing_is_forwarded() -> None:
    assert "'eth0; id' is not an interface name" in refused([entry()], out_interface="eth0; id")


# --- Sources ----------------------------------------------------------------------------------------------------------


def test_sources_unset_are_local_networks_for_what_is_local(ask: Ask) -> None:
    inbound = rules(ask("ports"), directions=["in"])
    local = {_ruleset.rule_name(one["name"]) for one in ask("ports", direction="in", scope="local")}
    internet = {_ruleset.rule_name(one["name"]) for one in ask("ports", direction="in", scope="internet")}
    assert internet == {"FaceTime", "Messages", "Game Center"}
    for rule in inbound:
        assert rule["sources"] in ([], LOCAL)
        assert rule["name"].removesuffix(" local") in (local if rule["sources"] else internet)
    assert {rule["name"].removesuffix(" local") for rule in inbound} == local | internet


def test_mixed_scopes_are_two_rules_of_two_names(ask: Ask) -> None:
    made = rules(ask("ports", "Messages"), directions=["in"])
    assert [(rule["name"], rule["tcp"], rule["udp"], rule["sources"]) for rule in made] == [
        ("Messages", [], ["16384-16403"], []),
        ("Messages local", ["5297"], [], LOCAL),
    ]
    outbound = rules(ask("ports", "Messages"), directions=["out"])
    assert [(rule["name"], rule["tcp"], rule["udp"], rule["sources"]) for rule in outbound] == [
        ("Messages", ["5297"], ["16384-16403"], [])
    ]


@pytest.mark.parametrize(
    ("sources", "accepted"),
    [
        (["10.20.0.0/16"], ["10.20.0.0/16"]),
        (["fd00::/8", "10.20.0.0/16", "10.20.0.0/16"], ["10.20.0.0/16", "fd00::/8"]),
        (("192.0.2.7",), ["192.0.2.7"]),
        (["any"], []),
    ],
)
def test_sources_set_count_for_all_that_comes_in(ask: Ask, sources: Any, accepted: list[str]) -> None:
    made = rules(ask("ports", "Messages", "Screen Sharing", "FaceTime"), sources=sources)
    assert [(rule["name"], rule["sources"]) for rule in made if rule["direction"] == "in"] == [
        ("Messages", accepted),
        ("Screen Sharing", accepted),
        ("FaceTime", accepted),
    ]
    assert all(rule["sources"] == [] for rule in made if rule["direction"] == "out")


def test_local_networks(ask: Ask) -> None:
    made = rules(ask("ports", "Screen Sharing", "FaceTime"), local_networks=["10.1.0.0/16"], directions=["in"])
    assert [(rule["name"], rule["sources"]) for rule in made] == [("Screen Sharing", ["10.1.0.0/16"]), ("FaceTime", [])]
    assert rules(ask("ports", "Screen Sharing"), local_networks=["any"], directions="in")[0]["sources"] == []
    with_sources = rules(ask("ports", "Screen Sharing"), sources=["192.0.2.0/24"], local_networks=["10.1.0.0/16"])
    assert [rule["sources"] for rule in with_sources] == [["192.0.2.0/24"]], "sources count before local networks"


def test_the_default_of_local_networks_is_private_and_link_local() -> None:
    import ipaddress

    for network in map(ipaddress.ip_network, _ruleset.LOCAL_NETWORKS):
        assert network.is_private or network.is_link_local
    assert sorted(_ruleset.LOCAL_NETWORKS) == sorted(LOCAL)


def test_destinations_and_interface(ask: Ask) -> None:
    made = rules(ask("ports", "FaceTime"), destinations=["fd00::1", "192.0.2.0/24"], interface="eth0")
    assert all(rule["destinations"] == ["192.0.2.0/24", "fd00::1"] and rule["interface"] == "eth0" for rule in made)
    assert {rule["direction"] for rule in made} == {"in", "out"}
    assert rules(ask("ports", "Siri"), destinations=["any"], interface="") == rules(ask("ports", "Siri"))


def test_sources_and_destinations_of_different_versions_never_match(ask: Ask) -> None:
    message = refused(ask("ports", "Screen Sharing"), sources=["10.0.0.0/8"], destinations=["fd00::/8"])
    assert "'Screen Sharing' can never match" in message


@pytest.mark.parametrize("what", ["sources", "local_networks", "destinations"])
def test_an_empty_list_of_networks_is_an_error(ask: Ask, what: str) -> None:
    empties: list[Any] = [[], ()]
    for empty in empties:
        message = refused(ask("ports", "Screen Sharing"), **{what: empty})
        assert f"{what} is an empty list: leave it unset, or give ['any'] for anywhere" in message


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_product_has_a_rule_name_of_its_own(ask: Ask, language: str) -> None:
    names = {product["id"]: _ruleset.rule_name(product["name"]) for product in ask("products", language=language)}
    pattern = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,41}")
    assert all(pattern.fullmatch(name) and not name.endswith(" local") for name in names.values())
    # In a firewall's files and on file systems case may not count, and neither may what is no letter or digit.
    reduced = {identifier: re.sub(r"[^a-z0-9]", "", name.lower()) for identifier, name in names.items()}
    assert len(set(reduced.values())) == len(reduced)


@pytest.mark.parametrize(
    ("name", "rule_name"),
    [
        ("FaceTime", "FaceTime"),
        ("Wi-Fi Calling", "Wi-Fi Calling"),
        ("Date & Time preferences", "Date and Time preferences"),
        ("Apps that look up addresses, such as Mail and Address Book", "Apps that look up addresses"),
        ("Caf\u00e9 \u2013 Privédoorgifte", "Cafe Privedoorgifte"),
        ("Agenda's", "Agendas"),
        ('a/b\\c:d;e"f$g`h{i}j\nk\x00l', "a b c d e f g h i j k l"),
        ("-- x --", "x"),
        ("net-assistant, classroom", "net-assistant classroom"),
        ("x" * 60, "x" * 42),
        ("word " * 20, "word word word word word word word word"),
        ("\uff21pple", "Apple"),
    ],
)
def test_rule_names(name: str, rule_name: str) -> None:
    assert _ruleset.rule_name(name) == rule_name
    assert _ruleset.rule_name(rule_name) == rule_name


@pytest.mark.parametrize("name", ["", " ", "\u6f22\u5b57", "---", "\u2014", "$;", "\x00"])
def test_names_of_which_nothing_is_left(name: str) -> None:
    message = refused([entry(name=name)])
    assert repr(name) in message and "give the product another" in message


# --- Everything at once -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "nl"])
@pytest.mark.parametrize("sources", [None, ["any"], ["10.0.0.0/8", "fd00::/8"]], ids=str)
def test_the_whole_catalogue_makes_valid_rules(
    ask: Ask, warnings: list[str], plain: Callable[[Any], bool], language: str, sources: Any
) -> None:
    everywhere = {"sources": sources, "destinations": ["0.0.0.0/0", "::/0"], "interface": "eth0"}
    made = rules(ask("ports", language=language), obsolete=True, **everywhere)
    assert warnings == [] and len(made) > 60
    for rule in made:
        assert Rule.from_dict(rule).to_dict() == rule
        assert not (rule["direction"] == "out" and rule["sources"])
    assert len({(rule["name"], rule["direction"]) for rule in made}) == len(made)
    assert plain(made)
    assert yaml.safe_load(yaml.safe_dump(made)) == json.loads(json.dumps(made)) == made


def test_merged_to_the_fewest_ranges_without_bridging_a_hole(ask: Ask) -> None:
    for rule in rules(ask("ports")):
        for protocol in ("tcp", "udp"):
            ranges = list(map(_ports.parse, rule[protocol]))
            assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(ranges))
    inbound = rules(ask("ports", "Game Center"), directions=["in"])[0]
    assert inbound["udp"] == ["3478-3497", "4398", "16384-16387", "16393-16472"]


def test_each_product_by_itself_gives_the_same_as_in_the_whole(ask: Ask, warnings: list[str]) -> None:
    whole = rules(ask("ports"))
    alone = [
        rule
        for product in ask("products")
        for entries in [ask("ports", product["id"], members=False)]
        if entries
        for rule in rules(entries)
    ]
    assert all(rule in whole for rule in alone)
    without = [rule for rule in whole if rule not in alone]
    assert {rule["name"] for rule in without} == {
        "domain", "netbios-ns", "microsoft-ds", "ldaps", "kerberos-adm", "pop3s"
    }  # fmt: skip


def test_input_is_left_as_it_was(ask: Ask) -> None:
    entries = ask("ports", "FaceTime", "Messages")
    before = json.dumps(entries)
    made = rules(entries)
    for rule in made:
        rule["tcp"].append("1")
    assert json.dumps(entries) == before
    assert rules(entries) != made


def test_no_entries_no_rules(warnings: list[str]) -> None:
    assert rules([]) == [] and rules(iter([])) == [] and warnings == []


# --- Silent products --------------------------------------------------------------------------------------------------


def test_products_without_a_rule_are_named(ask: Ask, warnings: list[str]) -> None:
    made = rules(ask("ports", "Siri", "File Sharing", "Mail", "Screen Sharing"), directions=["in"])
    assert [rule["name"] for rule in made] == ["File Sharing", "Screen Sharing"]
    assert warnings == [
        "no rule for Siri, Mail: not used in the directions asked for, so that nothing is opened for them"
    ]
    rules(ask("ports", "File Sharing"), directions=["out"])
    assert warnings[1:] == [
        "no rule for File Sharing: not used in the directions asked for, so that nothing is opened for it"
    ]


# --- Bad input --------------------------------------------------------------------------------------------------------


def test_merged_entries_are_refused(ask: Ask) -> None:
    message = refused(ask("ports", "FaceTime", merge=True))
    assert "is not an entry" in message and "without merge=true: rules are merged by product" in message


@pytest.mark.parametrize("entries", [None, 5, True, "FaceTime", {"name": "FaceTime"}, b"x", 1.5], ids=str)
def test_what_is_no_list_of_entries(ask: Ask, entries: Any) -> None:
    message = refused(entries)
    assert repr(entries) in message or "120 is not an entry" in message
    assert "query('netports.apple.ports', …)" in message


def test_what_lookup_makes_of_one_entry(ask: Ask) -> None:
    assert "(not lookup())" in refused(ask("ports", "Mail", port=25)[0])


@pytest.mark.parametrize("item", [None, 5, "FaceTime", [], {}, {"name": "A"}, {"port": "80"}], ids=str)
def test_what_is_no_entry(item: Any) -> None:
    message = refused([entry(), item])
    assert f"{item!r} is not an entry: give what query('netports.apple.ports', …) returns" in message
    assert "merge" not in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", "sctp"), ("protocol", "TCP"), ("protocol", None), ("protocol", ["tcp"]),
        ("direction", "inbound"), ("direction", ""), ("direction", None), ("direction", "any"),
        ("scope", "Local"), ("scope", "lokaal"), ("scope", None), ("scope", ""),
        ("first", "abc"), ("first", None), ("first", 0), ("first", 90), ("first", True), ("first", -1),
        ("last", 65536), ("last", "80; id"), ("last", 79), ("last", 1.5), ("first", "$(id)"), ("first", "{{ 1 }}"),
        ("first", "80\n"),
    ],
)  # fmt: skip
def test_entries_that_were_tampered_with(key: str, value: Any) -> None:
    message = refused([entry(**{key: value})])
    assert str(value).strip() in message or "runs backwards" in message


@pytest.mark.parametrize(
    "value",
    [[], "", "inout", ["inout"], ["in", "sideways"], ["in", None], 5, True, {"in": 1}, [None], [["in"]], "in,out"],
    ids=str,
)
def test_bad_directions(value: Any) -> None:
    assert f"directions is {value!r}: give a list of 'in', 'out' and 'forward'" in refused([entry()], directions=value)


@pytest.mark.parametrize("what", ["sources", "local_networks", "destinations"])
@pytest.mark.parametrize(
    "value",
    ["10.0.0.0/8", "any", 5, True, {"any": 1}, ["10.0.0.1/8"], ["example.com"], ["any", "10.0.0.0/8"], [""], [None],
     ["10.0.0.0/8", ["fd00::/8"]], ["fe80::1%eth0"], ["::ffff:10.0.0.1"], ["10.0.0.0/8; id"], ["$(id)"], ["{{ x }}"],
     ["10.0.0.0/8\n"], ["'"], ['"'], ["\x00"], ["٤"], ["x" * 10000]],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_bad_networks(what: str, value: Any) -> None:
    message = refused([entry()], **{what: value})
    bad = value[-1] if isinstance(value, list) else value
    assert repr(bad)[:60] in message or "names 'any' beside other networks" in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "value", ["eth0; id", "eth 0", "-i", "e" * 16, "eth0\n", "$(id)", "{{ x }}", "'", "\x00", "é", 5, True, ["eth0"], b"x"],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_bad_interface(value: Any) -> None:
    assert f"{value!r} is not an interface name" in refused([entry()], interface=value)


def test_values_are_checked_though_no_rule_needs_them(ask: Ask) -> None:
    for options in ({"sources": ["x"]}, {"local_networks": ["x"]}, {"destinations": ["x"]}, {"interface": "x x"}):
        refused(ask("ports", "iCloud"), directions=["out"], **options)
        refused([], **options)


# --- In templates -----------------------------------------------------------------------------------------------------


def test_in_a_template(ask: Ask, template: Callable[..., Any], plain: Callable[[Any], bool]) -> None:
    made = template(
        "{{ query('netports.apple.ports', wanted) | netports.apple.rules(directions=ways, sources=nets, interface=nic) }}",
        wanted=["Screen Sharing", "FaceTime"],
        ways=["in"],
        nets=["10.0.0.0/8"],
        nic="eth0",
    )
    assert made == rules(
        ask("ports", "Screen Sharing", "FaceTime"), directions=["in"], sources=["10.0.0.0/8"], interface="eth0"
    )


def test_values_that_ansible_tags_come_out_plain(template: Callable[..., Any]) -> None:
    """Variables reach filters as tagged subclasses from ansible-core 2.19 on; YAML and JSON want plain values."""
    text = template(
        "{{ query('netports.apple.ports', wanted) | map('combine', {'name': name}) | list"
        " | netports.apple.rules(sources=nets, destinations=nets, interface=nic) | to_json }}",
        wanted="Screen Sharing", name="Mine", nets=["10.0.0.0/8"], nic="eth0",
    )  # fmt: skip
    made = json.loads(text) if isinstance(text, str) else text
    assert [rule["name"] for rule in made] == ["Mine"] and made[0]["interface"] == "eth0"


def test_positional_options(ask: Ask, template: Callable[..., Any]) -> None:
    assert template("{{ query('netports.apple.ports', 'FaceTime') | netports.apple.rules(['out']) }}") == rules(
        ask("ports", "FaceTime"), ["out"]
    )


def test_an_unknown_option_is_an_error(template: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="source"):
        template("{{ query('netports.apple.ports', 'FaceTime') | netports.apple.rules(source=['any']) }}")


def test_values_as_ansible_reads_them_come_out_plain(ask: Ask, plain: Callable[[Any], bool]) -> None:
    read: Any = DataLoader().load(
        yaml.safe_dump(
            {
                "entries": ask("ports", "Screen Sharing", "Messages"),
                "terms": ["FaceTime", "Kaarten"],
                "sets": [{"products": ["Messages"], "services": ["ldaps"], "interface": "eth0", "sources": ["any"]}],
                "options": {
                    "directions": ["in", "out"],
                    "sources": ["10.0.0.0/8"],
                    "local_networks": ["10.1.0.0/16"],
                    "destinations": ["192.0.2.1"],
                    "interface": "eth0",
                },
            }
        )
    )
    assert not plain(read), "Ansible no longer marks what it reads: this test proves nothing"
    assert plain(rules(read["entries"], **read["options"]))
    for name in ("ports", "products"):
        assert plain(ask(name, read["terms"])) and plain(ask(name, *read["terms"]))
    assert plain(ask("rules", read["sets"], defaults=read["options"]))
    assert plain(ask("rules", *read["sets"], defaults=read["options"]))
    assert type(FilterModule().filters()["to_ufw"](rules(read["entries"]), ruleset=read["options"]["interface"])) is str


def test_words_for_networks_of_apples(ask: Ask, warnings: list[str]) -> None:
    (rule,) = rules(ask("ports", "Push Notifications"), destinations=["apns", "192.0.2.1"])
    assert rule["destinations"][-1] == "2a01:b740:a42::/48" and "192.0.2.1" in rule["destinations"]
    assert warnings == []
    (rule,) = rules(ask("ports", "Push Notifications"), destinations=["apple"])
    assert rule["destinations"] == ["17.0.0.0/8"]
    assert len(warnings) == 1 and "IPv4 networks alone" in warnings[0]
    with pytest.raises(
        AnsibleFilterError, match=r"^netports.apple.rules: destinations names 'apple', but .* for Siri: "
    ):
        rules(ask("ports", "Siri"), destinations=["apple"])
