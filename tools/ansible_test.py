# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/lint.py runs of ansible-test, on the supported ansible-cores for which this machine has a Python: on the
newest every sanity test and `units`, on the oldest the sanity tests whose outcome depends on the core (DIFFER); in full,
every sanity test on every core. ansible-test
wants a real folder ansible_collections/netports/apple with a git of its own, and tests nothing at all, successfully,
when it does not find its files: so each run gets a copy of the tree in .test/ansible-test, and the list of files that
ansible-test sees is compared with it first. It keeps its virtual environments in HOME, which is therefore in that
folder too.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from matrix.cores import Core, cores, environment_of

WORK = ROOT / ".test" / "ansible-test"
# What ansible-core itself judges, and what it ships in another version from core to core.
DIFFER = ("ansible-doc", "compile", "ignores", "import", "runtime-metadata", "validate-modules")
# ansible-test downloads get-pip.py for each environment unless its cache has one (ansible/ansible#77304). This one
# takes the pip that every Python brings.
GET_PIP = """\
import ensurepip, glob, os, sys, sysconfig, zipfile
folders = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"),
           sysconfig.get_config_var("WHEEL_PKG_DIR") or "", "/usr/share/python-wheels"]
wheels = [wheel for folder in folders if folder for wheel in sorted(glob.glob(os.path.join(folder, "pip-*.whl")))]
if not wheels:
    sys.exit("this Python brings no pip (Debian: apt-get install python3-venv)")
zipfile.ZipFile(wheels[0]).extractall(sysconfig.get_paths()["purelib"])
"""


class Outcome(NamedTuple):
    """What became of one command of ansible-test on one core."""

    core: Core
    command: str
    passed: bool
    ran: list[str]  # the names of the sanity tests, or the last lines of the units
    log: Path

    def what(self) -> str:
        """In a few words, what was run on what."""
        number = f"{len(self.ran)} tests" if self.command == "sanity" else " and ".join(self.ran)
        return f"Python {self.core.python}: {number}"


def tracked() -> list[str]:
    """The files of the checkout that are not ignored, as they are now, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "-z", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return sorted(name for name in set(listed.split("\0")) if name and os.path.lexists(ROOT / name))


def copy(names: list[str], folder: Path) -> Path:
    """Make a copy of these files; returns the collection's folder in it."""
    tree = folder / "ansible_collections" / "netports" / "apple"
    shutil.rmtree(tree, ignore_errors=True)
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)
    return tree


def home(core: Core) -> Path:
    """Make the HOME for a core: pip's settings as they are here, and get-pip in ansible-test's cache."""
    folder = WORK / core.version / "home"
    cache = folder / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    package = next((environment_of(core).parent / "lib").glob("python3.*/site-packages/ansible_test"))
    text = (package / "_internal" / "python_requirements.py").read_text(encoding="utf-8")
    for version in re.findall(r"\bpip='([0-9.]+)'", text):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(GET_PIP, encoding="utf-8")
    # ansible-test passes neither PIP_* nor the user's own pip.conf on.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=True).stdout
    settings = {}
    for line in listed.splitlines():
        key, value = line.split("=", 1)
        name = key.removeprefix("global.").removeprefix(":env:.")
        if "." not in name and name not in ("config-file", "python", "require-virtualenv"):
            settings[name] = value.strip("'")
    cached = subprocess.run([*pip, "cache", "dir"], capture_output=True, text=True, check=False).stdout.strip()
    if cached and not cached.startswith(str(folder)):
        settings["cache-dir"] = cached
    config = folder / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} = {value}" for name, value in settings.items()]
    config.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    return folder


def environment(core: Core) -> dict[str, str]:
    """The environment for ansible-test: its own core's programs first, and nothing of the user's own settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "NETPORTS_", "PYTEST_", "PYTHON", "VIRTUAL_ENV", "MAKE", "XDG_"))
    }
    # No shims of a version manager; shellcheck is linked beside the core's own programs.
    return {
        **kept,
        "HOME": str(home(core)),
        "PATH": f"{environment_of(core)}:/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
    }


def shellcheck(core: Core) -> None:
    """Put shellcheck beside the core's programs: without it ansible-test only warns."""
    link = environment_of(core) / "shellcheck"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / ".venv" / "bin" / "shellcheck")


def run(core: Core, command: str, *arguments: str) -> Outcome:
    """Run one command of ansible-test on a core, its output into a file."""
    log = WORK / core.version / f"{command}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    names = tracked()
    tree = copy(names, log.with_suffix(""))
    env = environment(core)
    tool = str(environment_of(core) / "ansible-test")
    seen = subprocess.run(
        [tool, "env", "--list-files"], cwd=tree, env=env, capture_output=True, text=True, check=False
    ).stdout.split()
    missing = {name for name in names if name.startswith(("plugins/", "tests/"))} - set(seen)
    argv = [tool, command, "--local", "--python", core.python, "--color", "no", "--truncate", "0", *arguments]
    with log.open("w", encoding="utf-8") as file:
        file.write(f"$ {' '.join(argv)}\n")
        file.flush()
        if missing:
            file.write(f"FATAL: ansible-test does not see {', '.join(sorted(missing))}\n")
            return Outcome(core, command, False, [], log)
        done = subprocess.run(
            argv, cwd=tree, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    text = log.read_text(encoding="utf-8")
    if command == "sanity":
        ran = re.findall(r"^Running sanity test \"([^\"]+)\"", text, re.MULTILINE)
        # Skipped tests only warn: of what this machine can have, none may be.
        skipped = re.findall(r"^WARNING: Skipping .*$", text, re.MULTILINE)
        skipped = [line for line in skipped if "pslint" not in line and "powershell" not in line.lower()]
        passed = done.returncode == 0 and bool(ran) and not skipped
    else:
        ran = re.findall(r"^=+ (.* passed).* in .* =+$", text, re.MULTILINE)
        passed = done.returncode == 0 and bool(ran)
    return Outcome(core, command, passed, ran, log)


def sanity(core: Core, full: bool) -> Outcome:
    """The sanity tests on a core, all or those that differ."""
    shellcheck(core)
    tests = [] if full else [word for name in DIFFER for word in ("--test", name)]
    return run(core, "sanity", *tests)


def units(core: Core) -> Outcome:
    """The unit tests of what ansible-core loads; the others need the checkout's .venv, where pytest runs them all."""
    return run(core, "units", *(f"tests/unit/plugins/{kind}/" for kind in ("module_utils", "lookup", "filter")))


def runs(full: bool = False) -> dict[str, Callable[[], Outcome]]:
    """All that is run on this machine, by name, the longest first.

    :param full: every sanity test on every core.
    :raises RuntimeError: there is no Python here for any of the cores.
    """
    present = [core for core in cores() if not core.missing]
    if not present:
        raise RuntimeError("no supported ansible-core can be run here: " + "; ".join(core.missing for core in cores()))
    oldest, newest = present[0], present[-1]
    found: dict[str, Callable[[], Outcome]] = {
        f"ansible-test sanity {newest.version}": functools.partial(sanity, newest, True),
        f"ansible-test units {newest.version}": functools.partial(units, newest),
    }
    for core in reversed(present[:-1] if full else [oldest]):
        if core != newest:
            found[f"ansible-test sanity {core.version}"] = functools.partial(sanity, core, full)
    return found


def left_out() -> list[str]:
    """For each supported core that cannot be run here, why."""
    return [core.missing for core in cores() if core.missing]
