# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a dead run left of ufw, as the plan that it made, so that its rollback takes it back."""

from __future__ import annotations

import os
from typing import Any, FrozenSet

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Left,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel, profiles, reading
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import Idle, Steps
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.write import UfwPlan


def plan(host: Host, asked: Asked, left: Left) -> UfwPlan:
    """The plan of a dead run, as far as its rollback needs it.

    :raises FirewallError: ufw or its record cannot be read.
    """
    found = reading.files(host, asked.ruleset)
    tables = {family: kernel.table(host, family) for family in ((4, 6) if found.ipv6 else (4,))}
    # A start that died half-way may have made some of its chains alone.
    started = left.switched.now and any(":ufw" in table for table in tables.values())
    steps = Steps(
        texts={},
        files=left.files,
        loads={},
        owned=_owned(host, asked.ruleset, left) | frozenset(found.rulesets.get(asked.ruleset, {})),
        profiles=(),
        loaded=tuple(family for family, table in tables.items() if kernel.user_chains(table, family) is not None),
        start=_idle(host, left.switched.before) if started else None,
        unit=bool(left.switched.boot),
    )
    return UfwPlan(
        host=host,
        ruleset=asked.ruleset,
        operations=(),
        notices=(),
        before="",
        after="",
        files=left.files,
        asked=asked,
        want=left.want,
        steps=steps,
    )


def _idle(host: Host, found: Any) -> Idle:
    """The same, read back.

    :raises FirewallError: it is something else, or would write other files than the kernel's parameters.
    """
    try:
        tables = {int(key): str(table) for key, table in found["tables"].items()}
        sysctls = {str(path): str(value) for path, value in found["sysctls"].items()}
        idle = Idle(tables=tables, nft=frozenset(map(str, found["nft"])), sysctls=sysctls, problem="")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FirewallError("the record of how the kernel was before ufw's start cannot be read (%s)" % error)
    if not all(os.path.normpath(path).startswith(host.path("proc/sys") + os.sep) for path in idle.sysctls):
        raise FirewallError("the record of how the kernel was before ufw's start names files that are no parameters")
    return idle


def _owned(host: Host, ruleset: str, left: Left) -> FrozenSet[str]:
    """The names of the profiles that the dead run's ruleset had, or was to have."""
    path = reading.profile_path(host, ruleset)
    texts = [text for item in left.files if item.path == path for text in (item.before, item.after) if text]
    return frozenset(profiles.allocate(left.want.all, ruleset)).union(*map(profiles.titles, texts))
