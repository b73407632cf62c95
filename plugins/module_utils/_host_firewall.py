# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's run: check, choose the backend, read, plan, apply, say what happened."""

from __future__ import annotations

import os
import platform
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Tuple, Type

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.netports.apple.plugins.module_utils import _guard, _plan, _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._backend import Backend, BackendError, Have, Options
from ansible_collections.netports.apple.plugins.module_utils._firewalld import Firewalld
from ansible_collections.netports.apple.plugins.module_utils._pf import Pf
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError
from ansible_collections.netports.apple.plugins.module_utils._ufw import Ufw

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
            "direction": {"type": "str", "required": True, "choices": ["in", "out"]},
            "tcp": {"type": "list", "elements": "str", "default": []},
            "udp": {"type": "list", "elements": "str", "default": []},
            "sources": {"type": "list", "elements": "str", "default": []},
            "destinations": {"type": "list", "elements": "str", "default": []},
            "interface": {"type": "str", "default": ""},
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
}


def run_module(module: AnsibleModule) -> NoReturn:
    """Run the module to its end: exits by the module's own ways, with a message and never a traceback."""
    # Messages of the tools are read: they have to be in one language.
    module.run_command_environ_update = {"LC_ALL": "C", "LANGUAGE": "C"}

    def run(argv: List[str], stdin: Optional[str]) -> Tuple[int, str, str]:
        code, out, err = module.run_command(argv, data=stdin, binary_data=True, handle_exceptions=True)
        return int(code), str(out), str(err)

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
    have = backend.read()
    before = [rule.to_dict() for rule in have.rules]
    if params["state"] == "gathered":
        return {"changed": False, "backend": backend.name, "before": before, "gathered": before, "warnings": []}
    target = _plan.target(params["state"], [rule for rule in have.rules if rule.name != _guard.GUARD_NAME], wanted)
    guard = _management(backend, have)
    warnings = _wide(target) + _docker(root)
    if guard:
        warnings.append(
            "no rule but this ruleset's own admits the connection that manages this host (%s to port %s): "
            "its rule 'management' does" % (guard.sources[0], _ports.text(guard.tcp[0]))
        )
        backend.options = options._replace(guard=guard)
        target = [guard] + target
    change = backend.plan(have, target)
    if change.operations and not check:
        backend.apply(change)
    return {
        "changed": bool(change.operations),
        "backend": backend.name,
        "before": before,
        "after": [rule.to_dict() for rule in target],
        "diff": {"before": change.before, "after": change.after},
        "operations": change.operations,
        "warnings": warnings + change.warnings,
    }


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
    if zone and not all(letter.isalnum() or letter in "_-" for letter in zone):
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


def _docker(root: str) -> List[str]:
    if platform.system() == "Linux" and os.path.exists(os.path.join(root, "sys/class/net/docker0")):
        return ["ports that Docker publishes pass by this firewall's rules: no ruleset opens or closes them"]
    return []
