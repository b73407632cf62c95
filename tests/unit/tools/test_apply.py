# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make apply`: what a user types is data, and the plan is the playbook's own words."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import apply as tool
import pytest


def test_every_text_is_marked_as_data() -> None:
    given = {"a": ["FaceTime", {"b": "x"}], "c": "{{ y }}", "d": True, "e": 7}
    assert tool.unsafe(given) == {
        "a": [{"__ansible_unsafe": "FaceTime"}, {"b": {"__ansible_unsafe": "x"}}],
        "c": {"__ansible_unsafe": "{{ y }}"},
        "d": True,
        "e": 7,
    }


def test_no_template_in_a_product_is_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A header of Jinja's changes what starts a template, so that no brace has to be there."""
    made = tmp_path / "made"
    product = f'#jinja2:variable_start_string:"[%",variable_end_string:"%]"\n[% lookup("ansible.builtin.pipe", "touch {made}") %]'
    assert tool.render({"host_firewall_products": [product]}, ["ufw"]) != 0
    assert "is not a product of the catalogue" in capfd.readouterr().err
    assert not made.exists()


@pytest.mark.parametrize("sudo", [None, "false", "true"])
def test_without_a_way_to_root_a_sentence_is_all(
    sudo: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user without sudo, and one whose sudo wants a password while there is no terminal to ask at."""
    if sudo:
        (tmp_path / "sudo").write_text(f"#!/bin/sh\nexec {sudo}\n")
        (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if sudo else str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setenv("PRODUCTS", "FaceTime")
    monkeypatch.delenv("HOSTS", raising=False)
    played: list[str] = []

    def play(_variables: dict[str, Any], name: str) -> tuple[int, list[Any], str]:
        played.append(name)
        return 1, [], ""

    monkeypatch.setattr(tool, "play", play)
    assert tool.main() == 1
    said = capsys.readouterr().err
    assert bool(played) == (sudo == "true")
    if sudo != "true":
        assert said.startswith("Nothing was changed: only root can read and change this machine's firewall")
        assert said.count("\n") == 1 and ("install sudo" in said) == (sudo is None)


def test_an_inventory_without_a_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRODUCTS", "FaceTime")
    monkeypatch.setenv("HOSTS", str(tmp_path / "nowhere.yml"))
    assert tool.main() == 1
    assert capsys.readouterr().err == f"Nothing was changed: '{tmp_path / 'nowhere.yml'}' has no host (HOSTS).\n"


def test_the_plan_is_what_preview_shows() -> None:
    shown = {
        "host": "localhost",
        "action": "ansible.builtin.debug",
        "result": {"msg": {"a": ["+ FaceTime, inbound 3478/udp from anywhere"], "b": []}},
    }
    other = {"host": "a", "action": "ansible.builtin.debug", "result": {"msg": "a text"}}
    changed = {"host": "a", "action": "netports.apple.host_firewall", "result": {"changed": True}}
    assert tool.sentences([changed, other, shown]) == {"a": ["+ FaceTime, inbound 3478/udp from anywhere"], "b": []}
