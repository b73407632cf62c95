# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guards: rules that keep the connections that manage this host admitted where no other rule does."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _connection, _ports
from ansible_collections.netports.apple.plugins.module_utils._connection import Connection
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, State
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

NO_WAY_IN = "no-way-in"
DROPPED = "guard-dropped"


@dataclass(frozen=True)
class Protection:
    """What keeps the way in to a host open.

    :param guards: the rules that have to be there, in order.
    :param notices: what people should know of them.
    :param blind: the firewall refuses what comes in, and neither a connection nor a guard says whom to admit.
    """

    guards: Tuple[Rule, ...] = ()
    notices: Tuple[Notice, ...] = ()
    blind: bool = False


def protect(state: State, connection: Optional[Connection]) -> Protection:
    """Work out the guards that a host needs.

    A guard of another connection stays until a rule admits its address: its controller would be locked out without a
    word. So a run without an ssh connection keeps them all.
    """
    if not state.refuses_inbound():
        return Protection()
    present = [connection.guard()] if connection and not state.admits(connection.address, connection.port) else []
    others = [guard for rule in state.rules if rule.name == _connection.GUARD_NAME for guard in _single(rule)]
    needed = [guard for guard in others if guard not in present and not _admitted(state, guard)]
    dropped = needed if DROPPED in state.asked.accept else []
    kept = [] if dropped else needed
    return Protection(
        # In one order, whoever comes: two controllers in turn change nothing.
        guards=tuple(sorted(present + kept)),
        notices=tuple(_notices(present, kept, dropped)),
        blind=not (connection or kept),
    )


def check_way_in(state: State, rules: Sequence[Rule]) -> List[Notice]:
    """Refuse a change that nobody could come in after, where no connection says who has to.

    :param rules: the ruleset's rules as they are to be.
    :returns: a notice in the place of the refusal, where the firewall is off or the administrator accepts it.
    :raises FirewallError: no rule, of the ruleset or another, admits anybody to the host's ssh daemon.
    """
    from ansible_collections.netports.apple.plugins.module_utils import _sshd

    ports = _sshd.ssh_ports(state.host)
    own = [span for rule in rules if rule.direction == "in" for span in rule.tcp]
    if not ports or any(state.admits(None, port) or _ports.covers(own, (port, port)) for port in ports):
        return []
    text = (
        "no ssh connection says who manages this host, and no rule admits anybody to its ssh daemon (port %s), so that "
        "the firewall refuses new ssh connections" % ", ".join(map(str, ports))
    )
    if NO_WAY_IN not in state.asked.accept and (state.active or state.enabled or state.asked.enable):
        raise FirewallError(
            "%s: add a rule for it, or accept it (host_firewall_accept: [%s])" % (text, NO_WAY_IN), NO_WAY_IN
        )
    return [Notice(code=NO_WAY_IN, text=text)]


def limited(state: State, connection: Connection) -> List[Notice]:
    """A limit that admits the connection, and may refuse the new one that has to confirm a change."""
    if not state.limits(connection.address, connection.port):
        return []
    text = (
        "a limit admits the connection that manages this host (%s to port %d) and refuses who opens many new ones in a "
        "short time: the change is confirmed with fewer tries" % (connection.address, connection.port)
    )
    return [Notice(code="limited", text=text)]


def _single(rule: Rule) -> List[Rule]:
    """A guard for each address and port of a rule that was read back."""
    ports = [port for first, last in rule.tcp for port in range(first, last + 1)]
    return [rule._replace(sources=(source,), tcp=((port, port),)) for source in rule.sources for port in ports]


def _admitted(state: State, guard: Rule) -> bool:
    """Whether a rule that is not the ruleset's admits what a guard admits."""
    try:
        return state.admits(guard.sources[0].split("/")[0], guard.tcp[0][0])
    except FirewallError:
        # The firewall drops that IP version altogether: a guard cannot change it.
        return True


def _notices(present: Sequence[Rule], kept: Sequence[Rule], dropped: Sequence[Rule]) -> List[Notice]:
    own = "no rule but this ruleset's own admits the connection that manages this host (%s): its rule 'management' does"
    former = (
        "no other rule admits who managed this host before (%s): the ruleset's rule 'management' goes on doing it; "
        "give the host a rule of your own, or let it go (host_firewall_accept: [guard-dropped])"
    )
    lost = "no rule admits who managed this host before any more (%s)"
    texts = (("guard", present, own), ("guard-kept", kept, former), (DROPPED, dropped, lost))
    return [
        Notice(code=code, text=text % _ends(guards), rules=(_connection.GUARD_NAME,))
        for code, guards, text in texts
        if guards
    ]


def _ends(guards: Sequence[Rule]) -> str:
    return ", ".join("%s to port %s" % (rule.sources[0], _ports.text(rule.tcp[0])) for rule in guards)
