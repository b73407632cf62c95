# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the article's reader share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import article
import build_catalogue
import pytest

FACTS: dict[str, Any] = build_catalogue.load(build_catalogue.FACTS)


@pytest.fixture
def facts() -> dict[str, Any]:
    """The catalogue's facts, to be changed at will."""
    return copy.deepcopy(FACTS)


@pytest.fixture
def own_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the facts file, in the place of the real one."""
    path = tmp_path / "apple_ports.yml"
    path.write_bytes(build_catalogue.FACTS.read_bytes())
    monkeypatch.setattr(build_catalogue, "FACTS", path)
    return path


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the program on a page: (exit status, what it printed)."""

    def running(page: str | bytes, *arguments: str) -> tuple[int, str]:
        path = tmp_path / "page.html"
        path.write_bytes(page if isinstance(page, bytes) else page.encode("utf-8"))
        status = article.main([str(path), *arguments])
        printed = capsys.readouterr()
        return status, (printed.out + printed.err).replace(str(path), "PAGE")

    return running
