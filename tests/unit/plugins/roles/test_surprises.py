# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run warns of, however many hosts it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from matrix import plays


@pytest.mark.parametrize(("decided", "times"), [(None, 1), (False, 0)])
def test_a_run_says_each_surprise_once(tmp_path: Path, decided: bool | None, times: int) -> None:
    variables: dict[str, Any] = {
        "host_firewall_products": ["AirPlay", "File Sharing"],
        **({} if decided is None else {"host_firewall_supplement": decided}),
    }
    task = {"ansible.builtin.assert": {"that": "__host_firewall_wanted | length == 3"}, "vars": variables}
    role = str(plays.ROOT / "roles" / "host_firewall")
    files = ["{{ role }}/defaults/main.yml", "{{ role }}/vars/main.yml"]
    play = {"hosts": "all", "gather_facts": False, "vars": {"role": role}, "vars_files": files, "tasks": [task, task]}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    printed, errors = plays.run(
        [
            str(plays.ROOT / ".venv" / "bin" / "ansible-playbook"),
            "-c",
            "local",
            "-i",
            "a,b,c",
            str(tmp_path / "play.json"),
        ],
        plays.environment(plays.ROOT / ".venv" / "collections", tmp_path),
        tmp_path,
    )
    shown = " ".join((printed + errors).split())
    assert shown.count("host_firewall_supplement: true opens them") == times
    assert shown.count("usually meant is 'SMB file sharing'") == 1
