# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the article's reader share."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import article
import article_update
import build_catalogue
import pytest

FACTS: dict[str, Any] = build_catalogue.load(build_catalogue.FACTS)


def once(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same function, which parses a text once, and answers with a copy."""

    @functools.cache
    def packed(text: str) -> bytes:
        return pickle.dumps(parse(text))

    return lambda text: pickle.loads(packed(text))


@pytest.fixture(scope="module", autouse=True)
def parsed_once() -> Iterator[None]:
    """The tests parse the same files again and again, which takes half of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(article_update, "parse", once(article_update.parse))
        patch.setattr(build_catalogue._yaml, "parse_yaml", once(build_catalogue._yaml.parse_yaml))
        yield


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
