# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m hosts WORD …` with the words `build` (the images of the test hosts), `check` (start a host, and remove it),
`remove` (the hosts that `make try KEEP=yes` left) and `clean` (all of it), in the order given. `python -m hosts lend FILE
SUITE:FIREWALL …`: hosts for something that is not a test of ours, such as Molecule, and in FILE the inventory of them."""

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

USAGE = "usage: python -m hosts build|check|remove|clean ... | lend FILE SUITE:FIREWALL ..."


def check() -> None:
    """Starts a host and removes it.

    Raises HostsError where this machine cannot have any.
    """
    with closing(Lab()) as lab:
        lab.start()


def lend(path: Path, wanted: list[str]) -> None:
    """Starts hosts, writes their inventory to `path` (each host is named SUITE-FIREWALL, in a group named FIREWALL),
    and removes them when that file is removed or replaced, or after an hour."""
    with closing(Lab(compiled=True)) as lab:
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
    """Runs the words; returns the exit code."""
    words = {"build": images.build, "check": check, "remove": remove, "clean": machine.clean}
    lending = len(argv) > 2 and argv[0] == "lend"
    if not lending and (not argv or not set(argv) <= words.keys()):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        if lending:
            lend(Path(argv[1]), argv[2:])
        else:
            for word in argv:
                words[word]()
    except machine.HostsError as problem:
        print(f"hosts: {problem}", file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
