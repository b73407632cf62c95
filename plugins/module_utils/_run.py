# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's run: check, choose the backend, read, plan, apply, say what happened."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.netports.apple.plugins.module_utils import _connection, _files, _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._confirm import change as _confirm
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes, registry
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Firewall,
    FirewallError,
    Host,
    Plan,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError

# More ports than this, inbound and from anywhere, are worth a notice.
WIDE = 1000

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
    # The action plugin's own: what this call is to a change that waits for its confirmation.
    "_confirm": {
        "type": "dict",
        "options": {
            "step": {"type": "str", "required": True, "choices": ["apply", "confirm", "status"]},
            "id": {"type": "str", "default": ""},
        },
    },
}

# The kernel's own switches for forwarding, by IP version: their files and their names.
_FORWARDING = (
    (4, "proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"),
    (6, "proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"),
)

# A day: more is a mistake in the unit.
LONGEST = 86400


@dataclass(frozen=True)
class Planned:
    """What a run found and would do.

    :param state: what was read.
    :param target: the rules that the ruleset is to hold, the guard first.
    :param notices: what the run itself has to say; the plan has its own.
    :param plan: the plan.
    """

    state: State
    target: Tuple[Rule, ...]
    notices: Tuple[Notice, ...]
    plan: Plan


def run_module(module: AnsibleModule) -> None:
    """Run the module to its end. It exits by the module's own ways, with a message and never a traceback."""
    # Messages of the tools are read: they have to be in one language.
    module.run_command_environ_update = {"LC_ALL": "C", "LANGUAGE": "C"}
    run = _confirm.Runner(module.run_command)
    try:
        result = execute(module.params, run, module.check_mode)
    except (RuleError, FirewallError) as error:
        message = "%s." % str(error).rstrip(".")
        code = error.code if isinstance(error, FirewallError) else "other"
        module.fail_json(msg=message, notices=[Notice(code=code, text=message).to_dict()])
    except OSError as error:
        module.fail_json(msg="%s: nothing was changed." % error)
    for warning in result.get("warnings", []):
        module.warn(warning)
    result.pop("warnings", None)
    module.exit_json(**result)


def execute(params: Dict[str, Any], run: Any, check: bool, root: str = "/") -> Dict[str, Any]:
    """Do what the parameters ask for.

    :param params: the module's parameters, as in ``ARGUMENTS``.
    :param run: starts a process, see ``base.Run``.
    :param check: whether to stop short of writing.
    :param root: the host's root folder, another one in tests.
    :returns: the module's result.
    :raises RuleError: a value that no rule may have. Nothing was changed.
    :raises FirewallError: the firewall refused or cannot be managed. Nothing was changed, or all was put back.
    """
    seconds = params.get("confirm_seconds") or 0
    if not 0 <= seconds <= LONGEST:
        raise RuleError("confirm_seconds is %d: give 0 (off) to %d" % (seconds, LONGEST))
    call = params.get("_confirm") or {}
    journal = _confirm.Journal(root)
    if call.get("step") == "status":
        return {"changed": False, "confirm": journal.status(call["id"])}
    if call.get("step") == "confirm":
        return _settle(params, run, journal, call["id"], root)
    ruleset = _rules.check_ruleset(params["ruleset"])
    wanted = _rules.normalise(Rule.from_dict(rule) for rule in params["rules"])
    if any(rule.name == _connection.GUARD_NAME for rule in wanted):
        raise RuleError(
            "the rule name %r is kept for the management connection: choose another" % _connection.GUARD_NAME
        )
    asked = Asked(
        ruleset=ruleset,
        enable=params["enable"],
        zone=_check_zone(params["zone"]),
        foreign=bool(params.get("foreign")),
    )
    if params["state"] == "rendered":
        return _rendered(params["backend"], wanted, ruleset)
    host = Host(run=run, root=root)
    firewall = registry.choose(params["backend"], host)
    if params["state"] == "gathered":
        return _gathered(firewall, asked)
    return _change(params["state"], firewall, asked, wanted, journal, check, seconds if call else 0)


def _rendered(backend: str, wanted: Sequence[Rule], ruleset: str) -> Dict[str, Any]:
    """The rules in a firewall's own form."""
    if backend == "auto":
        raise FirewallError("state 'rendered' needs a backend: set it to one of %s" % ", ".join(registry.NAMES))
    rendered = registry.load(backend).render(wanted, ruleset)
    return _told({"changed": False, "backend": backend, "rendered": rendered}, _wide(wanted))


def _gathered(firewall: Firewall, asked: Asked) -> Dict[str, Any]:
    """What the host has."""
    state = firewall.read(asked)
    found = [rule.to_dict() for rule in state.rules]
    result = {"changed": False, "backend": firewall.name, "before": found, "gathered": found}
    return _told(dict(result, **_others(state)), ())


def _change(
    state: str,
    firewall: Firewall,
    asked: Asked,
    wanted: Sequence[Rule],
    journal: _confirm.Journal,
    check: bool,
    seconds: int,
) -> Dict[str, Any]:
    """Plan, and outside check mode carry the plan out.

    :param seconds: how long a change waits for its confirmation; 0 when it needs none.
    """
    notices = _docker(firewall.host)
    if journal.pending() is not None:
        if check:
            text = "%s: what this run would do is seen from what is loaded now" % journal.busy()
            notices.append(Notice(code="waiting", text=text))
        else:
            lock = journal.lock()
            try:
                journal.recover()
            finally:
                os.close(lock)
    stamp = journal.stamp()
    planned = _planned(state, firewall, asked, wanted)
    waiting = None
    if planned.plan.operations and not check:
        lock = journal.lock()
        try:
            if journal.recover() or journal.stamp() != stamp:
                # Another run's change came or went in the meantime.
                planned = _planned(state, firewall, asked, wanted)
            if planned.plan.operations:
                waiting = _confirm.carry_out(journal, lock, planned.plan, seconds, _origin())
        finally:
            os.close(lock)
    result: Dict[str, Any] = {
        "changed": bool(planned.plan.operations),
        "backend": firewall.name,
        "before": [rule.to_dict() for rule in planned.state.rules],
        "after": [rule.to_dict() for rule in planned.target],
        "diff": {"before": planned.plan.before, "after": planned.plan.after},
        "operations": [step.to_dict() for step in planned.plan.operations],
    }
    result.update(_others(planned.state))
    if waiting:
        result["confirm"] = waiting
    return _told(result, [*notices, *planned.notices, *planned.plan.notices])


def _told(result: Dict[str, Any], notices: Sequence[Notice]) -> Dict[str, Any]:
    """A result with its notices, for programs and as warnings for people."""
    return dict(result, notices=[notice.to_dict() for notice in notices], warnings=[notice.text for notice in notices])


def _others(state: State) -> Dict[str, Any]:
    """What the host has beside the ruleset, where that was asked for."""
    if not state.asked.foreign:
        return {}
    return {
        "exposed": [exposure.to_dict() for exposure in state.exposed()],
        "foreign": state.foreign(),
        "rulesets": {name: [rule.to_dict() for rule in rules] for name, rules in state.rulesets().items()},
    }


def _planned(state: str, firewall: Firewall, asked: Asked, wanted: Sequence[Rule]) -> Planned:
    """Read the host and work out what leads to what is wanted."""
    have = firewall.read(asked)
    kept = [rule for rule in have.rules if rule.name != _connection.GUARD_NAME]
    want = Wanted(rules=tuple(changes.target(state, kept, wanted)), guard=_guard(have))
    notices = _wide(want.rules) + _forwarding(want.rules, firewall.host)
    if want.guard:
        text = (
            "no rule but this ruleset's own admits the connection that manages this host (%s to port %s): "
            "its rule 'management' does" % (want.guard.sources[0], _ports.text(want.guard.tcp[0]))
        )
        notices.append(Notice(code="guard", text=text, rules=(_connection.GUARD_NAME,)))
    return Planned(state=have, target=want.all, notices=tuple(notices), plan=have.plan(want))


def _settle(params: Dict[str, Any], run: Any, journal: _confirm.Journal, identity: str, root: str) -> Dict[str, Any]:
    """Confirm a change over the connection of this call.

    :returns: ``confirm`` as ``Journal.ask`` returns it.
    """
    answer = journal.ask(identity, _origin())
    found = journal.pending() or {}
    if answer["state"] == _confirm.GONE and found.get("id") == identity:
        # Its keeper was killed, so that nobody would undo it any more. Over a new connection it may stay.
        origin = found.get("origin")
        if origin is None or list(origin) != _origin():
            execute(dict(params, _confirm=None, confirm_seconds=0), run, False, root)
            answer = dict(answer, state=_confirm.CONFIRMED)
    return {"changed": False, "confirm": answer}


def _origin() -> Optional[List[Any]]:
    """The fields that tell the present ssh connection from another; ``None`` without a connection."""
    found = _connection.connection()
    return list(found) if found else None


def _check_zone(zone: str) -> str:
    # firewalld's own limits are narrower still; this keeps everything out that a command line could trip over.
    if not re.match(r"[A-Za-z0-9_-]*\Z", zone):
        raise RuleError("%r is not a zone name: letters, digits, _ and -" % zone)
    return zone


def _guard(state: State) -> Optional[Rule]:
    """The rule that has to be there for the present connection, if any.

    A run without an ssh connection keeps the rule that an earlier one needed: it cannot know better.
    """
    if not state.refuses_inbound():
        return None
    connection = _connection.connection()
    if connection:
        admitted = state.admits(connection.address, connection.port)
        return None if admitted else _connection.guard(connection)
    return next((rule for rule in state.rules if rule.name == _connection.GUARD_NAME), None)


def _wide(rules: Sequence[Rule]) -> List[Notice]:
    notices = []
    for rule in rules:
        ports = _ports.size(rule.tcp) + _ports.size(rule.udp)
        if rule.direction == "in" and not rule.sources and ports > WIDE:
            text = "rule %r lets anywhere reach %d ports: set sources" % (rule.name, ports)
            notices.append(Notice(code="wide", text=text, rules=(rule.name,), direction="in"))
    return notices


def _forwarding(rules: Sequence[Rule], host: Host) -> List[Notice]:
    """Warn where the kernel forwards nothing, whatever the rules say."""
    wanted = {family for rule in rules if rule.direction == "forward" for family in _rules.families(rule)}
    notices = []
    for family, path, switch in _FORWARDING:
        if family in wanted and (_files.read(host.path(path)) or "").strip() == "0":
            text = (
                "this host forwards no IPv%d (%s is 0): the forward rules let nothing through there until it is 1, "
                "in a file of /etc/sysctl.d; or give sources of the other IP version alone" % (family, switch)
            )
            notices.append(Notice(code="forwarding-off", text=text, direction="forward"))
    return notices


def _docker(host: Host) -> List[Notice]:
    if platform.system() == "Linux" and os.path.exists(host.path("sys/class/net/docker0")):
        text = "ports that Docker publishes pass by this firewall's rules: no ruleset opens or closes them"
        return [Notice(code="docker", text=text)]
    return []
