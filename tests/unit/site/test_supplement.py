# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supplement stands apart, is off unless asked for, and says of each entry that it is not the article's."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError

DATA = Path(__file__).resolve().parents[3] / "data"
SUPPLEMENT: dict[str, Any] = json.loads((DATA / "supplement.json").read_text(encoding="utf-8"))
EDITION = "supplement-2026"


def ask(name: str, *terms: Any, folder: Path | None = None, **options: Any) -> Any:
    """Ask a lookup as a playbook in that folder does."""
    loader = DataLoader()
    if folder:
        loader.set_basedir(str(folder))
    plugin = lookup_loader.get(f"netports.apple.{name}", loader=loader, templar=Templar(loader=loader))
    return plugin.run(list(terms), variables={}, **options)


def pairs(entries: list[dict[str, Any]]) -> list[str]:
    return [f"{entry['port']}/{entry['protocol']}" for entry in entries]


def test_off_unless_asked_for() -> None:
    assert {entry["edition"] for entry in ask("ports")} == {"nl-2026"}
    assert ask("ports", supplement=False) == ask("ports", supplement="no") == ask("ports")
    with pytest.raises(
        AnsibleError, match="'iCloud Private Relay' is in the supplement .*: switch it on with supplement=true"
    ):
        ask("ports", "iCloud Private Relay")


@pytest.mark.parametrize("on", [True, "true", "yes"])
def test_edition_tells_what_is_not_the_articles(on: Any) -> None:
    entries = ask("ports", "AirPlay", supplement=on)
    newer = [entry for entry in entries if entry["edition"] == EDITION]
    assert pairs(newer) == ["5000/tcp", "6000/tcp", "7000/tcp", "49152-65535/tcp", "49152-65535/udp"]
    assert {(entry["direction"], entry["scope"]) for entry in newer} == {("both", "local")}
    assert [entry for entry in entries if entry["edition"] != EDITION] == ask("ports", "AirPlay")


def test_screens() -> None:
    for product in ("Apple Remote Desktop", "Screen Sharing"):
        newer = [entry for entry in ask("ports", product, supplement=True) if entry["edition"] == EDITION]
        assert pairs(newer) == ["5901-5902/udp"]
        assert [(entry["direction"], entry["scope"]) for entry in newer] == [("in", "local")]


def test_outgoing() -> None:
    assert pairs(ask("ports", "Private Relay", supplement=True)) == ["443/udp"]
    assert "80/tcp" in pairs(ask("ports", "Push Notifications", supplement=True))
    assert {entry["direction"] for entry in ask("ports", "iCloud", supplement=True)} == {"out"}


def test_nothing_of_the_supplement_comes_in_from_the_internet() -> None:
    newer = [entry for entry in ask("ports", supplement=True) if entry["edition"] == EDITION]
    assert len(newer) == 9
    assert not [entry for entry in newer if entry["direction"] != "out" and entry["scope"] == "internet"]


def test_each_row_has_its_page() -> None:
    catalogue = _catalogue.load(supplement=True)
    own = [entry for entry in catalogue.entries if entry["edition"] == EDITION]
    assert len(own) == sum(len(row["protocols"]) * len(row["used_by"]) for row in SUPPLEMENT["rows"])
    assert all(entry["source"].startswith("https://") and ".apple.com/" in entry["source"] for entry in own)


def test_products_and_rules_take_it_too() -> None:
    (airplay,) = ask("products", "AirPlay", supplement=True)
    assert airplay["in"] == {
        "tcp": ["554", "3689", "5000", "6000", "7000", "49152-65535"],
        "udp": ["554", "5353", "49152-65535"],
    }
    assert [rule["udp"] for rule in ask("rules", {"products": ["Screen Sharing"]}, supplement=True)] == [["5900-5902"]]
    assert [rule["udp"] for rule in ask("rules", {"products": ["Screen Sharing"]})] == [["5900"]]


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETPORTS_APPLE_SUPPLEMENT", "true")
    assert "7000/tcp" in pairs(ask("ports", "AirPlay"))
    assert "7000/tcp" not in pairs(ask("ports", "AirPlay", supplement=False)), "what is given counts first"


@pytest.mark.parametrize("value", ["maybe", 2, [True], {}])
def test_neither_true_nor_false(value: Any) -> None:
    for name, term in (("ports", "AirPlay"), ("products", "AirPlay"), ("rules", {"products": ["AirPlay"]})):
        with pytest.raises(AnsibleError, match="supplement .* is neither true nor false"):
            ask(name, term, supplement=value)


def test_site_counts_over_the_supplement(write: Callable[..., str], judge: Any) -> None:
    site = {
        "edition": {"id": "a", "title": "A"},
        "traffic": {"products": {"airplay": [judge("7000/tcp", direction="in")]}},
        "hide": ["icloud-private-relay"],
    }
    catalogue = _catalogue.load([write(site)], supplement=True)
    assert {entry["port"]: entry["edition"] for entry in catalogue.entries if entry["product"] == "airplay"}[
        "7000"
    ] == "a"
    assert "icloud-private-relay" not in catalogue.products["icloud"]["members"]
    with pytest.raises(CatalogueError, match="icloud-private-relay is no product"):
        _catalogue.load([write(site)])


def test_path_is_from_the_playbooks_folder(tmp_path: Path, example: Any, write: Callable[..., str]) -> None:
    write(example, "own.yml")
    assert pairs(ask("ports", "Sync", folder=tmp_path, catalogues=["own.yml"])) == ["8443-8444/tcp", "8443-8444/udp"]
    with pytest.raises(AnsibleError, match="cannot be read"):
        ask("ports", "Sync", folder=tmp_path.parent, catalogues=["own.yml"])


def test_what_is_off_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup without supplement and files of a site's own opens one file and needs no YAML and no schema."""
    opened: list[str] = []
    real = open

    def watched(path: Any, *rest: Any, **options: Any) -> Any:
        opened.append(Path(path).name)
        return real(path, *rest, **options)

    module = importlib.import_module(_catalogue.__name__)
    _catalogue._load.cache_clear()
    monkeypatch.setattr(module, "open", watched, raising=False)
    _catalogue.load()
    assert opened == ["catalogue.json"]
    _catalogue.load(supplement=True)
    assert opened == ["catalogue.json", "catalogue.json", "supplement.json"]
