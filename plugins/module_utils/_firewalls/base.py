# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a firewall is to a run: three roles.

A :class:`Firewall` reads a host. The :class:`State` that it returns answers questions and plans; it does no
input or output. The :class:`Plan` that the state returns is all there is to a run: check mode shows it, a real
run carries it out.

A change that nobody has to confirm is made by :meth:`Plan.apply`. A change that waits for its confirmation is
made by :meth:`Plan.load`, and ends in :meth:`Plan.commit` or in :meth:`Plan.rollback`, which run in another
process than the one that loaded it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple, Union

from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# argv and what goes to standard input; (exit code, standard output, standard error). Never a shell.
Run = Callable[[List[str], Optional[str]], Tuple[int, str, str]]
Json = Union[None, bool, int, str, List["Json"], Dict[str, "Json"]]


class FirewallError(Exception):
    """The firewall cannot be managed as it is. The message says what was found and what would do.

    :param code: a code of ``_notices.CODES`` for programs; an administrator accepts a refusal by it.
    """

    def __init__(self, message: str, code: str = "other") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Host:
    """How a firewall reaches its host.

    :param run: starts a process; the only way in which a firewall does.
    :param root: the host's root folder, another one in tests.
    """

    run: Run
    root: str = "/"

    def path(self, *parts: str) -> str:
        """A path below the host's root."""
        return os.path.join(self.root, *parts)


@dataclass(frozen=True)
class Asked:
    """What a run is asked.

    :param ruleset: the name under which the rules are owned.
    :param enable: true switches the firewall on.
    :param zone: firewalld's zone for inbound rules; empty for its default.
    :param foreign: whether the state is asked what others have (``exposed``, ``foreign``).
    :param accept: codes of refusals that the administrator accepts.
    :param state: the module's state.
    :param rules: the rules that the run is given. What they mean is the state's matter: see ``changes.target``.
    """

    ruleset: str
    enable: Optional[bool] = None
    zone: str = ""
    foreign: bool = False
    accept: FrozenSet[str] = frozenset()
    state: str = "gathered"
    rules: Tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What the ruleset is to hold.

    :param rules: the rules, without the guards.
    :param guards: rules that keep management connections admitted. Each has a single
        source and a single TCP port. They stand before every other rule.
    """

    rules: Tuple[Rule, ...]
    guards: Tuple[Rule, ...] = ()

    @property
    def all(self) -> Tuple[Rule, ...]:
        """The guards and the rules."""
        return self.guards + self.rules


@dataclass(frozen=True)
class Operation:
    """A step of a plan, for programs and people.

    :param action: ``add``, ``change`` or ``remove`` a ``rule``; ``mend`` or ``enable`` of ``what``.
    :param rule: the rule after the step; for ``remove``, the rule that goes.
    :param was: the rule before, for ``change``.
    :param what: a sentence, where no rule is meant.
    :param rules: for ``mend``, the names of the rules that are not as they were written; empty where it is about the
        ruleset as a whole.
    """

    action: str
    rule: Optional[Rule] = None
    was: Optional[Rule] = None
    what: str = ""
    rules: Tuple[str, ...] = ()

    def to_dict(self) -> Dict[str, Any]:
        """The plain form: ``action``, and ``rule`` and ``was`` as dictionaries, or ``what`` and ``rules``."""
        found: Dict[str, Any] = {"action": self.action}
        if self.rule is not None:
            found["rule"] = self.rule.to_dict()
        else:
            found["what"] = self.what
        if self.action == "mend":
            found["rules"] = list(self.rules)
        if self.was is not None:
            found["was"] = self.was.to_dict()
        return found


@dataclass(frozen=True)
class Exposure:
    """Something that lets anywhere in: an inbound rule without a source, of whoever owns it.

    :param kind: the firewall's own word for it, such as ``rule``, ``service``, ``port``, ``policy`` or ``default``.
    :param ruleset: the ruleset of this collection that owns it; empty where it is somebody else's.
    :param name: the rule's name where a ruleset owns it, else the name of the object (zone, chain, service).
    :param protocol: ``tcp``, ``udp`` or ``any`` (both).
    :param ports: port ranges as text, ``"443"`` and ``"3478-3497"``; ``"0-65535"`` for every port.
    :param text: the rule as the firewall's own tools show it, for people.
    """

    kind: str
    ruleset: str
    name: str
    protocol: str
    ports: Tuple[str, ...]
    text: str

    def to_dict(self) -> Dict[str, Any]:
        """The plain form: a dictionary of the fields, and ``own``, whether a ruleset owns it."""
        return {
            "kind": self.kind,
            "own": bool(self.ruleset),
            "ruleset": self.ruleset,
            "name": self.name,
            "protocol": self.protocol,
            "ports": list(self.ports),
            "text": self.text,
        }


@dataclass(frozen=True)
class Switched:
    """What a plan switches, as a later run has to know it where nobody is left to take it back.

    :param now: it starts the firewall.
    :param boot: it has the firewall start at boot; false: no longer start; ``None``: as before.
    :param before: what else taking it back needs. Its form is the firewall's own.
    """

    now: bool = False
    boot: Optional[bool] = None
    before: Json = None


NOTHING_SWITCHED = Switched()


@dataclass(frozen=True)
class Left:
    """What a dead run left.

    :param want: the rules that it led to.
    :param files: its files, as it wrote them, or did not.
    :param switched: what it switched.
    :param waits: it died while its change waited, as in :meth:`Plan.rollback`.
    """

    want: Wanted
    files: Tuple[FileChange, ...] = ()
    switched: Switched = NOTHING_SWITCHED
    waits: bool = False


@dataclass(frozen=True)
class Plan(ABC):
    """What a run would do. Only its four methods touch the host.

    :param host: the host.
    :param ruleset: the ruleset that it changes.
    :param operations: empty when nothing is to be done.
    :param notices: what people should know.
    :param before: the ruleset's part of the host as text.
    :param after: the same after the run.
    :param files: the files that the plan writes, in their order.
    """

    host: Host
    ruleset: str
    operations: Tuple[Operation, ...]
    notices: Tuple[Notice, ...]
    before: str
    after: str
    files: Tuple[FileChange, ...]

    @property
    @abstractmethod
    def live(self) -> bool:
        """Whether the plan does anything beyond files that wait for the firewall's next start."""

    @property
    def switched(self) -> Switched:
        """What the plan switches."""
        return NOTHING_SWITCHED

    @abstractmethod
    def apply(self) -> None:
        """Do what was planned: all of it, or nothing.

        :raises FirewallError: it failed; the host is as it was.
        """

    @abstractmethod
    def load(self) -> Json:
        """Load the change but leave the files alone, so that a reboot undoes it.

        :returns: what :meth:`commit` has to know of how it went.
        :raises FirewallError: it failed; the host is as it was.
        """

    @abstractmethod
    def commit(self, loaded: Json) -> None:
        """Write the files of a change that was loaded.

        :param loaded: what :meth:`load` returned.
        :raises FirewallError: the host is no longer as :meth:`load` left it. The files are as they were.
        """

    @abstractmethod
    def rollback(self, waits: bool = False) -> None:
        """Put back what was there before, from wherever :meth:`apply`, :meth:`load` or :meth:`commit` left it.

        What somebody else changed since stays. A second call does no more than the first.

        :param waits: the change was loaded and its :meth:`commit` did not begin. Its files were put back then: what they
            say now is somebody else's, also where it is the same text.
        :raises FirewallError: it could not be done; try again.
        """


@dataclass(frozen=True)
class State(ABC):
    """All that was read of a host. Answers and plans without input or output.

    :param host: the host, for the plan.
    :param asked: what the run is asked.
    :param rules: the ruleset's own rules as the firewall keeps them for good, the guards among them.
    :param active: the firewall is loaded now.
    :param enabled: it comes up at the next boot.
    """

    host: Host
    asked: Asked
    rules: Tuple[Rule, ...]
    active: bool
    enabled: bool

    @abstractmethod
    def refuses_inbound(self) -> bool:
        """Whether inbound packets are refused unless a rule allows them, now or by what the files say."""

    def goes_with_rules(self) -> bool:
        """Whether what refuses inbound packets goes when the ruleset becomes empty, so that nobody needs a guard."""
        return False

    @abstractmethod
    def admits(self, address: Optional[str], port: int) -> bool:
        """Whether a rule that is not the ruleset's lets an address reach a TCP port.

        :param address: the canonical address of the other side; ``None`` asks whether any address may.
        :raises FirewallError: no rule could: the firewall drops that IP version altogether.
        """

    def limits(self, address: str, port: int) -> bool:
        """Whether the rule that admits an address to a TCP port refuses who opens many connections in a short time.

        :param address: the canonical address of the other side.
        """
        return False

    @abstractmethod
    def exposed(self) -> List[Exposure]:
        """What lets anywhere in, own and foreign. Empty unless ``asked.foreign``."""

    @abstractmethod
    def foreign(self) -> str:
        """Free text for people: what the firewall has beside the ruleset. Empty unless ``asked.foreign``."""

    @abstractmethod
    def rulesets(self) -> Dict[str, Tuple[Rule, ...]]:
        """The rules of every ruleset of this collection on the host, by its name."""

    @abstractmethod
    def plan(self, want: Wanted) -> Plan:
        """Work out what leads from what is there to exactly what is wanted.

        :raises FirewallError: the wanted rules cannot be had on this host.
        """


class Firewall(ABC):
    """A firewall of a host. Cheap to make: nothing is read before :meth:`read`.

    :param host: the host.
    """

    name = ""
    # The files and folders below the host's root that its plans may write.
    folders: Tuple[str, ...] = ()
    # Among firewalls in use at the same time, a host uses the one of the lowest rank: a front end comes first.
    rank = 0

    def __init__(self, host: Host) -> None:
        self.host = host

    def places(self) -> Tuple[str, ...]:
        """The files and folders that plans may write, as paths."""
        return tuple(map(self.host.path, self.folders))

    @abstractmethod
    def installed(self) -> bool:
        """Whether the firewall is on the host. Starts no process."""

    def uninstalled(self) -> bool:
        """Whether the firewall is gone and :meth:`read` reads, for a removal, what a ruleset left. Starts no process."""
        return False

    @abstractmethod
    def in_use(self) -> bool:
        """Whether the firewall is switched on, now or at the next boot. Starts no process."""

    @abstractmethod
    def read(self, asked: Asked) -> State:
        """Read the host.

        :raises FirewallError: the firewall cannot be read as it is.
        """

    @abstractmethod
    def take_back(self, asked: Asked, left: Left) -> None:
        """Take back what a dead run left: its files, what it loaded, and what it switched.

        What somebody else changed since stays.

        :raises FirewallError: it could not be done.
        """

    @classmethod
    @abstractmethod
    def render(cls, rules: Sequence[Rule], ruleset: str, own: bool = True) -> Dict[str, str]:
        """The rules as this firewall's own files, by their path on a host. Needs no firewall.

        :param own: whether a run writes the files, and says so in them; else somebody else keeps them.
        """
