# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out: ufw's files, its chains in the kernel, and its switch."""

from __future__ import annotations

import fcntl
import glob
import os
import re
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO, List, Mapping, Optional

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Json,
    Plan,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import (
    kernel,
    plan,
    profiles,
    reading,
    tuples,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    PROFILES,
    RULES_FILES,
    Idle,
    Load,
    Steps,
)

# Below /run, for ufw's own parser.
_STAGE = "netports-ufw-"
_LOCK_WAIT = 30.0
_XTABLES_WAIT = "10"


@dataclass(frozen=True)
class UfwPlan(Plan):
    """A plan for ufw.

    What others wrote between the planning and the first step is no reason to give up: whatever changes the host holds
    ufw's lock, and works the steps out anew from what is there then.

    :param asked: what the run is asked.
    :param want: what the ruleset is to hold.
    :param steps: what is to be done, from what was read.
    """

    asked: Asked
    want: Wanted
    steps: Steps

    @property
    def live(self) -> bool:
        return bool(self.steps.loads or self.steps.start)

    def apply(self) -> None:
        with _Lock(self.host):
            steps = self._again()
            _validate(self.host, self.ruleset, steps)
            _files.apply(list(steps.files), lambda: self._load(steps))
        if steps.start:
            with ExitStack() as undo:
                undo.callback(self._undo, steps)
                self._start()
                undo.pop_all()

    def load(self) -> Json:
        if self.steps.start:
            # ufw reads its rules from the files alone, and writes its logging into them when it starts.
            self.apply()
            with _Lock(self.host):
                written: Json = {change.path: _files.read(change.path) for change in self.steps.files}
                self._put_back(self.steps)
            return written
        with _Lock(self.host):
            steps = self._again()
            _validate(self.host, self.ruleset, steps)
            self._load(steps)
        return {}

    def commit(self, loaded: Json) -> None:
        texts = loaded.items() if isinstance(loaded, dict) else ()
        written = {path: text for path, text in texts if isinstance(text, str)}
        with _Lock(self.host):
            steps = self._again()
            if self.live and 4 not in steps.loaded:
                raise FirewallError("ufw was stopped before the change was confirmed")
            if steps.files != self.steps.files:
                _validate(self.host, self.ruleset, steps)
            untouched = {change.path: change.before for change in self.steps.files}
            files = [
                replace(change, after=written.get(change.path, change.after))
                if change.before == untouched.get(change.path)
                else change
                for change in steps.files
            ]
            _files.apply(files, lambda: self._load(steps))

    def rollback(self) -> None:
        self._undo(self.steps)

    def _again(self) -> Steps:
        """Work the steps out from what is there now. The caller has the lock."""
        _sweep(self.host)
        found = reading.reading(self.host, self.ruleset, bool(self.asked.enable))
        return plan.steps(self.host, self.asked, found, self.want)

    def _load(self, steps: Steps) -> None:
        """Bring the kernel to the planned rules, or back to what it had."""
        for family, load in steps.loads.items():
            _restore(self.host, family, load.forward, test=True)
        with ExitStack() as undo:
            for family, load in steps.loads.items():
                undo.callback(self._unload, steps, family)
                _restore(self.host, family, load.forward)
            for family, load in steps.loads.items():
                if not kernel.same(reading.chains(self.host, family), load.after):
                    raise FirewallError(
                        "the kernel's rules are not what was loaded (IPv%d): somebody else changed them at the same "
                        "time; run it again" % family
                    )
            undo.pop_all()

    def _unload(self, steps: Steps, family: int) -> None:
        """Bring the user chains back to what they were before the steps."""
        lines = reading.chains(self.host, family)
        if lines is None:
            # ufw was stopped meanwhile; it starts with what the files say.
            return
        load: Optional[Load] = steps.loads.get(family)
        if load and kernel.same(lines, load.before):
            return
        if load and kernel.same(lines, load.after):
            _restore(self.host, family, load.backward)
            return
        # Somebody else's rules came or went: only the ruleset's own are brought to what the file said.
        path = self.host.path(RULES_FILES[family])
        old = {change.path: change.before for change in steps.files}
        load = kernel.bring(family, lines, old.get(path) or _files.read(path) or "", steps.owned)
        if load:
            _restore(self.host, family, load.forward)

    def _put_back(self, steps: Steps) -> None:
        """Put the files back. What others wrote since stays, and the ruleset's blocks among it become the old ones."""
        rules_files = {self.host.path(path) for path in RULES_FILES.values()}
        back: List[FileChange] = []
        for change in steps.files:
            text = _files.read(change.path)
            if change.path in rules_files and text not in (None, change.before, change.after):
                now, new, old = (tuple(tuples.parse_blocks(some or "")) for some in (text, change.after, change.before))
                if steps.start and [block.text for block in now] == [block.text for block in new]:
                    # ufw wrote it anew when it started.
                    change = replace(change, after=text)
                else:
                    before = tuples.rearranged(text or "", now, old, steps.owned)
                    change = replace(change, before=before, after=text)
            back.append(change)
        _files.put_back(back)

    def _undo(self, steps: Steps) -> None:
        with _Lock(self.host):
            _sweep(self.host)
            self._put_back(steps)
            for family in () if steps.start else steps.loaded:
                self._unload(steps, family)
        if steps.start:
            _stop(self.host, steps.start)

    def _start(self) -> None:
        code, out, err = self.host.run(["ufw", "--force", "enable"], None)
        if code != 0 or reading.chains(self.host, 4) is None:
            raise FirewallError("'ufw enable' failed: %s" % (err.strip() or out.strip()))


class _Lock:
    """ufw's own lock (ufw.util.create_lock), so that ufw and this never write at the same time."""

    def __init__(self, host: Host) -> None:
        self.path = host.path("run/ufw.lock")
        self.stream: Optional[IO[str]] = None

    def __enter__(self) -> None:
        # Held by the process: it goes with it, however that ends.
        self.stream = open(self.path, "a")
        deadline = time.monotonic() + _LOCK_WAIT
        while True:
            try:
                fcntl.lockf(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.stream.close()
                    raise FirewallError(
                        "another ufw or netports run has held %s for %d seconds: nothing was changed; "
                        "run it again when that one is done" % (self.path, _LOCK_WAIT)
                    )
                time.sleep(0.1)

    def __exit__(self, *unused: object) -> None:
        if self.stream:
            self.stream.close()


def _sweep(host: Host) -> None:
    """Remove what a killed run left. The lock says that none is at work."""
    for folder in ("etc/ufw", PROFILES):
        _files.sweep(host.path(folder))
    for folder in glob.glob(os.path.join(glob.escape(host.path("run")), _STAGE + "*")):
        shutil.rmtree(folder, ignore_errors=True)


def _restore(host: Host, family: int, text: str, test: bool = False) -> None:
    program = kernel.program(family, "restore")
    code, out, err = host.run([program, "-w", _XTABLES_WAIT, "-n"] + (["--test"] if test else []), text)
    if code != 0:
        raise FirewallError("%s refused the rules: %s" % (program, err.strip() or out.strip()))


def _validate(host: Host, ruleset: str, steps: Steps) -> None:
    """Let ufw's own parser read the new files, in a folder apart, before they take the old ones' place."""
    changed = {change.path: change.after for change in steps.files}
    if not changed:
        return
    run_folder = host.path("run")
    with ExitStack() as clean:
        stage = tempfile.mkdtemp(prefix=_STAGE, dir=run_folder if os.path.isdir(run_folder) else None)
        clean.callback(shutil.rmtree, stage)
        _staged(host, stage, changed)
        code, out, err = host.run(["ufw", "--datadir=%s" % stage, "--dry-run", "show", "added"], None)
    bad = [line for line in err.splitlines() if profiles.prefix(ruleset) in line]
    missing = [name for name in steps.profiles if "'%s'" % name not in out and '"%s"' % name not in out]
    if code != 0 or bad or missing:
        raise FirewallError(
            "ufw's own parser refuses the new rules (%s): nothing was changed"
            % ("; ".join(bad) or err.strip() or "not listed: %s" % ", ".join(missing))
        )


def _staged(host: Host, stage: str, changed: Mapping[str, Optional[str]]) -> None:
    """Fill a folder with ufw's files, some of them with other texts."""
    os.makedirs(os.path.join(stage, PROFILES))
    os.symlink(host.path("etc/default"), os.path.join(stage, "etc/default"))
    # Older ufw looks for its own programs below the folder as well.
    for folder in ("lib", "usr"):
        os.symlink(host.path(folder), os.path.join(stage, folder))
    for folder in ("etc/ufw", PROFILES):
        for name in os.listdir(host.path(folder)):
            source = host.path(folder, name)
            if os.path.isfile(source) and source not in changed:
                os.symlink(source, os.path.join(stage, folder, name))
    for path, text in changed.items():
        if text is not None:
            _files.replace(os.path.join(stage, os.path.relpath(path, host.root)), text)


def _stop(host: Host, before: Idle) -> None:
    """Unload ufw, and take away what it leaves of itself in the kernel."""
    code, out, err = host.run(["ufw", "disable"], None)
    if code != 0:
        raise FirewallError("'ufw disable' failed: %s" % (err.strip() or out.strip()))
    for path, value in before.sysctls.items():
        if _files.read(path) != value:
            with open(path, "w") as stream:
                stream.write(value)
    for family, table in before.tables.items():
        text = kernel.cleared(table, reading.table(host, family))
        if text:
            _restore(host, family, text)
        mine = "table %s filter" % ("ip" if family == 4 else "ip6")
        if mine in reading.nft_tables(host) - before.nft:
            # iptables shows the table's own chains whether it is there or not.
            rest = [line for line in reading.table(host, family).splitlines() if line.startswith((":", "-"))]
            if all(re.match(r":(INPUT|FORWARD|OUTPUT) ACCEPT ", line) for line in rest):
                host.run(["nft", "delete"] + mine.split(), None)
