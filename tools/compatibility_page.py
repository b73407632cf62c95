# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate docs/compatibility.md: on what the collection is proven, by which tests, and on what it is not yet.

    python tools/compatibility_page.py [--check]

It says what the tests themselves name: tests/matrix/cores.py, tests/hosts/images.py, tests/unit/pf and the workflows. A
workflow counts as not run as long as its own first comment says "Not run yet".
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import generated
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from matrix import cores

from hosts import images

PAGE = ROOT / "docs" / "compatibility.md"
NOT_RUN = "Not run yet"
_SYSTEMS = {"macos": "macOS", "freebsd": "FreeBSD", "openbsd": "OpenBSD"}
_TEXT = """\
<!--
Copyright (c) 2026, netports.apple contributors
GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Written by tools/compatibility_page.py from what the tests name: change those, and run it again.
-->
# Compatibility

Supported is more than proven. This page says what is proven, and by what:

- **real hosts**: `make test` starts systems under their own systemd and sends packets to them from a second host;
- **here**: `make test` runs it on the machine that it is started on;
- **stand-ins**: programs that behave as the system's own are known to, and the system's grammar as data;
- **workflow**: a job of GitHub's is written{not_run}.

## The controller

ansible-core {requires}. `make test` installs the built collection with each of these and plays a playbook of the lookups,
the filters and the module's rendering, on one of the Pythons that the machine has; a core for which it has none is named at
the end and left out.

| ansible-core | its Pythons | here | workflow |
|---|---|---|---|
{controllers}

## The hosts' Python

{oldest} or newer; which of them a controller still manages is ansible-core's matter. On {oldest} the host code is compiled, gives the
same answers as on the controller's Python, and renders under ansible-core 2.16 or 2.17, without a firewall. With one,
the Pythons are those of the next table.

## Systems and firewalls

| system | firewall | Python | proof |
|---|---|---|---|
{systems}

ufw 0.36, firewalld 0.9, nftables 0.9.8 and newer ones are taken, and for inbound rules alone firewalld from 0.6 on, tested on
a 0.9 whose policies were taken away. Nothing is known of the distributions that have a workflow alone. [pf](backends/pf.md) tells more of its stand-ins.

Not to be had on the test hosts, and so not proven: SELinux. A file that is replaced keeps its label with its owner, mode, ACLs
and extended attributes, of which all but the label are tested; a new file gets the label of its folder from the kernel.
nftables on OpenRC (Alpine) is tested with its files alone, and has to be switched on at boot by its administrator.
With firewalld, NetworkManager and podman's network program are tested as Debian has them, docker and libvirt by the calls and
the files with which they use it. With nftables, podman (Debian 13) and Docker (Debian 12) run a real container; libvirt, LXC, LXD
and Incus are not tested.
"""


def _workflow(name: str) -> tuple[dict[str, Any], bool]:
    """A workflow, and whether it was ever run."""
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    comment = " ".join(re.findall(r"^# ?(.*)$", text.split("\nname:")[0], re.MULTILINE))
    return yaml.safe_load(text)["jobs"], NOT_RUN not in comment


def _matrix(job: dict[str, Any]) -> dict[str, Any]:
    matrix: dict[str, Any] = job["strategy"]["matrix"]
    return matrix


def _controllers(jobs: dict[str, Any]) -> list[str]:
    asked: dict[str, list[str]] = {}
    for pair in _matrix(jobs["core"])["include"]:
        asked.setdefault(pair["core"], []).append(pair["python"])
    lines = []
    for version, pythons in cores.SUPPORTED.items():
        which = "the oldest" if version in cores.OLD else "the newest"
        written = ", ".join(asked.get(version.rpartition(".")[0], ["none"]))
        lines.append(f"| {version} | {', '.join(pythons)} | {which} of these that is there | {written} |")
    return lines


def _distribution(image: str) -> str:
    """The name of the system in an image: "docker.io/geerlingguy/docker-debian12-ansible"."""
    found = re.search(r"(debian|ubuntu|rockylinux|almalinux|fedora|opensuseleap)/?(\d+)", image)
    if not found:
        raise ValueError(f"the image {image!r} names no distribution that is known here: add it to _distribution")
    names = {
        "debian": "Debian",
        "ubuntu": "Ubuntu",
        "rockylinux": "Rocky Linux",
        "almalinux": "AlmaLinux",
        "fedora": "Fedora",
        "opensuseleap": "openSUSE Leap",
    }
    number = found[2][:2] + "." + found[2][2:] if found[1] == "ubuntu" else found[2]
    return f"{names[found[1]]} {number}"


def _systems(jobs: dict[str, Any], ran: bool, pf: dict[str, Any], pf_ran: bool) -> list[str]:
    lines = []
    for suite in images.SUITES:
        has = images.VERSIONS[suite]
        for firewall in ("ufw", "firewalld", "nftables"):
            system = f"Debian {has['debian']} ({suite})"
            lines.append(f"| {system} | {firewall} {has[firewall]} | {has['python3']} | real hosts |")
    state = "workflow" if ran else "workflow, not run"
    for one in _matrix(jobs["distribution"])["include"]:
        system = _distribution(one["image"])
        if system not in {f"Debian {has['debian']}" for has in images.VERSIONS.values()}:
            lines.append(f"| {system} | {one['firewall']} | its own | {state} |")
    dialects = json.loads((ROOT / "tests" / "unit" / "pf" / "dialects.json").read_text(encoding="utf-8"))
    known = {name for case in dialects for name in (*case["accepted_by"], *case["errors"])}
    state = "workflow" if pf_ran else "workflow, not run"
    for name, system in _SYSTEMS.items():
        (versions,) = _matrix(pf[name]).values()
        numbers = ", ".join(str(version).removeprefix("macos-") for version in versions)
        if not any(dialect.startswith(name) for dialect in known):
            raise ValueError(f"tests/unit/pf/dialects.json knows no dialect of {system}")
        lines.append(f"| {system} {numbers} | pf | from a package | stand-ins; {state} |")
    return lines


def page() -> str:
    """Return the page's text.

    :raises ValueError: the tests or the workflows name something that this program does not know.
    """
    jobs, ran = _workflow("test.yml")
    pf, pf_ran = _workflow("pf.yml")
    old_hosts = (ROOT / "tests" / "matrix" / "test_old_hosts.py").read_text(encoding="utf-8")
    (oldest,) = re.findall(r'^OLDEST = "([0-9.]+)"$', old_hosts, re.MULTILINE)
    requires = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    return _TEXT.format(
        not_run="" if ran and pf_ran else ", and **has not been run yet**: nothing is proven by it",
        requires=requires.replace(">=", "").removesuffix(".0") + " or newer",
        controllers="\n".join(_controllers(jobs)),
        oldest=oldest,
        systems="\n".join(_systems(jobs, ran, pf, pf_ran)),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status: 0, or 1 when (--check) the page is not current."""
    parser = argparse.ArgumentParser(description="Generate docs/compatibility.md from what the tests name.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is not current")
    options = parser.parse_args(arguments)
    return generated.keep(PAGE, page(), "tools/compatibility_page.py", options.check)


if __name__ == "__main__":
    sys.exit(main())
