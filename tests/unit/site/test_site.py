# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site's own catalogue adds, judges anew and hides, and what of it is refused, where and why."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

import builtins
import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.netports.apple.plugins.plugin_utils import (
    _catalogue,
    _catalogue_merge,
    _catalogue_site,
    _products,
    _strict_yaml,
)
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError

Load = Callable[..., _catalogue.Catalogue]
Refusal = Callable[..., str]


def found(catalogue: _catalogue.Catalogue, *terms: str, **options: Any) -> list[tuple[str | None, ...]]:
    """(product, port/protocol, direction, scope, edition) of what terms find."""
    return [
        (entry["product"], f"{entry['port']}/{entry['protocol']}", *(entry[key] for key in ("direction", "scope")))
        + (entry["edition"],)
        for entry in _catalogue.select(catalogue, terms or None, **options)
    ]


# --- What it adds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["example-sync", "Example Sync", "VOORBEELD-SYNC", "sync"])
def test_product_of_the_site_is_found_by_all_its_names(merged: Load, example: Any, name: str) -> None:
    assert found(merged(example), name) == [
        ("example-sync", "8443-8444/tcp", "in", "local", "example-2026"),
        ("example-sync", "8443-8444/udp", "in", "local", "example-2026"),
    ]


def test_entry_has_what_the_row_says(merged: Load, example: Any) -> None:
    catalogue = merged(example)
    (entry,) = _catalogue.select(catalogue, ["Sync"], protocol="tcp", language="nl")
    assert entry == {
        "product": "example-sync",
        "name": "Voorbeeldsync",
        "port": "8443-8444",
        "first": 8443,
        "last": 8444,
        "protocol": "tcp",
        "service": "Example synchronisation",
        "service_name": "example-sync",
        "rfc": 9000,
        "detail": "Chat",
        "nested": False,
        "direction": "in",
        "scope": "local",
        "legacy": False,
        "edition": "example-2026",
        "reason": "The Macs of the office do so.",
        "source": None,
        "source_class": None,
        "side": None,
        "sides": [],
        "obsolete": None,
    }


def test_rows_are_added_to_a_product_of_the_catalogue(merged: Load, example: Any) -> None:
    assert found(merged(example), "File Sharing") == [
        ("file-sharing", "139/tcp", "in", "local", "nl-2026"),
        ("file-sharing", "548/tcp", "in", "local", "nl-2026"),
        ("file-sharing", "8443-8444/tcp", "out", "local", "example-2026"),
        ("file-sharing", "8443-8444/udp", "out", "local", "example-2026"),
    ]


def test_row_without_product_is_found_by_its_label(merged: Load, example: Any) -> None:
    assert found(merged(example), service="example-admin") == [(None, "8500/tcp", "in", "local", "example-2026")]


def test_family_of_the_site_has_its_members(merged: Load, example: Any) -> None:
    catalogue = merged(example)
    (suite,) = _products.describe(catalogue, ["Example Suite"])
    assert suite["members"] == ["example-chat"] and suite["in"]["tcp"] == ["8443-8444"]
    assert catalogue.products["example-chat"]["nested_only"] and not catalogue.products["example-sync"]["nested_only"]


def test_product_joins_a_family_of_the_catalogue(merged: Load, example: Any, base: Any) -> None:
    example["products"][0]["family"] = "icloud"
    assert merged(example).products["icloud"]["members"] == [*base["products"]["icloud"]["members"], "example-sync"]


def test_whole_number_that_yaml_writes_as_a_fraction(merged: Load, example: Any) -> None:
    example["rows"][0]["rfc"] = 9000.0
    assert type(_catalogue.select(merged(example), ["Sync"])[0]["rfc"]) is int


# --- What it judges anew ----------------------------------------------------------------------------------------------


def test_a_mac_that_does_host_a_website(merged: Load, example: Any) -> None:
    catalogue = merged(example)
    assert found(catalogue, "TLS websites") == [("tls-websites", "443/tcp", "in", "internet", "example-2026")]
    # The facts stay the article's, and nobody else's judgement of the port changes.
    (entry,) = _catalogue.select(catalogue, ["TLS websites"])
    assert (entry["rfc"], entry["service_name"]) == (2818, "https")
    others = _catalogue.select(catalogue, None, port=443, protocol="tcp", direction="in")
    assert {other["product"] for other in others} == {"tls-websites", "xcode-server"}


def test_row_without_product_is_judged_anew(merged: Load, example: Any) -> None:
    assert found(merged(example), service="domain") == [
        (None, "53/tcp", "both", "local", "example-2026"),
        (None, "53/udp", "out", "internet", "nl-2026"),
    ]


def test_reason_and_source_are_the_judgements(merged: Load, example: Any, judge: Any) -> None:
    catalogue = merged(example)
    (entry,) = [entry for entry in catalogue.entries if entry["product"] == "tls-websites"]
    assert (entry["reason"], entry["source"]) == ("The Macs of the office do so.", "RFC 9110")
    example["traffic"]["products"]["kerberos"] = [judge("88/tcp")]
    (entry,) = [entry for entry in merged(example).entries if entry["product"] == "kerberos"]
    assert entry["source"] is None, "the article's judgement had one, which does not speak for the site's"


# --- What it hides ----------------------------------------------------------------------------------------------------


def test_hidden_product_is_gone(merged: Load, example: Any) -> None:
    catalogue = merged(example)
    assert "itunes-radio-streams" not in {entry["product"] for entry in catalogue.entries}
    assert {entry["product"] for entry in _catalogue.select(catalogue, None, port=8000)} == {"web-service"}
    with pytest.raises(CatalogueError, match="'iTunes Radio' is not a product of the catalogue"):
        catalogue.resolve("iTunes Radio")


def test_members_of_a_hidden_family_stay(merged: Load) -> None:
    catalogue = merged({"edition": {"id": "a", "title": "A"}, "hide": ["icloud"]})
    assert catalogue.products["icloud-mail"]["family"] is None and catalogue.resolve("iCloud Mail")


def test_hidden_member_leaves_its_family(merged: Load) -> None:
    catalogue = merged({"edition": {"id": "a", "title": "A"}, "hide": ["icloud-mail"]})
    assert "icloud-mail" not in catalogue.products["icloud"]["members"]


def test_family_that_would_be_left_with_nothing(refusal: Refusal, base: Any) -> None:
    members = base["products"]["printing"]["members"]
    message = refusal({"edition": {"id": "a", "title": "A"}, "hide": members})
    assert message == "hide: it leaves printing, which has no row of its own, without members: hide it too"


def test_nested_product_is_named_where_only_what_nests_it_goes(merged: Load) -> None:
    """Calendar's entries do not go with iCloud DAV Services, which nests it."""
    catalogue = merged({"edition": {"id": "a", "title": "A"}, "hide": ["icloud-dav-services"]})
    assert [entry["port"] for entry in _catalogue.select(catalogue, ["Calendar"])] == ["80", "443", "5223"]


def test_a_file_hides_before_it_adds(merged: Load, judge: Any) -> None:
    """So that it can put a product of its own in the place of one of the catalogue."""
    site = {
        "edition": {"id": "a", "title": "A"},
        "hide": ["web-service"],
        "products": [{"id": "web-service", "name": {"en": "Web service"}}],
        "rows": [{"port": "8080", "protocols": ["tcp"], "used_by": [{"product": "web-service"}]}],
        "traffic": {"products": {"web-service": [judge("8080/tcp", direction="in")]}},
    }
    assert found(merged(site), "Web service") == [("web-service", "8080/tcp", "in", "local", "a")]


# --- Order ------------------------------------------------------------------------------------------------------------


def test_later_files_count_over_earlier_ones(merged: Load, example: Any, judge: Any) -> None:
    later = {
        "edition": {"id": "later", "title": "Later"},
        "rows": [{"port": "9000", "protocols": ["udp"], "used_by": [{"product": "example-sync"}]}],
        "traffic": {
            "products": {
                "tls-websites": [judge("443/tcp", direction="both")],
                "example-sync": [judge("9000/udp"), judge("8443-8444/udp", scope="internet")],
            }
        },
    }
    catalogue = merged(example, later)
    assert found(catalogue, "TLS websites") == [("tls-websites", "443/tcp", "both", "local", "later")]
    assert found(catalogue, "Sync") == [
        ("example-sync", "8443-8444/tcp", "in", "local", "example-2026"),
        ("example-sync", "8443-8444/udp", "out", "internet", "later"),
        ("example-sync", "9000/udp", "out", "local", "later"),
    ]
    with pytest.raises(CatalogueError, match="example-sync is no product"):
        merged(later, example)


def test_hidden_by_an_earlier_file_is_unknown_to_a_later_one(merged: Load, example: Any, judge: Any) -> None:
    later = {
        "edition": {"id": "later", "title": "Later"},
        "traffic": {"products": {"itunes-radio-streams": [judge("8000-8999/tcp")]}},
    }
    with pytest.raises(CatalogueError, match="itunes-radio-streams is no product"):
        merged(example, later)


def test_two_files_of_one_edition(merged: Load, example: Any) -> None:
    with pytest.raises(CatalogueError, match=r"edition\.id: example-2026 is the id of another edition"):
        merged(example, {"edition": example["edition"]})


# --- What is left as it was -------------------------------------------------------------------------------------------


def test_nothing_given_is_changed(base: Any, example: Any, write: Callable[..., str]) -> None:
    before = copy.deepcopy(base)
    path = write(example)
    merged = _catalogue_site.merge(base, path)
    assert base == before
    again = copy.deepcopy(merged)
    _catalogue_site.merge(
        merged, write({"edition": {"id": "b", "title": "B"}, "hide": ["example-sync", "icloud-mail"]}, "b.yml")
    )
    assert merged == again


def test_cached_catalogue_stays_the_articles(example: Any, write: Callable[..., str]) -> None:
    plain = _catalogue.load()
    before = copy.deepcopy((plain.products, plain.index, plain.entries))
    _catalogue.load([write(example)])
    assert _catalogue.load() is plain and (plain.products, plain.index, plain.entries) == before


def test_changed_file_is_read_again(example: Any, write: Callable[..., str]) -> None:
    path = write(example)
    assert _catalogue.load([path]) is _catalogue.load([path])
    del example["hide"]
    write(example)
    os.utime(path, ns=(1, 1))
    assert _catalogue.load([path]).resolve("iTunes Radio") == "itunes-radio-streams"


def test_catalogue_merged_in_parts_is_the_catalogue(base: Any) -> None:
    """The article's own entries, taken away and added again as a site would add them, are the article's."""
    names = [name for name in base["products"] if name.startswith("icloud")]
    without = _catalogue_merge.extend(base, {"edition": {"id": "a", "title": "A"}, "hide": names})
    entries = [entry for entry in base["entries"] if entry["product"] in names and not entry["nested"]]
    addition: dict[str, Any] = {
        "edition": {"id": "b", "title": "B"},
        "products": [
            {key: value for key, value in product.items() if key in ("name", "aliases", "family") and value}
            | {"id": name}
            for name, product in base["products"].items()
            if name in names
        ],
        "rows": [
            {
                "port": entry["port"],
                "protocols": [entry["protocol"]],
                "service": entry["service"],
                "label": entry["service_name"],
                "rfc": entry["rfc"],
                "used_by": [{"product": entry["product"], "detail": entry["detail"]}],
            }
            for entry in entries
        ],
        "traffic": {"products": {}},
    }
    for entry in entries:
        own = {key: entry[key] for key in ("direction", "scope", "reason", "source")}
        addition["traffic"]["products"].setdefault(entry["product"], []).append(
            {"ports": [f"{entry['port']}/{entry['protocol']}"], **own}
        )
    again = _catalogue_merge.extend(without, addition)
    assert again["index"] == base["index"]
    assert {
        name: {**product, "members": sorted(product["members"])} for name, product in again["products"].items()
    } == {name: {**product, "members": sorted(product["members"])} for name, product in base["products"].items()}
    strip = [{**entry, "edition": ""} for entry in again["entries"] if entry["product"] in names]
    nested = [entry for entry in base["entries"] if entry["product"] in names and entry["nested"]]
    assert {json.dumps(entry) for entry in strip} == {json.dumps({**entry, "edition": ""}) for entry in entries}
    assert [(entry["product"], entry["port"]) for entry in nested] == [("icloud-mail", "443")]


# --- What is refused --------------------------------------------------------------------------------------------------


def drop(*path: Any) -> Callable[[Any], None]:
    """Return what takes a value out of the example."""

    def change(example: Any) -> None:
        for step in path[:-1]:
            example = example[step]
        del example[path[-1]]

    return change


def put(value: Any, *path: Any) -> Callable[[Any], None]:
    """Return what puts a value into the example."""

    def change(example: Any) -> None:
        for step in path[:-1]:
            example = example[step]
        if isinstance(example, list) and path[-1] == len(example):
            example.append(value)
        else:
            example[path[-1]] = value

    return change


REFUSED = [
    (drop("edition"), "the file: edition is missing (The form of a file"),
    (drop("products", 0, "id"), "products[0]: id is missing (A product"),
    (put("nl-2026", "edition", "id"), "edition.id: nl-2026 is the id of another edition already"),
    (put("Example", "edition", "id"), "edition.id: 'Example' is not what belongs here (What each entry says"),
    (put("yes", "extra"), "the file: 'extra' is no key here: the keys are edition, products, rows, traffic, hide"),
    (
        put([], "traffic", "products", "example-sync", 0, "roles"),
        "traffic.products.example-sync[0]: 'roles' is no key here: the keys are ports, direction, scope, reason, source, sides",
    ),
    (
        put("File Sharing", "rows", 0, "used_by", 1, "product"),
        "rows[0].used_by[1].product: 'File Sharing' is a product's name: give its id, file-sharing",
    ),
    (
        put("Example Sync", "rows", 0, "used_by", 0, "product"),
        "rows[0].used_by[0].product: 'Example Sync' is a product's name: give its id, example-sync",
    ),
    (put("iTunes Radio", "hide", 0), "hide[0]: 'iTunes Radio' is a product's name: give its id, itunes-radio-streams"),
    (
        put("AirPrint", "products", 0, "family"),
        "products[0].family: 'AirPrint' is not what belongs here (A product's id",
    ),
    (
        put([], "traffic", "products", "File Sharing"),
        "traffic.products: 'File Sharing' is a product's name: give its id, file-sharing",
    ),
    (put([], "traffic", "products", "No Such"), "traffic.products: 'No Such': give ids of products here"),
    (put("8443-8442", "rows", 0, "port"), "rows[0].port: 8443-8442: a range runs from a lower to a higher port"),
    (put("8443:8444", "rows", 0, "port"), "rows[0].port: '8443:8444' is not what belongs here (A port"),
    (put("sctp", "rows", 0, "protocols", 0), "rows[0].protocols[0]: 'sctp' is not one of ['tcp', 'udp']"),
    (
        put("example-synk", "rows", 0, "used_by", 0, "product"),
        "rows[0].used_by[0].product: example-synk is no product: did you mean example-sync or",
    ),
    (put("exampl", "rows", 0, "used_by", 0, "nests", 0), "rows[0].used_by[0].nests[0]: exampl is no product"),
    (drop("rows", 1, "label"), "rows[1]: a row that no product uses needs a label or a service to be found by"),
    (
        drop("traffic", "products", "example-sync", 0, "ports", 1),
        "rows[0].used_by[0].product: 8443-8444/udp of example-sync is not judged: say under traffic who connects",
    ),
    (
        drop("traffic", "rows_without_product", 0),
        "rows[1]: 8500/tcp of a row without product is not judged",
    ),
    (
        put("8443/tcp", "traffic", "products", "example-sync", 0, "ports", 2),
        "traffic.products.example-sync[0].ports[2]: 8443/tcp of example-sync has no row; there are 8443-8444/tcp,",
    ),
    (
        put("80/udp", "traffic", "products", "tls-websites", 0, "ports", 1),
        "traffic.products.tls-websites[0].ports[1]: 80/udp of tls-websites has no row; there are 443/tcp",
    ),
    (
        put([], "traffic", "products", "facetim"),
        "traffic.products.facetim: [] should be non-empty",
    ),
    (
        put(
            [{"ports": ["80/tcp"], "direction": "in", "scope": "local", "reason": "x" * 20}], "traffic", "products", "f"
        ),
        "traffic.products.f[0].ports[0]: f is no product",
    ),
    (
        put("443/tcp", "traffic", "products", "tls-websites", 0, "ports", 1),
        "traffic.products.tls-websites[0].ports: ['443/tcp', '443/tcp'] has non-unique elements",
    ),
    (
        put("because", "traffic", "products", "tls-websites", 0, "reason"),
        "traffic.products.tls-websites[0].reason: 'because' is too short (Why, in one or two sentences of 20 to 400",
    ),
    (put("facetime", "products", 0, "id"), "products[0].id: product facetime is there already: leave it out"),
    (put("Face\u2011Time", "products", 0, "name", "en"), 'products[0].name.en: "Face\u2011Time" is a name of both'),
    (put("ARD", "products", 0, "aliases", 0), 'products[0].aliases[0]: "ARD" is a name of both apple-remote-desktop'),
    (put("example sync", "products", 0, "aliases", 0), 'products[0].aliases[0]: alias "example sync" of example-sync'),
    (
        put("\u3164", "products", 0, "aliases", 0),
        'products[0].aliases[0]: nothing of the name "\u3164" of example-sync',
    ),
    (
        put("iclod", "products", 0, "family"),
        "products[0].family: example-sync is of the family iclod: iclod is no product",
    ),
    (
        put("icloud-mail", "products", 0, "family"),
        "products[0].family: example-sync is of the family icloud-mail, which",
    ),
    (
        put("example-sync", "products", 0, "family"),
        "products[0].family: example-sync is of the family example-sync, which",
    ),
    (
        put({"id": "idle", "name": {"en": "Idle"}}, "products", 3),
        "products[3]: product idle is used by no row and has no members",
    ),
    (put("facetim", "hide", 0), "hide[0]: facetim is no product: did you mean facetime?"),
    (put("sync-example", "hide", 0), "hide[0]: sync-example is no product"),
    (put("arkit", "hide", 0), "hide[0]: arkit is no product"),
    (put("ard", "hide", 0), "hide[0]: ard is no product: did you mean apple-remote-desktop?"),
    (put("example-sync", "hide", 0), "hide[0]: example-sync is no product"),
    (
        put({"port": "443", "protocols": ["tcp"], "used_by": [{"product": "facetime"}]}, "rows", 2),
        "rows[2].used_by[0].product: 443/tcp of facetime has a row already: to judge it anew, give it under traffic alone",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:44] for _change, message in REFUSED])
def test_refusal_names_place_and_reason(refusal: Refusal, example: Any, change: Any, message: str) -> None:
    change(example)
    assert message in refusal(example)


def test_every_contradiction_is_named(refusal: Refusal, example: Any) -> None:
    example["hide"] = ["a", "b"]
    example["rows"][0]["used_by"][0]["product"] = "c"
    message = refusal(example)
    assert "hide[0]: a is no product; hide[1]: b is no product; rows[0].used_by[0].product: c is no product" in message


def test_everything_that_the_schema_refuses_is_named_at_once(refusal: Refusal, example: Any) -> None:
    example["edition"]["id"] = "Example"
    example["products"][0]["id"] = "Example Sync"
    del example["rows"][1]["protocols"]
    example["traffic"]["products"]["tls-websites"][0]["scope"] = "world"
    message = refusal(example)
    for place in (
        "edition.id: ",
        "products[0].id: ",
        "rows[1]: protocols is",
        "traffic.products.tls-websites[0].scope: ",
    ):
        assert place in message


def test_a_flood_of_complaints_is_short(refusal: Refusal) -> None:
    assert refusal({"edition": {"id": "a", "title": "A"}, "hide": [f"a{n}" for n in range(900)]}).endswith(
        "and 880 more"
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "nothing"),
        ([], "a list"),
        ("secret", "a text"),
        (1, "a number"),
        (True, "true or false"),
        (["secret"], "a list"),
    ],
)
def test_file_that_is_no_mapping(refusal: Refusal, value: Any, what: str) -> None:
    message = refusal(value)
    assert message.startswith(
        f"the file: {what} is not what belongs here (The form of a file that adds to the catalogue"
    )
    assert "secret" not in message


def test_without_jsonschema(
    monkeypatch: pytest.MonkeyPatch, refusal: Refusal, base: Any, write: Any, example: Any
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "jsonschema":
            raise ImportError(name)
        return real(name, *rest)

    _catalogue_site._validator.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CatalogueError, match=r"needs the Python library jsonschema.*pip install jsonschema"):
        _catalogue_site.merge(base, write(example))
    monkeypatch.undo()
    assert _catalogue_site.merge(base, write(example))


# --- Files that are none ----------------------------------------------------------------------------------------------

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGED_BOMB = "a0: &a0 {x: y}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "edition: {id: a, title: A}\nedition: {id: b, title: B}\n",
            "cannot be read: line 2: key edition is given twice",
        ),
        ("traffic:\n  products:\n    a: []\n    'a': []\n", "cannot be read: line 4: key a is given twice"),
        ("a: [b\n] c: d\n", "cannot be read: line 2, column 3: not YAML: "),
        ("a: &b 1\nc: &b 2\n", "cannot be read: line 2, column 4: not YAML: "),
        ("a: 1\n---\nb: 2\n", "cannot be read: line 2: a second document begins here"),
        (
            "hide: !!python/object/apply:os.system ['id']\n",
            "cannot be read: line 1: tag tag:yaml.org,2002:python/object/apply:os.system makes",
        ),
        ("443: a\n", "cannot be read: line 1: key 443 is no text: put it in quotes"),
        ("? [a, b]\n: c\n", "cannot be read: line 1: key made of several values is no text"),
        ("yes: a\n", "cannot be read: line 1: key yes is no text: put it in quotes"),
        ("hide: &a [*a]\n", "cannot be read: line 1: it contains itself"),
        ("hide: *a\n", "cannot be read: line 1: alias *a has no anchor"),
        (BOMB, "its aliases repeat too much"),
        (MERGED_BOMB, "its aliases repeat too much"),
        ("hide: " + "[" * 100_000, "cannot be read: line 1: nested too deeply"),
        ("hide: " + "{a: " * 100_000, "cannot be read: line 1: nested too deeply"),
        ("hide: [" + "a," * 20_000 + "]", "cannot be read: line 1: too much in one file"),
        ("rfc: 1" + "0" * 5000 + "\n", "cannot be read: it has a number or a date that cannot be"),
        ("hide: [\x00]\n", "cannot be read: not YAML: "),
        ("hide: [2026-02-30]\n", "cannot be read: it has a number or a date that cannot be"),
        ("hide: !!timestamp x\n", "cannot be read: it has a number or a date that cannot be"),
        ("hide: !!bool x\n", "cannot be read: it has a number or a date that cannot be"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "the file: a text is not what belongs here"),
        ("x" * (_strict_yaml.LARGEST + 1), "cannot be read: it is larger than 1024 KiB"),
    ],
    ids=lambda value: value[:24].strip(),
)
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_yaml_that_is_refused(
    refusal: Refusal, monkeypatch: pytest.MonkeyPatch, loader: str, text: str, message: str
) -> None:
    monkeypatch.setattr(_strict_yaml, "_Loader", getattr(yaml, loader))
    # Python's own parser needs seconds for as much as the real limit.
    monkeypatch.setattr(_strict_yaml, "_MOST_NODES", 10_000)
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"edition": 1, "edition": 2}', "cannot be read: key edition is given twice in one object"),
        ('{"edition": ', "cannot be read: line 1, column 13: not JSON: "),
        ('{"edition": NaN}', "cannot be read: NaN is not JSON"),
        ("[" * 200_000, "cannot be read: it is nested too deeply"),
        ('{"rfc": 1' + "0" * 5000 + "}", "cannot be read: it has a number of too many digits"),
    ],
    ids=lambda value: value[:24],
)
def test_json_that_is_refused(refusal: Refusal, text: str, message: str) -> None:
    assert message in refusal(text, "site.json")


def test_json_is_read(base: Any, example: Any, write: Callable[..., str]) -> None:
    path = write(json.dumps(example), "site.JSON")
    assert _catalogue_site.merge(base, path)["products"]["example-sync"]["aliases"] == ["Sync"]


def test_aliases_that_people_write_are_read(base: Any, write: Callable[..., str]) -> None:
    text = (
        "edition: {id: a, title: A}\n"
        "traffic:\n"
        "  products:\n"
        "    siri: [&own {ports: [443/tcp], direction: out, scope: local, reason: Through our own proxy alone.}]\n"
        "    dictation: [*own]\n"
    )
    entries = _catalogue_site.merge(base, write(text))["entries"]
    assert {entry["product"] for entry in entries if entry["edition"] == "a"} == {"siri", "dictation"}


def test_byte_order_mark_is_no_part_of_the_first_key(base: Any, write: Callable[..., str]) -> None:
    assert _catalogue_site.merge(base, write("\ufeffedition: {id: a, title: A}\n"))


def refused_path(base: Any, path: Path) -> str:
    with pytest.raises(CatalogueError) as caught:
        _catalogue_site.merge(base, str(path))
    return str(caught.value)


def test_paths_that_are_no_files(base: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"edition: {id: a, title: caf\xe9}\n")
    assert "cannot be read: it is not a plain file" in refused_path(base, tmp_path / "pipe")
    assert "cannot be read: it is not a plain file" in refused_path(base, Path("/dev/zero"))
    assert "cannot be read: Is a directory" in refused_path(base, tmp_path)
    assert "cannot be read: No such file" in refused_path(base, tmp_path / "none.yml")
    assert "cannot be read: byte 27 is not UTF-8" in refused_path(base, tmp_path / "latin")


def test_a_file_of_100_megabytes_is_not_even_read(base: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.yml"
    with path.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    assert "larger than 1024 KiB" in refused_path(base, path)


def test_catalogues_are_named_in_ansible_cfg(example: Any, write: Callable[..., str], tmp_path: Path) -> None:
    settings = tmp_path / "ansible.cfg"
    settings.write_text(f"[netports_apple]\ncatalogues = {write(example)}\nsupplement = true\n")
    root = Path(__file__).resolve().parents[3]
    expression = (
        "{{ query('netports.apple.ports', 'Sync', 'AirPlay') | map(attribute='edition') | unique | join(' ') }}"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible",
            "adhoc",
            "localhost",
            "-m",
            "ansible.builtin.debug",
            "-a",
            f"msg={expression!r}",
        ],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(settings),
            "ANSIBLE_COLLECTIONS_PATH": str(root / ".venv" / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"msg": "example-2026 ' in done.stdout and "supplement-2026" in done.stdout, done.stdout + done.stderr
