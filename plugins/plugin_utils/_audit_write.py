# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit's report as CSV, JUnit XML and one HTML page. Names and messages come from hosts: each format escapes them."""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import io
import json
import os
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

_PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "playbooks", "templates", "audit.html")
# What begins a formula, at the beginning of a cell or behind what some spreadsheets take for the end of one.
_FORMULA = re.compile(r"(\A|[;,|\t])(\s*[=+\-@＝＋－＠])")
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)

CSV_HEADER = ("host", "backend", "host_status", "product", "name", "status", "declared_as", "findings", "message")


def to_csv(report: Mapping[str, Any]) -> str:
    """A line for each host and product, and for each exposure; a host without either has a line. RFC 4180, UTF-8."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(CSV_HEADER)
    names = {product["id"]: product["name"] for product in report["products"]}
    for host in report["hosts"]:
        message = "; ".join(line for line in (host["message"], *host["drift"]) if line)
        first = [host["host"], host["backend"] or "", host["status"]]
        for cell in host["products"] or [{"id": "", "status": host["status"], "declared_as": [], "findings": []}]:
            row = [*first, cell["id"], names.get(cell["id"], ""), cell["status"]]
            row += ["; ".join(cell["declared_as"]), "; ".join(cell["findings"]), message]
            writer.writerow([_harmless(value) for value in row])
        for exposure in host["exposures"]:
            row = [*first, "", exposure["rule"], "exposure", exposure["ruleset"], _exposure(exposure), ""]
            writer.writerow([_harmless(value) for value in row])
    return stream.getvalue()


def _exposure(exposure: Mapping[str, Any]) -> str:
    owner = f"ruleset {exposure['ruleset']}" if exposure["ruleset"] else "somebody else"
    return f"{exposure['kind']} from anywhere: {exposure['ports']} by rule {exposure['rule']} of {owner}"


def _harmless(value: str) -> str:
    """A cell that no spreadsheet takes for a formula: OWASP, "CSV Injection".

    Some spreadsheets part cells at other characters than the comma, whatever the quotes say.
    """
    flat = "".join(letter for letter in " ".join(value.splitlines()) if unicodedata.category(letter) != "Cf")
    return _FORMULA.sub(r"\1'\2", f"'{flat}" if flat[:1] == "\t" else flat)


def to_junit(report: Mapping[str, Any]) -> str:
    """A suite for each host, a case for each product and each exposure.

    What is not compliant, and an exposure, is a failure; a host that could not be audited is an error.
    """
    names = {product["id"]: product["name"] for product in report["products"]}
    suites = ElementTree.Element("testsuites", name="netports.apple.audit")
    for host in report["hosts"]:
        suite = ElementTree.SubElement(suites, "testsuite", name=host["host"], timestamp=report["generated"])
        cases = [(names.get(cell["id"], cell["id"]), cell["status"], cell["findings"]) for cell in host["products"]]
        worst = {status for _name, status, _findings in cases}
        if host["status"] not in worst:
            # What is about no product, such as drift that names none, or a host that declares nothing.
            cases.append(("firewall", host["status"], [line for line in (host["message"], *host["drift"]) if line]))
        cases += [
            (f"exposure: {exposure['kind']}: {exposure['rule']}", "exposure", [_exposure(exposure)])
            for exposure in host["exposures"]
        ]
        counts = {"failure": 0, "error": 0}
        for name, status, findings in cases:
            case = ElementTree.SubElement(suite, "testcase", classname=host["host"], name=name)
            if status != "compliant":
                kind = "error" if status in ("unreachable", "error") else "failure"
                counts[kind] += 1
                made = ElementTree.SubElement(
                    case, kind, type=status, message=(findings or [host["message"] or status])[0]
                )
                made.text = "\n".join(findings or [host["message"]])
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(counts["failure"]))
        suite.set("errors", str(counts["error"]))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def to_page(report: Mapping[str, Any]) -> str:
    """One page that needs nothing but itself. Its policy allows its own script and style, and no request at all."""
    page, policy = _page()
    # Inside a script, only "<" and the line ends that JavaScript once knew and JSON did not can end anything.
    data = json.dumps(report, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    head, marker, tail = page.partition("@REPORT@")
    if not marker:
        raise ValueError("the page has no place for the report (@REPORT@)")
    return head.replace("@POLICY@", policy) + data + tail


@functools.lru_cache(maxsize=1)
def _page() -> tuple[str, str]:
    """The page's text, and the Content-Security-Policy that lets in its own script and style by their hashes."""
    with open(_PAGE, encoding="utf-8") as stream:
        page = stream.read()
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        hashes[kind].append(f"'sha256-{digest}'")
    policy = "; ".join(f"{kind}-src {' '.join(found)}" for kind, found in hashes.items())
    return page, f"default-src 'none'; {policy}; base-uri 'none'; form-action 'none'"
