# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection on every supported ansible-core, installed from its tarball.

From the checkout test_old_hosts.py uses it on the oldest core, and tests/unit/plugins/docs/test_uses.py on the newest.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ansible.release import __version__
from matrix.cores import Core, cores, environment_of
from matrix.plays import PLUGINS, ROOT, audit, documented, environment, run, uses

OWN = (__version__, f"{sys.version_info[0]}.{sys.version_info[1]}")
each_core = pytest.mark.parametrize("core", cores(), ids=lambda core: core.version)


def test_two_cores_at_least_can_be_run_here() -> None:
    missing = [core.missing for core in cores() if core.missing]
    assert len(cores()) - len(missing) >= 2, "; ".join(missing)


def programs(core: Core) -> Path:
    if core.missing:
        pytest.skip(core.missing)
    return environment_of(core)


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The collection's tarball, built once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "tarball"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(folder.glob("*.tar.gz")):
            galaxy = str(ROOT / ".venv" / "bin" / "ansible-galaxy")
            command = [galaxy, "collection", "build", "--output-path", str(folder), str(ROOT)]
            run(command, environment(folder, folder), folder)
    (found,) = folder.glob("*.tar.gz")
    return found


def installed(tarball: Path, programs: Path, folder: Path) -> Path:
    """Install the tarball as people do, with the ansible-galaxy of the core.

    :returns: the folder that has ``ansible_collections/netports/apple``.
    """
    collections = folder / "installed"
    command = [
        str(programs / "ansible-galaxy"),
        "collection",
        "install",
        "--offline",
        "-p",
        str(collections),
        str(tarball),
    ]
    run(command, environment(collections, folder), folder)
    return collections


def checkout(folder: Path) -> Path:
    """The checkout under the name that Ansible wants.

    :returns: the folder that has ``ansible_collections/netports/apple``.
    """
    namespace = folder / "checkout" / "ansible_collections" / "netports"
    namespace.mkdir(parents=True)
    (namespace / "apple").symlink_to(ROOT, target_is_directory=True)
    return folder / "checkout"


@each_core
def test_from_the_tarball(core: Core, tarball: Path, tmp_path: Path) -> None:
    bin_ = programs(core)
    collections = installed(tarball, bin_, tmp_path)
    assert "rescued=1" in uses(str(bin_ / "ansible-playbook"), collections, tmp_path)
    documentation = documented(str(bin_ / "ansible-doc"), collections, tmp_path)
    assert documentation.keys() == {*PLUGINS, ("role", "host_firewall")}
    for (kind, name), plugin in documentation.items():
        if kind == "role":
            assert plugin["entry_points"]["main"]["options"]["host_firewall_products"]["type"] == "list"
        else:
            assert plugin["doc"]["short_description"] and plugin["examples"] and plugin["return"], name


@each_core
def test_the_audit(core: Core, tmp_path: Path) -> None:
    audit(str(programs(core) / "ansible-playbook"), checkout(tmp_path), tmp_path)


@pytest.mark.parametrize("core", [core for core in cores() if core[:2] != OWN], ids=lambda core: core.version)
def test_values_and_templates(core: Core, tmp_path: Path) -> None:
    """Of the unit tests, those of what differs from core to core: templates, and values that Ansible has marked.

    With the ansible-core and Python that are here they are unit tests of this run.
    """
    bin_ = programs(core)
    printed, _errors = run(
        [
            *(str(bin_ / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "template or plain or type"),
            *("tests/unit/plugins/lookup", "tests/unit/plugins/filter"),
        ],
        environment(ROOT / ".venv" / "collections", tmp_path),
        ROOT,
    )
    assert " passed" in printed and "failed" not in printed


def test_the_tarball_has_what_it_needs_and_nothing_of_this_folder(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        members = {member.name for member in archive.getmembers() if member.isfile()}
    kept = subprocess.run(
        ["git", "ls-files", "plugins", "data", "roles", "meta", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(kept.stdout.split()) - members == set()
    assert {"MANIFEST.json", "FILES.json", "data/catalogue.json"} <= members
    foreign = (".venv", ".test", ".git", ".ci", ".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache")
    assert [name for name in members if name.split("/")[0] in foreign or "__pycache__" in name] == []
