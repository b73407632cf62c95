# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that holds only when it is confirmed, and that is put back when its run dies.

Before the first write the keeper is split off, a process that undoes the change when the run dies in the middle, when
the time is over, and when it is told to stop. A confirmation goes through the keeper too, by a socket that root alone
can open: one process decides, so that a confirmation and the end of the time cannot both win.

Until the confirmation the disk has what was there before, so that a reboot needs no help to bring it back.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import Any, Dict, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._confirm import wire
from ansible_collections.netports.apple.plugins.module_utils._confirm.journal import Journal
from ansible_collections.netports.apple.plugins.module_utils._confirm.keeper import Keeper
from ansible_collections.netports.apple.plugins.module_utils._confirm.pending import Pending, boot_id
from ansible_collections.netports.apple.plugins.module_utils._confirm.process import Runner
from ansible_collections.netports.apple.plugins.module_utils._confirm.wire import Message, Origin
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Firewall, FirewallError, Json, Plan
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass


@dataclass(frozen=True)
class Change:
    """A plan that is to be carried out.

    :param plan: the plan.
    :param firewall: its firewall.
    :param rules: the rules that it leads to, guards and all.
    :param zone: firewalld's zone of the run; empty for its default.
    :param seconds: how long the change waits for its confirmation; 0 when it needs none.
    :param origin: the connection that it is made over.
    """

    plan: Plan
    firewall: Firewall
    rules: Tuple[Rule, ...]
    zone: str = ""
    seconds: int = 0
    origin: Origin = None


@dataclass(frozen=True)
class Waiting:
    """A change that waits for its confirmation.

    :param id: what to confirm.
    :param seconds: how long it waits.
    :param until: when its wait ends.
    """

    id: str
    seconds: int
    until: str

    def to_dict(self) -> Dict[str, Any]:
        """The plain form: a dictionary of the three fields."""
        return {"id": self.id, "seconds": self.seconds, "until": self.until}


def carry_out(journal: Journal, lock: int, change: Change) -> Optional[Waiting]:
    """Make a change under the eyes of a keeper.

    :param lock: the host's lock, as ``Journal.lock`` gave it.
    :returns: the change that waits; ``None`` when none does.
    :raises FirewallError: it failed; the host is as it was.
    """
    plan = change.plan
    seconds = change.seconds if plan.live else 0
    pending = Pending(
        id=os.urandom(10).hex(),
        firewall=change.firewall.name,
        ruleset=plan.ruleset,
        zone=change.zone,
        files=plan.files,
        rules=change.rules,
        switched=plan.switched,
        boot=boot_id(change.firewall.host.root),
        origin=change.origin,
    )
    try:
        journal.begin(pending, change.firewall.places())
    except OSError as error:
        raise FirewallError("what the change needs to be undone cannot be kept (%s): nothing was changed" % error)
    with ExitStack() as stack:
        try:
            here, lent = Keeper(journal, lock, plan, pending).start()
        except OSError as error:
            journal.close(pending.id, wire.RESTORED, str(error))
            raise FirewallError("no process can be started to undo the change (%s): nothing was changed" % error)
        stack.callback(here.close)
        with ExitStack() as held:
            # The keeper sees the descriptor close when the run and all that it started have ended.
            held.callback(os.close, lent)
            try:
                loaded = _load(plan, seconds, lent)
                if not seconds:
                    journal.close(pending.id, wire.CONFIRMED)
            except BaseException as error:
                held.close()
                _undo(here, error)
                raise
            if not seconds:
                _tell(here, Message(kind=wire.DONE))
                return None
            try:
                wire.send(here, Message(kind=wire.WAIT, seconds=seconds, loaded=loaded))
                answer = wire.receive(here)
            except OSError:
                answer = Message(kind=wire.LOST)
            if answer.kind != wire.WAITING:
                why = "the process that was to wait for the confirmation is gone"
                plan.rollback()
                journal.close(pending.id, wire.RESTORED, why)
                raise FirewallError("%s: the old rules were restored; run this again" % why)
            return Waiting(id=pending.id, seconds=seconds, until=answer.until)


def _load(plan: Plan, seconds: int, lent: int) -> Json:
    """Carry the plan out, with the keeper's descriptor lent to all that it starts."""
    runner = plan.host.run
    with ExitStack() as stack:
        if isinstance(runner, Runner):
            runner.lent = lent
            stack.callback(setattr, runner, "lent", None)
        if seconds:
            return plan.load()
        plan.apply()
        return None


def _undo(here: socket.socket, error: BaseException) -> None:
    """Have the keeper put back what a failed load left, and wait for it. Plans do so by themselves; it makes sure."""
    _tell(here, Message(kind=wire.UNDO, why=" ".join(str(error).split())))
    try:
        wire.receive(here)
    except OSError:
        pass


def _tell(here: socket.socket, message: Message) -> None:
    """Send a message to a keeper that may be gone."""
    try:
        wire.send(here, message)
    except OSError:
        pass
