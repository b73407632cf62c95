# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update writes what the page says and nothing else, keeps comments and form, and lists what is left to people."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import article_compare
import article_page
import article_update
import build_catalogue
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.article import pages
from unit.article.conftest import FACTS
from unit.article.test_compare import CHANGES, DUTCH, ENGLISH, GERMAN, add_row, add_unknown, row, use

Run = Callable[..., tuple[int, str]]
TEXT = build_catalogue.FACTS.read_text(encoding="utf-8")


def changed_lines(after: str) -> list[str]:
    """The lines that differ from the facts file, as a diff has them."""
    lines = difflib.unified_diff(TEXT.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def add_named(facts: Any, name: str) -> None:
    """Let a product with a name of its own use a row."""
    facts["products"].append({"id": "new", "name": {"en": "x", "nl": name}})
    row(facts, "5228")["used_by"].append({"product": "new"})


@pytest.mark.parametrize("layout", pages.LAYOUTS[:3], ids=lambda layout: layout.name)
def test_nothing_to_update_writes_nothing(run: Run, own_facts: Path, layout: pages.Layout) -> None:
    before = own_facts.stat().st_mtime_ns
    assert run(pages.page(FACTS, layout), "--update")[0] == 0
    assert own_facts.stat().st_mtime_ns == before


def test_form_and_comments_survive_the_editor() -> None:
    document = article_update._yaml().load(TEXT)
    stream = __import__("io").StringIO()
    article_update._yaml().dump(document, stream)
    assert article_update._restored(TEXT, stream.getvalue()) == TEXT


def test_one_number(run: Run, facts: Any, own_facts: Path) -> None:
    row(facts, "88")["rfc"] = 4121
    status, printed = run(pages.page(facts, DUTCH), "--update", "--edition", "nl-2027")
    assert status == 1 and printed.endswith("written to apple_ports.yml; left to do:\n")
    assert changed_lines(own_facts.read_text(encoding="utf-8")) == [
        '-  id: "nl-2026"',
        '+  id: "nl-2027"',
        "-    rfc: 4120",
        "+    rfc: 4121",
    ]
    assert run(pages.page(facts, DUTCH)) == (0, "56 rows read, names in nl; 0 differences to nl-2027\n")


def test_much_at_once(run: Run, facts: Any, own_facts: Path) -> None:
    add_row(facts)
    add_unknown(facts)
    facts["rows"].remove(row(facts, "2196"))
    use(facts, "25", "mail")["detail"]["nl"] = "post"
    row(facts, "5228")["used_by"].pop(0)
    row(facts, "53")["used_by"].append({"product": "bonjour"})
    row(facts, "4398").update(service={"en": "Play", "nl": "Spel"}, legacy=True, label="play")
    status, printed = run(pages.page(facts, DUTCH), "--update")
    assert status == 1
    after = own_facts.read_text(encoding="utf-8")
    # Removed and added lines, and no other: every comment but that of the product that is gone has stayed.
    assert changed_lines(after) == [
        "-  - id: feedback-service",
        "-    # Not Push Notifications, though 2196 lies between its ports.",
        '-    name: {en: "Feedback service", nl: "Feedbackservice"}',
        '-    aliases: ["APNs feedback service", "Push notification feedback service"]',
        "+  - id: nieuw-ding",
        '+    name: {en: "Nieuw Ding", nl: "Nieuw Ding"}',
        '-        detail: {en: "sending email", nl: "e-mail verzenden"}',
        '+        detail: {en: "post", nl: "post"}',
        "-    used_by: []",
        "+    used_by:",
        "+      - product: bonjour",
        '-  - port: "2196"',
        "-    protocols: [tcp]",
        '-    service: {en: "Apple Push Notification service (APNs)", nl: "Apple Push Notification service (APNs)"}',
        "-    rfc: null",
        "-    label: null",
        "-    used_by:",
        "-      - product: feedback-service",
        "-",
        "-    service: null",
        "-    rfc: null",
        "-    label: null",
        '+    service: {en: "Spel", nl: "Spel"}',
        "+    rfc: null",
        '+    label: "play"',
        "+    legacy: true",
        "+      - product: nieuw-ding",
        '+        detail: {en: "b", nl: "b"}',
        "+",
        '+  - port: "5000-5001"',
        "+    protocols: [tcp, udp]",
        "+    service: null",
        "+    rfc: null",
        "+    label: null",
        "+    used_by:",
        "+      - product: airplay",
        "-      - product: spotlight-suggestions",
    ]
    assert [line.strip() for line in printed.splitlines() if line.startswith("  ")] == [
        "edition.id is the old one still: give --edition, and change title and description by hand",
        "what 25 says of mail is not in en yet",
        "the service 'Spel' is not in en yet",
        "the name of nieuw-ding is not in en yet",
        "product nieuw-ding is new: look at its names, and give it aliases and a family where it has them",
        "what 5100 says of nieuw-ding is not in en yet",
        "product feedback-service, which nothing uses any longer, is gone",
        "gone with what it was about: # Not Push Notifications, though 2196 lies between its ports.",
        "traffic.yml: judge 5000-5001/tcp of airplay",
        "traffic.yml: judge 5000-5001/udp of airplay",
        "traffic.yml: judge 5100/tcp of nieuw-ding",
        "traffic.yml: judge 53/tcp of bonjour",
        "traffic.yml: judge 53/udp of bonjour",
        "traffic.yml: no longer judge 2196/tcp of feedback-service",
        "traffic.yml: no longer judge 5228/tcp of spotlight-suggestions",
        "traffic.yml: no longer judge 53/tcp of a row without product",
        "traffic.yml: no longer judge 53/udp of a row without product",
    ]
    assert run(pages.page(facts, DUTCH))[0] == 0


def test_what_is_left_to_judge_is_what_the_generator_asks_for(run: Run, facts: Any, own_facts: Path) -> None:
    add_row(facts)
    facts["rows"].remove(row(facts, "5228"))
    printed = run(pages.page(facts, DUTCH), "--update")[1]
    asked = [line for line in printed.splitlines() if line.startswith("  traffic.yml: ")]
    with pytest.raises(build_catalogue.CatalogueError) as raised:
        build_catalogue.build(build_catalogue.load(own_facts), build_catalogue.load(build_catalogue.TRAFFIC))
    assert len(raised.value.problems) == len(asked) == 4


def test_comment_above_what_is_removed_stays_with_what_it_is_about(run: Run, facts: Any, own_facts: Path) -> None:
    """The comment on the family Printing stands behind Xsan, in the file as in its editor."""
    facts["rows"].pop()
    run(pages.page(facts, DUTCH), "--update")
    after = own_facts.read_text(encoding="utf-8")
    assert "- id: xsan" not in after and after.endswith("      - product: itunes-radio-streams\n")
    assert "together. It has no row of its own.\n  - id: printing\n" in after
    assert '    name: {en: "Printing", nl: "Afdrukken"}\n\n# All 56' in after


def test_nested_products_of_something_new(run: Run, facts: Any, own_facts: Path) -> None:
    detail = {"en": "Contacts, whatever", "nl": "Contacten, en meer"}
    row(facts, "5228")["used_by"].append({"product": "icloud-apps", "detail": detail})
    printed = run(pages.page(facts, DUTCH), "--update")[1]
    assert "look at what icloud-apps nests on 5228: contacts" in printed
    assert row(build_catalogue.load(own_facts), "5228")["used_by"][-1]["nests"] == ["contacts"]


def test_new_service_with_a_known_name_has_both_languages(run: Run, facts: Any, own_facts: Path) -> None:
    row(facts, "4398")["service"] = copy.deepcopy(row(facts, "53")["service"])
    printed = run(pages.page(facts, ENGLISH), "--update", "--edition", "en-2027")[1]
    assert printed.endswith("left to do:\n")
    assert row(build_catalogue.load(own_facts), "4398")["service"] == row(facts, "53")["service"]


def test_numbers_are_updated_from_any_language(run: Run, facts: Any, own_facts: Path) -> None:
    row(facts, "22")["rfc"] = 4254
    row(facts, "137")["protocols"] = ["tcp", "udp"]
    facts["rows"].remove(row(facts, "5228"))
    assert run(pages.page(facts, GERMAN), "--update")[0] == 1
    after = build_catalogue.load(own_facts)
    assert (row(after, "22")["rfc"], row(after, "137")["protocols"], len(after["rows"])) == (4254, ["tcp", "udp"], 55)
    assert row(after, "22")["used_by"] == row(facts, "22")["used_by"]


@pytest.mark.parametrize(
    ("layout", "change", "message"),
    [
        (GERMAN, add_row, "row 41: 5000-5001 is new, and its names are not known"),
        (DUTCH, lambda facts: row(facts, "22").update(rfc="4253, 4254"), "row 1: the facts have room for one RFC"),
        (
            DUTCH,
            lambda facts: row(facts, "5228")["used_by"].append({"product": "siri"}),
            "row 42: the row names one product more than once",
        ),
        (DUTCH, lambda facts: add_named(facts, "Maps!"), "'Maps!' would be the product maps, which is another"),
        (DUTCH, lambda facts: add_named(facts, "$(id) thing"), "does not match"),
        (DUTCH, lambda facts: row(facts, "22").update(label="{{ 1 }}"), "does not match"),
        (DUTCH, lambda facts: row(facts, "22").update(rfc="0"), "0 is less than the minimum"),
    ],
)
def test_update_that_is_refused_writes_nothing(
    run: Run, facts: Any, own_facts: Path, layout: pages.Layout, change: Callable[[Any], Any], message: str
) -> None:
    change(facts)
    status, printed = run(pages.page(facts, layout), "--update")
    assert status == 2 and message in printed
    assert own_facts.read_text(encoding="utf-8") == TEXT
    assert list(own_facts.parent.glob(".*")) == []


@pytest.mark.parametrize("edition", ["NL-2027", "a--b", "x" * 33, "", "a\n", "{{ 1 }}"])
def test_edition_that_is_none(run: Run, facts: Any, own_facts: Path, edition: str) -> None:
    with pytest.raises(SystemExit):
        run(pages.page(facts, DUTCH), "--update", "--edition", edition)


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_any_changes_are_written_and_nothing_else(data: st.DataObject) -> None:
    """After the update the facts say what the page says, and rows that did not change are the same to the letter."""
    facts = copy.deepcopy(FACTS)
    simple = [change for change, lines in CHANGES if "more than once" not in lines[0]]
    for number in sorted(data.draw(st.sets(st.integers(0, len(simple) - 1), min_size=1, max_size=6))):
        simple[number](facts)
    for place in sorted(data.draw(st.sets(st.integers(0, 39), max_size=4)), reverse=True):
        del facts["rows"][place]
    page = article_page.read(pages.page(facts, data.draw(st.sampled_from([DUTCH, pages.LAYOUTS[4]]))).encode())
    written, _left = article_update.update(TEXT, page, article_compare.compare(FACTS, page))
    after = build_catalogue.parse(written)
    assert [row["port"] for row in after["rows"]] == [row["port"] for row in facts["rows"]]
    assert article_compare.compare(after, page).differences == []

    def blocks(text: str) -> dict[str, str]:
        return {block.split("\n")[0]: block.rstrip() for block in text.split("\n\n  - port: ")[1:]}

    before, now = blocks(TEXT), blocks(written)
    untouched = [row["port"] for row in facts["rows"] if row in FACTS["rows"]]
    for port in untouched[1:]:
        assert now[f'"{port}"'] == before[f'"{port}"']
    assert written.count("\n\n\n") == 0 and written.endswith("\n") and not written.endswith("\n\n")
