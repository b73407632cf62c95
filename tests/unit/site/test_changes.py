# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/changes-data.md says what each release's data say otherwise than the ones before."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import build_catalogue
import changes_page
import pytest


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty history, and a page of the test's own."""
    folder = tmp_path / "history"
    monkeypatch.setattr(changes_page, "HISTORY", folder)
    monkeypatch.setattr(changes_page, "PAGE", tmp_path / "changes-data.md")
    return folder


def put(history: Path, version: str, data: dict[str, Any]) -> None:
    history.mkdir(exist_ok=True)
    (history / f"{version}.json").write_text(json.dumps({**data, "version": version}), encoding="utf-8")


def test_page_is_current() -> None:
    assert changes_page.main(["--check"]) == 0


def test_nothing_is_said_twice_and_all_is_said() -> None:
    said = changes_page.snapshot()["said"]
    for part in changes_page.PARTS:
        data = json.loads((build_catalogue.ROOT / "data" / f"{part}.json").read_text(encoding="utf-8"))
        assert len(said[part]) == len(changes_page._entries(data)) > 0
    assert said["catalogue"]["`facetime`: 3478-3497/udp"] == "both, internet"
    assert said["supplement"]["`airplay`: 7000/tcp"] == "both, local"
    assert said["networks"]["`apns`: 17.249.0.0/16"] == ""
    assert said["hosts"]["`device-setup`: time.apple.com, udp"] == "123/udp; iOS, iPadOS, tvOS, macOS; no proxies"


def test_changes_of_each_release(history: Path) -> None:
    now = changes_page.snapshot()
    old = copy.deepcopy(now)
    old["editions"]["catalogue"] = "nl-2025"
    del old["said"]["catalogue"]["`facetime`: 443/tcp"]
    old["said"]["catalogue"]["`facetime`: 99/tcp"] = "out, internet"
    old["said"]["hosts"]["`device-setup`: time.apple.com, udp"] = "123/udp; proxies"
    old["said"]["networks"]["`apns`: 192.0.2.0/24"] = ""
    put(history, "0.9.0", old)
    put(history, "0.10.0", old)
    assert changes_page.main([]) == 0
    text = changes_page.PAGE.read_text(encoding="utf-8")
    first, unchanged, newest = text.split("\n## ")[:0:-1]
    assert first.startswith("0.9.0\n\nEditions: `nl-2025`, ") and first.endswith("\n\nThe first data.\n")
    assert unchanged.startswith("0.10.0\n") and unchanged.endswith("\n\nThe same data as before.\n")
    assert newest.startswith(now["version"])
    assert [line for line in newest.splitlines() if line.startswith(("- ", "### "))] == [
        f"### Ports, {now['version']}",
        "- `+` `facetime`: 443/tcp (out, internet)",
        "- `-` `facetime`: 99/tcp (out, internet)",
        f"### Networks, {now['version']}",
        "- `-` `apns`: 192.0.2.0/24",
        f"### Host names, {now['version']}",
        (
            "- `~` `device-setup`: time.apple.com, udp (123/udp; proxies is now 123/udp; iOS, iPadOS, tvOS, macOS; "
            "no proxies)"
        ),
    ]


def test_a_release_is_kept_once(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = changes_page.snapshot()["version"]
    assert changes_page.main(["--keep"]) == 0
    assert [path.name for path in history.iterdir()] == [f"{version}.json"]
    assert [release["version"] for release in changes_page.releases()] == [version]
    put(history, version, {**changes_page.snapshot(), "said": {}})
    assert changes_page.main(["--check"]) == 1
    assert [release["version"] for release in changes_page.releases()] == [version, "Not released yet"]
