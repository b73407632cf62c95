# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's host code on a test host, past ssh and ansible-playbook: a tenth of their time."""

from __future__ import annotations

import base64
import functools
import io
import json
import shlex
import tarfile
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from .host import Host
from .machine import PROJECT
from .resident import Resident

FOLDER = "/var/tmp/netports-code"
_PACKAGE = "ansible_collections/netports/apple/plugins/module_utils"
_RUN = """
import json, sys
sys.dont_write_bytecode = True
def load(folder):
    global _rules, _run, base, process
    sys.path.insert(0, folder)
    from ansible_collections.netports.apple.plugins.module_utils import _rules, _run
    from ansible_collections.netports.apple.plugins.module_utils._confirm import process
    from ansible_collections.netports.apple.plugins.module_utils._firewalls import base
def run(check=False, **asked):
    params = dict(ruleset="apple", state="replaced", enable=None, zone="", confirm_seconds=0, _confirm=None,
                  backend="auto", rules=[])
    params.update(asked)
    try:
        return 0, _run.execute(params, process.Runner(), check)
    except (base.FirewallError, _rules.RuleError, OSError) as error:
        return 1, {"msg": str(error)}
"""
_ONCE = f"""{_RUN}
load(sys.argv[1])
code, result = run(**json.loads(sys.argv[2]))
print(json.dumps(result))
sys.exit(code)
"""
# Each question has a process of its own, forked from one that has imported everything. Code that a test edits is another one.
_STAYS = f"""{_RUN}
import importlib, os, traceback
def files(folder, package):
    for place, _folders, names in os.walk(os.path.join(folder, package)):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(place, name)
                found = os.stat(path)
                yield os.path.relpath(path, folder)[:-3].replace(os.sep, "."), found.st_mtime_ns, found.st_size
def load_all(folder, package):
    load(folder)
    for name, *_rest in files(folder, package):
        importlib.import_module(name)
def forked(cases):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        try:
            said = [run(**case) for case in cases]
        except BaseException:
            said = traceback.format_exc()
        with open(writing, "w") as stream:
            json.dump(said, stream)
        os._exit(0)
    os.close(writing)
    with open(reading) as stream:
        said = stream.read()
    status = os.waitpid(child, 0)[1]
    return said or json.dumps(os.waitstatus_to_exitcode(status))
print("ready", flush=True)
loaded = failed = None
for line in sys.stdin:
    folder, package, cases = json.loads(line)
    there = sorted(files(folder, package))
    if loaded is None:
        loaded = there
        try:
            load_all(folder, package)
        except Exception:
            failed = json.dumps(traceback.format_exc())
    if loaded != there:
        print(json.dumps("anew"), flush=True)
        break
    print(failed or forked(cases), flush=True)
"""


@functools.cache
def _packed() -> bytes:
    """The host code as a tarball, and as much of Ansible as it takes to import it."""
    source = PROJECT / "plugins" / "module_utils"
    files = {f"{_PACKAGE}/{path.relative_to(source)}": path.read_bytes() for path in source.rglob("*.py")}
    files["ansible/module_utils/basic.py"] = b"class AnsibleModule: pass\n"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


# What a host of each suite had after its Python compiled the code.
_compiled: dict[str, bytes] = {}


# Hosts that have the code; and those whose code a test may have edited.
_there: weakref.WeakSet[Host] = weakref.WeakSet()
_edited: weakref.WeakSet[Host] = weakref.WeakSet()
_forks = Resident(_STAYS)


def install(host: Host) -> None:
    """Bring the host code to a host for a test that runs it by itself, or edits it."""
    _install(host)
    _edited.add(host)


def forget(host: Host) -> None:
    """Bring the code anew before its next use where a test may have edited it."""
    if host in _edited:
        _edited.discard(host)
        _there.discard(host)


def _install(host: Host) -> None:
    """Bring the host code to a host, compiled once for each suite."""
    if host in _there:
        return
    host.run(["mkdir", "-p", FOLDER])
    host.run(["tar", "-xzf", "-", "-C", FOLDER], stdin=_compiled.get(host.suite) or _packed())
    if host.suite not in _compiled:
        host.run(["python3", "-m", "compileall", "-q", FOLDER])
        _compiled[host.suite] = base64.b64decode(host.sh(f"tar -cz -C {FOLDER} . | base64").out)
    _there.add(host)


def module(
    host: Host,
    under: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    ssh: int = 0,
    port: int = 22,
    **arguments: Any,
) -> tuple[int, dict[str, Any]]:
    """Run the module's own code with its arguments, under another program if need be: its exit code and its result.

    `check` is check mode, `ssh` 4 or 6 a new connection of that family to the `port`. A run that was killed has no result.
    """
    _install(host)
    if not (under or env or ssh):
        return each(host, [arguments])[0]
    argv = [*under, "python3", "-c", _ONCE, FOLDER, json.dumps(arguments)]
    if ssh:
        done = host.ssh(shlex.join(argv), family=ssh, port=port)
    else:
        done = host.run(argv, check=False, env=env)
    if done.rc in (0, 1) and done.out:
        result: dict[str, Any] = json.loads(done.out)
        return done.rc, result
    if "Traceback" in done.err:
        raise AssertionError(done.err)
    return done.rc, {}


def each(host: Host, cases: Sequence[Mapping[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """`module` for many cases, one after the other in one process."""
    _install(host)
    answer = _forks.ask(host, [FOLDER, _PACKAGE, list(cases)])
    if isinstance(answer, int):
        return [(answer, {})]
    assert isinstance(answer, list), answer
    return [(int(code), result) for code, result in answer]
