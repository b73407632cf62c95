# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playing playbooks with a given ansible-core and a given copy of the collection, on this machine alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from benchmark.fleet import CONNECTION

from hosts import controller

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

PLUGINS = [
    *[("lookup", name) for name in ("hosts", "networks", "ports", "products", "rules")],
    *[("filter", name) for name in ("rules", "to_aerleon", "to_ufw", "to_firewalld", "to_nftables", "to_pf")],
    *[("filter", f"audit{of}") for of in ("", "_changes", "_csv", "_junit", "_page")],
    *[("module", name) for name in ("host_firewall", "audit_report")],
]

SECRETS = {"vaulted": "Pushberichten", "vaulted_network": "192.0.2.0/24", "vaulted_direction": "out"}


# The variables of Ansible's that differ from run to run.
VARYING = {"ANSIBLE_CONFIG", "ANSIBLE_HOME"}


def environment(collections: Path, home: Path) -> dict[str, str]:
    """Environment variables under which Ansible sees this copy of the collection and nothing of the user's own.

    :param collections: the folder that has ``ansible_collections/netports/apple``.
    :param home: an empty folder of the test's own.
    """
    config = home / "ansible.cfg"
    config.touch()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON", "NETPORTS_"))}
    return {
        **kept,
        "HOME": str(home),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "COLUMNS": "200",
        "LC_ALL": "C.UTF-8",
    }


def run(argv: list[str], env: Mapping[str, str], cwd: Path, timeout: int = 1200) -> tuple[str, str]:
    """Run a command that has to succeed.

    :returns: what it printed, and what it printed as errors and warnings.
    """
    if argv[0] == str(Path(sys.executable).with_name("ansible-playbook")):
        # Its own start takes longer than most plays.
        done = controller.run(argv[1:], env, VARYING, cwd, timeout)
    else:
        done = subprocess.run(
            argv, env=dict(env), cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False, encoding="utf-8"
        )
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def started(folder: Path) -> Callable[[list[str], dict[str, str]], tuple[int, str]]:
    """What ``ansible_playbook`` of tools/apply.py does, by an Ansible that has been started.

    :param folder: a folder of the test's own.
    """

    def ansible_playbook(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
        done = controller.run(words, environment, VARYING, folder, timeout=1200)
        # Past sys.stderr, as by a process of its own.
        os.write(2, done.stderr.encode())
        return done.returncode, done.stdout

    return ansible_playbook


def vaulted(text: str, password: str) -> str:
    """A text as it stands encrypted in a file of variables."""
    from ansible.parsing.vault import VaultLib, VaultSecret

    secret = VaultSecret(password.encode())
    return str(VaultLib([("default", secret)]).encrypt(text, secret=secret).decode())


def uses(playbook: str, collections: Path, folder: Path, *more: str) -> str:
    """Play uses.yml, which has to succeed without a warning.

    :param playbook: the ansible-playbook to play it with.
    :param collections: as for :func:`environment`.
    :param folder: an empty folder of the test's own.
    """
    (folder / "password").write_text("not a secret")
    variables = [f"folder: {folder}", f"source: {collections}"]
    for name, text in SECRETS.items():
        variables += [f"{name}: !vault |", *(f"  {line}" for line in vaulted(text, "not a secret").splitlines())]
    (folder / "variables.yml").write_text("\n".join(variables) + "\n")
    printed, errors = run(
        [
            *(playbook, str(HERE / "uses.yml"), "-e", f"@{folder / 'variables.yml'}"),
            *("--vault-password-file", str(folder / "password"), *more),
        ],
        environment(collections, folder),
        folder,
    )
    assert not re.search("WARNING|DEPRECAT", printed + errors), printed + errors
    return printed


def audit(playbook: str, collections: Path, folder: Path) -> None:
    """Play the audit over hosts that are not there, one of which answers with hostile texts, and check its report.

    The texts would start a process if anything took them for templates; the other hosts' variables are wrong.

    :param playbook: the ansible-playbook to play it with.
    :param collections: as for :func:`environment`.
    :param folder: an empty folder of the test's own.
    """
    mark = folder / "run"
    evil = "{{ lookup('ansible.builtin.pipe', 'touch MARK') }}{% raw %}".replace("MARK", str(mark))
    answer = {
        "changed": True,
        "backend": "ufw",
        "before": [],
        "operations": [{"action": "mend", "what": evil}],
        "warnings": [evil],
        "notices": [{"code": evil, "text": evil, "rules": [evil], "direction": evil}],
        "exposed": [{"kind": evil, "ruleset": "", "name": evil, "protocol": "tcp", "ports": ["5900"], "text": evil}],
        "rulesets": {evil: []},
    }
    (folder / "standin.py").write_text(CONNECTION)
    (folder / "answer.json").write_text(json.dumps(answer))
    variables = {
        "ansible_connection": "standin",
        "ansible_python_interpreter": "/usr/bin/python3",
        "host_firewall_products": ["FaceTime"],
        "netports_become": False,
        "netports_audit_dir": str(folder / "report"),
    }
    hosts = {
        "evil": {},
        "wrong": {"host_firewall_products": ["FaceTiem"]},
        "unread": {"host_firewall_products": "{{ no }}"},
        "unsure": {"host_firewall_supplement": "perhaps"},
    }
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    env = {
        **environment(collections, folder),
        "ANSIBLE_CONNECTION_PLUGINS": str(folder),
        "ANSIBLE_PIPELINING": "true",
        "NETPORTS_ANSWER": str(folder / "answer.json"),
    }
    run([playbook, "-i", "inventory.json", "netports.apple.audit"], env, folder)
    report = json.loads((folder / "report" / "audit.json").read_text())
    statuses = {host["host"]: host["status"] for host in report["hosts"]}
    assert statuses == {"evil": "drifted", "wrong": "error", "unread": "error", "unsure": "error"}, report
    one, _wrong, unread, unsure = report["hosts"]
    assert "'no' is undefined" in unread["message"] and "perhaps" in unsure["message"], report
    assert one["drift"] == [evil] and evil in one["exposures"][0]["rule"], report
    assert evil in (folder / "report" / "audit.csv").read_text() and not mark.exists()


def documented(doc: str, collections: Path, folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The documentation of all plugins and of the role, as ansible-doc reads it.

    :returns: by type and short name, with the keys ``doc``, ``examples`` and ``return`` (of the role: as it is).
    """
    env = environment(collections, folder)
    printed, errors = run([doc, "--metadata-dump", "netports.apple"], env, folder)
    assert "netports" not in errors, errors
    found = json.loads(printed)["all"]
    return {
        (kind, name.removeprefix("netports.apple.")): plugin
        for kind in ("lookup", "filter", "module", "role")
        for name, plugin in found[kind].items()
    }


def examples(documentation: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """All tasks that the plugins' documentation shows, with the plugin that each comes from."""
    return [
        (f"{kind} {name}", task)
        for (kind, name), plugin in documentation.items()
        if kind != "role"
        for task in yaml.safe_load(plugin["examples"])
    ]
