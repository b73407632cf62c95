# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lookup costs, counted in files and bytes, which a busy machine does not change.

Each task on each host runs in a fork of its own: what is not cheap there is paid hosts times tasks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]

# Python tells an audit hook of every file that is opened, also from C; forks inherit it.
COUNTING = """
import os, sys

def note(event, args):
    if event == "open" and isinstance(args[0], str) and os.sep + "data" + os.sep in args[0]:
        with_fd = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(with_fd, (os.path.basename(args[0]) + "\\n").encode())
        os.close(with_fd)

sys.addaudithook(note)
"""

ASKING = """
import json, sys
sys.path.insert(0, sys.argv[1])
import conftest
from ansible.plugins.loader import lookup_loader

def ask(name="ports", *terms, **options):
    return lookup_loader.get("netports.apple." + name).run(list(terms), variables={}, **options)

def loaded():
    return sorted({"jsonschema", "yaml", "hypothesis"} & set(sys.modules) - before)

before = set(sys.modules)
"""


def counted(tmp_path: Path, program: str) -> tuple[list[str], Any]:
    """Run a program that asks lookups.

    :returns: the data files opened, in order, and what the program printed, as JSON.
    """
    opened = tmp_path / "opened"
    opened.write_text("")
    done = subprocess.run(
        [sys.executable, "-c", COUNTING + ASKING + program, str(ROOT / "tests")],
        env={**os.environ, "OPENED": str(opened)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return opened.read_text().split(), json.loads(done.stdout)


def test_the_catalogue_is_read_once_for_the_process(tmp_path: Path) -> None:
    opened, answers = counted(
        tmp_path,
        """
answers = [len(ask("ports", "FaceTime")) for _ in range(20)]
answers += [len(ask("ports", port=443)), len(ask("rules", {"products": ["FaceTime"]}))]
print(json.dumps([answers, loaded()]))
""",
    )
    assert opened == ["catalogue.json"]
    assert answers[0][:20] == [6] * 20
    assert answers[1] == [], "libraries that only a site's own files need"


def test_everyday_names_are_read_once_and_only_where_they_are_asked_for(tmp_path: Path) -> None:
    opened, answers = counted(
        tmp_path,
        """
answers = [len(ask("ports", "AirPlay"))] + [len(ask("ports", "AirPrint server")) for _ in range(20)]
answers.append(len(ask("products", "AirPrint")))
print(json.dumps([answers, loaded()]))
""",
    )
    assert opened == ["catalogue.json", "practice.json"]
    assert answers == [[6, *[2] * 20, 1], []]


def test_a_fork_reads_the_catalogue_once_and_nothing_else(tmp_path: Path) -> None:
    opened, codes = counted(
        tmp_path,
        """
import os
lookup_loader.get("netports.apple.ports")
codes = []
for _ in range(4):
    child = os.fork()
    if not child:
        os._exit(0 if len(ask("ports", "FaceTime")) == len(ask("ports", "facetime")) == 6 and not loaded() else 1)
    codes.append(os.waitpid(child, 0)[1])
print(json.dumps(codes))
""",
    )
    assert codes == [0] * 4
    assert opened == ["catalogue.json"] * 4


def test_a_fork_of_a_process_that_has_asked_reads_nothing(tmp_path: Path) -> None:
    opened, codes = counted(
        tmp_path,
        """
import os
ask("ports", "FaceTime")
codes = []
for _ in range(4):
    child = os.fork()
    if not child:
        os._exit(0 if len(ask("ports", "AirPlay")) == 6 else 1)
    codes.append(os.waitpid(child, 0)[1])
print(json.dumps(codes))
""",
    )
    assert codes == [0] * 4
    assert opened == ["catalogue.json"]


def test_what_a_fork_reads_is_small() -> None:
    """JSON of this size is parsed in about a millisecond; the same as YAML would take fifty times as long."""
    assert (ROOT / "data" / "catalogue.json").stat().st_size < 128 * 1024


def test_a_playbook_reads_the_catalogue_once_a_task_and_host_at_most(tmp_path: Path) -> None:
    hosts, tasks, lookups = 2, 2, 5
    (tmp_path / "sitecustomize.py").write_text(COUNTING)
    opened = tmp_path / "opened"
    opened.write_text("")
    expression = " + ".join(["query('netports.apple.ports', 'FaceTime', protocol='udp')"] * lookups)
    play = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.assert": {"that": "found | length == 15"},
                    "vars": {"found": f"{{{{ {expression} }}}}"},
                }
                for _time in range(tasks)
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    environment = {
        **os.environ,
        "OPENED": str(opened),
        "PYTHONPATH": str(tmp_path),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_HOME": str(tmp_path / "home"),
    }
    inventory = "".join(f"host{number}," for number in range(hosts))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-c", "local", "-i", inventory, str(tmp_path / "play.yml")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(opened.read_text().split()) == {"catalogue.json"}
    assert 1 <= len(opened.read_text().split()) <= hosts * tasks
