# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make apply`: what a user types is data, and the plan is the playbook's own words."""

from __future__ import annotations

from pathlib import Path

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


def test_the_plan_is_what_preview_shows() -> None:
    shown = {
        "host": "localhost",
        "action": "ansible.builtin.debug",
        "result": {"msg": {"a": ["+ FaceTime, inbound 3478/udp from anywhere"], "b": []}},
    }
    other = {"host": "a", "action": "ansible.builtin.debug", "result": {"msg": "a text"}}
    changed = {"host": "a", "action": "netports.apple.host_firewall", "result": {"changed": True}}
    assert tool.sentences([changed, other, shown]) == {"a": ["+ FaceTime, inbound 3478/udp from anywhere"], "b": []}
