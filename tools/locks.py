# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes requirements/*.txt: the exact releases, with hashes, of all that requirements/*.in and their dependencies name.

    python tools/locks.py [--upgrade]

A lock keeps the releases that it has, as far as its source still allows them; ``--upgrade`` takes the newest. Each lock
holds for every Python that it may be installed on. Its first line has a hash of its sources, which a test compares.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
sys.path.insert(0, str(ROOT / "tests"))

from matrix import cores


class Lock(NamedTuple):
    """A lock file and what it is made of.

    ``python`` is the oldest Python that it is installed on. ``like`` names a lock that goes into the same virtual
    environment: both have the same releases.
    """

    name: str
    source: str
    python: str
    extra: str = ""
    like: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / f"{self.name}.txt"

    def sources(self) -> str:
        """Everything that decides what belongs into it."""
        like = (FOLDER / f"{self.like}.txt").read_text(encoding="utf-8") if self.like else ""
        return "\n".join([self.python, self.extra, expanded(self.source), like])

    def head(self) -> str:
        """Its first line."""
        digest = hashlib.sha256(self.sources().encode()).hexdigest()
        return f"# Written by `make locks`, from {self.source}.in. SHA-256 of its sources: {digest}\n"

    def current(self) -> bool:
        """Whether its sources are those that it was written from."""
        return self.path.is_file() and self.path.read_text(encoding="utf-8").startswith(self.head())


# A lock that another names in `like` comes first.
LOCKS = (
    Lock("run", "run", "3.10"),
    Lock("test", "test", "3.11", like="run"),
    Lock("lint", "lint", "3.11", like="test"),
    Lock("uv", "uv", "3.10"),
    Lock("importer", "importer", "3.11"),
    Lock("bench", "bench", "3.11"),
    *(
        Lock(cores.lock_of(version), "core", pythons[0], extra=f"ansible-core=={version}")
        for version, pythons in cores.SUPPORTED.items()
    ),
)


def expanded(name: str) -> str:
    """Return what a source names, with what it includes by ``-r``, without comments."""
    found = []
    for line in (FOLDER / f"{name}.in").read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found.append(expanded(line.split()[1].removesuffix(".in")))
        elif line and not line.startswith("#"):
            found.append(line)
    return "\n".join(found)


def write(lock: Lock, upgrade: bool) -> None:
    """Have uv resolve a lock's sources, and write it."""
    uv = [str(ROOT / ".venv" / "bin" / "uv"), "pip", "compile", "-", "--quiet", "--universal", "--generate-hashes"]
    uv += ["--python-version", lock.python, "--no-header", "--no-annotate", "--output-file", str(lock.path)]
    uv += ["--constraints", str(FOLDER / f"{lock.like}.txt")] if lock.like else []
    uv += ["--upgrade"] if upgrade else []
    subprocess.run(
        uv, input=f"{lock.extra}\n{expanded(lock.source)}\n", text=True, cwd=ROOT, stdout=subprocess.DEVNULL, check=True
    )
    lock.path.write_text(lock.head() + lock.path.read_text(encoding="utf-8"), encoding="utf-8")


def main() -> None:
    """Write all locks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest releases")
    upgrade = parser.parse_args().upgrade
    for lock in LOCKS:
        write(lock, upgrade)
        print(f"{lock.path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
