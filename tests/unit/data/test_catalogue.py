# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue is whole, agrees with itself, and says what the article says."""

from __future__ import annotations

import copy
import csv
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "data"


def load_by_path(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_by_path("build_catalogue", ROOT / "tools" / "build_catalogue.py")
normalise: Callable[[str], str] = load_by_path("names", ROOT / "plugins" / "plugin_utils" / "_names.py").normalise


def load_yaml(name: str) -> dict[str, Any]:
    # The parser in C takes a tenth of the time.
    loaded: dict[str, Any] = yaml.load((DATA / name).read_text(encoding="utf-8"), Loader=SAFE)
    return loaded


SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FACTS = load_yaml("apple_ports.yml")
TRAFFIC = load_yaml("traffic.yml")
SUPPLEMENT = load_yaml("supplement.yml")
PRACTICE = load_yaml("practice.yml")
CATALOGUE: dict[str, Any] = json.loads((DATA / "catalogue.json").read_text(encoding="utf-8"))
PRODUCTS: dict[str, Any] = {product["id"]: product for product in FACTS["products"]}
# The schema of the audit is not of data that people write: tests/unit/audit holds reports to it.
SCHEMAS = {
    path.name: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(DATA.glob("*.schema.json"))
    if path.name != "audit.schema.json"
}


def schema_errors(schema: str, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMAS[schema]).iter_errors(value)]


def users(row: dict[str, Any]) -> set[str]:
    """All products of a row, nested ones too."""
    return {name for use in row["used_by"] for name in [use["product"], *use.get("nests", [])]}


def judged() -> Iterator[tuple[str, str]]:
    """(product or "", "port/protocol") for each judgement of traffic.yml, as often as it stands there."""
    for product, groups in TRAFFIC["products"].items():
        for group in groups:
            yield from ((product, pair) for pair in group["ports"])
    for group in TRAFFIC["rows_without_product"]:
        yield from (("", pair) for pair in group["ports"])


def entries(*products: str | None) -> list[dict[str, Any]]:
    return [entry for entry in CATALOGUE["entries"] if entry["product"] in products]


def ports(product: str, protocol: str) -> list[str]:
    found = [entry for entry in entries(product) if entry["protocol"] == protocol]
    return [entry["port"] for entry in sorted(found, key=lambda entry: int(entry["first"]))]


# --- Form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_schema_is_known() -> None:
    names = ["apple_ports", "hosts", "networks", "practice", "site", "supplement", "traffic"]
    assert list(SCHEMAS) == [f"{name}.schema.json" for name in names]


@pytest.mark.parametrize(
    ("name", "value"),
    [("apple_ports", FACTS), ("traffic", TRAFFIC), ("supplement", SUPPLEMENT), ("site", SUPPLEMENT)]
    + [("practice", PRACTICE), ("site", {key: PRACTICE[key] for key in ("edition", "products", "rows", "traffic")})],
)
def test_data_hold_to_their_schema(name: str, value: Any) -> None:
    assert schema_errors(f"{name}.schema.json", value) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_leaves_nothing_open(name: str) -> None:
    """Every object refuses unknown keys; every string is bounded and has a pattern, or is one of a few."""

    def check(schema: Any, where: str) -> None:
        if isinstance(schema, list):
            for number, item in enumerate(schema):
                check(item, f"{where}[{number}]")
        if not isinstance(schema, dict):
            return
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "object" in kinds:
            assert schema["additionalProperties"] is False, where
        if "array" in kinds:
            assert "maxItems" in schema, where
        if "string" in kinds and isinstance(kinds, list):
            assert {"maxLength", "pattern"} <= schema.keys() and schema["pattern"].endswith(r"$(?!\n)"), where
        for key, value in schema.items():
            check(value, f"{where}.{key}")

    check(SCHEMAS[name], name)


def test_schemas_agree_on_what_they_share() -> None:
    site = SCHEMAS["site.schema.json"]["$defs"]
    # A site may leave out Dutch names and what is null, and its ports may be words.
    looser = {"detail", "names", "row", "service", "port", "pair"}
    for name in ("apple_ports.schema.json", "traffic.schema.json", "supplement.schema.json"):
        shared = SCHEMAS[name]["$defs"]
        assert shared.keys() <= site.keys() | {"page"}
        assert {key: shared[key] for key in shared.keys() - looser - {"page"}} == {
            key: site[key] for key in shared.keys() - looser - {"page"}
        }
    practice = SCHEMAS["practice.schema.json"]["$defs"]
    stricter = {"detail", "names", "row", "service", "product", "traffic"}
    both = practice.keys() & site.keys() - stricter
    assert both >= {"port", "pair", "class", "judgement", "side", "obsolete"}
    assert {key: practice[key] for key in both} == {key: site[key] for key in both}
    assert site["traffic"]["properties"] == SCHEMAS["traffic.schema.json"]["properties"]


# --- A site's own catalogue -------------------------------------------------------------------------------------------


def site_example() -> dict[str, Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", (DATA / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    example: dict[str, Any] = yaml.safe_load(blocks[0])
    return example


def test_example_of_a_site_holds_to_its_schema() -> None:
    assert schema_errors("site.schema.json", site_example()) == []


def test_the_catalogue_itself_has_the_form_of_a_site() -> None:
    assert schema_errors("site.schema.json", {**FACTS, "traffic": TRAFFIC}) == []


HOSTILE: list[Any] = [
    "",
    "\n",
    'a"b',
    "a\nb",
    "a;b",
    "$(id)",
    "{{ 1 }}",
    "`id`",
    "a\\b",
    "\x00",
    "é" * 5000,
    "a\n",
    None,
    1,
    True,
    ["a"],
    {},
]
# These admit quotes and the like, being prose that is only ever shown.
PROSE = {"title", "description", "reason", "role", "service", "detail", "label"}


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize(
    "path",
    [
        ("edition", "id"),
        ("edition", "title"),
        ("products", 0, "id"),
        ("products", 0, "name", "en"),
        ("products", 0, "aliases", 0),
        ("rows", 0, "port"),
        ("rows", 0, "protocols", 0),
        ("rows", 0, "label"),
        ("rows", 0, "used_by", 0, "product"),
        ("traffic", "products", "example-sync", 0, "ports", 0),
        ("traffic", "products", "example-sync", 0, "direction"),
        ("traffic", "products", "example-sync", 0, "scope"),
        ("traffic", "products", "example-sync", 0, "reason"),
        ("traffic", "products", "example-sync", 0, "source"),
        ("hide", 0),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_site_refuses_hostile_values(path: tuple[Any, ...], value: Any) -> None:
    example = site_example()
    place = example
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    harmless = (path[-1] in PROSE and value in ('a"b', "a;b", "$(id)", "`id`", "a\\b")) or (
        path[-1] == "label" and value is None
    )
    if harmless and path[-1] == "reason":
        place[path[-1]] = f"{value}, said in as many words."
    assert (schema_errors("site.schema.json", example) == []) is harmless


@pytest.mark.parametrize(
    ("port", "good"),
    [("1", True), ("65535", True), ("1-65535", True), ("0", False), ("65536", False), ("99999", False), ("080", False)]
    + [
        (port, False)
        for port in ("80-", "-80", "80–90", "80:90", "80 - 90", "80\n", "٨٠", "+80", "1-2-3", "80,81", "0-1")
    ],
)
def test_port_pattern(port: str, good: bool) -> None:
    example = site_example()
    example["rows"][0]["port"] = port
    assert (schema_errors("site.schema.json", example) == []) is good


@pytest.mark.parametrize(
    "path", [(), ("edition",), ("products", 0), ("rows", 0), ("rows", 0, "used_by", 0), ("traffic",)]
)
def test_site_refuses_unknown_keys(path: tuple[Any, ...]) -> None:
    example = site_example()
    place = example
    for step in path:
        place = place[step]
    place["extra"] = "value"
    assert schema_errors("site.schema.json", example)


# --- Facts and judgement agree ----------------------------------------------------------------------------------------


def test_json_is_current() -> None:
    assert tool.main(["--check"]) == 0


def test_there_are_56_rows_each_once() -> None:
    assert len(FACTS["rows"]) == 56
    assert len({row["port"] for row in FACTS["rows"]}) == 56


def test_products_of_rows_exist() -> None:
    assert [name for row in FACTS["rows"] for name in sorted(users(row)) if name not in PRODUCTS] == []


def test_every_product_is_used() -> None:
    used = {name for row in FACTS["rows"] for name in users(row)}
    families = {PRODUCTS[name].get("family") for name in used}
    assert PRODUCTS.keys() - used - families == set()
    assert PRODUCTS.keys() - used == {"printing"}


def test_ids_are_unique() -> None:
    assert len(PRODUCTS) == len(FACTS["products"])


def test_every_pair_has_exactly_one_judgement_and_none_is_left_over() -> None:
    wanted = Counter(
        (name, f"{row['port']}/{protocol}")
        for row in FACTS["rows"]
        for protocol in row["protocols"]
        for name in (users(row) or {""})
    )
    assert Counter(judged()) == wanted


def test_no_two_products_share_a_name() -> None:
    owners: dict[str, set[str]] = {}
    for identifier, product in PRODUCTS.items():
        for name in [identifier, *product["name"].values(), *product.get("aliases", [])]:
            assert normalise(name)
            owners.setdefault(normalise(name), set()).add(identifier)
    assert {name: ids for name, ids in owners.items() if len(ids) > 1} == {}
    assert CATALOGUE["index"] == {name: min(ids) for name, ids in owners.items()}


@pytest.mark.parametrize(
    "name", ["iTunes", "AirPort", "Find My", "Zoek mijn", "Windows", "Desktop", "ldap", "http", "rfb", "smtp"]
)
def test_ambiguous_names_find_nothing_by_themselves(name: str) -> None:
    assert normalise(name) not in CATALOGUE["index"]


def test_members_and_families_agree() -> None:
    products = CATALOGUE["products"]
    for name, product in products.items():
        assert all(products[member]["family"] == name for member in product["members"])
        if product["family"]:
            assert name in products[product["family"]]["members"]
            assert product["members"] == []
    assert {name: product["members"] for name, product in products.items() if product["members"]} == {
        "icloud": [
            "icloud-mail",
            "icloud-authentication",
            "icloud-dav-services",
            "icloud-backup",
            "icloud-apps",
            "icloud-key-value-store",
        ],
        "printing": ["printing-network-printer", "printing-common-printers", "printing-certain-printers"],
    }


def test_nested_only() -> None:
    nested_only = {name for name, product in CATALOGUE["products"].items() if product["nested_only"]}
    assert nested_only == {
        *("xcode", "contacts", "bookmarks", "find-my-iphone", "find-my-friends", "documents"),
        "apple-developer-registration",
    }
    for name, product in CATALOGUE["products"].items():
        found = [entry["nested"] for entry in entries(name)]
        assert product["nested_only"] == (bool(found) and all(found))


def test_entries_are_complete_and_in_the_articles_order() -> None:
    keys = [
        "product",
        "name",
        "port",
        "first",
        "last",
        "protocol",
        "service",
        "service_name",
        "rfc",
        "detail",
        "nested",
        "legacy",
        "edition",
        "direction",
        "scope",
        "reason",
        "source",
    ]
    order = [row["port"] for row in FACTS["rows"]]
    seldom = ("sides", "obsolete")
    assert all([key for key in entry if key not in seldom] == keys for entry in CATALOGUE["entries"])
    positions = [order.index(entry["port"]) for entry in CATALOGUE["entries"]]
    assert positions == sorted(positions) and set(positions) == set(range(56))
    assert all(entry["name"].keys() == {"en", "nl"} for entry in CATALOGUE["entries"])
    assert {entry["edition"] for entry in CATALOGUE["entries"]} == {FACTS["edition"]["id"]}
    once = Counter((entry["product"], entry["port"], entry["protocol"]) for entry in CATALOGUE["entries"])
    assert set(once.values()) == {1}


def test_sides_say_no_more_than_the_judgement() -> None:
    """A side narrows a judgement, or turns it round: a server's port is a client's outward."""
    judgements = [*TRAFFIC["products"].values(), *PRACTICE["traffic"]["products"].values()]
    groups = [group for groups in judgements for group in groups] + TRAFFIC["rows_without_product"]
    assert sum("sides" in group for group in groups) > 30
    for group in groups:
        directions = {side["direction"] for side in group.get("sides", [])}
        if directions:
            assert group["direction"] == "both" or group["direction"] in directions, group
        for side in group.get("sides", []):
            assert side["direction"] == "out" or side["scope"] == "local" or group["scope"] == "internet", group
            assert side["id"] in ("server", "client", "device", "provider", "gateway")


# --- What it means ----------------------------------------------------------------------------------------------------


def test_facetime() -> None:
    assert ports("facetime", "tcp") == ["80", "443", "5223"]
    assert ports("facetime", "udp") == ["3478-3497", "16384-16387", "16393-16402"]


def test_mail_is_not_icloud_mail() -> None:
    assert ports("mail", "tcp") == ["25", "110", "143", "465", "587"]
    assert ports("mail", "udp") == []
    assert ports("icloud-mail", "tcp") == ["25", "443", "587", "993"]
    assert [entry["port"] for entry in entries("mail") if entry["legacy"]] == ["465"]


def test_push_notifications_are_not_the_feedback_service() -> None:
    assert ports("push-notifications", "tcp") == ["443", "2195", "2197", "5223"]
    assert ports("push-notifications", "udp") == []
    assert ports("feedback-service", "tcp") == ["2196"]


def test_classroom_is_not_remote_desktop() -> None:
    assert ports("classroom", "tcp") == ["3284", "3285"]
    assert ports("classroom", "udp") == []
    assert ports("apple-remote-desktop", "tcp") == ports("apple-remote-desktop", "udp") == ["3283", "5900"]


def test_game_center_keeps_its_hole() -> None:
    assert ports("game-center", "udp") == ["3478-3497", "4398", "16384-16387", "16393-16402", "16403-16472"]
    hole = set(range(16388, 16393))
    assert not any(hole & set(range(entry["first"], entry["last"] + 1)) for entry in entries("game-center", "facetime"))


def test_backup_is_not_icloud_backup() -> None:
    assert ports("backup", "tcp") == ["80"]
    assert ports("icloud-backup", "tcp") == ["443"]


def test_messages_is_not_imessage() -> None:
    assert (ports("messages", "tcp"), ports("messages", "udp")) == (["5297"], ["16384-16403"])
    assert ports("imessage", "tcp") == ["80", "443", "5223"]
    assert [entry["port"] for entry in entries("imessage") if entry["nested"]] == ["443"]


def test_icloud_opens_nothing_inbound() -> None:
    family = entries("icloud", *CATALOGUE["products"]["icloud"]["members"])
    assert family and {entry["direction"] for entry in family} == {"out"}


def test_only_media_of_peers_come_in_from_the_internet() -> None:
    inbound = [entry for entry in CATALOGUE["entries"] if entry["direction"] != "out" and entry["scope"] == "internet"]
    assert {entry["product"] for entry in inbound} == {"facetime", "messages", "game-center"}
    assert {entry["protocol"] for entry in inbound} == {"udp"}


def test_rows_without_product() -> None:
    found = {(entry["port"], entry["protocol"]): entry["name"]["en"] for entry in entries(None)}
    assert found == {
        ("53", "tcp"): "domain",
        ("53", "udp"): "domain",
        ("137", "udp"): "netbios-ns",
        ("445", "tcp"): "microsoft-ds",
        ("636", "tcp"): "ldaps",
        ("749", "tcp"): "kerberos-adm",
        ("749", "udp"): "kerberos-adm",
        ("995", "tcp"): "pop3s",
        ("995", "udp"): "pop3s",
    }


# --- The transcription, made apart from the YAML ----------------------------------------------------------------------


def transcription() -> list[dict[str, str]]:
    path = Path(__file__).with_name("transcription.tsv")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))


def the_name(product: str, transcribed: str) -> str:
    """Return the Dutch name as transcribed if it is one of the product's names, or else the product's own."""
    names = [PRODUCTS[product]["name"]["nl"], *PRODUCTS[product].get("aliases", [])]
    return transcribed if normalise(transcribed) in map(normalise, names) else names[0]


def described(row: dict[str, Any], transcribed: dict[str, str]) -> dict[str, str]:
    """Return a row of the YAML as the transcription would write it."""
    products = transcribed["products"].split(" | ")
    uses = []
    for number, use in enumerate(row["used_by"]):
        text = re.sub(r" \(.*\)$", "", products[number]) if number < len(products) else ""
        uses.append(the_name(use["product"], text) + (f" ({use['detail']['nl']})" if "detail" in use else ""))
    nests: list[str] = []
    for use in row["used_by"]:
        nests += [product for product in use.get("nests", []) if product not in nests]
    nested = transcribed["nested"].split(" | ")
    return {
        "port": row["port"],
        "protocols": "/".join(row["protocols"]).upper(),
        "service": row["service"]["nl"] if row["service"] else "",
        "rfc": str(row["rfc"] or ""),
        "label": row["label"] or "",
        "legacy": "verouderd" if row.get("legacy") else "",
        "products": " | ".join(uses),
        "nested": " | ".join(
            sorted(
                the_name(product, next((name for name in nested if the_name(product, name) == name), ""))
                for product in nests
            )
        ),
    }


@pytest.mark.parametrize("number", range(56))
def test_row_is_as_transcribed(number: int) -> None:
    transcribed = transcription()[number]
    transcribed["nested"] = " | ".join(sorted(transcribed["nested"].split(" | ")))
    assert described(FACTS["rows"][number], transcribed) == transcribed


def test_transcription_has_56_rows() -> None:
    assert len(transcription()) == 56


# --- The tool sees what is wrong --------------------------------------------------------------------------------------


def drop_judgement(facts: Any, traffic: Any) -> None:
    traffic["products"]["siri"][0]["ports"].remove("5228/tcp")


def judge_twice(facts: Any, traffic: Any) -> None:
    traffic["products"]["siri"].append(traffic["products"]["siri"][0])


def judge_nothing(facts: Any, traffic: Any) -> None:
    traffic["rows_without_product"][0]["ports"].append("54/tcp")


def change_port(facts: Any, traffic: Any) -> None:
    facts["rows"][0]["port"] = "23"


def turn_range(facts: Any, traffic: Any) -> None:
    facts["rows"][-1]["port"] = "65535-49152"


def name_stranger(facts: Any, traffic: Any) -> None:
    facts["rows"][0]["used_by"].append({"product": "stranger"})


def add_idle(facts: Any, traffic: Any) -> None:
    facts["products"].append({"id": "idle", "name": {"en": "Idle", "nl": "Idle"}})


def add_twice(facts: Any, traffic: Any) -> None:
    facts["products"].append(facts["products"][0])


def share_alias(facts: Any, traffic: Any) -> None:
    facts["products"][0]["aliases"] = ["face\u2011time"]


def repeat_alias(facts: Any, traffic: Any) -> None:
    facts["products"][0]["aliases"] = ["XCODE server"]


def name_nothing(facts: Any, traffic: Any) -> None:
    facts["products"][0]["aliases"] = ["-"]


def unknown_family(facts: Any, traffic: Any) -> None:
    facts["products"][0]["family"] = "stranger"


def nested_family(facts: Any, traffic: Any) -> None:
    facts["products"][0]["family"] = "icloud-mail"


def repeat_row(facts: Any, traffic: Any) -> None:
    facts["rows"].append(facts["rows"][0])


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (
            drop_judgement,
            "apple_ports.yml, rows[41].used_by[1].product: 5228/tcp of siri is not judged: say under traffic who connects, and from where",
        ),
        (judge_twice, "traffic.yml, products.siri[1].ports[0]: 443/tcp of siri is judged twice"),
        (
            judge_nothing,
            (
                "traffic.yml, rows_without_product[0].ports[2]: 54/tcp of a row without product has no row; there "
                "are 53/tcp, 53/udp, 137/udp, 445/tcp, 636/tcp, 749/tcp, 749/udp, 995/tcp, 995/udp"
            ),
        ),
        (
            change_port,
            (
                "traffic.yml, products.xcode-server[0].ports[0]: 22/tcp of xcode-server has no row; there are "
                "80/tcp, 443/tcp, 3690/tcp, 3690/udp, 9418/tcp, 9418/udp"
            ),
        ),
        (turn_range, "apple_ports.yml, rows[55].port: 65535-49152: a range runs from a lower to a higher port"),
        (name_stranger, "apple_ports.yml, rows[0].used_by[1].product: stranger is no product"),
        (add_idle, "apple_ports.yml, products[73]: product idle is used by no row and has no members"),
        (add_twice, "apple_ports.yml, products[73].id: product xcode-server is defined twice"),
        (share_alias, 'apple_ports.yml, products[4].name.en: "FaceTime" is a name of both xcode-server and facetime'),
        (
            repeat_alias,
            'apple_ports.yml, products[0].aliases[0]: alias "XCODE server" of xcode-server is the same name as "Xcode Server"',
        ),
        (
            name_nothing,
            'apple_ports.yml, products[0].aliases[0]: nothing of the name "-" of xcode-server counts in a comparison',
        ),
        (
            unknown_family,
            "apple_ports.yml, products[0].family: xcode-server is of the family stranger: stranger is no product",
        ),
        (
            nested_family,
            "apple_ports.yml, products[0].family: xcode-server is of the family icloud-mail, which is itself a member: families do not nest",
        ),
        (
            repeat_row,
            "apple_ports.yml, rows[56].used_by[0].product: 22/tcp of xcode-server has a row already: to judge it anew, give it under traffic alone",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_tool_names_what_is_wrong(break_it: Callable[[Any, Any], None], sentence: str) -> None:
    facts, traffic = copy.deepcopy(FACTS), copy.deepcopy(TRAFFIC)
    break_it(facts, traffic)
    with pytest.raises(tool.CatalogueError) as raised:
        tool.build(facts, traffic)
    assert sentence in raised.value.problems


def of_the_article(practice: Any) -> None:
    practice["rows"][0]["used_by"].append({"product": "siri"})
    practice["traffic"]["products"]["siri"] = [{**practice["traffic"]["products"]["remote-login"][0]}]


def name_of_the_article(practice: Any) -> None:
    practice["products"][0]["aliases"].append("FaceTime")


def port_after_all(practice: Any) -> None:
    practice["without_ports"][0]["names"].append("Samba")


def mean_nothing(practice: Any) -> None:
    practice["usually_meant"][0]["instead"].append("stranger")


def discover_nothing(practice: Any) -> None:
    practice["dns_sd"][0]["products"].append("stranger")


def forget_example(practice: Any) -> None:
    for row in practice["rows"]:
        row.pop("example", None)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (of_the_article, "practice.yml, 22/tcp: siri is a product of the article"),
        (name_of_the_article, '"FaceTime" is a name of both facetime and smb-file-sharing'),
        (port_after_all, "practice.yml, without_ports: samba is a name of smb-file-sharing"),
        (mean_nothing, "practice.yml, stranger is no product"),
        (discover_nothing, "practice.yml, stranger is no product"),
        (forget_example, "a port that the site chooses needs an example for the message"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_tool_names_what_is_wrong_with_everyday_names(break_it: Callable[[Any], None], sentence: str) -> None:
    practice = copy.deepcopy(PRACTICE)
    break_it(practice)
    with pytest.raises(tool.CatalogueError) as raised:
        tool.everyday(CATALOGUE, practice)
    assert any(sentence in problem for problem in raised.value.problems), raised.value.problems


def test_tool_refuses_a_key_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "traffic.yml"
    path.write_text("products:\n  siri: [a]\n  siri: [b]\n", encoding="utf-8")
    with pytest.raises(tool.CatalogueError, match=r"traffic\.yml, line 3: key siri is given twice"):
        tool.load(path)


def test_check_sees_a_stale_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "catalogue.json"
    monkeypatch.setattr(tool, "CATALOGUE", stale)
    monkeypatch.setattr(tool, "SUPPLEMENT_JSON", tmp_path / "supplement.json")
    monkeypatch.setattr(tool, "PRACTICE_JSON", tmp_path / "practice.json")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    assert stale.read_bytes() == (DATA / "catalogue.json").read_bytes()
    stale.write_text(stale.read_text(encoding="utf-8").replace('"first":22', '"first":23'), encoding="utf-8")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    (tmp_path / "supplement.json").write_text("{}", encoding="utf-8")
    assert tool.main(["--check"]) == 1
