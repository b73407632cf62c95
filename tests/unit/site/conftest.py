# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of sites' catalogues share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _catalogue_site
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError

DATA = Path(__file__).resolve().parents[3] / "data"


@pytest.fixture(autouse=True)
def _no_settings_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETPORTS_APPLE_CATALOGUES", raising=False)
    monkeypatch.delenv("NETPORTS_APPLE_SUPPLEMENT", raising=False)


@pytest.fixture
def base() -> dict[str, Any]:
    """The catalogue, as catalogue.json holds it."""
    data: dict[str, Any] = json.loads((DATA / "catalogue.json").read_text(encoding="utf-8"))
    return data


@pytest.fixture
def example() -> dict[str, Any]:
    """A site's catalogue that does a little of everything; the tests take from it and add to it."""
    return {
        "edition": {"id": "example-2026", "title": "Example Ltd's own ports"},
        "products": [
            {"id": "example-sync", "name": {"en": "Example Sync", "nl": "Voorbeeldsync"}, "aliases": ["Sync"]},
            {"id": "example-chat", "name": {"en": "Example Chat"}, "family": "example-suite"},
            {"id": "example-suite", "name": {"en": "Example Suite"}},
        ],
        "rows": [
            {
                "port": "8443-8444",
                "protocols": ["tcp", "udp"],
                "service": {"en": "Example synchronisation"},
                "label": "example-sync",
                "rfc": 9000,
                "used_by": [
                    {"product": "example-sync", "detail": {"en": "Chat"}, "nests": ["example-chat"]},
                    {"product": "file-sharing"},
                ],
            },
            {"port": "8500", "protocols": ["tcp"], "label": "example-admin", "used_by": []},
        ],
        "traffic": {
            "products": {
                "example-sync": [judgement("8443-8444/tcp", "8443-8444/udp", direction="in")],
                "example-chat": [judgement("8443-8444/tcp", "8443-8444/udp", direction="both")],
                "file-sharing": [judgement("8443-8444/tcp", "8443-8444/udp")],
                "tls-websites": [judgement("443/tcp", direction="in", scope="internet", source="RFC 9110")],
            },
            "rows_without_product": [judgement("8500/tcp", direction="in"), judgement("53/tcp", direction="both")],
        },
        "hide": ["itunes-radio-streams"],
    }


def judgement(*ports: str, direction: str = "out", scope: str = "local", **more: Any) -> dict[str, Any]:
    """A judgement of some ports."""
    return {
        "ports": list(ports),
        "direction": direction,
        "scope": scope,
        "reason": "The Macs of the office do so.",
        **more,
    }


@pytest.fixture
def judge() -> Callable[..., dict[str, Any]]:
    """Make a judgement of some ports."""
    return judgement


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a value (as YAML) or a text to a file and return its path."""

    def written(content: Any, name: str = "site.yml") -> str:
        path = tmp_path / name
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


@pytest.fixture
def merged(base: dict[str, Any], write: Callable[..., str]) -> Callable[..., _catalogue.Catalogue]:
    """The catalogue with the given files' contents merged in, in order."""

    def load(*contents: Any) -> _catalogue.Catalogue:
        data = base
        for number, content in enumerate(contents):
            data = _catalogue_site.merge(data, write(content, f"site{number}.yml"))
        return _catalogue.Catalogue(data)

    return load


@pytest.fixture
def refusal(base: dict[str, Any], write: Callable[..., str]) -> Callable[..., str]:
    """The message with which a file is refused."""

    def refused(content: Any, name: str = "site.yml") -> str:
        path = write(content, name)
        with pytest.raises(CatalogueError) as caught:
            _catalogue_site.merge(base, path)
        message = str(caught.value)
        assert message.startswith(f"catalogue {path!r}") and len(message) < 3000, message
        return message.removeprefix(f"catalogue {path!r}").removeprefix(": ").removeprefix(" ")

    return refused
