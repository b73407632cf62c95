# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every linter, and says of each what became of it and how long it took.

    python tools/lint.py [-j 2] [--full] [--only NAME …]

A linter's own words are shown when it complains. `--full` runs all of ansible-test's sanity tests on every supported
ansible-core. Exit status: 0 when none complained, 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import ansible_test

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"

# What a check returns: whether it passed, what it ran on (for the line), and its words (shown when it did not).
Result = tuple[bool, str, str]


def files(*patterns: str) -> list[str]:
    """The tracked files of these patterns that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def command(*commands: Sequence[str], on: str = "") -> Callable[[], Result]:
    """A check that runs commands in the project folder, and passes when all of them do."""

    def check() -> Result:
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
            "ANSIBLE_HOME": str(ROOT / ".test" / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "NO_COLOR": "1",
        }
        passed, words = True, ""
        for argv in commands:
            done = subprocess.run(
                argv,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            passed = passed and done.returncode == 0
            words += done.stdout if done.returncode else ""
        return passed, on, words

    return check


def tested(run: Callable[[], ansible_test.Outcome]) -> Callable[[], Result]:
    """A check that is a command of ansible-test on one core."""

    def check() -> Result:
        outcome = run()
        return outcome.passed, outcome.what(), outcome.log.read_text(encoding="utf-8")

    return check


def checks(full: bool) -> dict[str, Callable[[], Result]]:
    """All checks by name, the longest first."""
    found = {name: tested(run) for name, run in ansible_test.runs(full).items()}
    scripts = files("*.sh", ".ci/run", "tests/hosts/bin")
    workflows = files(".github/workflows/*.yml")
    found |= {
        "mypy": command(["tools/mypy.sh"], on="strict"),
        "galaxy-importer": command(["tools/importer.sh"], on="the built tarball"),
        "ansible-lint": command(["ansible-lint", "--offline", "--nocolor"], on="profile production"),
        "antsibull-docs": command(
            ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."], on="the documentation"
        ),
        "antsibull-changelog": command(
            ["antsibull-changelog", "lint"],
            ["antsibull-changelog", "lint-changelog-yaml", "changelogs/changelog.yaml"],
            on="changelogs",
        ),
        "ansible-builder": command(["tools/environment.sh"], on="the definition of the execution environment"),
        "docs": command(["tools/site.sh"], on="the documentation site"),
        "zizmor": command(
            ["zizmor", "--offline", "--quiet", "--config", ".github/zizmor.yml", *workflows], on="the workflows"
        ),
        "check-jsonschema": command(
            ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows], on="the workflows"
        ),
        "yamllint": command(["yamllint", "--strict", "."], on="strict"),
        "shellcheck": command(["shellcheck", *scripts], on=f"{len(scripts)} scripts"),
        "ruff": command(["ruff", "check", "--quiet", "."], ["ruff", "format", "--check", "--quiet", "."]),
    }
    return found


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--full", action="store_true", help="all sanity tests on every core")
    parser.add_argument("--only", action="append", metavar="NAME", help="checks whose name begins so (repeatable)")
    arguments = parser.parse_args()
    started = time.monotonic()
    failed = []

    def timed(check: Callable[[], Result]) -> tuple[Result, float]:
        began = time.monotonic()
        return check(), time.monotonic() - began

    chosen = {
        name: check
        for name, check in checks(arguments.full).items()
        if not arguments.only or name.startswith(tuple(arguments.only))
    }
    with ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
        running = {pool.submit(timed, check): name for name, check in chosen.items()}
        for one in as_completed(running):
            (passed, on, words), seconds = one.result()
            about = f" ({on})" if on else ""
            print(f"{'passed' if passed else 'FAILED'}  {running[one]}{about}, {seconds:.0f} s", flush=True)
            if not passed:
                failed.append(running[one])
                print(words, flush=True)
    for reason in ansible_test.left_out():
        print(f"left out: {reason}")
    took = time.monotonic() - started
    if failed:
        print(f"lint: {', '.join(failed)} failed, {len(chosen) - len(failed)} passed ({took:.0f} s)", file=sys.stderr)
        return 1
    print(f"lint: all {len(chosen)} passed ({took:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
