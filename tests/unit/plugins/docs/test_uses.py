# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook of all uses, with the ansible-core that is here; tests/matrix plays it on every core."""

from __future__ import annotations

from pathlib import Path

from matrix import plays


def test_in_every_place_of_a_playbook(tmp_path: Path) -> None:
    collections = plays.ROOT / ".venv" / "collections"
    assert "rescued=1" in plays.uses(str(plays.ROOT / ".venv" / "bin" / "ansible-playbook"), collections, tmp_path)
