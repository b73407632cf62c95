# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A saved copy of the article on hosts is read in any language, compared, and written into hosts.yml."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import build_catalogue
import hosts_compare
import pytest
from unit.article import host_pages

Run = Callable[..., tuple[int, str]]

DATA: dict[str, Any] = build_catalogue.load(build_catalogue.HOSTS)
ENGLISH = host_pages.LAYOUTS[0]


@pytest.fixture
def hosts() -> dict[str, Any]:
    """What hosts.yml holds, to be changed at will, and known whole: a page says of each host whether it takes proxies."""
    data = copy.deepcopy(DATA)
    for section in data["sections"]:
        for row in section["hosts"]:
            row.setdefault("proxies", False)
    return data


@pytest.fixture
def own_hosts(hosts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of hosts.yml in the place of the real one, with the whole knowledge of the fixture ``hosts``."""
    path = tmp_path / "hosts.yml"
    head = build_catalogue.HOSTS.read_text(encoding="utf-8").partition("\nsections:\n")[0]
    path.write_text(head + "\nsections:\n" + "\n".join(map(hosts_compare.render, hosts["sections"])), encoding="utf-8")
    monkeypatch.setattr(build_catalogue, "HOSTS", path)
    return path


def row(data: dict[str, Any], section: str, host: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in hosts_of(data, section) if row["host"] == host)
    return found


def hosts_of(data: dict[str, Any], section: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(one["hosts"] for one in data["sections"] if one["id"] == section)
    return found


def test_the_file_is_as_the_program_writes_it() -> None:
    text = build_catalogue.HOSTS.read_text(encoding="utf-8")
    assert text.partition("\nsections:\n")[2] == "\n".join(map(hosts_compare.render, DATA["sections"]))


@pytest.mark.parametrize("layout", host_pages.LAYOUTS, ids=lambda layout: layout.name)
def test_page_that_says_the_same(run: Run, hosts: dict[str, Any], own_hosts: Path, layout: host_pages.Layout) -> None:
    status, printed = run(host_pages.page(hosts, layout))
    rows = sum(len({pair.split("/")[1] for pair in row["ports"]}) for one in hosts["sections"] for row in one["hosts"])
    if layout.both:
        rows -= sum(row["ports"] == ["443/tcp", "443/udp"] for one in hosts["sections"] for row in one["hosts"])
    assert (status, printed) == (0, f"{rows} rows read, in 25 tables; 0 differences to hosts-2025\n")


def test_what_our_copies_do_not_say_is_a_difference(run: Run, hosts: dict[str, Any]) -> None:
    _status, printed = run(host_pages.page(hosts, ENGLISH))
    assert "~ device-management: *.push.apple.com: proxies unsaid is now false" in printed.splitlines()


CHANGES: list[tuple[Callable[[Any], Any], list[str]]] = [
    (
        lambda data: hosts_of(data, "beta-updates").append(
            {"host": "new.apple.com", "ports": ["443/tcp"], "os": ["macOS"]}
        ),
        ["+ beta-updates: new.apple.com 443/tcp; macOS; proxies false"],
    ),
    (
        lambda data: hosts_of(data, "apple-diagnostics").__setitem__(
            0, {"host": "new.apple.com", "ports": ["443/udp"]}
        ),
        [
            "+ apple-diagnostics: new.apple.com 443/udp; proxies false",
            "- apple-diagnostics: diagassets.apple.com 443/tcp; iOS, iPadOS, tvOS, macOS; proxies true",
        ],
    ),
    (
        lambda data: row(data, "software-updates", "gs.apple.com").update(ports=["443/tcp", "8443/tcp", "443/udp"]),
        ["~ software-updates: gs.apple.com: ports 80/tcp, 443/tcp is now 443/tcp, 8443/tcp, 443/udp"],
    ),
    (
        lambda data: row(data, "software-updates", "gs.apple.com").update(proxies=False),
        ["~ software-updates: gs.apple.com: proxies true is now false"],
    ),
    (
        lambda data: row(data, "software-updates", "skl.apple.com").update(os=["macOS", "visionOS"]),
        ["~ software-updates: skl.apple.com: os macOS is now visionOS, macOS"],
    ),
    (
        lambda data: data["sections"].append(
            {"id": "x", "name": "Car Keys", "hosts": [{"host": "keys.apple.com", "ports": ["443/tcp"]}]}
        ),
        ["+ car-keys: keys.apple.com 443/tcp; proxies false"],
    ),
    (
        lambda data: data["sections"].remove(next(one for one in data["sections"] if one["id"] == "apple-diagnostics")),
        ["- apple-diagnostics: diagassets.apple.com 443/tcp; iOS, iPadOS, tvOS, macOS; proxies true"],
    ),
]


@pytest.mark.parametrize(("change", "lines"), CHANGES, ids=[lines[0][:30] for _change, lines in CHANGES])
def test_difference_is_said_and_written(
    run: Run, hosts: dict[str, Any], own_hosts: Path, change: Callable[[Any], None], lines: list[str]
) -> None:
    before = own_hosts.read_text(encoding="utf-8")
    change(hosts)
    page = host_pages.page(hosts, ENGLISH)
    status, printed = run(page)
    assert (status, printed.splitlines()[1:]) == (1, lines)
    assert own_hosts.read_text(encoding="utf-8") == before
    status, printed = run(page, "--update", "--edition", "hosts-2027")
    assert status == 1 and "written to hosts.yml; left to do:" in printed
    after = own_hosts.read_text(encoding="utf-8")
    assert before.partition("\nedition:")[0] == after.partition("\nedition:")[0], "the comments at the head stay"
    assert build_catalogue.load(own_hosts)["edition"]["id"] == "hosts-2027"
    assert run(page)[0] == 0


@pytest.mark.parametrize("layout", host_pages.LAYOUTS[1:4], ids=lambda layout: layout.name)
def test_difference_is_said_the_same_in_any_language(
    run: Run, hosts: dict[str, Any], own_hosts: Path, layout: host_pages.Layout
) -> None:
    row(hosts, "certificate-validation", "crl.apple.com").update(ports=["80/tcp", "443/tcp"])
    _status, printed = run(host_pages.page(hosts, layout))
    assert printed.splitlines()[1:] == ["~ certificate-validation: crl.apple.com: ports 80/tcp is now 80/tcp, 443/tcp"]


def test_what_is_left_to_people_is_said(run: Run, hosts: dict[str, Any], own_hosts: Path) -> None:
    hosts_of(hosts, "additional-content").remove(row(hosts, "additional-content", "devimages-cdn.apple.com"))
    hosts["sections"].append({"name": "Car Keys", "hosts": [{"host": "keys.apple.com", "ports": ["443/tcp"]}]})
    _status, printed = run(host_pages.page(hosts, ENGLISH), "--update")
    left = [line.strip() for line in printed.partition("left to do:\n")[2].splitlines()]
    assert left == [
        "edition.date is the old one still: change it by hand",
        "edition.id is the old one still: give --edition",
        "section car-keys is new: look at its id, name and names",
        "products.xcode: no longer name devimages-cdn.apple.com",
    ]


# --- What is refused --------------------------------------------------------------------------------------------------

TABLE = "<table><tr><th>Hosts</th><th>Ports</th><th>Protocol</th><th>OS</th><th>What</th><th>Proxies</th></tr>"
GOOD = "<tr><td>a.apple.com</td><td>443</td><td>TCP</td><td>macOS</td><td>This and that.</td><td>Yes</td></tr>"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GOOD.replace("443", "443, 99999"), "has a port that is not from 1 to 65535"),
        (GOOD.replace("443", "all"), "'all' are no ports"),
        (GOOD.replace("a.apple.com", "see below"), "'see below' is no host name"),
        (GOOD.replace("TCP", "QUIC"), "'QUIC' is neither TCP nor UDP"),
        (GOOD.replace("Yes", "Perhaps"), "said by several words: perhaps, yes"),
        (GOOD.replace("<td>Yes</td>", ""), "Section, row 2: 3 to 6 cells are known in a row"),
        (GOOD.replace("TCP", "UDP").replace("macOS", "iOS"), "stands in this section before, with something else"),
    ],
    ids=lambda text: text[-40:],
)
def test_page_that_is_not_understood(run: Run, own_hosts: Path, rows: str, message: str) -> None:
    before = own_hosts.read_bytes()
    page = f"<html lang='en'><body><h2>Section</h2>{TABLE}{GOOD}{rows}</table></body></html>"
    status, printed = run(page, "--update")
    assert status == 2 and message in printed
    assert own_hosts.read_bytes() == before


def test_page_cut_off_is_refused(run: Run, hosts: dict[str, Any]) -> None:
    page = host_pages.page(hosts, ENGLISH)
    for cut in (len(page) // 3, len(page) // 2, page.rindex("</html>")):
        status, printed = run(page[:cut])
        assert status == 2 and "the page is cut off" in printed


def test_new_section_whose_heading_gives_no_id_is_refused(run: Run, own_hosts: Path) -> None:
    page = f"<html><body><h2>\u94a5\u5319</h2>{TABLE}{GOOD}</table></body></html>"
    status, printed = run(page)
    assert status == 2 and "an id cannot be made of its heading" in printed


def test_what_the_file_cannot_hold_is_not_written(run: Run, own_hosts: Path) -> None:
    before = own_hosts.read_bytes()
    page = f"<html><body><h2>Car {{Keys}}</h2>{TABLE}{GOOD}</table></body></html>"
    assert run(page)[0] == 1
    status, printed = run(page, "--update")
    assert status == 2 and "$.sections[0].name: 'Car {Keys}' does not match" in printed
    assert own_hosts.read_bytes() == before
