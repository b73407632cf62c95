# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module and a backend say to each other.

A backend reads a host, works out what would have to be written, writes it, and does nothing else. The
module calls, in this order: L(Backend.read), L(Backend.plan) and, outside check mode and where there is
something to do, L(Backend.apply). A plan is all there is to a run: check mode shows it, a real run does it.
A change that has to be confirmed is made by L(Backend.engage) in the place of L(Backend.apply), and ends in
L(Backend.keep) or in L(Backend.undo), from another process than the one that made it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Exposure,
    Firewall,
    Json,
    Operation,
    Plan,
    Run,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule


class Have(NamedTuple):
    """What a host has of a ruleset.

    ``rules``: the ruleset's own rules as the firewall keeps them for good. ``active``: the firewall is
    loaded now. ``enabled``: it comes up at the next boot. ``native``: the backend's own reading.
    """

    rules: List[Rule]
    active: bool
    enabled: bool
    native: Any


class Change(NamedTuple):
    """What a run would do.

    ``operations``: dicts with ``action`` and what it is about; empty when nothing is to be done.
    ``before`` and ``after``: the ruleset's part of the host as text. ``warnings``: sentences for the user.
    ``steps``: the backend's own, for its L(Backend.apply).
    """

    operations: List[Dict[str, Any]]
    before: str
    after: str
    warnings: List[str]
    steps: Any


class Options(NamedTuple):
    """What a run is asked, beside the rules.

    ``enable`` true switches the firewall on; ``zone`` is firewalld's; ``guard`` is the rule that keeps the
    present management connection admitted, and stands before every other rule.
    """

    ruleset: str
    enable: Optional[bool] = None
    zone: str = ""
    guard: Optional[Rule] = None


class Backend:
    """Base of the backends.

    :param run: starts a process; the only way in which a backend does.
    :param options: the run's options.
    :param root: the host's root folder, another one in tests.
    """

    name = ""
    # Whether the three of engage, keep and undo are there; without them no change waits to be confirmed.
    confirms = False

    def __init__(self, run: Run, options: Options, root: str = "/") -> None:
        self.run = run
        self.options = options
        self.root = root

    def path(self, *parts: str) -> str:
        """A path below the host's root."""
        return os.path.join(self.root, *parts)

    def installed(self) -> bool:
        """Say whether the firewall is on the host, without starting a process."""
        raise NotImplementedError

    def in_use(self) -> bool:
        """Say whether the firewall is switched on, now or at the next boot, without starting a process."""
        raise NotImplementedError

    def read(self) -> Have:
        """Read the host.

        :raises FirewallError: the host's firewall cannot be read as it is.
        """
        raise NotImplementedError

    def denies_inbound(self, have: Have) -> bool:
        """Say whether what comes in is refused unless a rule allows it."""
        raise NotImplementedError

    def admits(self, have: Have, address: str, port: int) -> bool:
        """Say whether a rule that is not the ruleset's lets an address reach a TCP port.

        :param address: the canonical address of the other side.
        :raises FirewallError: no rule could: the firewall drops that IP version altogether.
        """
        raise NotImplementedError

    def foreign(self, have: Have) -> str:
        """What the firewall has beside the ruleset, in its own words, as far as that lets connections in.

        Not held to anything, and empty where it cannot be told: it is for people, and for the audit.
        """
        raise NotImplementedError

    def plan(self, have: Have, wanted: Sequence[Rule]) -> Change:
        """Work out what leads from what is there to exactly the wanted rules. Changes nothing.

        :raises FirewallError: the wanted rules cannot be had on this host.
        """
        raise NotImplementedError

    def apply(self, change: Change) -> None:
        """Do what was planned: all of it, or nothing.

        :raises FirewallError: it failed; the host is as it was.
        """
        raise NotImplementedError

    def files(self, change: Change) -> List[FileChange]:
        """The files that a change writes, in their order."""
        return list(change.steps.files)

    def live(self, change: Change) -> bool:
        """Say whether a change does anything beyond files that wait for the firewall's next start."""
        raise NotImplementedError

    def engage(self, change: Change) -> Any:
        """Bring what is loaded to what was planned, and leave the files as they were: a reboot takes it back.

        :returns: what L(keep) has to know of how it went, in the types of JSON.
        :raises FirewallError: it failed; the host is as it was.
        """
        self.apply(change)
        _files.put_back(self.files(change))
        return None

    def keep(self, change: Change, engaged: Any) -> None:
        """Write the files of a change that L(engage) made.

        :param engaged: what L(engage) returned.
        :raises FirewallError: the host is no longer as L(engage) left it. The files are as they were.
        """
        raise NotImplementedError

    def undo(self, change: Change) -> None:
        """Put everything back as it was before the change, from wherever L(apply), L(engage) or L(keep) left it.

        What somebody else changed since stays. Again and again does no more than once.

        :raises FirewallError: it could not be done; to be tried again.
        """
        raise NotImplementedError

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str) -> Dict[str, str]:
        """The rules as this firewall's own files, by their path on a host. Needs no firewall."""
        raise NotImplementedError


def adapted(kind: Type[Backend]) -> Type[Firewall]:
    """A backend of the older shape in the roles of ``base``, until each firewall has them itself."""

    class Adapted(Firewall):
        name = kind.name

        def installed(self) -> bool:
            return kind(self.host.run, Options("apple"), self.host.root).installed()

        def in_use(self) -> bool:
            return kind(self.host.run, Options("apple"), self.host.root).in_use()

        def read(self, asked: Asked) -> State:
            backend = kind(self.host.run, Options(asked.ruleset, asked.enable, asked.zone), self.host.root)
            have = backend.read()
            return _State(
                host=self.host,
                asked=asked,
                rules=tuple(have.rules),
                active=have.active,
                enabled=have.enabled,
                backend=backend,
                have=have,
            )

        @classmethod
        def render(cls, rules: Sequence[Rule], ruleset: str) -> Dict[str, str]:
            return kind.render(rules, ruleset)

    return Adapted


@dataclass(frozen=True)
class _State(State):
    backend: Backend
    have: Have

    def refuses_inbound(self) -> bool:
        return self.backend.denies_inbound(self.have)

    def admits(self, address: Optional[str], port: int) -> bool:
        return address is None or self.backend.admits(self.have, address, port)

    def exposed(self) -> List[Exposure]:
        return []

    def foreign(self) -> str:
        return self.backend.foreign(self.have)

    def rulesets(self) -> Dict[str, Tuple[Rule, ...]]:
        return {self.asked.ruleset: self.rules}

    def plan(self, want: Wanted) -> Plan:
        self.backend.options = self.backend.options._replace(guard=want.guards[0] if want.guards else None)
        change = self.backend.plan(self.have, want.all)
        operations = tuple(
            Operation(
                action=step["action"],
                rule=Rule.from_dict(step["rule"]) if isinstance(step.get("rule"), dict) else None,
                was=Rule.from_dict(step["was"]) if "was" in step else None,
                what=step.get("what", ""),
            )
            for step in change.operations
        )
        return _Plan(
            host=self.host,
            ruleset=self.asked.ruleset,
            operations=operations,
            notices=tuple(Notice(code="other", text=text) for text in change.warnings),
            before=change.before,
            after=change.after,
            files=tuple(self.backend.files(change)) if operations else (),
            backend=self.backend,
            change=change,
        )


@dataclass(frozen=True)
class _Plan(Plan):
    backend: Backend
    change: Change

    @property
    def live(self) -> bool:
        return self.backend.live(self.change)

    def apply(self) -> None:
        self.backend.apply(self.change)

    def load(self) -> Json:
        loaded: Json = self.backend.engage(self.change)
        return loaded

    def commit(self, loaded: Json) -> None:
        self.backend.keep(self.change, loaded)

    def rollback(self) -> None:
        self.backend.undo(self.change)
