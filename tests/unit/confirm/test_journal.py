# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host remembers of a change, without one that keeps it; with one, on real hosts: tests/integration."""

from __future__ import annotations

import json
import os
from dataclasses import astuple
from pathlib import Path

import pytest

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._confirm import change as _confirm
from ansible_collections.netports.apple.plugins.module_utils._confirm.change import Journal
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import firewall as _ufw


def test_a_change_whose_keeper_is_gone_is_taken_back(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    one.write_text("new")
    two.write_text("somebody else's")
    changes = [
        FileChange(str(one), "old", "new"),
        FileChange(str(two), "old", "new"),
        FileChange(str(three), "x", None),
    ]
    lock = journal.lock()
    stamp = journal.stamp()
    journal.begin(
        {"id": "abc", "files": [list(astuple(change)) for change in changes], "until": "", "ruleset": "apple"}
    )
    assert journal.stamp() != stamp
    assert journal.ask("abc", None)["state"] == _confirm.GONE
    assert journal.recover() and not journal.recover()
    os.close(lock)
    assert (one.read_text(), two.read_text(), three.read_text()) == ("old", "somebody else's", "x")
    assert journal.ask("abc", None)["state"] == _confirm.RESTORED
    assert journal.ask("abd", None)["state"] == _confirm.GONE
    assert sorted(os.listdir(journal.folder)) == ["lock", "outcome.json"]


def test_one_change_at_a_time(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    lock = journal.lock()
    journal.begin({"id": "abc", "files": [], "until": "2026-01-01T00:00:00Z", "ruleset": "kiosk"})
    with pytest.raises(FirewallError, match=r"'kiosk'\) waits until 2026-01-01T00:00:00Z .*: nothing was changed"):
        journal.lock(wait=0.1)
    os.close(lock)
    os.close(journal.lock(wait=0))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"files": 1'])
def test_what_was_cut_off_stops_nobody(tmp_path: Path, text: str) -> None:
    journal = Journal(str(tmp_path))
    os.close(journal.lock())
    for name in ("pending.json", "outcome.json"):
        Path(journal.folder, name).write_text(text)
    assert journal.outcome() == {} and journal.ask("abc", None)["state"] == _confirm.GONE
    assert journal.recover() and journal.pending() is None


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"caf\xe9\r\n")
    text = _files.read(str(path))
    journal = Journal(str(tmp_path))
    os.close(journal.lock())
    journal.begin(json.loads(json.dumps({"id": "x", "files": [list(astuple(FileChange(str(path), text, "new")))]})))
    path.write_text("new")
    journal.recover()
    assert path.read_bytes() == b"caf\xe9\r\n"


def test_ufws_switch_and_what_it_leaves() -> None:
    assert _ufw.switched_on("# ENABLED=no\nENABLED=no\nLOGLEVEL=low\n") == "# ENABLED=no\nENABLED=yes\nLOGLEVEL=low\n"
    assert _ufw.switched_on("LOGLEVEL=low\n") == "LOGLEVEL=low\nENABLED=yes\n"
    table = "*filter\n:INPUT ACCEPT [0:0]\n:mine - [0:0]\n:ufw-a - [0:0]\n:ufw-b - [0:0]\n-A INPUT -j ufw-a\n-A INPUT -j mine\nCOMMIT\n"
    text = "*filter\n-D INPUT -j ufw-a\n-F ufw-a\n-F ufw-b\n-X ufw-a\n-X ufw-b\nCOMMIT\n"
    assert _ufw.cleared("", table) == text
    assert _ufw.cleared(table, table) == ""
