# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's run: check, choose the backend, read, plan, apply, say what happened."""

from __future__ import annotations

import os
import platform
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.netports.apple.plugins.module_utils import _connection as _guard
from ansible_collections.netports.apple.plugins.module_utils import _files, _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._confirm import change as _confirm
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes as _plan
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Backend,
    BackendError,
    Change,
    Have,
    Options,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.firewall import Firewalld
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.firewall import Pf
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.firewall import Ufw
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError

BACKENDS: Tuple[Type[Backend], ...] = (Ufw, Firewalld, Pf)

# More ports than this, inbound and from anywhere, are worth a word: DESIGN of the collection, "Safety".
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
    "backend": {"type": "str", "choices": ["auto", "ufw", "firewalld", "pf"], "default": "auto"},
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


class Planned(NamedTuple):
    """What a run found and would do."""

    have: Have
    target: List[Rule]
    warnings: List[str]
    change: Change


def run_module(module: AnsibleModule) -> None:
    """Run the module to its end: exits by the module's own ways, with a message and never a traceback."""
    # Messages of the tools are read: they have to be in one language.
    module.run_command_environ_update = {"LC_ALL": "C", "LANGUAGE": "C"}
    run = _confirm.Runner(module.run_command)
    try:
        result = execute(module.params, run, module.check_mode)
    except (RuleError, BackendError) as error:
        module.fail_json(msg="%s." % str(error).rstrip("."))
    except OSError as error:
        module.fail_json(msg="%s: nothing was changed." % error)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


def execute(params: Dict[str, Any], run: Any, check: bool, root: str = "/") -> Dict[str, Any]:
    """Do what the parameters ask for and return the module's result.

    :param params: the module's parameters, as in ARGUMENTS.
    :param run: starts a process, see C(_backend.Run).
    :param check: whether to stop short of writing.
    :param root: the host's root folder, another one in tests.
    :raises RuleError: a value that no rule may have. Nothing was changed.
    :raises BackendError: the firewall refused or cannot be managed. Nothing was changed, or all was put back.
    """
    seconds = params.get("confirm_seconds") or 0
    if not 0 <= seconds <= LONGEST:
        raise RuleError("confirm_seconds is %d: give 0 (off) to %d" % (seconds, LONGEST))
    call = params.get("_confirm") or {}
    journal = _confirm.Journal(root)
    if call.get("step") == "status":
        return {"changed": False, "confirm": journal.status(call["id"]), "warnings": []}
    if call.get("step") == "confirm":
        return _settle(params, run, journal, call["id"], root)
    if call.get("step") != "apply":
        seconds = 0
    ruleset = _rules.check_ruleset(params["ruleset"])
    wanted = _rules.normalise(Rule.from_dict(rule) for rule in params["rules"])
    if any(rule.name == _guard.GUARD_NAME for rule in wanted):
        raise RuleError("the rule name %r is kept for the management connection: choose another" % _guard.GUARD_NAME)
    options = Options(ruleset=ruleset, enable=params["enable"], zone=_check_zone(params["zone"]))
    if params["state"] == "rendered":
        kind = _named(params["backend"])
        return {
            "changed": False,
            "backend": kind.name,
            "rendered": kind.render(wanted, ruleset),
            "warnings": _wide(wanted),
        }
    backend = choose(params["backend"], run, options, root)
    if params["state"] == "gathered":
        have = backend.read()
        found = [rule.to_dict() for rule in have.rules]
        result = {"changed": False, "backend": backend.name, "before": found, "gathered": found, "warnings": []}
        return dict(result, foreign=backend.foreign(have)) if params.get("foreign") else result
    warnings = _docker(root)
    pending = journal.pending() is not None
    if pending and check:
        warnings.append("%s: what this run would do is seen from what is loaded now" % journal.busy())
    elif pending:
        lock = journal.lock()
        try:
            journal.recover()
        finally:
            os.close(lock)
    stamp = journal.stamp()
    planned = _planned(params["state"], backend, options, wanted, root)
    waiting = None
    if planned.change.operations and not check and not backend.confirms:
        backend.apply(planned.change)
    elif planned.change.operations and not check:
        lock = journal.lock()
        try:
            if journal.recover() or journal.stamp() != stamp:
                # Another run's change came or went in the meantime.
                planned = _planned(params["state"], backend, options, wanted, root)
            if planned.change.operations:
                waiting = _confirm.carry_out(journal, lock, backend, planned.change, seconds, _origin())
        finally:
            os.close(lock)
    result = {
        "changed": bool(planned.change.operations),
        "backend": backend.name,
        "before": [rule.to_dict() for rule in planned.have.rules],
        "after": [rule.to_dict() for rule in planned.target],
        "diff": {"before": planned.change.before, "after": planned.change.after},
        "operations": planned.change.operations,
        "warnings": warnings + planned.warnings + planned.change.warnings,
    }
    if params.get("foreign"):
        result["foreign"] = backend.foreign(planned.have)
    if waiting:
        result["confirm"] = waiting
    return result


def _planned(state: str, backend: Backend, options: Options, wanted: List[Rule], root: str) -> Planned:
    """Read the host and work out what leads to what is wanted."""
    backend.options = options
    have = backend.read()
    target = _plan.target(state, [rule for rule in have.rules if rule.name != _guard.GUARD_NAME], wanted)
    warnings = _wide(target) + _forwarding(target, root)
    guard = _management(backend, have)
    if guard:
        warnings.append(
            "no rule but this ruleset's own admits the connection that manages this host (%s to port %s): "
            "its rule 'management' does" % (guard.sources[0], _ports.text(guard.tcp[0]))
        )
        backend.options = options._replace(guard=guard)
        target = [guard] + target
    return Planned(have, target, warnings, backend.plan(have, target))


def _settle(params: Dict[str, Any], run: Any, journal: _confirm.Journal, identity: str, root: str) -> Dict[str, Any]:
    """Confirm a change over the connection of this call.

    :returns: ``confirm`` as C(_confirm.Journal.ask) returns it.
    """
    answer = journal.ask(identity, _origin())
    found = journal.pending() or {}
    if answer["state"] == _confirm.GONE and found.get("id") == identity:
        # Its keeper was killed, so that nobody would undo it any more. Over a new connection it may stay.
        origin = found.get("origin")
        if origin is None or list(origin) != _origin():
            execute(dict(params, _confirm=None, confirm_seconds=0), run, False, root)
            answer = dict(answer, state=_confirm.CONFIRMED)
    return {"changed": False, "confirm": answer, "warnings": []}


def _origin() -> Optional[List[Any]]:
    """What tells the present ssh connection from another one; ``None`` without one."""
    found = _guard.connection()
    return list(found) if found else None


def choose(name: str, run: Any, options: Options, root: str = "/") -> Backend:
    """The backend that was asked for, or the one that the host uses.

    :raises BackendError: it is not there; none is; or two are in use.
    """
    backends = [kind(run, options, root) for kind in BACKENDS]
    if name != "auto":
        backend = next(one for one in backends if one.name == name)
        if not backend.installed():
            raise BackendError(
                "%s is not installed on this host: install it (the role does with host_firewall_install: true), "
                "or set another backend" % name
            )
        return backend
    installed = [backend for backend in backends if backend.installed()]
    found = [backend for backend in installed if backend.in_use()] or installed
    if len(found) == 1:
        return found[0]
    names = " and ".join(backend.name for backend in found)
    if not found:
        raise BackendError(
            "no firewall that this collection manages is installed on this host (%s): install one "
            "(the role does with host_firewall_install: true and host_firewall_backend set), or use state 'rendered'"
            % ", ".join(kind.name for kind in BACKENDS)
        )
    raise BackendError(
        "%s are both %s on this host: set the backend (host_firewall_backend) to the one to manage"
        % (names, "in use" if found[0].in_use() else "installed and neither is in use")
    )


def _named(name: str) -> Type[Backend]:
    if name == "auto":
        raise BackendError("state 'rendered' needs a backend: set it to ufw, firewalld or pf")
    return next(kind for kind in BACKENDS if kind.name == name)


def _check_zone(zone: str) -> str:
    # firewalld's own limits are narrower still; this keeps everything out that a command line could trip over.
    if not re.match(r"[A-Za-z0-9_-]*\Z", zone):
        raise RuleError("%r is not a zone name: letters, digits, _ and -" % zone)
    return zone


def _management(backend: Backend, have: Have) -> Optional[Rule]:
    """The rule that has to be there for the present connection, if any.

    A run without an ssh connection keeps the rule that an earlier one needed: it cannot know better.
    """
    if not backend.denies_inbound(have) or not (have.active or backend.options.enable):
        return None
    connection = _guard.connection()
    if connection:
        admitted = backend.admits(have, connection.address, connection.port)
        return None if admitted else _guard.guard(connection)
    return next((rule for rule in have.rules if rule.name == _guard.GUARD_NAME), None)


def _wide(rules: Sequence[Rule]) -> List[str]:
    warnings = []
    for rule in rules:
        ports = _ports.size(rule.tcp) + _ports.size(rule.udp)
        if rule.direction == "in" and not rule.sources and ports > WIDE:
            warnings.append("rule %r lets anywhere reach %d ports: set sources" % (rule.name, ports))
    return warnings


def _forwarding(rules: Sequence[Rule], root: str) -> List[str]:
    """Warn where the kernel forwards nothing, whatever the rules say."""
    wanted = {family for rule in rules if rule.direction == "forward" for family in _rules.families(rule)}
    warnings = []
    for family, path, switch in _FORWARDING:
        if family in wanted and (_files.read(os.path.join(root, path)) or "").strip() == "0":
            warnings.append(
                "this host forwards no IPv%d (%s is 0): the forward rules let nothing through there until it is 1, "
                "in a file of /etc/sysctl.d; or give sources of the other IP version alone" % (family, switch)
            )
    return warnings


def _docker(root: str) -> List[str]:
    if platform.system() == "Linux" and os.path.exists(os.path.join(root, "sys/class/net/docker0")):
        return ["ports that Docker publishes pass by this firewall's rules: no ruleset opens or closes them"]
    return []
