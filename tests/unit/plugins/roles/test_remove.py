# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook that removes rulesets, where it has nothing to remove."""

from __future__ import annotations

from pathlib import Path

import pytest
from matrix import plays

from hosts import controller


@pytest.mark.parametrize("named", ["", " , "])
def test_no_ruleset_is_no_removal(tmp_path: Path, named: str) -> None:
    done = controller.run(
        [
            *("-c", "local", "-i", "here,", "netports.apple.remove"),
            *("-e", "netports_become=false", "-e", f"netports_rulesets='{named}'"),
        ],
        plays.environment(plays.ROOT / ".venv" / "collections", tmp_path),
        plays.VARYING,
        tmp_path,
        timeout=1200,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "netports_rulesets names no ruleset: give names, or 'all'" in done.stdout
