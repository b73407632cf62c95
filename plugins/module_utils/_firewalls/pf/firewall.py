# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pf on macOS, FreeBSD and OpenBSD: one anchor that the ruleset owns, loaded whole in one transaction.

Only what says whether pf is there is imported at once: the choice among firewalls imports this file on every host.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Dict, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Firewall,
    FirewallError,
    Left,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

if TYPE_CHECKING:
    from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.state import PfState
    from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import System

# What platform.system() says, and the keys of systems.SYSTEMS.
_PLATFORMS = {"Darwin": "macos", "FreeBSD": "freebsd", "OpenBSD": "openbsd"}


class Pf(Firewall):
    """pf."""

    name = "pf"
    folders = (
        *("etc/pf.conf", "etc/pf.anchors", "Library/LaunchDaemons"),
        *("etc/rc.conf", "etc/rc.conf.local", "etc/rc.conf.d", "usr/local/etc/rc.conf.d"),
    )

    def places(self) -> Tuple[str, ...]:
        # FreeBSD's main ruleset may have another name.
        main_file = self._system("").main_file() if self.installed() else ""
        return (*super().places(), *([self.host.path(main_file.lstrip("/"))] if main_file else []))

    def installed(self) -> bool:
        return platform.system() in _PLATFORMS and os.path.exists(self.host.path("sbin/pfctl"))

    def in_use(self) -> bool:
        # The name of the ruleset does not matter to this question.
        return self.installed() and self._system("apple").in_use()

    def read(self, asked: Asked) -> State:
        return self._state(asked)

    def _state(self, asked: Asked) -> PfState:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import reading, state

        read = reading.read(self._system(asked.ruleset), asked)
        return state.PfState(
            host=self.host,
            asked=asked,
            rules=read.parsed.all,
            active=read.power.on,
            enabled=read.boots,
            reading=read,
        )

    def take_back(self, asked: Asked, left: Left) -> None:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import write

        files = () if left.waits else left.files
        written = _files.written(files)
        _files.put_back(files)
        have = self._state(asked)
        parsed = have.reading.parsed
        have.plan(Wanted(rules=parsed.rules, guards=parsed.guards)).load()
        write.switch_back(self._system(asked.ruleset), left.switched, written)

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str, own: bool = True) -> Dict[str, str]:
        """The anchor's file. The two lines that the main ruleset needs stand in its header."""
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor, model

        return {model.anchor_file(ruleset): anchor.emit(rules, ruleset, own=own)} if rules else {}

    def _system(self, ruleset: str) -> System:
        """The host's system.

        :raises FirewallError: it is none that has pf.
        """
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import systems

        name = platform.system()
        if name not in _PLATFORMS:
            raise FirewallError(
                "pf is there on macOS, FreeBSD and OpenBSD, and this host is %s: set another backend"
                % (name or "unknown"),
                "not-installed",
            )
        return systems.SYSTEMS[_PLATFORMS[name]](self.host, ruleset)
