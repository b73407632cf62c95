# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m hosts build|clean`: the images of the test hosts. `python -m hosts remove`: the hosts that
`make try KEEP=yes` left. `python -m hosts lend FILE SUITE:FIREWALL …`: hosts
for something that is not a test of ours, such as Molecule, and in FILE the inventory of them."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from . import images, machine
from .host import Host, Lab
from .plays import inventory

USAGE = "usage: python -m hosts build | clean | remove | lend FILE SUITE:FIREWALL ..."


def lend(path: Path, wanted: list[str]) -> None:
    """Starts hosts, writes their inventory to `path` (each host is named SUITE-FIREWALL, in a group named FIREWALL),
    and removes them when that file is removed or replaced, or after an hour."""
    with closing(Lab()) as lab:
        hosts: dict[str, tuple[Host, str]] = {}
        variables: dict[str, Any] = {}
        groups: dict[str, dict[str, dict[str, Any]]] = {}
        for one in wanted:
            suite, _colon, firewall = one.partition(":")
            hosts[f"{suite}-{firewall}"] = (lab.start(suite, firewall), firewall)
        found = inventory([host for host, _firewall in hosts.values()])["all"]
        for name, (host, firewall) in hosts.items():
            variables[name] = found["hosts"][host.name]
            groups.setdefault(firewall, {"hosts": {}})["hosts"][name] = {}
        ready = path.with_name(f"{path.name}.{os.getpid()}")
        ready.write_text(json.dumps({"all": {"hosts": variables, "vars": found["vars"], "children": groups}}))
        ours = ready.stat().st_ino
        ready.replace(path)
        until = time.monotonic() + 3600
        while path.exists() and path.stat().st_ino == ours and time.monotonic() < until:
            time.sleep(0.3)


def remove() -> None:
    """Removes the hosts that a process left on purpose; the images stay."""
    print(f"Removed {Lab().remove_kept()} hosts")


def main(argv: list[str]) -> int:
    """Runs one of the words; returns the exit code."""
    words = {"build": images.build, "clean": machine.clean, "remove": remove}
    lending = len(argv) > 2 and argv[0] == "lend"
    if not lending and (len(argv) != 1 or argv[0] not in words):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        if lending:
            lend(Path(argv[1]), argv[2:])
        else:
            words[argv[0]]()
    except machine.HostsError as problem:
        print(f"hosts: {problem}", file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
