# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The importer of the archive that a host gets, with real archives, on every Python that a host may have."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from matrix.cores import interpreter
from matrix.plays import ROOT

PYTHONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
OURS = "ansible_collections/netports/apple/plugins/module_utils"
OTHER = "ansible_collections/netports/other/plugins/module_utils"
# Python warns of the escape each time that it compiles the file.
NOISY = 'WORD = "\\d"\n\n\ndef fail():\n    raise ValueError(WORD)\n'
NAMES = [f"{OURS}/{name}" for name in ("_noisy", "_pack/__init__", "_pack/_noisy", "_pack/_deep/_noisy")]
DRIVER = """
import importlib, json, sys, traceback
sys.path.insert(0, sys.argv[1])
names = [name.replace("/", ".").replace(".__init__", "") for name in json.loads(sys.argv[2])]
if sys.argv[3] == "once":
    archive = importlib.import_module(sys.argv[4].replace("/", ".") + "._archive")
    hooks = len(sys.path_hooks)
    archive.compile_once()
    print(len(sys.path_hooks) - hooks, file=sys.stderr)
found = {}
for name in names:
    module = importlib.import_module(name)
    spec = module.__spec__
    try:
        module.fail()
    except ValueError:
        told = traceback.format_exc()
    found[name] = {
        "file": module.__file__, "package": module.__package__, "path": list(getattr(module, "__path__", [])),
        "origin": spec.origin, "parent": spec.parent, "where": spec.submodule_search_locations,
        "location": spec.has_location, "told": told, "source": module.__loader__.get_source(name),
        "data": module.__loader__.get_data(module.__file__).decode(),
    }
try:
    importlib.import_module(names[0] + "_not_there")
except ImportError as error:
    found["missing"] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    found = interpreter(request.param)
    if not found:
        pytest.skip(f"Python {request.param} is not here")
    return found


def files() -> dict[str, str]:
    """What the archive has: as Ansible makes it, with a file for every package."""
    found = {f"{OURS}/_archive.py": (ROOT / "plugins" / "module_utils" / "_archive.py").read_text(encoding="utf-8")}
    found |= {f"{name}.py": NOISY for name in [*NAMES, f"{OTHER}/_noisy"]}
    for name in list(found):
        for parent in list(Path(name).parents)[:-1]:
            found.setdefault(f"{parent}/__init__.py", "")
    return found


def run(python: str, tree: Path, mode: str, names: list[str]) -> tuple[dict[str, Any], dict[str, int], str]:
    """Import modules.

    :param mode: ``once`` to have each compiled once.
    :returns: what there is to see of them, how often each file was compiled, and what else was printed.
    """
    argv = [python, "-B", "-S", "-W", "always", "-c", DRIVER, str(tree), json.dumps(names), mode, OURS]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    times = {name: done.stderr.count(f"{tree}/{name}.py:1: ") for name in names}
    return json.loads(done.stdout), times, done.stderr


def test_each_module_is_compiled_once(python: str, tmp_path: Path) -> None:
    tree = tmp_path / "code.zip"
    with zipfile.ZipFile(tree, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files().items():
            archive.writestr(name, text)
    names = [*NAMES, f"{OTHER}/_noisy"]
    usual, usual_times, _printed = run(python, tree, "usual", names)
    ours, times, _printed = run(python, tree, "once", names)
    assert {name: times[name] for name in NAMES} == dict.fromkeys(NAMES, 1)
    # Nobody else's modules come by our importer.
    assert times[names[-1]] == usual_times[names[-1]] > 0
    assert ours == usual
    assert "raise ValueError(WORD)\nValueError: \\d" in ours[names[0].replace("/", ".")]["told"]


def test_files_are_imported_as_ever(python: str, tmp_path: Path) -> None:
    for name, text in files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    usual, _times, _printed = run(python, tmp_path, "usual", NAMES)
    ours, times, printed = run(python, tmp_path, "once", NAMES)
    assert ours == usual
    assert times == dict.fromkeys(NAMES, 1)
    # No hook was set.
    assert printed.splitlines()[0] == "0"
