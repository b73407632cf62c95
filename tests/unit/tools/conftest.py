# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tools start no Ansible of their own: tests/integration has `make apply` and `make try` do that."""

from __future__ import annotations

from pathlib import Path

import apply
import pytest
from matrix import plays


@pytest.fixture(autouse=True)
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "ansible_playbook", plays.started(tmp_path))
