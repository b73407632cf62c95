# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw, the front end of iptables on Debian, Ubuntu and others.

A ruleset is a file of application profiles, ``/etc/ufw/applications.d/netports-<ruleset>``, and the rules
that name them. ufw keeps its rules as ``### tuple ###`` blocks in ``user.rules`` and ``user6.rules`` and
reads nothing else, so the blocks are edited in place and everything around them stays byte for byte; the
kernel gets the difference alone, in one transaction an IP version. ``ufw reload``, ``ufw default`` and
``ufw app update`` are never called: the first two open the host for moments, the third does half its work
under ssh.
"""

from __future__ import annotations

import os
from typing import Dict, Sequence

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked, Firewall, Left, State
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    DEFAULTS,
    PROFILES,
    SWITCH,
    settings,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule


class Ufw(Firewall):
    """ufw 0.35 and newer on Linux, over iptables-nft or iptables-legacy."""

    name = "ufw"
    folders = ("etc/ufw", "etc/default/ufw")

    def installed(self) -> bool:
        return not self.uninstalled() and os.path.isfile(self.host.path(SWITCH))

    def uninstalled(self) -> bool:
        programs = (self.host.path(folder, "ufw") for folder in ("usr/sbin", "usr/local/sbin", "sbin"))
        return not any(map(os.path.isfile, programs))

    def in_use(self) -> bool:
        texts = [_files.read(self.host.path(path)) for path in (DEFAULTS, SWITCH)]
        return self.installed() and settings(*texts).get("enabled") == "yes"

    def read(self, asked: Asked) -> State:
        # Both, also for the other case: the keeper of a change imports nothing any more.
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import gone, state

        return gone.read(self.host, asked) if self.uninstalled() else state.read(self.host, asked)

    def take_back(self, asked: Asked, left: Left) -> None:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import left as dead

        dead.plan(self.host, asked, left).rollback(left.waits)

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str, own: bool = True) -> Dict[str, str]:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.profiles import (
            file_name,
            profile_text,
        )

        return {"/%s/%s" % (PROFILES, file_name(ruleset)): profile_text(rules, ruleset, own)}
