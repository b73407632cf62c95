# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of the module as Ansible starts it: from an archive of sources."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

from matrix.plays import ROOT

from hosts.payload import payload

# Python runs it before anything else, and tells it of everything that is compiled.
COUNT = """
import atexit, json, os, sys
seen = []
sys.addaudithook(lambda event, args: seen.append(str(args[1])) if event == "compile" else None)
atexit.register(lambda: open(os.environ["COMPILED"], "w").write(json.dumps(seen)))
"""


def test_no_module_of_ours_is_compiled_twice(tmp_path: Path) -> None:
    payload(ROOT / ".venv" / "collections", tmp_path)
    (wrapper,) = tmp_path.rglob("AnsiballZ_host_firewall.py")
    (tmp_path / "sitecustomize.py").write_text(COUNT)
    seen = tmp_path / "seen.json"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COMPILED": str(seen)}
    done = subprocess.run(
        [sys.executable, str(wrapper)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["backend"] == "ufw"
    ours = [
        name.partition("/module_utils/")[2]
        for name in json.loads(seen.read_text())
        if "/apple/plugins/module_utils/" in name
    ]
    times = collections.Counter(ours)
    assert {"_run.py", "_firewalls/__init__.py", "_firewalls/ufw/firewall.py"} <= times.keys()
    # Both come before the importer is there.
    assert {name for name, number in times.items() if number > 1} <= {"__init__.py", "_archive.py"}
