# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks in requirements/ are those that `make locks` wrote from their sources as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import locks
import pytest
from matrix.cores import SUPPORTED, lock_of

each = pytest.mark.parametrize("lock", locks.LOCKS, ids=lambda lock: lock.name)


def pins(name: str) -> set[str]:
    """Every "package==version" that a lock has for a Python of the tests: 3.11 or newer."""
    lines = (locks.FOLDER / f"{name}.txt").read_text().splitlines()
    return {
        line.split()[0]
        for line in lines
        if re.match(r"[a-zA-Z0-9]", line) and "python_full_version < '3.11'" not in line
    }


@each
def test_a_lock_is_not_older_than_its_sources(lock: locks.Lock) -> None:
    assert lock.current(), f"requirements/{lock.name}.txt is not what its sources say: run `make locks`"


@each
def test_a_lock_has_a_hash_for_each_package_and_names_no_index(lock: locks.Lock) -> None:
    text = lock.path.read_text()
    packages = [part for part in re.split(r"^(?=[a-zA-Z])", text, flags=re.MULTILINE) if not part.startswith("#")]
    assert packages and all("==" in part and "--hash=sha256:" in part for part in packages)
    assert "://" not in text and "index" not in text


def test_a_change_of_a_source_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in locks.FOLDER.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(locks, "FOLDER", tmp_path)
    run = tmp_path / "run.in"
    run.write_text(f"# A comment is none.\n{run.read_text()}")
    assert all(lock.current() for lock in locks.LOCKS)
    run.write_text(f"{run.read_text()}ansible-pygments\n")
    # run.txt itself, and what includes run.in.
    assert {lock.name for lock in locks.LOCKS if not lock.current()} == {"run", "test", "lint"}


def test_every_lock_and_every_source_is_known() -> None:
    assert {path.name for path in locks.FOLDER.glob("*.txt")} == {lock.path.name for lock in locks.LOCKS}
    assert {path.stem for path in locks.FOLDER.glob("*.in")} == {lock.source for lock in locks.LOCKS}


def test_the_levels_agree() -> None:
    """They go into one virtual environment after one another."""
    assert pins("run") <= pins("test") <= pins("lint")


def test_the_cores_are_those_that_are_supported() -> None:
    for name in ("run", "bench"):
        used = {pin.partition("==")[2] for pin in pins(name) if pin.startswith("ansible-core==")}
        assert used <= SUPPORTED.keys()
    for version in SUPPORTED:
        assert f"ansible-core=={version}" in pins(lock_of(version))
