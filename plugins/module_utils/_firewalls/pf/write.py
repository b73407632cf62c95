# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry out a plan for pf.

The anchor's file comes first, then the two lines of the main ruleset that call and load it. A removal goes the
other way round. Nothing is flushed, no state is killed, and pf is never switched off.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Optional

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    FirewallError,
    Json,
    Plan,
    Switched,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor, kernel, main_ruleset
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import FOLDER, Power, Steps
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import PFCTL, SYSTEMS, System
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace


@dataclass(frozen=True)
class PfPlan(Plan):
    """A plan for pf.

    :param steps: what it does beyond the files.
    """

    steps: Steps

    @property
    def live(self) -> bool:
        return bool(self.steps.load or self.steps.flush or self.steps.now)

    @property
    def switched(self) -> Switched:
        reading = self.steps.reading
        files: Json = {file: reading.files[file] for file in self._system.switch_files}
        before: Json = {"on": reading.power.on, "held": reading.power.held, "files": files}
        return Switched(now=self.steps.now, boot=True if self.steps.boot else None, before=before)

    @property
    def _system(self) -> System:
        return SYSTEMS[self.steps.reading.system](self.host, self.ruleset)

    def apply(self) -> None:
        if self.operations:
            with changes.undoing() as undo:
                self._carry_out(undo)

    def load(self) -> Json:
        # What holds at the next boot, and what cannot be taken back, waits for the confirmation.
        plan = replace(self, steps=replace(self.steps, boot=False))
        with changes.undoing() as undo:
            plan._carry_out(undo, stop=False)
        _files.put_back(list(self.files))
        return None

    def commit(self, loaded: Json) -> None:
        system, steps = self._system, self.steps
        for change in self.files:
            if _files.read(change.path) != change.before:
                raise FirewallError("%s was changed by somebody else before the change was confirmed" % change.path)
        found = kernel.read(system, None, anchor.parse(steps.text or "", self.ruleset))
        if found.calls(system.anchor) != int(bool(steps.text)) or bool(found.rules) != bool(steps.text):
            raise FirewallError("the rules of anchor %s are no longer loaded" % system.anchor)
        _files.make_folder(system.path(FOLDER))
        with changes.undoing() as undo:

            def settle() -> None:
                if steps.boot:
                    system.start(False, True, undo)
                if steps.text is None:
                    system.stop()

            _files.apply(list(self.files), settle)
        self._tidy()

    def rollback(self, waits: bool = False) -> None:
        system, steps = self._system, self.steps
        files = () if waits else self.files
        written = _files.written(files)
        _files.sweep(system.path(FOLDER))
        _files.put_back(files)
        if (steps.load or steps.flush) and system.loaded():
            then = steps.reading.kernel
            now = kernel.read(system, steps.reading.text, steps.reading.parsed)
            if then is None or (now.main, now.rules) != (then.main, then.rules):
                self._restore()
        switch_back(system, self.switched, written)
        self._tidy()

    def _carry_out(self, undo: ExitStack, stop: bool = True) -> None:
        """Bring files, kernel and switch to what was planned.

        :param undo: gets what takes it back.
        :param stop: a removal gives up what holds pf on.
        """
        if self.steps.text is None:
            self._remove(undo, stop)
        else:
            self._install(self.steps.text, undo)

    def _install(self, text: str, undo: ExitStack) -> None:
        if self.steps.load or text != self.steps.reading.text:
            self._check(text)
        folder = self._system.path(FOLDER)
        if not os.path.isdir(folder):
            _files.make_folder(folder)
            undo.callback(os.rmdir, folder)
        _files.sweep(folder)
        _files.apply(list(self.files), then=lambda: self._start(text, undo))

    def _start(self, text: str, undo: ExitStack) -> None:
        """Everything behind the files: load, see that it took, switch on."""
        system, steps = self._system, self.steps
        if steps.load != "main" and self._writes_main():
            self._check_main()
        if steps.load:
            if steps.now:
                system.prepare(undo)
            if steps.load == "main":
                self._load_main(undo)
            else:
                undo.callback(self._restore)
                system.must([PFCTL, "-a", system.anchor, "-f", system.anchor_file], "Loading the anchor")
            found = kernel.read(system, text, anchor.parse(text, self.ruleset))
            if found.calls(system.anchor) != 1 or not found.same or found.tables:
                raise FirewallError(
                    "pf took the rules of anchor %s without an error and yet has others (%d): see pfctl -a %s -sr"
                    % (system.anchor, len(found.rules), system.anchor)
                )
        if steps.now or steps.boot:
            system.start(steps.now, steps.boot, undo)

    def _remove(self, undo: ExitStack, stop: bool) -> None:
        system = self._system
        main = system.path(self.steps.reading.main_file)

        def unload() -> None:
            self._unload(undo, os.path.exists(main))
            _files.apply([change for change in self.files if change.path != main], system.stop if stop else None)

        _files.apply([change for change in self.files if change.path == main], then=unload)
        self._tidy()

    def _unload(self, undo: ExitStack, with_main: bool) -> None:
        """Take the anchor out of the kernel.

        :param with_main: there still is a file of the main ruleset.
        """
        system, steps = self._system, self.steps
        if steps.load and with_main:
            self._load_main(undo)
        else:
            if with_main and self._writes_main():
                self._check_main()
            undo.callback(self._restore)
            if steps.load:
                self._load_nothing()
        if steps.flush:
            self._load_nothing("-a", system.anchor)
        if steps.load or steps.flush:
            found = kernel.read(system, None, anchor.parse("", self.ruleset))
            if found.calls(system.anchor) or found.rules:
                raise FirewallError("anchor %s is still in the kernel after its removal" % system.anchor)

    def _writes_main(self) -> bool:
        main = self._system.path(self.steps.reading.main_file)
        return any(change.path == main for change in self.files)

    def _tidy(self) -> None:
        """Remove the anchors folder if empty; macOS ships it, elsewhere we made it."""
        folder = self._system.path(FOLDER)
        if self._system.name != "macos" and os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)

    def _check(self, text: str) -> None:
        """Have pfctl parse the anchor's text before a file holds it."""
        system = self._system
        system.must([PFCTL, "-a", system.anchor, "-n", "-f", "-"], "Checking the rules of the anchor", text)

    def _load_main(self, undo: Optional[ExitStack] = None) -> None:
        """Check the main ruleset, then load it. On macOS and OpenBSD a failing load alone would do harm.

        :param undo: gets what takes the load back.
        """
        system, file = self._system, self.steps.reading.main_file
        self._check_main()
        if undo:
            undo.callback(self._restore)
        system.must([PFCTL, *system.defines, "-f", file], "Loading the main ruleset")

    def _check_main(self) -> None:
        system, file = self._system, self.steps.reading.main_file
        system.must([PFCTL, *system.defines, "-n", "-f", file], "Checking the main ruleset")

    def _load_nothing(self, *where: str) -> None:
        """Load an empty ruleset: one transaction, which touches no state and nothing beside that ruleset."""
        self._system.must([PFCTL, *where, "-f", "-"], "Emptying a ruleset", anchor.NOTHING)

    def _restore(self) -> None:
        """Bring the kernel back: what had rules gets them from the files, which are as they were."""
        system, steps = self._system, self.steps
        text, main, then = steps.reading.text, steps.reading.main, steps.reading.kernel
        if steps.load == "main":
            if main is None or then is None or not then.main:
                self._load_nothing()
            else:
                self._load_main()
        if text is None or then is None or not then.rules:
            self._load_nothing("-a", system.anchor)
        elif steps.load != "main" or main_ruleset.look(main, self.ruleset).loaded != 1:
            self._check(text)
            system.must([PFCTL, "-a", system.anchor, "-f", system.anchor_file], "Loading the anchor as it was")


def switch_back(system: System, switched: Switched, written: bool) -> None:
    """Take back what a run switched on, but where somebody else has switched pf on since, and wants it to stay so.

    :param written: the run's files were as it was to leave them: it switches behind them.
    :raises FirewallError: it could not be done.
    """
    before = switched.before if isinstance(switched.before, dict) else {}
    files = before.get("files")
    if switched.boot and written and isinstance(files, dict):
        for file in system.switch_files:
            text = files.get(file)
            if _files.read(system.path(file)) != text and (text is None or isinstance(text, str)):
                _files.replace(system.path(file), text)
    elif switched.boot and not written and system.boots():
        return
    if switched.now or switched.boot:
        system.unstart(Power(on=bool(before.get("on")), held=bool(before.get("held"))))
