# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's run: check, choose the firewall, read, plan, carry out, say what happened. A function for each state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.netports.apple.plugins.module_utils import (
    _connection,
    _ephemeral,
    _guard,
    _notices,
    _rules,
)
from ansible_collections.netports.apple.plugins.module_utils._confirm import wire
from ansible_collections.netports.apple.plugins.module_utils._confirm.journal import Journal
from ansible_collections.netports.apple.plugins.module_utils._confirm.pending import Pending, boot_id
from ansible_collections.netports.apple.plugins.module_utils._confirm.process import Runner
from ansible_collections.netports.apple.plugins.module_utils._connection import Connection
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes, registry
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Firewall,
    FirewallError,
    Host,
    Plan,
    Run,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

if TYPE_CHECKING:
    from ansible_collections.netports.apple.plugins.module_utils._confirm.change import Waiting

ARGUMENTS: Dict[str, Any] = {
    "rules": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "direction": {"type": "str", "required": True, "choices": ["in", "out", "forward"]},
            "tcp": {"type": "list", "elements": "str", "default": []},
            "udp": {"type": "list", "elements": "str", "default": []},
            "sources": {"type": "list", "elements": "str", "default": []},
            "destinations": {"type": "list", "elements": "str", "default": []},
            "interface": {"type": "str", "default": ""},
            "out_interface": {"type": "str", "default": ""},
        },
    },
    "ruleset": {"type": "str", "default": "apple"},
    "state": {
        "type": "str",
        "choices": ["replaced", "merged", "deleted", "gathered", "rendered"],
        "default": "replaced",
    },
    "backend": {"type": "str", "choices": ["auto", *registry.NAMES], "default": "auto"},
    "enable": {"type": "bool"},
    "zone": {"type": "str", "default": ""},
    "confirm_seconds": {"type": "int", "default": 60},
    "foreign": {"type": "bool", "default": False},
    # The controller's own: the action plugin takes them out.
    "diff": {"type": "str", "choices": ["words", "full"], "default": "words"},
    "health_ports": {"type": "list", "elements": "int", "default": []},
    "health_urls": {"type": "list", "elements": "str", "default": []},
    "health_timeout": {"type": "float", "default": 30},
    "accept": {"type": "list", "elements": "str", "choices": list(_notices.ACCEPTABLE), "default": []},
    # The action plugin's own: what this call is to a change that waits for its confirmation.
    "_confirm": {
        "type": "dict",
        "options": {
            "step": {"type": "str", "required": True, "choices": ["apply", "confirm", "status"]},
            "id": {"type": "str", "default": ""},
        },
    },
}

# A day: more is a mistake in the unit.
LONGEST = 86400

Result = Dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What the parameters ask for, checked.

    :param state: the module's state.
    :param backend: the firewall's name, or ``auto``.
    :param rules: the rules, normalised.
    :param asked: what else is asked.
    :param seconds: how long a change waits for its confirmation; 0 when it needs none.
    :param check: whether to stop short of writing.
    """

    state: str
    backend: str
    rules: Tuple[Rule, ...]
    asked: Asked
    seconds: int
    check: bool


@dataclass(frozen=True)
class Planned:
    """What a run found and would do.

    :param state: what was read.
    :param target: the rules that the ruleset is to hold, the guards first.
    :param notices: what the run itself has to say; the plan has its own.
    :param plan: the plan.
    """

    state: State
    target: Tuple[Rule, ...]
    notices: Tuple[Notice, ...]
    plan: Plan


def run_module(module: AnsibleModule) -> None:
    """Run the module to its end. It exits by the module's own ways, with a message and never a traceback."""
    try:
        result = execute(module.params, Runner(), module.check_mode)
    except (RuleError, FirewallError) as error:
        message = "%s." % str(error).rstrip(".")
        code = error.code if isinstance(error, FirewallError) else "other"
        reads = isinstance(error, FirewallError) and module.params["state"] != "rendered"
        if reads and code == "other" and os.geteuid() != 0:
            # Every firewall tells root alone what it has, and says so in words of its own.
            code, message = "not-root", "%s Become root (become: true); nothing was changed." % message
        module.fail_json(msg=message, notices=[Notice(code=code, text=message).to_dict()])
    except PermissionError as error:
        message = "%s is closed to this user: become root (become: true); nothing was changed." % error.filename
        module.fail_json(msg=message, notices=[Notice(code="not-root", text=message).to_dict()])
    except OSError as error:
        message = "%s: nothing was changed." % error
        module.fail_json(msg=message, notices=[Notice(code="other", text=message).to_dict()])
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**result)


def execute(params: Dict[str, Any], run: Run, check: bool, root: str = "/") -> Result:
    """Do what the parameters ask for.

    :param params: the module's parameters, as in ``ARGUMENTS``.
    :param run: starts a process.
    :param check: whether to stop short of writing.
    :param root: the host's root folder, another one in tests.
    :returns: the module's result.
    :raises RuleError: a value that no rule may have. Nothing was changed.
    :raises FirewallError: the firewall refused or cannot be managed. Nothing was changed, or all was put back.
    """
    journal = Journal(root)
    call = params.get("_confirm") or {}
    host = Host(run=run, root=root)
    order = _order(params, host, check, confirms=bool(call))
    if call.get("step") == "status":
        return {"changed": False, "confirm": journal.status(call["id"]).to_dict()}
    if call.get("step") == "confirm":
        return _confirmed(order, host, journal, call["id"])
    if order.state == "rendered":
        return _rendered(order)
    removal = order.state == "deleted" and not order.rules and not order.asked.enable
    firewall = registry.choose(order.backend, host, removal)
    if order.state == "gathered":
        return _gathered(order, firewall)
    return _changed(order, firewall, journal)


def _order(params: Dict[str, Any], host: Host, check: bool, confirms: bool) -> Order:
    """Check the parameters.

    :param host: the host, for its own range of ports.
    :param confirms: whether the caller can confirm a change.
    """
    seconds = params.get("confirm_seconds") or 0
    if not 0 <= seconds <= LONGEST:
        raise RuleError("confirm_seconds is %d: give 0 (off) to %d" % (seconds, LONGEST))
    rules = _rules.normalise(_ephemeral.resolved([Rule.from_dict(rule) for rule in params["rules"]], host))
    if any(rule.name == _connection.GUARD_NAME for rule in rules):
        raise RuleError(
            "the rule name %r is kept for the management connection: choose another" % _connection.GUARD_NAME
        )
    asked = Asked(
        ruleset=_rules.check_ruleset(params["ruleset"]),
        enable=params["enable"],
        zone=_rules.check_zone(params["zone"]),
        foreign=bool(params.get("foreign")),
        accept=frozenset(params.get("accept") or ()),
        state=params["state"],
        rules=tuple(rules),
    )
    return Order(
        state=params["state"],
        backend=params["backend"],
        rules=tuple(rules),
        asked=asked,
        seconds=seconds if confirms else 0,
        check=check,
    )


# A function for each state


def _rendered(order: Order) -> Result:
    """The rules in a firewall's own form."""
    if order.backend == "auto":
        raise FirewallError("state 'rendered' needs a backend: set it to one of %s" % ", ".join(registry.NAMES))
    rendered = registry.load(order.backend).render(order.rules, order.asked.ruleset)
    return _told({"changed": False, "backend": order.backend, "rendered": rendered}, _notices.wide(order.rules))


def _gathered(order: Order, firewall: Firewall) -> Result:
    """What the host has."""
    state = firewall.read(order.asked)
    found = [rule.to_dict() for rule in state.rules]
    result = {
        "changed": False,
        "backend": firewall.name,
        "before": found,
        "gathered": found,
        "rulesets": _rulesets(state),
    }
    return _told(dict(result, **_others(state)), ())


def _changed(order: Order, firewall: Firewall, journal: Journal) -> Result:
    """Plan, and outside check mode carry the plan out."""
    notices = _notices.docker(firewall.host.root) + _settled(order, firewall.host, journal)
    fingerprint = journal.fingerprint()
    planned = _planned(order, firewall)
    waiting = None
    if planned.plan.operations and not order.check:
        lock = journal.lock()
        try:
            if journal.fingerprint() != fingerprint:
                # Another run's change came or went in the meantime.
                notices += _recovered(firewall.host, journal)
                planned = _planned(order, firewall)
            if planned.plan.operations:
                waiting = _carried_out(order, firewall, planned, journal, lock)
        finally:
            os.close(lock)
    return _told(_result(firewall, planned, waiting), [*notices, *planned.notices, *planned.plan.notices])


def _confirmed(order: Order, host: Host, journal: Journal, identity: str) -> Result:
    """Confirm a change over the connection of this call."""
    origin = _origin(host)
    answer = journal.ask(identity, origin)
    found = journal.pending() if answer.state == wire.GONE else None
    # Where its keeper was killed nobody would undo it any more. Over a new connection it may stay.
    if found and found.id == identity and (found.origin is None or found.origin != origin):
        _changed(replace(order, seconds=0), registry.choose(order.backend, host), journal)
        answer = replace(answer, state=wire.CONFIRMED)
    return {"changed": False, "confirm": answer.to_dict()}


# Parts of a run


def _settled(order: Order, host: Host, journal: Journal) -> List[Notice]:
    """Wait for another run's change, and put back what a dead run left."""
    if not journal.unsettled():
        return []
    if order.check:
        text = "%s: what this run would do is seen from what is loaded now" % journal.busy()
        return [Notice(code="waiting", text=text)]
    lock = journal.lock()
    try:
        return _recovered(host, journal)
    finally:
        os.close(lock)


def _recovered(host: Host, journal: Journal) -> List[Notice]:
    """Put back what a dead run left: its files, and what is loaded. The caller holds the lock."""
    found = journal.recover(lambda name: registry.places(name, host), lambda pending: _taken_back(host, pending))
    return [Notice(code="recovered", text=found.text)] if found else []


def _taken_back(host: Host, pending: Pending) -> Optional[str]:
    """Take back what a dead run left: its files, what it loaded, and what it switched.

    :returns: ``None`` when that was done, else why not; empty where nobody can tell what it loaded.
    """
    # The record of an older version may name no firewall. The next run of its ruleset mends what is loaded.
    firewall = registry.load(pending.firewall)(host) if pending.firewall in registry.NAMES else None
    if firewall is None or not firewall.installed():
        return ""
    try:
        firewall.take_back(Asked(ruleset=pending.ruleset, zone=pending.zone), pending.left(boot_id(host.root)))
    except FirewallError as error:
        return str(error)
    return None


def _planned(order: Order, firewall: Firewall) -> Planned:
    """Read the host and work out what leads to what is wanted."""
    have = firewall.read(order.asked)
    connection = _connection.connection(firewall.host)
    planned = _planned_for(order, have, connection)
    # Where a process has to be asked whether the connection is still there, a run that changes nothing starts none.
    if planned.plan.operations and connection and not _connection.established(firewall.host, connection):
        planned = _planned_for(order, have, None)
    return planned


def _planned_for(order: Order, have: State, connection: Optional[Connection]) -> Planned:
    """Work out what leads to what is wanted.

    :param connection: the connection that manages the host.
    """
    kept = [rule for rule in have.rules if rule.name != _connection.GUARD_NAME]
    rules = tuple(changes.target(order.state, kept, order.rules))
    goes = not rules and have.goes_with_rules()
    protection = _guard.Protection() if goes else _guard.protect(have, connection)
    want = Wanted(rules=rules, guards=protection.guards)
    plan = have.plan(want)
    notices = [*_notices.wide(rules), *_notices.forwarding(rules, have.host.root), *protection.notices]
    if protection.blind and plan.operations:
        notices += _guard.check_way_in(have, rules)
    if connection and order.seconds and plan.operations:
        notices += _guard.limited(have, connection)
    return Planned(state=have, target=want.all, notices=tuple(notices), plan=plan)


def _carried_out(order: Order, firewall: Firewall, planned: Planned, journal: Journal, lock: int) -> Optional[Waiting]:
    """Carry the plan out. A run that changes nothing does without the code for it.

    :param lock: the host's lock.
    """
    from ansible_collections.netports.apple.plugins.module_utils._confirm.change import Change, carry_out

    change = Change(
        plan=planned.plan,
        firewall=firewall,
        rules=planned.target,
        zone=order.asked.zone,
        seconds=order.seconds,
        origin=_origin(firewall.host),
    )
    return carry_out(journal, lock, change)


def _origin(host: Host) -> Optional[List[Any]]:
    """What tells the present ssh connection from another; ``None`` without a connection."""
    found = _connection.connection(host)
    return found.identity() if found else None


def _result(firewall: Firewall, planned: Planned, waiting: Optional[Waiting]) -> Result:
    """The result of a run that changes, or would."""
    result: Result = {
        "changed": bool(planned.plan.operations),
        "backend": firewall.name,
        "before": [rule.to_dict() for rule in planned.state.rules],
        "after": [rule.to_dict() for rule in planned.target],
        "diff": {"before": planned.plan.before, "after": planned.plan.after},
        "operations": [step.to_dict() for step in planned.plan.operations],
    }
    if waiting:
        result["confirm"] = waiting.to_dict()
    return dict(result, **_others(planned.state))


def _told(result: Result, notices: Sequence[Notice]) -> Result:
    """A result with its notices, for programs and as warnings for people."""
    return dict(result, notices=[notice.to_dict() for notice in notices], warnings=[notice.text for notice in notices])


def _others(state: State) -> Result:
    """What the host has beside the ruleset, where that was asked for."""
    if not state.asked.foreign:
        return {}
    return {
        "exposed": [exposure.to_dict() for exposure in state.exposed()],
        "foreign": state.foreign(),
        "rulesets": _rulesets(state),
    }


def _rulesets(state: State) -> Dict[str, List[Dict[str, Any]]]:
    """Every ruleset on the host, in the plain form of its rules."""
    return {name: [rule.to_dict() for rule in rules] for name, rules in state.rulesets().items()}
