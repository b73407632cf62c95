# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every firewall's plan has in common. Pure: no host is needed to know what a run will do."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Iterator, List, Optional, Sequence

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Operation
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, normalise


def target(state: str, have: Sequence[Rule], want: Sequence[Rule]) -> List[Rule]:
    """The rules that the ruleset is to hold in the end.

    :param state: ``replaced`` (exactly what is wanted), ``merged`` (what is there and what is wanted) or
        ``deleted`` (what is there without the named rules; without any named, nothing).
    :param have: the ruleset's rules on the host.
    :param want: the rules asked for. For ``deleted`` only their names and directions count.
    :raises ValueError: another state.
    """
    if state == "replaced":
        return normalise(want)
    if state == "merged":
        return normalise(list(have) + list(want))
    if state == "deleted":
        named = {(rule.name, rule.direction) for rule in want}
        return [rule for rule in normalise(have) if named and (rule.name, rule.direction) not in named]
    raise ValueError("no plan for state %r" % state)


def operations(have: Sequence[Rule], wanted: Sequence[Rule]) -> List[Operation]:
    """The steps from the rules that are there to the wanted ones, in the order add, change, remove."""
    old = {rule.key: rule for rule in normalise(have)}
    new = {rule.key: rule for rule in normalise(wanted)}
    added = [Operation(action="add", rule=rule) for key, rule in new.items() if key not in old]
    changed = [
        Operation(action="change", rule=rule, was=old[key])
        for key, rule in new.items()
        if key in old and old[key] != rule
    ]
    removed = [Operation(action="remove", rule=rule) for key, rule in old.items() if key not in new]
    return added + changed + removed


def mends(*found: str) -> List[Operation]:
    """A step for each thing that has drifted.

    :param found: sentences, or paths of files.
    """
    return [Operation(action="mend", what=what) for what in found]


@contextmanager
def undoing() -> Iterator[ExitStack]:
    """A stack of what takes a change back: run, the last first, where the change fails.

    :raises FirewallError: what failed. Where taking it back failed too, the message says so.
    """
    undo = ExitStack()
    try:
        yield undo
    except BaseException as error:
        left = []
        try:
            undo.close()
        except (FirewallError, OSError) as second:
            failed: Optional[BaseException] = second
            while failed and failed is not error:
                left.append(str(failed))
                failed = failed.__context__
        if not isinstance(error, (FirewallError, OSError)):
            raise
        message = str(error)
        if left:
            message += ". Putting back what was there failed too: " + "; ".join(left)
        raise FirewallError(message, getattr(error, "code", "other"))
