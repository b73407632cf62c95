# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit of many hosts costs: `PYTHONPATH=tests .venv/bin/python tests/benchmark/fleet.py [HOSTS [REAL]]`.

First over HOSTS that are not there: a connection plugin answers for them, at once, with what the module returns on a host
that is as declared. So the time is the controller's alone. Beside it, in the same run, stands a play that does as many
tasks on as many hosts with modules of ansible-core, over the same connection: what is left is this collection's own cost.
Then over REAL test hosts with ufw, as root: apply, apply again, audit.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".venv" / "collections"
# A template without a lookup, and one with it.
EXPRESSIONS = ("[1, 2]", "query('netports.apple.ports', 'FaceTime')")
FORKS = 10
AUDIT = "netports.apple.audit"
PRODUCTS = ["FaceTime", "AirPlay", "iCloud", "Screen Sharing", "Push Notifications", "Software Update"]

# About what ufw keeps of a ruleset and some rules of an administrator's.
RULES_FILES = "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n" * 100

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


def stage(folder: Path, count: int) -> dict[str, Any]:
    """Make an inventory of hosts that are not there; what the module answers for each of them."""
    from ansible.plugins.loader import init_plugin_loader

    # Only with Ansible's own importer in place: without it, the lookups would not be found later in this process.
    init_plugin_loader([str(COLLECTIONS)])
    from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _ruleset

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
    rules, _silent = _ruleset.rules(_catalogue.select(_catalogue.load(), PRODUCTS))
    return {
        "changed": False, "backend": "ufw", "before": rules, "after": rules, "operations": [],
        "foreign": RULES_FILES, "ping": "pong",
    }  # fmt: skip


def facts(expression: str, apart: bool) -> list[dict[str, Any]]:
    """Tasks that set twenty facts, each by a template of the same expression: one task for each, or one for all."""
    wanted = {f"a{number}": f"{{{{ {expression} | length }}}}" for number in range(20)}
    parts = [{name: text} for name, text in wanted.items()] if apart else [wanted]
    return [{"ansible.builtin.set_fact": part} for part in parts]


def lookups(count: int, repeats: int) -> list[str]:
    """Measure runs of the role without and with 20 lookups for each host; a line of a table."""
    found = []
    with tempfile.TemporaryDirectory(prefix="netports-fleet-") as name:
        folder = Path(name)
        answer = stage(folder, count)
        for expression in EXPRESSIONS:
            tasks = facts(expression, apart=False)
            play = {"hosts": "all", "gather_facts": False, "roles": ["netports.apple.host_firewall"], "tasks": tasks}
            (folder / "play.json").write_text(json.dumps([play]))
            found.append(statistics.median(measure(folder, "play.json", answer)[1] for _time in range(repeats)))
    return [
        f"| the role and one task with 20 lookups | {found[0]:.1f} | {found[1]:.1f} | {found[1] / found[0] - 1:.0%} |"
    ]


def standin(count: int) -> list[str]:
    """Measure hosts that are not there; the lines of a table."""
    with tempfile.TemporaryDirectory(prefix="netports-fleet-") as name:
        folder = Path(name)
        answer = stage(folder, count)
        # What the audit has for each host, in ansible-core's own: a fact and a module.
        peer = [
            {"ansible.builtin.set_fact": {"declared": "{{ host_firewall_products }}"}},
            {"ansible.builtin.ping": {}},
        ]
        (folder / "peer.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": peer}]))
        rows = []
        for title, playbook in (("ansible-core's own tasks", "peer.json"), ("`netports.apple.audit`", AUDIT)):
            wall, cpu = measure(folder, playbook, answer)
            rows.append((title, wall, cpu))
        report = json.loads((folder / "audit" / "audit.json").read_text())
        if report["summary"]["hosts"]["compliant"] != count:
            raise SystemExit(f"the hosts were not audited: {report['summary']}")
        sizes = {path.name: path.stat().st_size for path in sorted((folder / "audit").iterdir())}
    lines = [
        f"| {count} hosts that are not there, {FORKS} forks | seconds | of processor | of processor, a host |",
        "|---|---:|---:|---:|",
    ]
    lines += [f"| {title} | {wall:.1f} | {cpu:.1f} | {1000 * cpu / count:.0f} ms |" for title, wall, cpu in rows]
    own = 1000 * (rows[1][2] - rows[0][2]) / count
    lines.append(f"| this collection alone, the report included | | | {own:.0f} ms |")
    return [*lines, "", "Files: " + ", ".join(f"{name} {size / 1000:.0f} kB" for name, size in sizes.items()) + "."]


def real(count: int) -> list[str]:
    """Measure real test hosts with ufw; the lines of a table."""
    from hosts import Lab, play

    lab = Lab()
    lines = ["| real hosts | forks | seconds | seconds a host | remote calls a host |", "|---|---:|---:|---:|---:|"]
    try:
        hosts = [lab.start("bookworm", "ufw") for _number in range(count)]
        with tempfile.TemporaryDirectory(prefix="netports-fleet-") as folder:
            extra = {"netports_become": False, "netports_audit_dir": folder}
            for title, name in (("apply, all new", "apply"), ("apply, nothing to change", "apply"), ("audit", "audit")):
                started = time.monotonic()
                run = play(
                    hosts,
                    playbook=json.dumps([{"import_playbook": f"netports.apple.{name}"}]),
                    variables={"host_firewall_products": PRODUCTS},
                    extra_vars=extra,
                    argv=["-f", str(FORKS)],
                    timeout=1200,
                )
                seconds = time.monotonic() - started
                changed = {one.changed for one in run.of(action="host_firewall")}
                if changed != {title == "apply, all new"}:
                    raise SystemExit(f"{title}: {run.text}")
                calls = run.remote_calls() / count
                lines.append(
                    f"| {title}, {count} hosts | {FORKS} | {seconds:.1f} | {seconds / count:.2f} | {calls:.1f} |"
                )
    finally:
        lab.close()
    return lines


def main() -> None:
    """Measure, and print tables."""
    count, there = ([int(word) for word in sys.argv[1:]] + [500, 20][len(sys.argv) - 1 :])[:2]
    print("\n".join(standin(count)))
    if there:
        print("\n" + "\n".join(real(there)))


if __name__ == "__main__":
    main()
