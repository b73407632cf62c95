# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit of many hosts costs the controller: `python tests/benchmark/fleet.py [HOSTS]`, from the checkout.

The hosts are not there: a connection plugin answers for them, at once, with what the module returns on a host that is as
declared. So the time is the controller's alone. Beside it, in the same run, stands a play that does as many tasks on as
many hosts with a module of ansible-core, over the same connection: what is left is this collection's own cost.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".venv" / "collections"
sys.path.insert(0, str(COLLECTIONS))

from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _ruleset

FORKS = 10
PRODUCTS = ["FaceTime", "AirPlay", "iCloud", "Screen Sharing", "Push Notifications", "Software Update"]

CONNECTION = '''
DOCUMENTATION = """
name: standin
short_description: Answers for a host that is not there
description: [Answers for a host that is not there.]
options: {}
"""
import os
from ansible.plugins.connection import ConnectionBase


class Connection(ConnectionBase):
    transport = "standin"
    has_pipelining = True

    def _connect(self):
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        with open(os.environ["NETPORTS_ANSWER"], "rb") as stream:
            return 0, stream.read(), b""

    def put_file(self, in_path, out_path):
        pass

    def fetch_file(self, in_path, out_path):
        pass

    def close(self):
        pass
'''


def measure(folder: Path, playbook: str, answer: dict[str, Any]) -> tuple[float, float]:
    """Seconds of the wall and of the processor that a run takes."""
    (folder / "answer.json").write_text(json.dumps(answer))
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "-f", str(FORKS), playbook],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_CONNECTION_PLUGINS": str(folder),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "NETPORTS_ANSWER": str(folder / "answer.json"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory(prefix="netports-fleet-") as name:
        folder = Path(name)
        (folder / "standin.py").write_text(CONNECTION)
        variables = {
            "ansible_connection": "standin",
            "ansible_python_interpreter": "/usr/bin/python3",
            "host_firewall_products": PRODUCTS,
            "netports_become": False,
            "netports_audit_dir": str(folder / "audit"),
        }
        hosts: dict[str, dict[str, str]] = {f"host-{number:04}": {} for number in range(count)}
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        # What the audit has for each host, in ansible-core's own: a fact, a check of arguments, a task that is skipped, a
        # module, and another task that is skipped.
        peer = [
            {"ansible.builtin.set_fact": {"declared": "{{ host_firewall_products }}"}},
            {"ansible.builtin.assert": {"that": "declared | length > 0", "quiet": True}},
            {"ansible.builtin.include_tasks": "none.yml", "when": "false"},
            {"ansible.builtin.ping": {}},
            {"ansible.builtin.command": "none", "when": "false"},
        ]
        play = [{"hosts": "all", "gather_facts": False, "tasks": peer}]
        (folder / "peer.json").write_text(json.dumps(play))
        rules, _silent = _ruleset.rules(_catalogue.select(_catalogue.load(), PRODUCTS))
        answer = {"changed": False, "backend": "pf", "before": rules, "after": rules, "operations": [], "ping": "pong"}
        rows = []
        for title, playbook in (
            ("ansible-core's own tasks", "peer.json"),
            ("netports.apple.audit", "netports.apple.audit"),
        ):
            wall, cpu = measure(folder, playbook, answer)
            rows.append((title, wall, cpu))
        report = json.loads((folder / "audit" / "audit.json").read_text())
        if report["summary"]["hosts"]["compliant"] != count:
            raise SystemExit(f"the hosts were not audited: {report['summary']}")
        sizes = {path.name: path.stat().st_size for path in sorted((folder / "audit").iterdir())}
    print(f"{count} hosts, {FORKS} forks, {len(PRODUCTS)} products each; {os.cpu_count()} processors")
    for title, wall, cpu in rows:
        print(f"{title:28} {wall:7.1f} s {cpu:7.1f} s of processor {1000 * cpu / count:7.1f} ms a host")
    print(f"{'this collection alone':28} {'':19} {1000 * (rows[1][2] - rows[0][2]) / count:22.1f} ms a host")
    print(", ".join(f"{name} {size / 1000:.0f} kB" for name, size in sizes.items()))


if __name__ == "__main__":
    main()
