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
from collections.abc import Mapping, Sequence
from typing import Any

from .host import Host
from .machine import PROJECT

FOLDER = "/var/tmp/netports-code"
_PACKAGE = "ansible_collections/netports/apple/plugins/module_utils"
_DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
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
asked = json.loads(sys.argv[2])
if isinstance(asked, list):
    print(json.dumps([run(**case) for case in asked]))
else:
    code, result = run(**asked)
    print(json.dumps(result))
    sys.exit(code)
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


def install(host: Host) -> None:
    """Bring the host code to a host, compiled once for each suite. The others do so where it is not there."""
    host.run(["mkdir", "-p", FOLDER])
    host.run(["tar", "-xzf", "-", "-C", FOLDER], stdin=_compiled.get(host.suite) or _packed())
    if host.suite not in _compiled:
        host.run(["python3", "-m", "compileall", "-q", FOLDER])
        _compiled[host.suite] = base64.b64decode(host.sh(f"tar -cz -C {FOLDER} . | base64").out)


def _command(host: Host, asked: Any) -> list[str]:
    if host.run(["test", "-d", FOLDER], check=False).rc:
        install(host)
    return ["python3", "-c", _DRIVER, FOLDER, json.dumps(asked)]


def module(
    host: Host,
    under: Sequence[str] = (),
    timeout: float = 600,
    env: Mapping[str, str] | None = None,
    ssh: int = 0,
    port: int = 22,
    **arguments: Any,
) -> tuple[int, dict[str, Any]]:
    """Run the module's own code with its arguments, under another program if need be: its exit code and its result.

    `check` is check mode, `ssh` 4 or 6 a new connection of that family to the `port`. A run that was killed has no result.
    """
    argv = [*under, *_command(host, arguments)]
    if ssh:
        done = host.ssh(shlex.join(argv), family=ssh, port=port)
    else:
        done = host.run(argv, check=False, timeout=timeout, env=env)
    if done.rc in (0, 1) and done.out:
        result: dict[str, Any] = json.loads(done.out)
        return done.rc, result
    if "Traceback" in done.err:
        raise AssertionError(done.err)
    return done.rc, {}


def each(host: Host, cases: Sequence[Mapping[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """`module` for many cases, one after the other in one process, which starts once."""
    done = host.run(_command(host, cases))
    return [(int(code), result) for code, result in json.loads(done.out)]
