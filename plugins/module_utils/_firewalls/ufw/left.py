# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a dead run left of ufw, as the plan that it made, so that its rollback takes it back."""

from __future__ import annotations

from typing import Any, FrozenSet

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Left,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel, profiles, reading, start
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import DEFAULTS, Idle, Steps
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

    :raises FirewallError: it is something else, or would write what ufw's start does not.
    """
    record = "the record of how the kernel was before ufw's start"
    try:
        tables = {int(key): str(table) for key, table in found["tables"].items()}
        sysctls = {str(path): str(value) for path, value in found["sysctls"].items()}
        idle = Idle(tables=tables, nft=frozenset(map(str, found["nft"])), sysctls=sysctls, problem="")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FirewallError("%s cannot be read (%s)" % (record, error))
    if not tables.keys() <= {4, 6}:
        raise FirewallError("%s is of other IP versions than 4 and 6" % record)
    strange = sorted(sysctls.keys() - start.sysctls(host, _files.read(host.path(DEFAULTS)) or "").keys())
    if strange:
        raise FirewallError("%s names parameters that ufw's start does not set (%r)" % (record, strange[0]))
    return idle


def _owned(host: Host, ruleset: str, left: Left) -> FrozenSet[str]:
    """The names of the profiles that the dead run's ruleset had, or was to have."""
    path = reading.profile_path(host, ruleset)
    texts = [text for item in left.files if item.path == path for text in (item.before, item.after) if text]
    return frozenset(profiles.allocate(left.want.all, ruleset)).union(*map(profiles.titles, texts))
