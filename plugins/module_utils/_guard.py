# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guards: rules that keep the connection that manages this host admitted where no other rule does."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _connection, _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import State
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule


def guards(state: State) -> Tuple[Rule, ...]:
    """The rules that have to be there for the present connection.

    A run without an ssh connection keeps the rules that earlier runs needed: it cannot know better.
    """
    if not state.refuses_inbound():
        return ()
    connection = _connection.connection()
    if connection:
        return () if state.admits(connection.address, connection.port) else (connection.guard(),)
    return tuple(rule for rule in state.rules if rule.name == _connection.GUARD_NAME)


def notices(rules: Sequence[Rule]) -> List[Notice]:
    """A notice for each guard."""
    return [
        Notice(
            code="guard",
            text="no rule but this ruleset's own admits the connection that manages this host (%s to port %s): "
            "its rule 'management' does" % (rule.sources[0], _ports.text(rule.tcp[0])),
            rules=(rule.name,),
        )
        for rule in rules
    ]
