# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit's playbook with a host that answers with templates: none of them is ever run on the controller."""

from __future__ import annotations

from pathlib import Path

from matrix import plays


def test_what_a_host_says_is_never_a_template(tmp_path: Path) -> None:
    program = str(plays.ROOT / ".venv" / "bin" / "ansible-playbook")
    plays.audit(program, plays.ROOT / ".venv" / "collections", tmp_path)
