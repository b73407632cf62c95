# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing the running firewalld to a configuration, and back."""

from __future__ import annotations

import os
import time
from typing import Iterable, List, Optional

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import compare, others
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.bus import BusError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.daemon import (
    NO_SERVICES,
    Firewalld1,
    Link,
    settable,
    settings_of,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.gate import Gate
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    RELOADING,
    UNIT,
    Config,
    Loaded,
    Steps,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.told import some
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# Seconds that firewalld may take to load its configuration when it starts.
_START = 30.0


@dataclass(frozen=True)
class Loader:
    """What loads a plan's configuration into the running firewalld, and takes it back.

    :param link: the way to the running firewalld.
    """

    host: Host
    link: Link
    ruleset: str
    steps: Steps

    @property
    def _reloading(self) -> str:
        return self.host.path(RELOADING)

    @staticmethod
    def look(daemon: Firewalld1) -> Loaded:
        """What is loaded, to be brought back after a reload with what others change from now on."""
        daemon.watch()
        return daemon.loaded(NO_SERVICES)

    def change(self, daemon: Firewalld1, before: Optional[Loaded]) -> None:
        """Bring the runtime to the target.

        :param before: what was loaded when :meth:`look` was called; ``None`` where that is nothing to keep.
        :raises FirewallError: it is not what was planned.
        """
        if self.steps.reload:
            self.reload(daemon, before)
        for zone, attachment in self.steps.attach:
            daemon.attach(zone, attachment)
        for zone, attachment in self.steps.detach:
            daemon.detach(zone, attachment)
        for name, policy in self.steps.set_policies.items():
            daemon.set_policy(name, settings_of(policy))
        self.check_loaded(daemon)

    def take_back(self, daemon: Firewalld1) -> None:
        """Bring the runtime back to what it was, from wherever a change left it.

        :raises FirewallError: firewalld has not loaded the old configuration.
        """
        if self.steps.reload or os.path.exists(self._reloading):
            self._unload(daemon)
        for zone, attachment in self.steps.attach:
            daemon.detach(zone, attachment)
        for zone, attachment in self.steps.detach:
            daemon.attach(zone, attachment)
        for name in self.steps.set_policies:
            if self.steps.before:
                daemon.set_policy(name, settable(self.steps.before.policies[name]))

    def reload(self, daemon: Firewalld1, before: Optional[Loaded]) -> None:
        """Reload, bring back everything that is not ours and was there at runtime only, and see that firewalld filters.

        :raises FirewallError: it does not, or something was lost.
        """
        self._mark()
        gate = self._gate()
        with gate:
            daemon.reload()
            lost = others.restore(daemon, before, self.steps.owned) if before else []
        if lost:
            raise FirewallError("the reload lost what was there at runtime only (%s)" % some(lost))
        problems = self._state(daemon) + gate.problems
        if problems:
            raise FirewallError("firewalld does not filter after its reload (%s)" % some(problems))
        _files.replace(self._reloading, None)

    def _mark(self) -> None:
        os.makedirs(os.path.dirname(self._reloading), exist_ok=True)
        _files.replace(self._reloading, "", 0o600)

    def _gate(self) -> Gate:
        return Gate(self.host.run, self.steps.nftables, self.steps.panic)

    @staticmethod
    def _state(daemon: Firewalld1) -> List[str]:
        state = daemon.state()
        return [] if state == "RUNNING" else ["it is in the state %s" % state]

    def check_loaded(self, daemon: Firewalld1) -> None:
        wrong = self._wrong(daemon.loaded(self.ruleset + "-"), self.steps.target)
        if wrong:
            raise FirewallError("firewalld has not loaded what was planned (%s)" % some(wrong))

    def _wrong(self, loaded: Loaded, want: Config) -> List[str]:
        """In what a configuration that firewalld answered is not the wanted one."""
        have = compare.config_of(loaded, self.steps.owned)
        return [difference.what for difference in compare.compare(have, want, "at runtime")]

    def cached_wrong(self, daemon: Firewalld1, want: Config, names: Iterable[str]) -> List[str]:
        """How firewalld's cached view of its files (seconds behind) differs from the wanted one.

        :param names: the services to ask for; firewalld takes a millisecond for each.
        """
        known = dict(want.services)
        for name in names:
            service = daemon.permanent_service(name)
            if service:
                known[name] = service
            else:
                known.pop(name, None)
        permanent = daemon.permanent()
        return self._wrong(
            Loaded(
                zones=permanent.zones,
                policies=permanent.policies,
                ipsets=permanent.ipsets,
                direct=permanent.direct,
                services=known,
            ),
            want,
        )

    def _unload(self, daemon: Firewalld1) -> None:
        """Bring the runtime back to the files as they were, and keep what others changed in it since."""
        interrupted = os.path.exists(self._reloading)
        failed = daemon.state() == "FAILED"
        # A firewalld that could not load before the change is back where it was.
        if failed and self.steps.before is None and not interrupted:
            return
        wrong = self._wrong(daemon.loaded(self.ruleset + "-"), self.steps.old)
        if not (interrupted or failed or wrong) and not self.cached_wrong(
            daemon, self.steps.old, sorted(self.steps.owned.services)
        ):
            return
        # A run that died behind its reload took with it what was there at runtime only: the plan has it still.
        found = self.look(daemon)
        before = self.steps.before if interrupted or failed else found
        lost: List[str] = []
        self._mark()
        gate = self._gate()
        with gate:
            try:
                daemon.reload()
            except BusError as error:
                # It loads what it can before it says so. What it did not load shows below.
                lost.append(str(error))
            lost += others.restore(daemon, before, self.steps.owned) if before else []
        wrong = self._wrong(daemon.loaded(self.ruleset + "-"), self.steps.old) + gate.problems
        if wrong and self.steps.before:
            raise FirewallError("firewalld has not loaded its old configuration (%s)" % some(wrong + lost))
        _files.replace(self._reloading, None)

    def put_back(self, before: Optional[Loaded]) -> List[str]:
        """Load the old files again, and bring back all of the runtime.

        :returns: what could not be put back.
        """
        problems: List[str] = []
        filters = False
        try:
            gate = self._gate()
            with gate:
                daemon = self.link.daemon() or self.revived()
                if daemon is None:
                    return ["firewalld was stopped meanwhile, and has its old files"]
                try:
                    daemon.reload()
                except BusError as error:
                    # It loads what it can before it says so; the rest can be brought back still.
                    problems.append("firewalld could not load its old configuration again: %s" % error)
                problems += others.restore(daemon, before, others.NOBODY) if before else []
            problems += gate.problems
            filters = not gate.problems
        except (FirewallError, BusError) as error:
            problems.append(str(error))
        if filters:
            _files.replace(self._reloading, None)
        return problems

    def revived(self) -> Optional[Firewalld1]:
        """firewalld again, where it died: what it leaves in the kernel then may be a host that is shut.

        :returns: ``None`` when it was told to stop.
        :raises FirewallError: it does not come up.
        """
        if self.host.run(["systemctl", "--quiet", "is-failed", UNIT], None)[0] != 0:
            return None
        self._mark()
        systemctl(self.host, ["start"])
        return self.started()

    def started(self) -> Firewalld1:
        """firewalld, once it has started.

        :raises FirewallError: it did not.
        """
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            daemon = self.link.daemon()
            state = daemon.state() if daemon else ""
            if daemon and state == "RUNNING":
                return daemon
            if state == "FAILED":
                break
            time.sleep(0.1)
        raise FirewallError("it did not load its configuration: see 'firewall-offline-cmd --check-config'")


def systemctl(host: Host, words: List[str]) -> None:
    """Have systemd do something with firewalld.

    :raises FirewallError: it does not.
    """
    code, out, err = host.run(["systemctl", *words, UNIT], None)
    if code != 0:
        raise FirewallError("systemctl %s: %s" % (" ".join(words), err.strip() or out.strip()))
