# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook without most of its start: a process imports Ansible once, and forks itself for each run."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Reads a run as a line of JSON {"argv", "env", "cwd", "out", "err"}, and prints its exit code. Ansible's constants have
# the values of the environment that this was started in; its plugins read their options in the run's own. What every
# run loads is loaded before the fork. Only code is: a run reads inventory, playbook, role and data by itself. (The loader
# of vars plugins keeps instances, not classes: of its plugins only the module is imported.)
_PARENT = """
import gc, json, os, sys, traceback, warnings
from ansible.cli.playbook import PlaybookCLI
import ansible.executor.module_common, ansible.executor.playbook_executor, ansible.executor.task_queue_manager
import ansible._internal._json._profiles._inventory_legacy, ansible.playbook.handler_task_include
import ansible.plugins.vars.host_group_vars, multiprocessing.popen_fork, multiprocessing.synchronize
from ansible.plugins import loader
loader.init_plugin_loader()
warnings.filterwarnings("ignore", "AnsibleCollectionFinder has already been configured")
for plugins in (loader.callback_loader, loader.inventory_loader, loader.cache_loader,
                loader.become_loader, loader.shell_loader, loader.filter_loader, loader.test_loader):
    list(plugins.all(class_only=True))
for plugins, names in (
    (loader.action_loader, "command copy debug gather_facts include_vars normal service set_fact template "
                           "validate_argument_spec netports.apple.host_firewall"),
    (loader.connection_loader, "local ssh"),
    (loader.lookup_loader, "netports.apple.rules"),
    (loader.strategy_loader, "linear"),
):
    for name in names.split():
        plugins.get(name, class_only=True)
gc.collect()
gc.freeze()
for line in sys.stdin:
    run = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            streams = [(os.devnull, os.O_RDONLY), (run["out"], os.O_WRONLY), (run["err"], os.O_WRONLY)]
            for number, (path, mode) in enumerate(streams):
                os.dup2(os.open(path, mode), number)
            os.chdir(run["cwd"])
            os.environ.clear()
            os.environ.update(run["env"])
            PlaybookCLI.cli_executor(["ansible-playbook", *run["argv"]])
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
# By default Ansible looks a thousand times a second whether a task has ended.
_SETTINGS = """[defaults]
internal_poll_interval = 0.01
"""


@functools.cache
def _parent(constants: tuple[tuple[str, str], ...]) -> subprocess.Popen[str]:
    """The process that forks, for runs with these variables of Ansible's; it ends with this one."""
    folder = Path(tempfile.mkdtemp(prefix="np-", dir="/tmp"))
    (folder / "ansible.cfg").write_text(_SETTINGS)
    own = {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(folder / "local")}
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        env={**os.environ, **dict(constants), **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def end() -> None:
        parent.communicate()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return parent


def run(
    argv: list[str], env: Mapping[str, str], own: set[str], folder: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook.

    :param argv: its arguments.
    :param env: its environment variables.
    :param own: those that differ from run to run: no constant of Ansible's may need them.
    :param folder: an existing folder of the run's own.
    :param timeout: seconds after which it is killed.
    :raises subprocess.TimeoutExpired: it was.
    """
    constants = {name: value for name, value in env.items() if name.startswith("ANSIBLE_") and name not in own}
    parent = _parent(tuple(constants.items()))
    assert parent.stdin and parent.stdout
    streams = {name: folder / f"std{name}" for name in ("out", "err")}
    for path in streams.values():
        path.touch()
    asked = {"argv": argv, "env": dict(env), "cwd": str(folder), **{name: str(path) for name, path in streams.items()}}
    parent.stdin.write(json.dumps(asked) + "\n")
    parent.stdin.flush()
    if not select.select([parent.stdout], [], [], timeout)[0]:
        os.killpg(parent.pid, signal.SIGKILL)
        _parent.cache_clear()
        raise subprocess.TimeoutExpired(argv, timeout)
    code = int(parent.stdout.readline())
    return subprocess.CompletedProcess(argv, code, *(path.read_text() for path in streams.values()))
