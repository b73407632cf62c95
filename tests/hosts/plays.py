# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the real ansible-playbook against test hosts over real ssh, and returns what each task returned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import controller
from .host import KEY_EXCHANGE, Host
from .machine import CACHE, KEY, PROJECT

_HERE = Path(__file__).resolve().parent


class PlayFailed(AssertionError):
    """ansible-playbook ended otherwise than the test said; the text has all that it printed, and the hosts' journals."""


@dataclass(frozen=True)
class TaskResult:
    """What one task returned on one host."""

    host: str
    task: str
    action: str
    status: str  # ok, failed, ignored, skipped or unreachable
    result: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Whether the task said that it changed something."""
        return bool(self.result.get("changed"))


@dataclass(frozen=True)
class Play:
    """A finished run of ansible-playbook."""

    rc: int
    text: str  # standard output, then standard error
    results: list[TaskResult]
    calls: list[str]  # one line for each ssh, sftp or scp that was started: "ssh …"

    def of(self, host: Host | None = None, action: str = "", task: str = "") -> list[TaskResult]:
        """The results of a host, of an action's name (its end is enough) and a part of a task's name."""
        return [
            one
            for one in self.results
            if (host is None or one.host == host.name) and one.action.endswith(action) and task in one.task
        ]

    def result(self, host: Host | None = None, action: str = "", task: str = "") -> dict[str, Any]:
        """What the last such task returned that was not skipped."""
        found = [one for one in self.of(host, action, task) if one.status != "skipped"]
        if not found:
            raise PlayFailed(f"no result of host {host}, action {action!r}, task {task!r} in:\n{self.text}")
        return found[-1].result

    @property
    def changed(self) -> bool:
        """Whether any task changed anything."""
        return any(one.changed for one in self.results)

    def remote_calls(self, host: Host | None = None) -> int:
        """How many times ssh, sftp or scp was started (for a host)."""
        # "-O" speaks to the ssh of this machine that keeps a connection, and reaches no host.
        calls = [call.split() for call in self.calls if " -O " not in call]
        return len([call for call in calls if host is None or {host.address4, host.address6} & set(call)])


def inventory(
    hosts: Sequence[Host], user: str = "root", family: int = 4, variables: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """An inventory (as JSON, which is YAML) of the hosts over ssh. A user other than root becomes root by sudo."""
    common = {
        "ansible_user": user,
        "ansible_become": user != "root",
        "ansible_ssh_private_key_file": str(KEY),
        "ansible_ssh_common_args": "-F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        f" -o IdentitiesOnly=yes -o LogLevel=ERROR -o {KEY_EXCHANGE}",
        "ansible_python_interpreter": "/usr/bin/python3",
        **(variables or {}),
    }
    return {"all": {"hosts": {host.name: {"ansible_host": host.address(family)} for host in hosts}, "vars": common}}


def collections() -> Path:
    """A collections path in which netports.apple is this checkout."""
    link = CACHE / "collections" / "ansible_collections" / "netports" / "apple"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            link.symlink_to(PROJECT, target_is_directory=True)
        except FileExistsError:
            pass  # another worker was quicker
    return CACHE / "collections"


def environment(folder: Path, pipelining: bool = True) -> dict[str, str]:
    """What ansible-playbook is told by its environment; nothing of the user's own settings comes through."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NETPORTS_"))}
    return {
        **kept,
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "tools" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "netports_results",
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_PIPELINING": str(pipelining),
        # A host may be slow to answer where many are busy on one machine.
        "ANSIBLE_TIMEOUT": "60",
        "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=10s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_SSH_EXECUTABLE": str(_HERE / "bin" / "ssh"),
        "ANSIBLE_SFTP_EXECUTABLE": str(_HERE / "bin" / "sftp"),
        "ANSIBLE_SCP_EXECUTABLE": str(_HERE / "bin" / "scp"),
        "NETPORTS_CALLS": str(folder / "calls"),
        "NETPORTS_RESULTS": str(folder / "results"),
    }


@contextmanager
def _folder() -> Iterator[Path]:
    # Below /tmp and short: a ControlPath has room for some hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="np-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(
    hosts: Host | Sequence[Host],
    tasks: Sequence[Mapping[str, Any]] | None = None,
    *,
    role: str | None = None,
    playbook: str | None = None,
    variables: Mapping[str, Any] | None = None,
    extra_vars: Mapping[str, Any] | None = None,
    check: bool = False,
    diff: bool = False,
    facts: bool = False,
    user: str = "root",
    family: int = 4,
    pipelining: bool = True,
    fails: bool = False,
    env: Mapping[str, str] | None = None,
    argv: Sequence[str] = (),
    timeout: float = 1800,
) -> Play:
    """Runs `tasks`, a `role` or the text of a `playbook` (hosts: all) on the hosts, and returns the results.

    variables are the play's (templates in them are templated), extra_vars those of -e. user "admin" goes through
    sudo. Raises PlayFailed when the run fails, or, with `fails`, when it does not.
    """
    chosen = [hosts] if isinstance(hosts, Host) else list(hosts)
    began = time.time()
    if playbook is None:
        one: dict[str, Any] = {"name": "Test", "hosts": "all", "gather_facts": facts, "vars": dict(variables or {})}
        one.update({"tasks": list(tasks)} if tasks is not None else {"roles": [role]})
        playbook, variables = json.dumps([one]), None
    with _folder() as folder:
        (folder / "inventory.yml").write_text(json.dumps(inventory(chosen, user, family, variables)))
        (folder / "play.yml").write_text(playbook)
        (folder / "extra.json").write_text(json.dumps(dict(extra_vars or {})))
        for name in ("ansible.cfg", "calls", "results"):
            (folder / name).touch()
        arguments = ["-i", str(folder / "inventory.yml")]
        arguments += [*(["--check"] if check else []), *(["--diff"] if diff else [])]
        arguments += ["-e", f"@{folder / 'extra.json'}", *argv, str(folder / "play.yml")]
        settings = environment(folder, pipelining)
        if env or not pipelining:
            # By -m, not by the script: its first line has no room for a long path.
            done = subprocess.run(
                [sys.executable, "-m", "ansible", "playbook", *arguments],
                env={**settings, **(env or {})},
                cwd=folder,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=timeout,
                check=False,
            )
        else:
            own = {name for name, value in settings.items() if value.startswith(str(folder))}
            done = controller.run(arguments, settings, own, folder, timeout)
        finished = Play(
            rc=done.returncode,
            text=done.stdout + done.stderr,
            results=[TaskResult(**json.loads(line)) for line in (folder / "results").read_text().splitlines()],
            calls=(folder / "calls").read_text().splitlines(),
        )
    if fails != (finished.rc != 0):
        # Tests remove their hosts: what these saw of it is gone afterwards.
        tails = [f"The end of the journal of {host.name}:\n{host.journal(began)}" for host in chosen[:4]]
        raise PlayFailed("\n".join([f"ansible-playbook ended with {finished.rc}:\n{finished.text}", *tails]))
    return finished
