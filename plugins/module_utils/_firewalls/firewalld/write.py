# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying a plan out: files, the running firewalld, and firewalld's own switch."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType
from typing import Callable, List, Optional, Sequence, Type

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    FirewallError,
    Host,
    Json,
    Left,
    Plan,
    Switched,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import BusError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import (
    Firewalld1,
    Link,
    silent,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.files import enabled, put_back_zone
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.load import Loader, systemctl
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    ETC,
    UNIT,
    Config,
    Loaded,
    Steps,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.told import some
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace


@dataclass(frozen=True)
class FirewalldPlan(Plan):
    """What a run does to a firewalld.

    :param link: the way to the running firewalld.
    """

    link: Link
    steps: Steps

    @property
    def live(self) -> bool:
        steps = self.steps
        return bool(steps.reload or steps.attach or steps.detach or steps.set_policies or steps.start)

    @property
    def switched(self) -> Switched:
        return Switched(now=self.steps.start, boot=True if self.steps.enable else None)

    def apply(self) -> None:
        self._carry_out()
        words = ["enable"] * self.steps.enable + ["--now"] * (self.steps.enable and self.steps.start)
        if self.steps.start or self.steps.enable:
            self._switch_on(words or ["start"])

    def load(self) -> Json:
        self._carry_out()
        if self.steps.start:
            self._switch_on(["start"])
        # New services stay, which nobody names then: firewalld watches its files, and when it sees a service go, it
        # writes the zones that it remembers with it anew (firewall.server.config.removeService()).
        _files.put_back([change for change in self.files if not self._is_new_service(change)])
        return None

    def commit(self, loaded: Json) -> None:
        self._unchanged(written=True)
        daemon = self.link.daemon()
        if daemon is None:
            raise FirewallError("firewalld was stopped before the change was confirmed")
        try:
            self._loader.check_loaded(daemon)
            missing = [change for change in self.files if _files.read(change.path) != change.after]
            _files.apply(missing, lambda: self._committed(daemon, missing))
        except BusError as error:
            raise silent(error)

    def rollback(self, waits: bool = False) -> None:
        written = not waits and _files.written(self.files)
        self.undo(others=_enabled_by_others(self.host, self.steps.enable, written))

    def undo(self, others: bool) -> None:
        """Roll back.

        :param others: somebody else has switched firewalld on since, and wants it to stay so.
        """
        self._sweep()
        self._put_back_files()
        if self.steps.enable and not others and enabled(self.host):
            systemctl(self.host, ["disable"])
        if self.steps.start and not others:
            systemctl(self.host, ["stop"])
        else:
            daemon = self.link.daemon() or (self._loader.revived() if self.steps.before else None)
            try:
                if daemon:
                    self._loader.take_back(daemon)
            except BusError as error:
                raise silent(error)
        self._remove_new_services()

    def _is_new_service(self, change: FileChange) -> bool:
        return change.before is None and os.path.dirname(change.path) == self.host.path(ETC, "services")

    def _put_back_files(self) -> None:
        """Put the old files back, but for new services, which nobody names then.

        All of it names services of ours: also while a change waits, none of it can be somebody else's. They go when
        firewalld has loaded the old files. It watches its files, and when it sees a service go, it writes the zones that
        it remembers with it anew (firewall.server.config.removeService()), and cannot load them then.
        """
        _files.put_back([change for change in self.files if not self._is_new_service(change)])
        for change in self.files:
            if os.path.dirname(change.path) == self.host.path(ETC, "zones"):
                put_back_zone(self.host, change, self.steps.old, self.steps.owned.services)

    def _remove_new_services(self) -> None:
        _files.put_back([change for change in self.files if self._is_new_service(change)])

    @property
    def _loader(self) -> Loader:
        return Loader(host=self.host, link=self.link, ruleset=self.ruleset, steps=self.steps)

    def _sweep(self) -> None:
        for folder in ("services", "policies", "zones"):
            _files.sweep(self.host.path(ETC, folder))

    def _unchanged(self, written: bool = False) -> None:
        """See that nobody else wrote the files since they were read.

        :param written: this change may have written them.
        """
        for change in self.files:
            now = _files.read(change.path)
            if now != change.before and not (written and now == change.after):
                raise FirewallError(
                    "%s was changed by somebody else during this run: nothing was changed" % change.path
                )

    def _carry_out(self) -> None:
        """Write the files, and bring a firewalld that runs to them.

        :raises FirewallError: it failed. All is as it was, or the message says what is not.
        """
        for folder in ("services", "policies", "zones"):
            if self.files:
                _files.make_folder(self.host.path(ETC, folder), 0o750)
        self._sweep()
        self._unchanged()
        daemon = self.link.daemon()
        undo = _Undo(self._loader)
        try:
            with ExitStack() as stack:
                if daemon and daemon.state() != "FAILED":
                    # What is loaded after a failure is not what anybody wanted.
                    undo.before = self._loader.look(daemon)
                # The last of them is the first to be done: files, the runtime, and what nothing names any more.
                stack.callback(self._end_undo, undo)
                stack.push(undo)
                stack.callback(self._put_back_files)
                for change in self.files:
                    _files.replace(change.path, change.after, change.mode)
                self._judge()
                if daemon and self.live:
                    undo.needed = True
                    self._loader.change(daemon, undo.before)
                stack.pop_all()
        except (FirewallError, BusError, OSError) as error:
            raise FirewallError("%s: %s" % (" ".join(str(error).split()).rstrip("."), undo.outcome))

    def _end_undo(self, undo: _Undo) -> None:
        # Where firewalld has not loaded the old files, the keeper goes on, and this comes last.
        if not undo.problems:
            self._remove_new_services()

    def _judge(self) -> None:
        """Have firewalld's own parser judge the new files.

        :raises FirewallError: it refuses them.
        """
        if self.files:
            code, out, err = self.host.run(["firewall-offline-cmd", "--check-config"], None)
            if code != 0:
                lines = (err.strip() or out.strip() or "no reason given").splitlines()
                raise FirewallError(
                    "firewalld refuses the new configuration (%s; when 'firewall-offline-cmd --check-config' still "
                    "says so now, the mistake is older than this run)" % lines[-1]
                )

    def _committed(self, daemon: Firewalld1, written: Sequence[FileChange]) -> None:
        """Have firewalld's cached view of its files be what they say now, and not what they said meanwhile.

        :param written: the files that said something else. It cannot have another view of the other services.
        """
        services = self.host.path(ETC, "services")
        names = [os.path.basename(change.path)[:-4] for change in written if os.path.dirname(change.path) == services]
        if self._loader.cached_wrong(daemon, self.steps.target, names):
            self._loader.reload(daemon, self._loader.look(daemon))
            self._loader.check_loaded(daemon)
        if self.steps.enable:
            systemctl(self.host, ["enable"])

    def _switch_on(self, words: List[str]) -> None:
        """Have systemd start firewalld, now or at the next boot, and see it load what was written.

        :raises FirewallError: it does not; the files are as they were, and firewalld is off again.
        """
        try:
            systemctl(self.host, words)
            if self.steps.start:
                self._loader.check_loaded(self._loader.started())
        except (FirewallError, BusError) as error:
            self._put_back_files()
            self._remove_new_services()
            if self.steps.start:
                off = ["disable", "--now"] if self.steps.enable else ["stop"]
                self.host.run(["systemctl", *off, UNIT], None)
            raise FirewallError("firewalld could not be switched on (%s): nothing was changed" % error)


def take_back(host: Host, left: Left, plan: Callable[[], Plan]) -> None:
    """Take back what a dead run left.

    :param plan: makes a plan that leads to what it led to, from what is there then.
    """
    written = not left.waits and _files.written(left.files)
    others = _enabled_by_others(host, bool(left.switched.boot), written)
    # The services that it made stay, as in the rollback of a plan.
    _files.put_back([change for change in left.files if change.before is not None])
    _leave_new_services(host, left.files)
    made = plan()
    if isinstance(made, FirewalldPlan):
        steps = replace(made.steps, start=left.switched.now, enable=bool(left.switched.boot))
        replace(made, steps=steps).undo(others)
    _files.put_back(left.files)


def _leave_new_services(host: Host, changes: Sequence[FileChange]) -> None:
    """Take new services out of the zones that firewalld wrote itself since, as it does for an administrator's command."""
    services, zones = (host.path(ETC, kind) for kind in ("services", "zones"))
    new = frozenset(
        os.path.basename(change.path)[: -len(".xml")]
        for change in changes
        if os.path.dirname(change.path) == services and change.before is None
    )
    for change in changes:
        if os.path.dirname(change.path) == zones:
            put_back_zone(host, change, Config(services={}, zones={}, policies={}), new)


def _enabled_by_others(host: Host, enable: bool, written: bool) -> bool:
    """Whether somebody else switched firewalld on at boot.

    :param enable: a run was to do so.
    :param written: the run's files are as it was to leave them: it switches behind them.
    """
    return enable and not written and enabled(host)


class _Undo:
    """Puts the runtime back where a change failed, once its files are the old ones again.

    :ivar before: what was loaded.
    :ivar needed: whether the runtime may be another than before.
    :ivar problems: what could not be put back.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self.before: Optional[Loaded] = None
        self.needed = False
        self.problems: List[str] = []

    @property
    def outcome(self) -> str:
        """How it went, for the message."""
        if self.problems:
            return "not all could be put back (%s)" % some(self.problems)
        return "everything is as it was" if self.needed else "nothing was changed"

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        # A run that was told to end leaves this to its keeper.
        if self.needed and isinstance(error, Exception):
            self.problems = self._loader.put_back(self.before)
