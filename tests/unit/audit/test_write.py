# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report in other forms: it says what the JSON says, and nothing in it does anything."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from unit.audit import samples
from unit.audit.samples import HOSTILE, record

from ansible_collections.netports.apple.plugins.filter import audit as filters
from ansible_collections.netports.apple.plugins.plugin_utils import _audit_write


def hostile() -> dict[str, Any]:
    """Every place of a report that a host or an inventory can fill."""
    one = record(
        HOSTILE,
        "FaceTime",
        backend=HOSTILE,
        warnings=[HOSTILE, "\u2028]]>\x00"],
        operations=[{"action": "mend", "what": HOSTILE}],
    )
    return samples.report(
        [{**one, "groups": [HOSTILE]}, record("=cmd|' /C calc'!A0", failed=True, msg="=1+1\r\n@SUM(1)")]
    )


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_csv_says_what_the_report_says() -> None:
    report = samples.report(samples.fleet(50))
    lines = [*csv.DictReader(io.StringIO(_audit_write.to_csv(report)))]
    told = {(line["host"], line["product"], line["status"]) for line in lines if line["product"]}
    assert told == {(host["host"], cell["id"], cell["status"]) for host in report["hosts"] for cell in host["products"]}
    assert {line["host"] for line in lines} == {host["host"] for host in report["hosts"]}


@pytest.mark.parametrize(
    "value",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1", "\n=1", "＝1", "\u200b=1", "\ufeff=1", " \u2060 =1"],
)
def test_no_cell_is_a_formula(value: str) -> None:
    report = samples.report([record(value, failed=True, msg=value)])
    report["hosts"][0]["host"] = value
    (line,) = csv.DictReader(io.StringIO(_audit_write.to_csv(report)))
    assert line["host"][0] == "'" and line["message"][0] in "'\ufffd"


@pytest.mark.parametrize("value", ["a;=1+1", "a; =1", "a,\u200b+1", "a|@x", "a\t=1"])
def test_no_part_of_a_cell_is_a_formula(value: str) -> None:
    """Some spreadsheets part cells at a semicolon, whatever the quotes say."""
    report = samples.report([record("a", failed=True, msg="no")])
    report["hosts"][0]["message"] = value
    (line,) = csv.DictReader(io.StringIO(_audit_write.to_csv(report)))
    assert not any(part.strip()[:1] in tuple("=+-@") for part in re.split("[;,|\t]", line["message"]))


def test_csv_has_a_line_for_each_exposure() -> None:
    one = record("a", "FaceTime", exposed=[samples.exposed("tcp", "5900"), samples.exposed("tcp", "445")])
    lines = [*csv.DictReader(io.StringIO(_audit_write.to_csv(samples.report([one]))))]
    assert [(line["status"], line["name"]) for line in lines] == [
        ("compliant", "FaceTime"),
        ("exposure", "allow 5900/tcp"),
        ("exposure", "allow 445/tcp"),
    ]
    assert lines[1]["findings"].startswith("remote control from anywhere: 5900/tcp by rule allow 5900/tcp")


def test_csv_of_hostile_hosts_has_its_lines_and_columns() -> None:
    rows = [*csv.reader(io.StringIO(_audit_write.to_csv(hostile())))]
    assert {len(row) for row in rows} == {len(_audit_write.CSV_HEADER)} and len(rows) == 3
    assert all(cell[:1] not in ("=", "+", "-", "@") for row in rows for cell in row)


# --- JUnit ------------------------------------------------------------------------------------------------------------


def test_junit_says_what_the_report_says() -> None:
    report = samples.report(samples.fleet(50))
    suites = ElementTree.fromstring(_audit_write.to_junit(report))
    names = {product["id"]: product["name"] for product in report["products"]}
    assert [suite.get("name") for suite in suites] == [host["host"] for host in report["hosts"]]
    for suite, host in zip(suites, report["hosts"], strict=True):
        cases = {case.get("name"): case for case in suite.iter("testcase")}
        for cell in host["products"]:
            found = [*cases[names[cell["id"]]]]
            expected = [] if cell["status"] == "compliant" else [cell["status"]]
            assert [one.get("type") for one in found] == expected
            assert {one.tag for one in found} <= (
                {"error"} if cell["status"] in ("unreachable", "error") else {"failure"}
            )
        assert int(suite.get("tests", "")) == len(cases)
        assert int(suite.get("failures", "")) == len([*suite.iter("failure")])
        assert int(suite.get("errors", "")) == len([*suite.iter("error")])
        failed = [*suite.iter("failure"), *suite.iter("error")]
        assert bool(failed) == (host["status"] != "compliant" or bool(host["exposures"]))
        assert len([one for one in failed if one.get("type") == "exposure"]) == len(host["exposures"])


def test_junit_of_hostile_hosts_is_xml() -> None:
    suites = ElementTree.fromstring(_audit_write.to_junit(hostile()))
    assert suites[0].get("name") == HOSTILE and len(suites) == 2


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_holds_the_report() -> None:
    report = hostile()
    page = _audit_write.to_page(report)
    (data,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data) == json.loads(json.dumps(report))
    assert not set(data) & set("<>&\u2028\u2029")
    assert page.count("<script") == 2 and HOSTILE not in page


def test_the_page_asks_nobody() -> None:
    page = _audit_write.to_page(samples.report([]))
    assert "default-src 'none'; script-src 'sha256-" in page and "unsafe" not in page
    assert not re.search(r"""(?:src|href|action)\s*=|url\(|@import|fetch\(|XMLHttpRequest|innerHTML|\sstyle=""", page)


def test_the_filters_refuse_what_is_no_report() -> None:
    for name, function in filters.FilterModule().filters().items():
        with pytest.raises(Exception, match=f"netports.apple.{name}"):
            function("nonsense", {}) if name == "audit" else function("nonsense")
