# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs is said by port and protocol, once, and in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from unit.article import pages

Run = Callable[..., tuple[int, str]]
DUTCH, ENGLISH, GERMAN, FIVE = (
    next(layout for layout in pages.LAYOUTS if layout.name == name)
    for name in ("dutch", "english", "german", "five-2008")
)


def row(facts: Any, port: str) -> Any:
    return next(row for row in facts["rows"] if row["port"] == port)


def use(facts: Any, port: str, product: str) -> Any:
    return next(use for use in row(facts, port)["used_by"] if use["product"] == product)


def add_row(facts: Any) -> None:
    new = {"port": "5000-5001", "protocols": ["tcp", "udp"], "service": None, "rfc": None, "label": None}
    facts["rows"].insert(40, {**new, "used_by": [{"product": "airplay"}]})


def add_unknown(facts: Any) -> None:
    facts["products"].append({"id": "new", "name": {"en": "New Thing", "nl": "Nieuw Ding"}})
    row(facts, "5100")["used_by"].append({"product": "new", "detail": {"en": "a", "nl": "b"}})


CHANGES: list[tuple[Callable[[Any], Any], list[str]]] = [
    (
        lambda facts: facts["rows"].remove(row(facts, "2196")),
        ["- 2196/tcp: Apple Push Notification service (APNs); used by feedback-service"],
    ),
    (add_row, ["+ 5000-5001/tcp: used by airplay (row 41)", "+ 5000-5001/udp: used by airplay (row 41)"]),
    (
        lambda facts: row(facts, "53").update(protocols=["udp"]),
        ["- 53/tcp: DNS (Domain Name System); RFC 1034; domain; used by nobody"],
    ),
    (
        lambda facts: row(facts, "137").update(protocols=["tcp", "udp"]),
        ["+ 137/tcp: WINS (Windows Internet Naming Service); netbios-ns; used by nobody (row 8)"],
    ),
    (lambda facts: row(facts, "88").update(rfc=4121), ["~ 88/tcp: RFC 4120 is now 4121 (row 5)"]),
    (lambda facts: row(facts, "749").update(rfc=3244), ["~ 749/tcp+udp: RFC none is now 3244 (row 24)"]),
    (lambda facts: row(facts, "88").update(rfc=None), ["~ 88/tcp: RFC 4120 is now none (row 5)"]),
    (lambda facts: row(facts, "88").update(label="krb5"), ["~ 88/tcp: label 'kerberos' is now 'krb5' (row 5)"]),
    (lambda facts: row(facts, "465").update(legacy=False), ["~ 465/tcp: label 'smtp' (legacy) is now 'smtp' (row 16)"]),
    (
        lambda facts: row(facts, "88").update(legacy=True),
        ["~ 88/tcp: label 'kerberos' is now 'kerberos' (legacy) (row 5)"],
    ),
    (
        lambda facts: row(facts, "88")["service"].update(nl="Kerberos V"),
        ["~ 88/tcp: service 'Kerberos' is now 'Kerberos V' (row 5)"],
    ),
    (lambda facts: row(facts, "5228")["used_by"].pop(), ["~ 5228/tcp: no longer used by siri (row 42)"]),
    (
        lambda facts: row(facts, "5228")["used_by"].append({"product": "maps"}),
        ["~ 5228/tcp: also used by maps (row 42)"],
    ),
    (
        lambda facts: row(facts, "5228")["used_by"].append({"product": "siri"}),
        ["~ 5228/tcp: names one product more than once: spotlight-suggestions, siri, siri (row 42)"],
    ),
    (add_unknown, ["~ 5100/tcp: also used by 'Nieuw Ding' (no product has this name) (b) (row 40)"]),
    (
        lambda facts: use(facts, "25", "mail")["detail"].update(nl="post"),
        ["~ 25/tcp: what is said of mail, 'e-mail verzenden', is now 'post' (row 2)"],
    ),
    (
        lambda facts: use(facts, "25", "mail").pop("detail"),
        ["~ 25/tcp: what is said of mail, 'e-mail verzenden', is now none (row 2)"],
    ),
    (
        lambda facts: row(facts, "16384-16403").update(port="16384-16404"),
        [
            (
                "+ 16384-16404/udp: RTP (Real-Time Transport Protocol), RTCP (Real-Time Control Protocol); "
                "connected, —; used by messages (Audio-RTP, RTCP; Video-RTP, RTCP) (row 51)"
            ),
            (
                "- 16384-16403/udp: RTP (Real-Time Transport Protocol), RTCP (Real-Time Control Protocol); "
                "connected, —; used by messages (Audio-RTP, RTCP; Video-RTP, RTCP)"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("change", "lines"), CHANGES, ids=[lines[0][:28] for _change, lines in CHANGES])
def test_difference_is_said(run: Run, facts: Any, change: Callable[[Any], None], lines: list[str]) -> None:
    change(facts)
    status, printed = run(pages.page(facts, DUTCH))
    first, *others = printed.splitlines()
    assert (status, others) == (1, lines)
    assert first.endswith(f"{len(lines)} differences to nl-2026")


@pytest.mark.parametrize(("change", "lines"), CHANGES, ids=[lines[0][:28] for _change, lines in CHANGES])
def test_difference_is_seen_in_copied_text_too(run: Run, facts: Any, change: Any, lines: list[str]) -> None:
    change(facts)
    status, printed = run(pages.flattened(facts, "nl"))
    assert status == 1
    for line in lines:
        # What nothing separates may be told apart otherwise where it is new, but the port and the sign are the same.
        assert any(printed_line.startswith(line.split(":")[0]) for printed_line in printed.splitlines()), printed


def test_page_without_a_column_does_not_miss_it(run: Run, facts: Any) -> None:
    row(facts, "88").update(label="krb5")
    assert run(pages.page(facts, FIVE))[0] == 0
    row(facts, "88").update(rfc=1)
    assert run(pages.page(facts, FIVE))[1].endswith("~ 88/tcp: RFC 4120 is now 1 (row 5)\n")


def test_other_language_has_its_numbers_compared(run: Run, facts: Any) -> None:
    row(facts, "22").update(rfc=4254, protocols=["tcp", "udp"])
    facts["rows"].remove(row(facts, "2196"))
    assert run(pages.page(facts, GERMAN))[1].splitlines()[1:] == [
        "+ 22/udp: RFC 4254 (row 1)",
        "~ 22/tcp: RFC 4253 is now 4254 (row 1)",
        "- 2196/tcp: nothing but the port",
    ]


def test_heading_that_is_new_is_a_difference(run: Run, facts: Any) -> None:
    page = pages.page(facts, DUTCH).replace("Gebruikt door", "Gebruikt door Apple")
    status, printed = run(page)
    assert status == 1 and "the heading 'gebruikt door apple' is none that the article had" in printed


def test_one_port_in_several_rows(run: Run, facts: Any) -> None:
    """As a later edition has 49152-65535: for Xsan, and for AirPlay."""
    new = {"port": "49152-65535", "protocols": ["tcp", "udp"], "service": None, "rfc": None, "label": None}
    facts["rows"].append({**new, "used_by": [{"product": "airplay"}]})
    assert run(pages.page(facts, DUTCH))[1].splitlines()[1:] == [
        "+ 49152-65535/tcp: used by airplay (row 57)",
        "+ 49152-65535/udp: used by airplay (row 57)",
    ]


def test_names_in_english(run: Run, facts: Any) -> None:
    add_unknown(facts)
    assert "'New Thing' (no product has this name) (a)" in run(pages.page(facts, ENGLISH))[1]
