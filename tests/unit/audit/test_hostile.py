# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit's playbook with a host that answers with templates: none of them is ever run on the controller."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark.fleet import CONNECTION
from matrix import plays


def test_what_a_host_says_is_never_a_template(tmp_path: Path) -> None:
    mark = tmp_path / "run"
    evil = "{{ lookup('ansible.builtin.pipe', 'touch MARK') }}{% raw %}".replace("MARK", str(mark))
    answer = {
        "changed": True,
        "backend": "ufw",
        "before": [],
        "operations": [{"action": "mend", "what": evil}],
        "warnings": [evil],
        "rc": 0,
        "stdout": f"### tuple ### allow tcp 5900 0.0.0.0/0 any 0.0.0.0/0 {evil.replace(' ', '%20')} - in\n",
    }
    (tmp_path / "standin.py").write_text(CONNECTION)
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    variables = {
        "ansible_connection": "standin",
        "ansible_python_interpreter": "/usr/bin/python3",
        "host_firewall_products": ["FaceTime"],
        "netports_become": False,
        "netports_audit_dir": str(tmp_path / "report"),
    }
    hosts = {
        "evil": {},
        "wrong": {"host_firewall_products": ["FaceTiem"]},
        "unread": {"host_firewall_products": "{{ no }}"},
    }
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    collections = plays.ROOT / ".venv" / "collections"
    environment = {
        **plays.environment(collections, tmp_path),
        "ANSIBLE_CONNECTION_PLUGINS": str(tmp_path),
        "ANSIBLE_PIPELINING": "true",
        "NETPORTS_ANSWER": str(tmp_path / "answer.json"),
    }
    program = str(plays.ROOT / ".venv" / "bin" / "ansible-playbook")
    plays.run([program, "-i", "inventory.json", "netports.apple.audit"], environment, tmp_path)
    report = json.loads((tmp_path / "report" / "audit.json").read_text())
    assert {host["host"]: host["status"] for host in report["hosts"]} == {
        "evil": "drifted",
        "wrong": "error",
        "unread": "error",
    }
    assert "'no' is undefined" in report["hosts"][2]["message"]
    one = report["hosts"][0]
    assert one["drift"] == [evil] and evil in one["exposures"][0]["rule"]
    assert evil in (tmp_path / "report" / "audit.csv").read_text() and not mark.exists()
