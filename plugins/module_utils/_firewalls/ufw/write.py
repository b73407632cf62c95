# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out: ufw's files, its chains in the kernel, and its switch."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from contextlib import ExitStack
from typing import List, Mapping, Optional, Sequence

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Json,
    Plan,
    Switched,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import (
    kernel,
    plan,
    profiles,
    reading,
    start,
    tuples,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.lock import locked, wait_for
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    PROFILES,
    RULES_FILES,
    SWITCH,
    Idle,
    Load,
    Reading,
    Steps,
    settings,
)
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

# Below /run, for ufw's own parser.
_STAGE = "netports-ufw-"
# How often to write what commands of ufw's wrote over.
_TRIES = 8


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

    @property
    def switched(self) -> Switched:
        idle = self.steps.start
        before: Json = None
        if idle:
            tables: Json = {str(family): table for family, table in idle.tables.items()}
            before = {"tables": tables, "nft": [*sorted(idle.nft)], "sysctls": {**idle.sysctls}}
        return Switched(now=bool(idle), boot=True if self.steps.unit else None, before=before)

    def apply(self) -> None:
        _validate(self.host, self.ruleset, self.steps)
        self._switch(self._make(), boot=True)

    def load(self) -> Json:
        _validate(self.host, self.ruleset, self.steps)
        if self.steps.start:
            # ufw reads its rules from the files alone, and writes its logging into them when it starts.
            self._switch(self._make(), boot=False)
            with locked(self.host):
                written: Json = {change.path: _files.read(change.path) for change in self.steps.files}
                self._put_back(self.steps)
            return written
        with locked(self.host):
            self._load(self._loads(self._files()))
        return {}

    def commit(self, loaded: Json) -> None:
        texts = loaded.items() if isinstance(loaded, dict) else ()
        steps = self._make({path: text for path, text in texts if isinstance(text, str)}, started=self.live)
        self._switch(steps, boot=True)

    def rollback(self, waits: bool = False) -> None:
        self._undo(self.steps, waits)

    def _make(self, written: Optional[Mapping[str, str]] = None, started: bool = False) -> Steps:
        """Write the files and load the rules; once more where a command of ufw's wrote its older files over them.

        :param written: texts that the files are to have, by path, where nobody else wrote them since the planning.
        :param started: ufw has to be loaded already.
        :returns: the steps of the first time.
        """
        made: Optional[Steps] = None
        for _number in range(_TRIES):
            with locked(self.host) as lock:
                found = self._files()
                steps = plan.steps(self.host, self.asked, found, self.want)
                # The files first, since a command that starts from now on reads them.
                with ExitStack() as undo:
                    changes = self._as_written(steps.files, written or {})
                    undo.callback(_restore_files, changes)
                    _files.apply(changes)
                    steps = self._loads(found)
                    if started and 4 not in steps.loaded:
                        raise FirewallError("ufw was stopped before the change was confirmed")
                    self._load(steps)
                    undo.pop_all()
                if made and not steps.files and not steps.loads:
                    return made
                made = made or steps
                others = lock.others()
            if not others:
                return made
            wait_for(self.host, others)
        self._undo(made or self.steps)
        raise FirewallError(
            "other commands of ufw's write its files over and over with what they had read before: all was put back; "
            "run it again when they are done"
        )

    def _files(self) -> Reading:
        """What ufw's files have now. The caller has the lock."""
        _sweep(self.host)
        return reading.files(self.host, self.ruleset)

    def _loads(self, found: Reading) -> Steps:
        """The steps from what was read of the files and from what is loaded now."""
        whole = reading.with_kernel(self.host, found, bool(self.asked.enable))
        return plan.steps(self.host, self.asked, whole, self.want)

    def _as_written(self, changes: Sequence[FileChange], written: Mapping[str, str]) -> List[FileChange]:
        """The files as ufw wrote them when it started, where nobody else has written them since the planning."""
        planned = {change.path: change.before for change in self.steps.files}
        return [
            replace(change, after=written[change.path])
            if change.path in written and change.before == planned.get(change.path)
            else change
            for change in changes
        ]

    def _switch(self, steps: Steps, boot: bool) -> None:
        """Switch ufw on, now and at boot, as far as that was planned; or put everything back.

        :param boot: also at boot.
        """
        with ExitStack() as undo:
            undo.callback(self._undo, steps)
            if steps.start:
                start.start(self.host, tuple(steps.start.tables))
            if steps.unit and boot:
                start.set_unit(self.host, True)
            undo.pop_all()

    def _load(self, steps: Steps) -> None:
        """Bring the kernel to the planned rules, or back to what it had."""
        for family, load in steps.loads.items():
            kernel.restore(self.host, family, load.forward, test=True)
        with ExitStack() as undo:
            for family, load in steps.loads.items():
                undo.callback(self._unload, steps, family)
                kernel.restore(self.host, family, load.forward)
            for family, load in steps.loads.items():
                if not kernel.same(kernel.loaded(self.host, family), load.after):
                    raise FirewallError(
                        "the kernel's rules are not what was loaded (IPv%d): somebody else changed them at the same "
                        "time; run it again" % family
                    )
            undo.pop_all()

    def _unload(self, steps: Steps, family: int) -> None:
        """Bring the user chains back to what they were before the steps."""
        lines = kernel.loaded(self.host, family)
        if lines is None:
            # ufw was stopped meanwhile; it starts with what the files say.
            return
        load: Optional[Load] = steps.loads.get(family)
        if load and kernel.same(lines, load.before):
            return
        if load and kernel.same(lines, load.after):
            kernel.restore(self.host, family, load.backward)
            return
        # Somebody else's rules came or went: only the ruleset's own are brought to what the file said.
        path = self.host.path(RULES_FILES[family])
        old = {change.path: change.before for change in steps.files}
        load = kernel.bring(family, lines, old.get(path) or _files.read(path) or "", steps.owned)
        if load:
            kernel.restore(self.host, family, load.forward)

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

    def _undo(self, steps: Steps, waits: bool = False) -> None:
        with locked(self.host, insist=True):
            _sweep(self.host)
            steps = self._without_others(steps, waits)
            self._put_back(steps)
            for family in () if steps.start else steps.loaded:
                self._unload(steps, family)
        if steps.start:
            self._stop(steps.start)
        if steps.unit and start.unit(self.host) == start.ENABLED:
            start.set_unit(self.host, False)

    def _without_others(self, steps: Steps, waits: bool) -> Steps:
        """The steps without what somebody else has done since, and wants to stay so.

        :param waits: as in :meth:`rollback`. Otherwise steps write the switch after the ruleset's profiles: where it is
            on and the profiles are the old ones, it was not these steps.
        """
        switch, own = self.host.path(SWITCH), reading.profile_path(self.host, self.ruleset)
        before = {change.path: change.before for change in steps.files}
        old = waits or (own in before and before[own] == _files.read(own))
        if steps.start and switch in before and old and settings(_files.read(switch)).get("enabled") == "yes":
            files = tuple(change for change in steps.files if change.path != switch)
            steps = replace(steps, files=files, loaded=tuple(steps.start.tables), start=None, unit=False)
        return replace(steps, files=(), unit=False) if waits else steps

    def _stop(self, before: Idle) -> None:
        """Unload ufw. That switches it off at boot as well: where it was on before, it is switched on again."""
        start.stop(self.host, before)
        switch = self.host.path(SWITCH)
        text = _files.read(switch) or ""
        if all(change.path != switch for change in self.steps.files) and text != plan.switched_on(text):
            _files.replace(switch, plan.switched_on(text))


def _restore_files(changes: Sequence[FileChange]) -> None:
    for change in reversed(changes):
        _files.replace(change.path, change.before, change.mode)


def _sweep(host: Host) -> None:
    """Remove what a killed run left. The lock says that none is at work."""
    for folder in ("etc/ufw", PROFILES):
        _files.sweep(host.path(folder))
    for folder in glob.glob(os.path.join(glob.escape(host.path("run")), _STAGE + "*")):
        shutil.rmtree(folder, ignore_errors=True)


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
    if code != 0:
        now, _out, words = host.run(["ufw", "--dry-run", "show", "added"], None)
        if now != 0:
            said = " ".join(words.split())
            raise FirewallError("ufw does not work on this host, with or without these rules: %s" % said, "broken")
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
