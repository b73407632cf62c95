# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook that removes rulesets, where it has nothing to remove."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from matrix import plays


@pytest.mark.parametrize("named", ["", " , "])
def test_no_ruleset_is_no_removal(tmp_path: Path, named: str) -> None:
    collections = plays.ROOT / ".venv" / "collections"
    done = subprocess.run(
        [
            *(str(plays.ROOT / ".venv" / "bin" / "ansible-playbook"), "-c", "local", "-i", "here,"),
            *("netports.apple.remove", "-e", "netports_become=false", "-e", f"netports_rulesets='{named}'"),
        ],
        env=plays.environment(collections, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "netports_rulesets names no ruleset: give names, or 'all'" in done.stdout
