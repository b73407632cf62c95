# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that writes an audit's report, by the real ansible-playbook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from matrix import plays

from hosts import controller

SCHEMA = json.loads((plays.ROOT / "data" / "audit.schema.json").read_text())
FILES = ["audit.csv", "audit.html", "audit.json", "audit.xml"]
DECLARED = {"sets": [{"products": ["FaceTime"]}], "defaults": {}, "catalogues": [], "ruleset": "apple"}


def report(folder: Path, arguments: dict[str, Any], *words: str) -> dict[str, Any]:
    """Play the action for two hosts, of which one was not reached, and return its status and what it returned."""
    hosts = {
        "down": {"netports_declared": DECLARED, "host_firewall_result": {"unreachable": True, "msg": "no"}},
        "empty": {
            "netports_declared": {**DECLARED, "sets": [], "state": "absent"},
            "host_firewall_result": {"backend": "ufw", "before": [], "operations": []},
        },
    }
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    task = {"netports.apple.audit_report": arguments, "run_once": True}
    (folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    results = folder / "results"
    results.touch()
    constants = {
        "ANSIBLE_CALLBACK_PLUGINS": str(plays.ROOT / "tools" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "netports_results",
    }
    env = plays.environment(plays.ROOT / ".venv" / "collections", folder)
    controller.run(
        ["-i", "inventory.json", "play.json", *words],
        {**env, **constants, "NETPORTS_RESULTS": str(results)},
        plays.VARYING,
        folder,
        600,
    )
    (line,) = results.read_text().splitlines()
    found = json.loads(line)
    return {**found["result"], "status": found["status"]}


def test_four_files_and_a_summary(tmp_path: Path) -> None:
    done = report(tmp_path, {"hosts": ["down", "empty"], "dest": str(tmp_path / "some" / "folder")})
    assert (
        not done["changed"]
        and done["exposed"] == []
        and done["deviating"] == ["down"]
        and done["dest"] == str(tmp_path / "some" / "folder")
    )
    folder = Path(done["dest"])
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o644"}
    written = json.loads((folder / "audit.json").read_text())
    jsonschema.validate(written, SCHEMA)
    galaxy = yaml.safe_load((plays.ROOT / "galaxy.yml").read_text())
    assert written["collection"] == galaxy["version"] and "nl-2026" in written["editions"]
    assert [one["host"] for one in written["hosts"]] == ["down", "empty"] and written["summary"] == done["summary"]
    assert all("down" in (folder / name).read_text() for name in FILES)


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    done = report(tmp_path, {"hosts": ["empty"], "dest": str(tmp_path / "report")}, "--check")
    assert done["summary"]["compliant"] and done["deviating"] == [] and not (tmp_path / "report").exists()


def test_a_file_that_cannot_be_written_is_said_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    (tmp_path / "report" / "audit.csv").mkdir(parents=True)
    done = report(tmp_path, {"hosts": ["empty"], "dest": str(tmp_path / "report")})
    assert done["status"] == "failed" and "cannot be written" in done["msg"] and "netports_audit_dir" in done["msg"]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["audit.csv", "audit.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hosts": ["empty"]}, "dest"),
        ({"dest": "report"}, "hosts"),
        ({"hosts": ["empty"], "dest": "report", "format": "csv"}, "format"),
        ({"hosts": ["empty", "emtpy"], "dest": "report"}, "nothing is known of emtpy"),
    ],
)
def test_wrong_options_write_nothing(tmp_path: Path, arguments: dict[str, Any], said: str) -> None:
    done = report(tmp_path, arguments)
    assert done["status"] == "failed" and said in done["msg"] and not (tmp_path / "report").exists()
