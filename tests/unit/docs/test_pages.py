# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guides say what is so: generated pages are current, quoted messages are the code's, links lead somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import compatibility_page
import pytest
from matrix.plays import ROOT

from ansible_collections.netports.apple.plugins.module_utils._notices import CODES
from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _audit_answer, _catalogue
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError
from hosts import images

DOCS = sorted(path for path in (ROOT / "docs").rglob("*.md") if "docsite" not in path.parts)
TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


# --- docs/compatibility.md --------------------------------------------------------------------------------------------


def test_compatibility_page_is_current() -> None:
    assert compatibility_page.main(["--check"]) == 0


def test_stale_compatibility_page_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatibility_page, "PAGE", tmp_path / "compatibility.md")
    assert compatibility_page.main(["--check"]) == 1
    assert compatibility_page.main([]) == 0
    monkeypatch.setitem(images.VERSIONS["trixie"], "ufw", "0.37")
    assert compatibility_page.main(["--check"]) == 1


def test_what_was_not_run_is_not_said_to_be_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not run" in compatibility_page.page()
    monkeypatch.setattr(compatibility_page, "NOT_RUN", "words that no workflow has")
    assert "not run" not in compatibility_page.page().split("## Systems")[1]


# --- docs/troubleshooting.md ------------------------------------------------------------------------------------------


def text(node: ast.AST) -> str:
    """A text of the source as a message, with … for what is put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return " ".join(re.sub(r"%[0-9]*[sdro]", "…", node.value).replace("%%", "%").split(" "))
    return ""


def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "plugins").rglob("*.py"))]


def messages() -> list[str]:
    """All texts of the plugins and of the role's tasks."""
    found = [text(node) for tree in trees() for node in ast.walk(tree)]
    tasks = (ROOT / "roles" / "host_firewall" / "tasks" / "install.yml").read_text(encoding="utf-8")
    return [*found, " ".join(re.sub(r"\{\{.*?\}\}", "…", tasks).replace("'…'", "…").split())]


def warnings() -> set[str]:
    """What the module and the filters may warn of: texts of notices, and texts that go to a list of warnings."""
    found = set()
    for tree in trees():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            whole = function.name.endswith("warnings") or function.name == "silence"
            calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            notices = any(isinstance(call, ast.Name) and call.id == "Notice" for call in calls)
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
                    wanted = (
                        whole or notices or (isinstance(node.func.value, ast.Name) and node.func.value.id == "warnings")
                    )
                elif isinstance(node, ast.Return):
                    wanted = whole
                elif isinstance(node, ast.Assign):
                    wanted = notices and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "text"
                else:
                    continue
                # The text itself, without what is put into it.
                inner = [text(one) for one in ast.walk(node)] if wanted else []
                found |= {one for one in [max(inner, key=len)] if len(one) > 30} if inner else set()
    return found


MESSAGES, CODED = TROUBLES.split("## Codes of notices")
QUOTED = re.findall(r"^\| `(.+?)` \| (.+) \|$", MESSAGES, re.MULTILINE)


def bare(message: str) -> str:
    return message.strip(" …")


@pytest.fixture(scope="module")
def known() -> list[str]:
    return messages()


@pytest.mark.parametrize("message", [message for message, _what in QUOTED])
def test_quoted_message_is_the_codes_own(message: str, known: list[str]) -> None:
    assert len(bare(message)) > 12
    assert any(bare(message) in one for one in known), "no text of the code has these words in this order"


def test_every_row_says_what_to_do() -> None:
    rows = [line for line in MESSAGES.splitlines() if line.startswith("| `")]
    assert len(rows) == len(QUOTED) == len({message for message, _what in QUOTED})
    assert all(what.strip() for _message, what in QUOTED)


def test_every_warning_is_explained() -> None:
    found = warnings()
    assert len(found) >= 18
    unexplained = [one for one in found if not any(bare(message) in one for message, _what in QUOTED)]
    assert unexplained == []


def test_the_page_has_every_code_with_what_the_audit_makes_of_it() -> None:
    statuses = {**dict.fromkeys(_audit.OFF, "off"), **_audit.OF_RULES, **_audit_answer.FAILURES}
    rows = re.findall(r"^\| `(\S+)` \| (.+?) \| ?(\S*) \|$", CODED, re.MULTILINE)
    assert rows == [(code, meaning, statuses.get(code, "")) for code, meaning in CODES.items()]


def test_every_notice_of_the_code_has_a_known_code() -> None:
    used = {
        keyword.value.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Notice"
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }
    assert len(used) > 8 and used <= set(CODES)


# --- docs/choosing.md -------------------------------------------------------------------------------------------------


def test_names_find_what_the_page_says() -> None:
    page = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    catalogue = _catalogue.load()
    names = {product["name"]["en"] for product in catalogue.products.values()}
    rows = re.findall(r"^\| (`.+) \| (.+) \|$", page, re.MULTILINE)
    assert len(rows) == 10
    rows = [row for row in rows if not row[0].startswith(("`server`", "`client`", "`device`", "`gateway`"))]
    for written, got in rows:
        for term in re.findall(r"`([^`]+)`", written):
            if got.startswith("an error: "):
                with pytest.raises(CatalogueError) as caught:
                    catalogue.resolve(term)
                candidates = re.split(", | or ", got.removeprefix("an error: "))
                assert set(candidates) <= names and all(one in str(caught.value) for one in candidates)
            else:
                assert catalogue.products[catalogue.resolve(term)]["name"]["en"] == got


# --- Links ------------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("roles/*/README.md")), ROOT / "data" / "README.md", *DOCS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text(encoding="utf-8")):
        path, anchor = target.split("#") if "#" in target else (target, "")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_the_site_and_the_readme_have_every_page() -> None:
    contents = (ROOT / "docs" / "docsite" / "contents.md").read_text(encoding="utf-8")
    listed = re.findall(r"^docs/\S+$", contents, re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT).with_suffix("")) for page in DOCS)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [str(page.relative_to(ROOT)) for page in DOCS if f"]({page.relative_to(ROOT)})" not in readme]
    assert missing == []
