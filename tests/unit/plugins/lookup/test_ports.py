# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup ``ports``, through Ansible's own plugin loader and templating."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.release import __version__

Ask = Callable[..., list[dict[str, Any]]]

ROOT = Path(__file__).resolve().parents[4]
CATALOGUE = json.loads((ROOT / "data" / "catalogue.json").read_text(encoding="utf-8"))
PRODUCTS: dict[str, Any] = CATALOGUE["products"]
NAMES = [
    (name, identifier)
    for identifier, product in PRODUCTS.items()
    for name in [identifier, *product["name"].values(), *product["aliases"]]
]
KEYS = [
    "product", "name", "port", "first", "last", "protocol", "service", "service_name", "rfc", "detail", "nested",
    "direction", "scope", "legacy", "edition", "reason", "source", "source_class", "side", "sides", "obsolete",
]  # fmt: skip
PROTOCOLS = ("tcp", "udp")


def ports(entries: list[dict[str, Any]], protocol: str | None = None) -> list[str]:
    return [entry["port"] for entry in entries if protocol in (None, entry["protocol"])]


def products(entries: list[dict[str, Any]]) -> list[Any]:
    return list(dict.fromkeys(entry["product"] for entry in entries))


def numbers(entries: list[dict[str, Any]]) -> set[tuple[str, int]]:
    return {(entry["protocol"], port) for entry in entries for port in range(entry["first"], entry["last"] + 1)}


# --- What it means (the article's facts) ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "tcp", "udp"),
    [
        ("FaceTime", ["80", "443", "5223"], ["3478-3497", "16384-16387", "16393-16402"]),
        ("Mail", ["25", "110", "143", "465", "587"], []),
        ("iCloud Mail", ["25", "443", "587", "993"], []),
        ("Backup", ["80"], []),
        ("iCloud Backup", ["443"], []),
        ("Messages", ["5297"], ["16384-16403"]),
        ("iMessage", ["80", "443", "5223"], []),
        ("Push Notifications", ["443", "2195", "2197", "5223"], []),
        ("Classroom", ["3284", "3285"], []),
        ("Game Center", ["443", "5223"], ["3478-3497", "4398", "16384-16387", "16393-16402", "16403-16472"]),
        ("Wi-Fi Calling", [], ["500", "4500"]),
        ("Screen Sharing", ["5900"], ["5900"]),
        ("Contacts", ["443", "5223"], []),
        ("Find My iPhone", ["443"], []),
        ("Photo Stream", ["443", "5223"], []),
        ("Xsan", ["49152-65535"], []),
        ("Printing", ["515", "631", "9100"], []),
        ("Apps that look up addresses, such as Mail and Address Book", ["389"], []),
    ],
)
def test_meaning(ask: Ask, term: str, tcp: list[str], udp: list[str]) -> None:
    entries = ask("ports", term)
    assert (ports(entries, "tcp"), ports(entries, "udp")) == (tcp, udp)


def test_a_hole_is_never_bridged(ask: Ask) -> None:
    merged = ask("ports", "Game Center", "FaceTime", protocol="udp", merge=True)
    assert ports(merged) == ["3478-3497", "4398", "16384-16387", "16393-16472"]
    assert not any(first <= 16390 <= last for first, last in ((one["first"], one["last"]) for one in merged))
    assert ask("ports", "Game Center", port=16388) == []


@pytest.mark.parametrize("term", ["iMessage", "Contacts", "Find My iPhone", "Photo Stream", "Documents", "Bookmarks"])
def test_nested_products_are_found_and_marked(ask: Ask, term: str) -> None:
    assert [entry["nested"] for entry in ask("ports", term, port=443)] == [True]


def test_nested_is_marked_per_entry(ask: Ask) -> None:
    assert {entry["port"]: entry["nested"] for entry in ask("ports", "iMessage")} == {
        "80": False,
        "443": True,
        "5223": False,
    }
    assert {entry["port"]: entry["nested"] for entry in ask("ports", "Photo Stream")} == {"443": True, "5223": False}


def test_legacy_is_one_row(ask: Ask) -> None:
    assert [(entry["product"], entry["port"]) for entry in ask("ports") if entry["legacy"]] == [("mail", "465")]


# --- Terms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "identifier"), NAMES)
def test_every_id_name_and_alias_finds_its_product(ask: Ask, name: str, identifier: str) -> None:
    wanted = [identifier] if PRODUCTS[identifier]["members"] == [] else [identifier, *PRODUCTS[identifier]["members"]]
    for written in (name, name.upper(), name.lower(), name.replace(" ", "\u00a0"), f"\t{name}\n"):
        assert set(products(ask("ports", written))) <= set(wanted)
        assert products(ask("ports", written, members=False)) in ([identifier], [])
    assert ask("ports", name) == ask("ports", identifier)


SPACES = [" ", "  ", "\t", "\n", "\u00a0", "\u2002", "\u2003", "\u2009", "\u202f", "\u3000", "\u200b", "\u2060", ""]
HYPHENS = ["-", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", "\u00ad", "\ufe63", "\uff0d", "", " "]
APOSTROPHES = ["'", "\u2019", "\u2018", "\u02bc", "\u2032", "`", "\u00b4", "\uff07", ""]


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_every_kind_of_space(ask: Ask, space: str) -> None:
    assert ask("ports", f"game{space}center") == ask("ports", "Game Center")
    assert ask("ports", f"Xcode{space}Server{space}") == ask("ports", "Xcode Server")


@pytest.mark.parametrize("hyphen", HYPHENS, ids=ascii)
def test_every_kind_of_hyphen(ask: Ask, hyphen: str) -> None:
    assert products(ask("ports", f"Wi{hyphen}Fi Calling")) == ["wifi-calling"]
    assert products(ask("ports", f"Windows{hyphen}afdrukservices")) == ["windows-print-services"]


@pytest.mark.parametrize("apostrophe", APOSTROPHES, ids=ascii)
def test_every_kind_of_apostrophe(ask: Ask, apostrophe: str) -> None:
    assert products(ask("ports", f"AGENDA{apostrophe}S")) == ["calendar"]


def test_ampersand(ask: Ask) -> None:
    assert products(ask("ports", "Date & Time")) == products(ask("ports", "date and time")) != []


def test_lists_and_terms_mix(ask: Ask) -> None:
    flat = ask("ports", "FaceTime", "AirPlay", "Siri")
    assert ask("ports", ["FaceTime", "AirPlay", "Siri"]) == flat
    assert ask("ports", ["FaceTime", "AirPlay"], "Siri") == flat
    assert ask("ports", ("FaceTime", "AirPlay"), ["Siri"]) == flat


def test_order_of_the_terms_then_protocol_then_port(ask: Ask) -> None:
    for terms in itertools.permutations(["Game Center", "AirPlay", "iCloud", "Screen Sharing"]):
        answer = ask("ports", *terms)
        assert answer == [entry for term in terms for entry in ask("ports", term)]
    for entries in (ask("ports"), ask("ports", "iCloud"), ask("ports", "Bonjour")):
        order = [(entry["protocol"], entry["first"], entry["last"]) for entry in entries]
        assert order == sorted(order)


def test_an_entry_comes_once_where_it_was_first_asked_for(ask: Ask) -> None:
    assert ask("ports", "Mail", "apple mail", "MAIL") == ask("ports", "Mail")
    family_first = ask("ports", "iCloud", "iCloud Mail")
    assert family_first == ask("ports", "iCloud")
    member_first = ask("ports", "iCloud Mail", "iCloud")
    assert member_first[:4] == ask("ports", "iCloud Mail")
    assert sorted(map(str, member_first)) == sorted(map(str, family_first))


# --- No term: every row -----------------------------------------------------------------------------------------------


def test_no_term_is_every_row_also_without_a_product(ask: Ask) -> None:
    answer = ask("ports")
    assert len(answer) == len(CATALOGUE["entries"])
    assert set(products(answer)) == {*(entry["product"] for entry in CATALOGUE["entries"])}
    without = [entry for entry in answer if entry["product"] is None]
    assert {(entry["port"], entry["protocol"]) for entry in without} == {
        ("53", "tcp"), ("53", "udp"), ("137", "udp"), ("445", "tcp"), ("636", "tcp"), ("749", "tcp"), ("749", "udp"),
        ("995", "tcp"), ("995", "udp"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("port", "label", "service", "protocols"),
    [
        (53, "domain", "Domain Name System (DNS)", ["tcp", "udp"]),
        (137, "netbios-ns", "Windows Internet Naming Service (WINS)", ["udp"]),
        (445, "microsoft-ds", "Microsoft SMB Domain Server", ["tcp"]),
        (636, "ldaps", "Secure LDAP", ["tcp"]),
        (749, "kerberos-adm", "Kerberos 5 admin/changepw", ["tcp", "udp"]),
        (995, "pop3s", "Mail POP SSL", ["tcp", "udp"]),
    ],
)
def test_rows_without_a_product_are_found_by_port_and_service(
    ask: Ask, refusal: Callable[..., str], port: int, label: str, service: str, protocols: list[str]
) -> None:
    by_port = ask("ports", port=port)
    assert [entry["protocol"] for entry in by_port] == protocols
    assert {(entry["product"], entry["name"], entry["service_name"]) for entry in by_port} == {(None, label, label)}
    assert ask("ports", service=label) == ask("ports", service=label.upper()) == by_port
    assert ask("ports", service=service) == ask("ports", service=f" {service} ") == by_port
    # Not "unknown", when asked for as a product: the way to it is said.
    message = refusal("ports", label)
    assert f"{label!r} is a service, not a product: ask for it with service={label!r}" in message


# --- Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [[], ["FaceTime"], ["iCloud", "AirPlay", "Bonjour"]], ids=str)
def test_every_combination_of_options_is_the_common_part_of_each(ask: Ask, terms: list[str]) -> None:
    choices: dict[str, list[Any]] = {
        "protocol": [None, "tcp", "udp"],
        "port": [None, 443, "3480", 5353],
        "direction": [None, "in", "out"],
        "scope": [None, "local", "internet"],
        "service": [None, "https", "mdns"],
        "members": [True, False],
    }

    def rows(**options: Any) -> set[str]:
        return set(map(repr, ask("ports", *terms, **options)))

    alone = {
        (key, value): rows(members=True, **{key: value})
        for key, values in choices.items()
        if key != "members"
        for value in values
    }
    own = rows(members=False)
    everything = [(entry, repr(entry)) for entry in ask("ports", *terms)]
    for values in itertools.product(*choices.values()):
        options = dict(zip(choices, values, strict=True))
        expected = [
            entry
            for entry, text in everything
            if all(text in alone[key, value] for key, value in options.items() if key != "members")
            and (options["members"] or text in own)
        ]
        answer = ask("ports", *terms, **options)
        assert answer == expected
        assert len(numbers(ask("ports", *terms, **options, merge=True))) == len(numbers(answer))


def test_protocol(ask: Ask) -> None:
    for protocol in PROTOCOLS:
        assert {entry["protocol"] for entry in ask("ports", protocol=protocol)} == {protocol}


def test_port_covers(ask: Ask) -> None:
    for port in (3477, 3478, 3480, 3497, 3498):
        found = ask("ports", "FaceTime", port=port)
        assert ports(found) == (["3478-3497"] if 3478 <= port <= 3497 else [])
    assert ask("ports", port="443") == ask("ports", port=443) != []
    assert ask("ports", port=65535)[0]["product"] == "xsan"
    assert ask("ports", port=1) == []


def test_direction_both_matches_either(ask: Ask) -> None:
    media = [entry for entry in ask("ports", "FaceTime") if entry["direction"] == "both"]
    assert ports(media) == ["3478-3497", "16384-16387", "16393-16402"]
    assert ask("ports", "FaceTime", direction="in") == media
    assert ask("ports", "FaceTime", direction="out") == ask("ports", "FaceTime")
    for direction in ("in", "out"):
        assert {entry["direction"] for entry in ask("ports", direction=direction)} == {direction, "both"}


def test_scope(ask: Ask) -> None:
    assert {entry["scope"] for entry in ask("ports", scope="local")} == {"local"}
    assert {entry["scope"] for entry in ask("ports", scope="internet")} == {"internet"}
    assert ports(ask("ports", "AirPlay", scope="internet")) == ["80", "443"]


def test_icloud_is_reached_and_never_reaches(ask: Ask) -> None:
    assert ask("ports", "iCloud", direction="in") == []


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ("ssh", ["22"]),
        ("SSH", ["22"]),
        ("Secure Shell (SSH), SSH File Transfer Protocol (SFTP), and Secure copy (SCP)", ["22"]),
        ("SSH (Secure Shell), SFTP (SSH File Transfer Protocol) en SCP (Secure copy)", ["22"]),
        ("nat-stun-port - ipether232port", ["3478-3497"]),
        ("ikev2", ["500", "4500"]),
    ],
)
def test_service_by_label_or_name_in_either_language(ask: Ask, service: str, found: list[str]) -> None:
    assert list(dict.fromkeys(ports(ask("ports", service=service)))) == found


def test_every_label_and_service_of_the_catalogue_finds_its_row(ask: Ask) -> None:
    for entry in CATALOGUE["entries"]:
        for service in filter(None, [entry["service_name"], *(entry["service"] or {}).values()]):
            assert entry["port"] in ports(ask("ports", service=service))


def test_members(ask: Ask) -> None:
    assert set(products(ask("ports", "iCloud"))) == {"icloud", *PRODUCTS["icloud"]["members"]}
    assert products(ask("ports", "iCloud", members=False)) == ["icloud"]
    assert ask("ports", "iCloud", members="no") == ask("ports", "iCloud", members=False)
    assert products(ask("ports", "Printing", members=False)) == []
    assert products(ask("ports", "iCloud Mail")) == ["icloud-mail"], "a member brings no family"


def test_language(ask: Ask) -> None:
    dutch = ask("ports", "Maps", "Calendar", language="nl")
    assert {entry["name"] for entry in dutch} == {"Kaarten", "Agenda"}
    assert {entry["name"] for entry in ask("ports", "Kaarten", "Agenda")} == {"Maps", "Calendar"}
    english = ask("ports", "Mail", port=25)[0]
    dutch = ask("ports", "Mail", port=25, language="nl")
    assert (english["service"], english["detail"]) == ("Simple Mail Transfer Protocol (SMTP)", "sending email")
    assert (dutch[0]["service"], dutch[0]["detail"]) == ("SMTP (Simple Mail Transfer Protocol)", "e-mail verzenden")
    same = set(KEYS) - {"name", "service", "detail"}
    for one, other in zip(ask("ports"), ask("ports", language="nl"), strict=True):
        assert {key: one[key] for key in same} == {key: other[key] for key in same}
    assert ask("ports", language=None) == ask("ports", language="en") == ask("ports")


# --- Merge ------------------------------------------------------------------------------------------------------------


def test_merge(ask: Ask) -> None:
    both = {"directions": ["in", "out"], "scopes": ["internet"]}
    assert ask("ports", "FaceTime", "Game Center", protocol="udp", merge=True) == [
        {"port": "3478-3497", "first": 3478, "last": 3497, "protocol": "udp", "products": ["facetime", "game-center"], **both},
        {"port": "4398", "first": 4398, "last": 4398, "protocol": "udp", "products": ["game-center"], **both},
        {"port": "16384-16387", "first": 16384, "last": 16387, "protocol": "udp", "products": ["facetime", "game-center"], **both},
        {"port": "16393-16472", "first": 16393, "last": 16472, "protocol": "udp", "products": ["facetime", "game-center"], **both},
    ]  # fmt: skip


def test_merge_over_everything(ask: Ask) -> None:
    entries, merged = ask("ports"), ask("ports", merge=True)
    assert numbers(merged) == numbers(entries)
    assert [one["protocol"] for one in merged] == sorted(one["protocol"] for one in merged)
    for one, after in itertools.pairwise(merged):
        assert one["protocol"] != after["protocol"] or one["last"] + 1 < after["first"]
    for one in merged:
        users = {
            entry["product"]
            for entry in entries
            if entry["protocol"] == one["protocol"] and one["first"] <= entry["first"] <= one["last"]
        }
        assert set(one["products"]) == users - {None}
        assert one["directions"] and one["scopes"]
        assert len(one["products"]) == len(set(one["products"]))
    assert [one["products"] for one in merged if one["port"] == "53"] == [[], []]


def test_merge_tells_ways_and_reaches_apart(ask: Ask) -> None:
    found = {
        one["port"]: (one["directions"], one["scopes"]) for one in ask("ports", "AirPlay", "File Sharing", merge=True)
    }
    assert found["80"] == (["out"], ["internet"]) and found["139"] == (["in"], ["local"])
    assert found["3689"] == (["in", "out"], ["local"])


def test_what_is_said_otherwise_is_taken_for_what_it_says(ask: Ask) -> None:
    assert ask("ports", "FaceTime, AirPlay") == ask("ports", "FaceTime", "AirPlay")
    assert ask("ports", protocol="TCP") == ask("ports", protocol="tcp")
    assert {entry["port"] for entry in ask("ports", "FaceTime", port="80-443")} == {"80", "443"}
    assert {entry["port"] for entry in ask("ports", "FaceTime", port="3490-3500")} == {"3478-3497"}
    both = ask("ports", "AirPlay", direction="both")
    assert both == [entry for entry in ask("ports", "AirPlay") if entry["direction"] == "both"] != []
    assert ports(ask("ports", "Apps that look up addresses, such as Mail and Address Book")) == ["389"]


def test_merge_of_nothing(ask: Ask) -> None:
    assert ask("ports", "FaceTime", port=1, merge=True) == []
    assert ask("ports", "FaceTime", merge="false") == ask("ports", "FaceTime", merge=False) == ask("ports", "FaceTime")


# --- What comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_key_and_its_type(ask: Ask, plain: Callable[[Any], bool], language: str) -> None:
    answer = ask("ports", language=language)
    assert plain(answer)
    for entry in answer:
        assert list(entry) == KEYS
        assert entry["product"] is None or entry["product"] in PRODUCTS
        assert isinstance(entry["name"], str) and entry["name"]
        assert type(entry["first"]) is type(entry["last"]) is int and 1 <= entry["first"] <= entry["last"] <= 65535
        first, last = entry["first"], entry["last"]
        assert entry["port"] == (str(first) if first == last else f"{first}-{last}")
        assert entry["protocol"] in PROTOCOLS
        for key in ("service", "service_name", "detail"):
            assert entry[key] is None or (isinstance(entry[key], str) and entry[key])
        assert entry["rfc"] is None or (type(entry["rfc"]) is int and entry["rfc"] > 0)
        assert type(entry["nested"]) is type(entry["legacy"]) is bool
        assert entry["direction"] in ("in", "out", "both") and entry["scope"] in ("local", "internet")
        assert entry["edition"] == CATALOGUE["edition"]["id"]
    once = [(entry["product"], entry["port"], entry["protocol"]) for entry in answer]
    assert len(set(once)) == len(once)


def test_keys_when_merged(ask: Ask, plain: Callable[[Any], bool]) -> None:
    answer = ask("ports", merge=True)
    assert plain(answer)
    assert all(list(one) == ["port", "first", "last", "protocol", "products", "directions", "scopes"] for one in answer)


@pytest.mark.parametrize("merge", [False, True])
def test_answers_can_be_written_as_yaml_and_json(ask: Ask, merge: bool) -> None:
    answer = ask("ports", merge=merge)
    assert yaml.safe_load(yaml.safe_dump(answer)) == json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize("merge", [False, True])
def test_what_is_done_to_an_answer_does_not_reach_the_next(ask: Ask, merge: bool) -> None:
    before = json.dumps(ask("ports", "iCloud", "FaceTime", merge=merge))
    spoilt = ask("ports", "iCloud", "FaceTime", merge=merge)
    for entry in spoilt:
        if merge:
            entry["products"].append("spoilt")
        entry.update(port="1", first=1, direction="in", scope="internet", name="spoilt")
        entry["more"] = []
    spoilt.clear()
    assert json.dumps(ask("ports", "iCloud", "FaceTime", merge=merge)) == before


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "candidates"),
    [
        ("iTunes", ["iTunes Store", "iTunes Music Sharing", "iTunes Radio streams"]),
        ("airport", ["AirPort Utility", "AirPort Express Assistant"]),
        ("Find My", ["Find My iPhone", "Find My Friends"]),
        ("Zoek mijn", ["Find My iPhone", "Find My Friends"]),
        ("windows", ["Windows Print Services", "Windows Datagram Service", "Windows Network Neighborhood"]),
        ("Sharing", ["Screen Sharing", "File Sharing", "Home Sharing"]),
    ],
)
def test_ambiguous(refusal: Callable[..., str], term: str, candidates: list[str]) -> None:
    message = refusal("ports", term)
    assert f"{term!r} may be any of " in message and "name the one that you mean" in message
    assert all(repr(candidate) in message for candidate in candidates)


@pytest.mark.parametrize(
    ("term", "near"),
    [
        ("FaceTim", "FaceTime"),
        ("Facetme", "FaceTime"),
        ("AirPlai", "AirPlay"),
        ("iCloud Mial", "iCloud Mail"),
        ("Klaslokal", "Klaslokaal"),
        ("Game Centre", "Game Center"),
        ("Recovery", "macOS Internet Recovery"),
    ],
)
def test_unknown_with_the_nearest_names(refusal: Callable[..., str], term: str, near: str) -> None:
    message = refusal("ports", "FaceTime", term)
    assert f"{term!r} is not a product of the catalogue: did you mean " in message and repr(near) in message


@pytest.mark.parametrize(
    "term",
    [
        "Photoshop", "-", "\u200b", "'", "\u2019", "x" * 5000, "\x00", "a\x00b", "'; drop table", "$(id)", "{{ 7 * 7 }}",
        "{% raw %}", "443", "*", ".*", "any", "all", "null", "None", "FaceTime;",
        "FaceTime AirPlay", "Face", "Time", "ace", "\ud800", "٤٤٣", "\u202e",
    ],
    ids=lambda term: ascii(term)[:16],
)  # fmt: skip
def test_unknown(refusal: Callable[..., str], term: str) -> None:
    message = refusal("ports", term)
    assert repr(term)[:100] in message
    assert "is not a product of the catalogue" in message or "may be any of" in message


@pytest.mark.parametrize("term", ["", " ", "\u00a0", "\t\n"], ids=ascii)
def test_empty_term(refusal: Callable[..., str], term: str) -> None:
    assert "an empty name of a product: leave the term out" in refusal("ports", term)
    assert "an empty name of a product: leave the term out" in refusal("ports", "FaceTime", term)
    assert "an empty name of a product: leave the term out" in refusal("ports", [term])


def test_empty_list(refusal: Callable[..., str]) -> None:
    empty: list[list[Any]] = [[[]], ["FaceTime", []], [()]]
    for terms in empty:
        assert "an empty list of products: leave the term out" in refusal("ports", *terms)


@pytest.mark.parametrize(
    "term", [None, True, 1.5, b"FaceTime", {"name": "FaceTime"}, [["FaceTime"]], [None], object], ids=repr
)
def test_terms_of_wrong_types(refusal: Callable[..., str], term: Any) -> None:
    message = refusal("ports", term)
    value = term[0] if isinstance(term, list) else term
    assert f"{value!r} is not the name of a product: give a name" in message


@pytest.mark.parametrize("term", [443, 0, 70000, -1])
def test_a_number_is_no_product(refusal: Callable[..., str], term: int) -> None:
    assert f"{term} is not the name of a product: for the products of a port, use port={term}" in refusal("ports", term)


@pytest.mark.parametrize(
    "port",
    [0, 65536, -1, 99999, "0", "65536", "abc", "", " ", "443 ", "0443", 443.0, True, False, "443/tcp", "٤٤٣", "$(id)",
     "{{ 443 }}", "443\n", [443], {"port": 443}, b"443", 10**5000],
    ids=lambda port: ascii(port)[:12] if port != 10**5000 else "huge",
)  # fmt: skip
def test_port_nonsense(refusal: Callable[..., str], port: Any) -> None:
    message = refusal("ports", port=port)
    shown = "huge int" if port == 10**5000 else repr(port)
    assert shown in message
    assert "ports go from 1 to 65535" in message or "give a number such as 443" in message


def test_port_that_runs_backwards(refusal: Callable[..., str]) -> None:
    assert "runs backwards" in refusal("ports", port="3497-3478")


@pytest.mark.parametrize(
    ("option", "choices"),
    [("protocol", "tcp, udp"), ("direction", "in, out, both"), ("scope", "local, internet"), ("language", "en, nl")],
)
@pytest.mark.parametrize("value", ["sctp", "", " tcp", "tcp\n", "inout", 6, True, ["tcp"], {"tcp"}, b"tcp", "{{ x }}"])
def test_choices(refusal: Callable[..., str], option: str, choices: str, value: Any) -> None:
    assert f"{option} {value!r} is not one of {choices}" in refusal("ports", "FaceTime", **{option: value})


@pytest.mark.parametrize("option", ["merge", "members"])
def test_switches(ask: Ask, refusal: Callable[..., str], option: str) -> None:
    neither: list[Any] = ["perhaps", "", None, 2, 1.0, [], ["yes"], {}, b"yes", "true false"]
    for value in neither:
        assert f"{option} {value!r} is neither true nor false" in refusal("ports", "iCloud", **{option: value})
    for switched_on in (True, "yes", "True", "on", "1", 1, "true\n"):
        assert ask("ports", "iCloud", **{option: switched_on}) == ask("ports", "iCloud", **{option: True})


@pytest.mark.parametrize("service", ["", " ", 22, True, ["ssh"], {"ssh": 1}, b"ssh"])
def test_service_of_wrong_type(refusal: Callable[..., str], service: Any) -> None:
    assert f"service {service!r} is not a text" in refusal("ports", service=service)


@pytest.mark.parametrize("service", ["sssh", "gopher", "—", "-", ",", "ssh;", "$(id)", "FaceTime", "x" * 5000, "\x00"])
def test_unknown_service(refusal: Callable[..., str], service: str) -> None:
    message = refusal("ports", service=service)
    assert f"{service[:200]!r} is not a service of the catalogue" in message
    assert "did you mean" in message or "give a label such as 'ssh'" in message


def test_near_service(refusal: Callable[..., str]) -> None:
    assert "did you mean 'ldaps'" in refusal("ports", service="ldapss")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("proto", "did you mean 'protocol'?"),
        ("prots", "did you mean 'ports'?"),
        ("member", "did you mean 'members'?"),
        ("catalogue", "did you mean 'catalogues'?"),
        (
            "wantlist_",
            "the options are protocol, port, service, ",
        ),
        ("_terms", "the options are"),
    ],
)
def test_unknown_keyword(refusal: Callable[..., str], key: str, hint: str) -> None:
    assert f"{key!r} is not an option: {hint}" in refusal("ports", "FaceTime", **{key: "x"})


@pytest.mark.parametrize("paths", [["/nowhere/site.yml"], "/nowhere/site.yml", "/nowhere/site.yml,/other"], ids=str)
def test_catalogue_that_is_not_there(refusal: Callable[..., str], paths: Any) -> None:
    message = refusal("ports", "FaceTime", catalogues=paths)
    assert message.count("/nowhere/site.yml") == 1, "said once"
    assert "catalogue '/nowhere/site.yml' cannot be read: No such file or directory" in message


@pytest.mark.parametrize("paths", [[None], [5], [["/a"]], ["\x00"], ["", "/a"], [{}]], ids=str)
def test_catalogues_that_are_no_paths(refusal: Callable[..., str], paths: Any) -> None:
    assert f"catalogues names {paths[0]!r}, which is no path" in refusal("ports", "FaceTime", catalogues=paths)


@pytest.mark.parametrize("paths", [5, {"a": 1}], ids=str)
def test_catalogues_that_are_no_list(refusal: Callable[..., str], paths: Any) -> None:
    assert "catalogues" in refusal("ports", "FaceTime", catalogues=paths)


def test_catalogues_from_the_environment(
    ask: Ask, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETPORTS_APPLE_CATALOGUES", "/nowhere/site.yml")
    assert "'/nowhere/site.yml' cannot be read" in refusal("ports", "FaceTime")
    assert ask("ports", "FaceTime", catalogues=[]), "what is given counts before the environment"
    monkeypatch.setenv("NETPORTS_APPLE_CATALOGUES", "")
    assert ask("ports", "FaceTime"), "set to nothing is not set"


# --- In templates -----------------------------------------------------------------------------------------------------


def test_query_in_a_template(ask: Ask, template: Callable[..., Any]) -> None:
    assert template("{{ query('netports.apple.ports', 'FaceTime', protocol='udp') }}") == ask(
        "ports", "FaceTime", protocol="udp"
    )
    assert template("{{ q('netports.apple.ports', 'FaceTime', port=80) }}") == ask("ports", "FaceTime", port=80)
    assert template("{{ query('netports.apple.ports', *wanted, **how) }}", wanted=["Mail"], how={"port": 25}) == ask(
        "ports", "Mail", port=25
    )
    text = template("{% for e in query('netports.apple.ports', 'Mail') %}{{ e.port }}/{{ e.protocol }} {% endfor %}")
    assert text.split() == ["25/tcp", "110/tcp", "143/tcp", "465/tcp", "587/tcp"]


def test_lookup_in_a_template(template: Callable[..., Any]) -> None:
    both = template("{{ lookup('netports.apple.ports', 'Mail', wantlist=true) | map(attribute='port') | list }}")
    assert both == ["25", "110", "143", "465", "587"]
    assert template("{{ (lookup('netports.apple.ports', 'Mail', port=25)).name }}") == "Mail"


def test_names_from_variables(template: Callable[..., Any]) -> None:
    expression = "{{ query('netports.apple.ports', wanted) | map(attribute='product') | unique | list }}"
    assert template(expression, wanted="FaceTime") == ["facetime"]
    assert template(expression, wanted=["FaceTime", "AirPlay"]) == ["facetime", "airplay"]


def test_a_name_that_looks_like_a_template_is_only_a_name(template: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="is not a product of the catalogue"):
        template("{{ query('netports.apple.ports', '{' ~ '{ 7 * 7 }' ~ '}') }}")


def test_errors_in_a_template_name_the_value_once(template: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="'iTunes' may be any of") as caught:
        template("{{ query('netports.apple.ports', 'iTunes') }}")
    # Up to 2.18 ansible-core itself says the error of a lookup twice.
    assert str(caught.value).count("may be any of") <= (1 if __version__ >= "2.19" else 2)


def test_an_undefined_name_is_an_error(template: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="'wanted' is undefined"):
        template("{{ query('netports.apple.ports', wanted) }}")


def test_with_gives_a_keyword_of_its_own(ask: Ask) -> None:
    """ansible-core up to 2.18 adds it for ``with_netports.apple.ports``."""
    for name in ("ports", "products"):
        assert ask(name, "FaceTime", wantlist=True) == ask(name, "FaceTime")
    assert ask("rules", {"products": ["FaceTime"]}, wantlist=True) == ask("rules", {"products": ["FaceTime"]})
