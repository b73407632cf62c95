# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit's page in a real Chromium: it shows what the JSON says, for 3 hosts and for 1,000."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.browser import Browser
from unit.audit import samples

from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _audit_write

Open = Callable[..., dict[str, Any]]

ROWS = "[...document.querySelectorAll('.matrix tbody tr')]"
# What the matrix shows: host, its status, and the status of each product, by what is read out for it.
SHOWN = (
    ROWS
    + """.map(row => ({
  host: row.querySelector('.name').textContent,
  status: row.querySelector('button .mark').className.replace('mark ', ''),
  cells: Object.fromEntries([...row.querySelectorAll('td[data-status]')].map(
    cell => [cell.querySelector('[role=img]').ariaLabel.split(': ')[0], cell.dataset.status])),
}))"""
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Open:
    """Open the page of an audit of some hosts in the browser, and return the report."""

    def opening(records: list[dict[str, Any]], scheme: str = "light", width: int = 1300) -> dict[str, Any]:
        report = samples.report(records)
        (tmp_path / "audit.html").write_text(_audit_write.to_page(report), encoding="utf-8")
        browser.screen(width, 900, scheme)
        browser.open(tmp_path / "audit.html")
        return report

    return opening


def count(browser: Browser) -> int:
    rows: int = browser.js(f"{ROWS}.length")
    return rows


def choose(browser: Browser, identifier: str, value: str) -> None:
    """Type into, or choose from, one of the filters."""
    event = "input" if identifier == "search" else "change"
    browser.js(f"{{const one = document.getElementById({identifier!r}); one.value = {value!r}; "
               f"one.dispatchEvent(new Event({event!r}))}}")  # fmt: skip


@pytest.mark.parametrize("hosts", [3, 1000])
def test_it_shows_what_the_report_says(browser: Browser, opened: Open, hosts: int) -> None:
    report = opened(samples.fleet(hosts))
    if hosts > 100:
        assert count(browser) == 100, "no more rows at once than people look at"
        browser.js("document.getElementById('next').click()")
        assert count(browser) == 200
        browser.js("document.getElementById('all').click()")
    shown = browser.js(SHOWN)
    names = {product["id"]: product["name"] for product in report["products"]}
    expected = {
        host["host"]: (host["status"], {names[cell["id"]]: cell["status"] for cell in host["products"]})
        for host in report["hosts"]
    }
    assert {one["host"]: (one["status"], one["cells"]) for one in shown} == expected and len(shown) == hosts
    order = [_audit.STATUSES.index(one["status"]) for one in shown]
    assert order == sorted(order), "what is to be looked at comes first"
    tiles = browser.js("Object.fromEntries([...document.querySelectorAll('[data-tile]')].map(tile => "
                       "[tile.dataset.tile, Number(tile.querySelector('b').textContent.replace(',', ''))]))")  # fmt: skip
    assert tiles == {**report["summary"]["hosts"], "exposed": len([one for one in report["hosts"] if one["exposures"]])}
    assert browser.js("document.querySelectorAll('.matrix thead th[scope=col]').length") == len(names) + 1
    assert browser.complaints() == [] and len(browser.requests()) == 1, "nothing but the page itself is asked for"


def test_filters(browser: Browser, opened: Open) -> None:
    report = opened(samples.fleet(1000))
    for status in _audit.STATUSES:
        browser.js(f"document.querySelector('[data-tile={status}]').click()")
        assert {one["status"] for one in browser.js(SHOWN)} == {status}
        assert count(browser) == min(100, report["summary"]["hosts"][status])
        assert browser.js(f"document.querySelector('[data-tile={status}]').ariaPressed") == "true"
    browser.js("document.querySelector('[data-tile=compliant]').click()")
    browser.js("document.querySelector('[data-tile=exposed]').click()")
    exposed = {host["host"] for host in report["hosts"] if host["exposures"]}
    assert {one["host"] for one in browser.js(SHOWN)} == exposed
    browser.js("document.querySelector('#filters button[type=reset]').click()")
    browser.js("new Promise(done => setTimeout(done, 20))")
    assert browser.js("document.getElementById('count').textContent") == "1,000 hosts"

    choose(browser, "search", "PRINT-server 0001")
    assert [one["host"] for one in browser.js(SHOWN)] == ["print-server-0001.example.org"]
    choose(browser, "search", "nothing is like this")
    assert count(browser) == 0 and "No host is like that" in browser.js("document.getElementById('wrap').textContent")
    choose(browser, "search", "")
    choose(browser, "product", "classroom")
    choose(browser, "state", "stale")
    stale = {host["host"] for host in report["hosts"] if host["status"] == "stale"}
    assert {one["host"] for one in browser.js(SHOWN)} == stale
    assert browser.js("document.querySelectorAll('.matrix thead th[scope=col]').length") == 2
    assert browser.js("document.getElementById('count').textContent") == f"{len(stale)} of 1,000 hosts"


def test_exposures_come_first_and_lead_to_their_hosts(browser: Browser, opened: Open) -> None:
    open_port = [samples.exposed("tcp", "5900")]
    names = [f"mac-{number}.example.org" for number in range(3)]
    others = [samples.record("b c's", exposed=[samples.exposed("tcp", "445", ruleset="web", name="Files")])]
    others[0]["result"]["rulesets"] = {"web": samples.rules("Classroom")}
    opened(
        [
            *(samples.record(name, "FaceTime", exposed=open_port) for name in names),
            *others,
            samples.record("good", "Maps"),
        ]
    )
    lines = browser.js("[...document.querySelectorAll('#exposures summary')].map(one => one.textContent)")
    assert len(lines) == 2 and lines[0].endswith("5900/tcp by somebody else's rule allow 5900/tcp — 3 hosts")
    assert "by the rule of ruleset web, Files — 1 host" in lines[1]
    assert (
        browser.js("document.querySelector('#exposures').compareDocumentPosition(document.querySelector('#tiles'))")
        == 4
    )
    browser.js("document.querySelector('#exposures a').click(); new Promise(done => setTimeout(done, 500))")
    assert browser.js("document.querySelector('#title').textContent") == "mac-0.example.org"
    assert "To mend it" not in browser.js("document.getElementById('detail').textContent")
    # A link to a host opens it, also from outside; closed, it is forgotten.
    browser.js("document.getElementById('detail').close(); location.hash = encodeURIComponent(\"b c's\"); "
               "new Promise(done => setTimeout(done, 500))")  # fmt: skip
    text = browser.js("document.getElementById('detail').textContent")
    assert "ansible-playbook -i INVENTORY netports.apple.remove --limit 'b c'\\''s' -e netports_rulesets=web" in text
    assert "Ruleset web, which nobody declares" in text and "netports.apple.apply" not in text
    browser.js("document.getElementById('detail').close(); new Promise(done => setTimeout(done, 500))")
    assert browser.js("location.hash") == ""


def test_only_columns_of_the_hosts_that_are_shown(browser: Browser, opened: Open) -> None:
    opened([samples.record("a.example.org", "FaceTime"), samples.record("b.example.org", "Maps", "Mail")])
    heads = "[...document.querySelectorAll('.matrix thead th[scope=col]')].map(one => one.textContent)"
    assert browser.js(heads) == ["Host", "FaceTime", "Mail", "Maps"]
    choose(browser, "search", "b.example")
    assert browser.js(heads) == ["Host", "Mail", "Maps"]


def test_the_head_says_what_was_compared(browser: Browser, opened: Open) -> None:
    report = opened([samples.record("a", "FaceTime")])
    made = browser.js("document.getElementById('made').textContent")
    for words in (report["generated"], f"netports.apple {report['collection']}", "nl-2026", "ruleset apple"):
        assert words in made
    links = browser.js("[...document.querySelectorAll('#files a')].map(one => one.getAttribute('href'))")
    assert links == ["audit.csv", "audit.json", "audit.xml"]


def test_details_by_keyboard(browser: Browser, opened: Open) -> None:
    opened([samples.record("mac.example.org", "FaceTime", "Push Notifications")])
    browser.js("document.activeElement.blur()")
    for _time in range(40):
        browser.press("Tab")
        if browser.js("Boolean(document.activeElement.closest('tbody'))"):
            break
    browser.press("Enter")
    assert browser.js("document.getElementById('detail').open")
    text = browser.js("document.getElementById('detail').textContent")
    for words in ("mac.example.org", "Needed by: FaceTime, Push Notifications", "edition nl-2026", "either may send"):
        assert words in text
    browser.press("Escape")
    assert not browser.js("document.getElementById('detail').open")
    assert browser.js("Boolean(document.activeElement.closest('tbody'))"), "the focus is where it was"
    browser.press("/")
    assert browser.js("document.activeElement.id") == "search"


def test_what_a_gateway_forwards(browser: Browser, opened: Open) -> None:
    options = {"directions": ["forward"], "sources": ["10.30.0.0/16"], "interface": "eth1", "out_interface": "eth0"}
    one = samples.record("gate.example.org", before=samples.rules("FaceTime", **options))
    one["declared"] = {**samples.declared("FaceTime"), "defaults": options}
    opened([one])
    browser.js(f"{ROWS}[0].querySelector('button').click()")
    text = browser.js("document.getElementById('detail').textContent")
    for words in (
        "FaceTime, forwarded: 80, 443, 5223/tcp and 3478-3497",
        "forwarded from 10.30.0.0/16 to anywhere on eth1 out on eth0",
        "Needed by: FaceTime",
    ):
        assert words in text
    assert "Exposures" not in text


def test_hostile_hosts(browser: Browser, opened: Open) -> None:
    one = samples.record(samples.HOSTILE, "FaceTime", operations=[{"action": "mend", "what": samples.HOSTILE}])
    report = opened([one, samples.record("b", failed=True, msg=samples.HOSTILE)])
    assert {one["host"] for one in browser.js(SHOWN)} == {host["host"] for host in report["hosts"]}
    for number in (0, 1):
        browser.js(f"{ROWS}[{number}].querySelector('button').click()")
        assert samples.HOSTILE in browser.js("document.getElementById('detail').textContent")
        browser.js("document.getElementById('detail').close()")
    assert browser.js("document.title") == "Firewall audit"
    assert browser.js("document.querySelectorAll('img').length + document.scripts.length") == 2
    assert browser.complaints() == [] and len(browser.requests()) == 1


def test_phone_dark_and_print(browser: Browser, opened: Open) -> None:
    opened(samples.fleet(25), "dark", 390)
    assert browser.js("document.documentElement.scrollWidth") <= 390, "nothing but the matrix scrolls sideways"
    colours = "const style = getComputedStyle(document.body); [style.backgroundColor, style.color]"
    dark = browser.js(f"{{{colours}}}")
    report = opened(samples.fleet(250))
    assert browser.js(f"{{{colours}}}") != dark
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    browser.screen(1000, 900, media="print")
    wrong = {one["host"] for one in report["hosts"] if one["status"] != "compliant" or one["exposures"]}
    assert set(browser.js("[...document.querySelectorAll('#paper h2')].map(one => one.textContent)")) == wrong
    paper = browser.js("document.getElementById('paper').innerText")
    assert "5900/tcp by the rule of ruleset apple, Screen Sharing" in paper and "missing: outbound" in paper
    assert browser.js("getComputedStyle(document.getElementById('paper')).display") == "block"
    assert count(browser) == 250, "paper has no button to show more"
    assert browser.js("getComputedStyle(document.getElementById('filters')).display") == "none"
    assert browser.js("getComputedStyle(document.getElementById('wrap')).overflow") == "visible"
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    browser.screen(1000, 900)
    assert count(browser) == 100
    assert browser.js("document.querySelectorAll('#paper article, details[open]').length") == 0
