# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Host code on the oldest Python that a managed host may have."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from matrix.cores import Core, cores, environment_of, interpreter
from matrix.plays import HERE, ROOT, run, uses

OLDEST = "3.7"


def host_files() -> set[Path]:
    """The host code as git knows it: what the tests below have to see, whatever folders it has."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "plugins/modules", "plugins/module_utils"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {ROOT / name for name in listed.stdout.split() if name.endswith(".py") and (ROOT / name).exists()}


@pytest.fixture
def python() -> str:
    found = interpreter(OLDEST)
    if not found:
        pytest.skip(f"Python {OLDEST} is not here")
    return found


@pytest.fixture
def host_code(tmp_path: Path) -> Path:
    """A folder with the code that travels to hosts, and nothing else of the collection."""
    plugins = tmp_path / "ansible_collections" / "netports" / "apple" / "plugins"
    for name in ("modules", "module_utils"):
        shutil.copytree(ROOT / "plugins" / name, plugins / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_it_compiles(python: str, host_code: Path) -> None:
    run([python, "-W", "error", "-m", "compileall", "-q", "-f", str(host_code)], {}, host_code)


def test_it_gives_the_same_answers_as_here(python: str, host_code: Path) -> None:
    answers = []
    for interpreter_ in (python, sys.executable):
        printed, _errors = run(
            [interpreter_, "-W", "error", "-S", str(HERE / "answers.py")], {"PYTHONPATH": str(host_code)}, host_code
        )
        answers.append(json.loads(printed))
    assert answers[0] == answers[1]
    # What is not imported there would pass unseen; _run alone needs Ansible.
    source = ROOT / "plugins" / "module_utils"
    asked = {str(path.relative_to(source)) for path in host_files() if source in path.parents}
    assert set(answers[0].pop("files")) == asked - {"_run.py"}
    assert len(answers[0]["ports"]) > 20 and len(answers[0]["rules"]) > 20 and len(answers[0]["plans"]) > 20


def core_for_old_hosts() -> Core | None:
    """A core that can be run here and still manages hosts with this Python: 2.16 or 2.17."""
    return next((core for core in cores() if core.version < "2.18" and not core.missing), None)


def test_the_module_runs_there(tmp_path: Path) -> None:
    """All uses of the checkout, by the oldest core; without that Python they are played on another."""
    core = core_for_old_hosts()
    if core is None:
        pytest.skip(f"no ansible-core that manages hosts with Python {OLDEST} can be run here")
    python = interpreter(OLDEST)
    more = ["-e", f"ansible_python_interpreter={python}"] if python else []
    collections = ROOT / ".venv" / "collections"
    assert "rescued=1" in uses(str(environment_of(core) / "ansible-playbook"), collections, tmp_path, *more)
    if not python:
        pytest.skip(f"Python {OLDEST} is not here")


def test_nothing_of_the_controller_is_imported() -> None:
    assert len(host_files()) > 15
    for path in host_files():
        found = subprocess.run(
            ["grep", "-nE", r"(from|import) +ansible\.(?!module_utils)|plugin_utils", "-P", str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found.stdout == ""
