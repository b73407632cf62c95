# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make try` on its own hosts, with each firewall that it knows; left, and interrupted."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trial

from hosts import Lab
from hosts.machine import NETWORK, podman

ROOT = Path(__file__).resolve().parents[2]


def started(firewall: str, keep: str = "") -> subprocess.Popen[str]:
    """The program, as make starts it."""
    path = f"{ROOT / 'tests'}:{ROOT / '.venv' / 'collections'}"
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tools" / "trial.py")],
        env={**os.environ, "PYTHONPATH": path, "PRODUCTS": "Screen Sharing, Mail", "FIREWALL": firewall, "KEEP": keep},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("firewall", "keep"), [(trial.FIREWALLS[0], "yes"), *((name, "") for name in trial.FIREWALLS[1:])]
)
def test_a_trial(lab: Lab, firewall: str, keep: str) -> None:
    with started(firewall, keep) as program:
        out, _err = program.communicate()
    assert program.returncode == 0, out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert any(line.startswith("+ Screen Sharing, inbound 5900/tcp and 5900/udp from 10.0.0.0/8") for line in lines)
    assert {
        "5900/tcp local network open open Screen Sharing",
        "5900/udp outside shut shut Screen Sharing is for local networks",
        "5901/tcp anywhere shut shut beside Screen Sharing's 5900",
        "25/tcp anywhere shut shut Mail only connects to it",
        "2 changes, confirmed over a new connection",
        "nothing to change",
        "all is as declared",
    } <= set(lines), out
    assert lines[-1].endswith("All is as expected")
    page = re.search(r"page: (.+)", out)
    assert page and "<title>Firewall audit" in Path(page[1]).read_text(encoding="utf-8")
    assert ("Removing the hosts" in out) == (not keep)
    commands = re.findall(r"^  (ssh .+)$", out, re.MULTILINE)
    assert len(commands) == (2 if keep else 0)
    for command in commands:
        entered = subprocess.run([*shlex.split(command), "true"], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        assert entered.returncode == 0
    kept = [int(command.rpartition(".")[2]) for command in commands]
    assert lab.remove_kept(kept) == len(kept)


def test_an_interrupted_trial_leaves_no_host(lab: Lab) -> None:
    with started("ufw") as program:
        assert program.stdout is not None
        names: list[str] = []
        while not names:
            line = program.stdout.readline()
            assert line, "it ended before its hosts had started"
            names = re.findall(rf"{trial.SUITE}-(\d+)", line)
        containers = [podman("inspect", "--format", "{{.Id}}", f"{NETWORK}-{name}") for name in names]
        program.send_signal(signal.SIGINT)
        program.send_signal(signal.SIGINT)
        out, _err = program.communicate()
    assert program.returncode == 130 and "Interrupted" in out
    assert len(containers) == 2
    assert not {*containers} & {*podman("ps", "--all", "--no-trunc", "--format", "{{.ID}}").split()}
