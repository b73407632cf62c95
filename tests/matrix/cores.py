# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ansible-cores that the collection supports, the Pythons of this machine, and a virtual environment for each core."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from matrix.plays import ROOT

ENVIRONMENTS = ROOT / ".test" / "matrix"

# The newest release of each supported ansible-core, and the Pythons that its controller runs on.
SUPPORTED = {
    "2.16.19": ("3.10", "3.11", "3.12"),
    "2.17.14": ("3.10", "3.11", "3.12"),
    "2.18.19": ("3.11", "3.12", "3.13"),
    "2.19.14": ("3.11", "3.12", "3.13"),
    "2.20.10": ("3.12", "3.13", "3.14"),
    "2.21.5": ("3.12", "3.13", "3.14"),
}
# Old Pythons for these, so that the oldest that controller code may meet is among them.
OLD = ("2.16.19", "2.17.14")


def lock_of(version: str) -> str:
    """The name of the lock in requirements/ for a core: "core-2.21"."""
    return f"core-{version.rpartition('.')[0]}"


class Core(NamedTuple):
    """An ansible-core, and the interpreter for it on this machine, if there is one."""

    version: str
    python: str
    interpreter: str

    @property
    def missing(self) -> str:
        """Why it cannot be run here; empty when it can."""
        if self.interpreter:
            return ""
        return f"ansible-core {self.version} needs Python {' or '.join(SUPPORTED[self.version])}, which is not here"


@functools.cache
def interpreter(version: str) -> str:
    """The path of a Python of this version ("3.12"), empty when there is none.

    What a version manager puts on PATH may be a wrapper that only works in some folders, so each is asked what it is.
    """
    name = f"python{version}"
    manager = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    # PYENV_ROOT may be another user's, who lets nobody in.
    managed = manager.glob(f"versions/{version}.*/bin/{name}") if os.access(manager, os.R_OK | os.X_OK) else ()
    candidates = [
        *sorted(map(str, managed), reverse=True),
        *(f"{folder}/{name}" for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")),
        shutil.which(name) or "",
        getattr(sys, "_base_executable", ""),
    ]
    for candidate in filter(os.path.exists, candidates):
        asked = subprocess.run(
            [candidate, "-I", "-c", "import ctypes, ssl, sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return candidate
    return ""


@functools.cache
def cores() -> tuple[Core, ...]:
    """All supported ansible-cores, each with the Python that it is run on here."""
    found = []
    for version, pythons in SUPPORTED.items():
        order = pythons if version in OLD else pythons[::-1]
        python = next((one for one in order if interpreter(one)), "")
        found.append(Core(version, python, interpreter(python) if python else ""))
    return tuple(found)


def environment_of(core: Core) -> Path:
    """The folder of programs of a virtual environment with this ansible-core; it is made when it is not there yet."""
    folder = ENVIRONMENTS / f"core-{core.version}-python{core.python}"
    lock = ROOT / "requirements" / f"{lock_of(core.version)}.txt"
    stamp = folder / ".made"
    content = f"{core.interpreter}\n{lock.read_text(encoding='utf-8')}"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{folder.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != content:
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, core.interpreter, lock)
            stamp.write_text(content)
    return folder / "bin"


def _make(folder: Path, python: str, lock: Path) -> None:
    """Make a virtual environment, by uv, or by pip where uv is not there or cannot reach the index."""
    uv, wanted = str(ROOT / ".venv" / "bin" / "uv"), ["--require-hashes", "-r", str(lock)]
    inner = str(folder / "bin" / "python")
    by_uv = [
        [uv, "venv", "--quiet", "--python", python, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", inner, *wanted],
    ]
    by_pip = [
        [python, "-m", "venv", str(folder)],
        [inner, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
    ]
    refused = (_refused(by_uv, folder) if Path(uv).exists() else "no uv") and _refused(by_pip, folder)
    if refused:
        raise RuntimeError(refused)


def _refused(commands: list[list[str]], folder: Path) -> str:
    """Run commands that make a folder; what the first one that fails printed, with the folder gone."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    for command in commands:
        done = subprocess.run(
            command, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=1800
        )
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            return f"{' '.join(command)}\n{done.stdout}"
    return ""
