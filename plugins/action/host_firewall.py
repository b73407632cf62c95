# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of a change that has to be confirmed over a new connection.

The module makes the change and returns while the host waits. The connection is dropped, and the module is
called again over a new one, which confirms. When that cannot be done, the host restores what was there by
itself; what this says then is only what happened.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible.utils.display import Display

from ansible_collections.netports.apple.plugins.plugin_utils import _audit_answer, _health, _sets
from ansible_collections.netports.apple.plugins.plugin_utils._health import Checks

# Ansible loads this plugin before it forks a worker for each host and task, each of which would have to read by itself
# what the role's lookup needs.
_sets.prepare()
lookup_loader.get("netports.apple.rules")

display = Display()

MODULE = "netports.apple.host_firewall"
# Connections over ssh: they can be dropped, and the host can tell a new one from an old one.
SSH = ("ssh", "paramiko", "paramiko_ssh", "libssh")
# Connections that come by no network of the host, which no firewall shuts out: there is nothing to confirm.
LOCAL = (
    *("local", "chroot", "jail", "iocage", "zone", "lxc", "lxd", "incus", "nspawn", "machinectl", "nsenter"),
    *("docker", "docker_api", "podman", "buildah", "kubectl", "oc", "libvirt_lxc", "libvirt_qemu", "qubes"),
    "vmware_tools",
)
# How long, in seconds, the host may take to restore once its time is over, before it is asked whether it did.
RESTORING = 15
# Seconds between two tries to confirm, the last number again and again. With the play's own connection these are 5 in
# 30 seconds at most: a sixth is refused by ``ufw limit``, and often by other limits that nobody here can see.
PAUSES = (1, 5, 10, 15)
# The same where the host says that its rule is a limit, which others may have used up: fewer tries.
PAUSES_LIMITED = (15,)
ENDED = ("confirmed", "restored", "gone")


class ActionModule(ActionBase):
    """Calls the module, and where a change waits to be confirmed, confirms it over a new connection."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the task.

        :returns: what the module returns, and ``confirmed``: whether a new connection confirmed the change. With
            ``--diff``, the plan in words.
        :raises AnsibleActionFail: an option of the controller's own has a wrong value.
        """
        self._supports_check_mode = True
        self._supports_async = False
        result: dict[str, Any] = super().run(tmp, task_vars)
        transport = self._connection.transport.rpartition(".")[2]
        checks, full = self._own_options()
        result.update(self._call(task_vars, "" if transport in LOCAL else "apply"))
        waiting = result.pop("confirm", None)
        done = "after" in result and not self._task.check_mode
        ill = self._ill(checks, waiting) if done else ""
        if waiting:
            result["confirmed"] = False
            result.update(self._confirm(task_vars, waiting, ill, _limited(result)))
            if transport not in SSH:
                text = (
                    f"connection {transport!r} is not known here: the change is confirmed over it, but that it was a new "
                    "connection, which the new rules let in, nobody can tell"
                )
                result["warnings"] = [*result.get("warnings", []), text]
        elif ill:
            result.update(failed=True, msg=f"The host does not pass its health check: {ill}.")
        if "after" in result:
            result["ruleset"] = str(self._task.args.get("ruleset") or "apple")
            _warn_of_another(result, self._task.args, (task_vars or {}).get("host_firewall_result"))
        if self._task.diff and "operations" in result:
            result["diff"] = _told(result, full)
        return result

    def _own_options(self) -> tuple[Checks, bool]:
        """What the controller has to check, and whether a diff shows the firewall's own lines, too."""
        shown = self._task.args.get("diff") or "words"
        if shown not in ("words", "full"):
            raise AnsibleActionFail(f"diff (host_firewall_diff) is {shown!r}: give 'words' or 'full'")
        try:
            checks = _health.asked(self._task.args)
        except ValueError as error:
            # ansible-core 2.19 and newer would say the cause again.
            raise AnsibleActionFail(f"{error}: nothing was changed") from None
        return checks, shown == "full" or display.verbosity >= 2

    def _ill(self, checks: Checks, waiting: Any) -> str:
        """What the host does not answer. A change that waits leaves time for its confirmation."""
        if not checks.ports and not checks.urls:
            return ""
        until = time.monotonic() + waiting["seconds"] - min(10.0, waiting["seconds"] / 2) if waiting else None
        return _health.problem(checks, str(self._play_context.remote_addr), until)

    def _call(self, task_vars: Any, step: str, identity: str = "") -> dict[str, Any]:
        arguments = dict(self._task.args)
        for name in ("_confirm", "diff", *_health.OPTIONS):
            arguments.pop(name, None)
        if step:
            arguments["_confirm"] = {"step": step, "id": identity}
        result: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=task_vars, wrap_async=False
        )
        result.get("invocation", {}).get("module_args", {}).pop("_confirm", None)
        return result

    def _ask(self, task_vars: Any, step: str, identity: str) -> dict[str, Any]:
        """Ask the host over a new connection: ``state``, ``why`` and ``at``, or ``state`` empty and why not."""
        try:
            self._connection.reset()
            answer = self._call(task_vars, step, identity)
        except AnsibleError as error:
            return {"state": "", "why": str(error)}
        found = answer.get("confirm")
        return found if isinstance(found, dict) else {"state": "", "why": str(answer.get("msg") or answer)}

    def _confirm(self, task_vars: Any, waiting: dict[str, Any], ill: str, limited: bool) -> dict[str, Any]:
        """Confirm a change, again and again until its time is over.

        :param waiting: ``id``, ``seconds`` and ``until``, from the host.
        :param ill: why the host does not pass its health check, so that nothing is confirmed; empty where it does.
        :param limited: the host refuses who opens many connections in a short time.
        :returns: what it makes of the task's result.
        """
        end = time.monotonic() + waiting["seconds"]
        why = ""
        answer = {"state": "", "why": ill}
        for pause in () if ill else _pauses(limited):
            answer = self._ask(task_vars, "confirm", waiting["id"])
            if answer["state"] in ENDED:
                break
            why = answer["why"]
            display.v(f"{MODULE}: not confirmed yet: {why}")
            if time.monotonic() + pause >= end:
                break
            time.sleep(pause)
        pauses = _pauses(limited)
        while answer["state"] not in ENDED and time.monotonic() < end + RESTORING:
            time.sleep(max(next(pauses), end - time.monotonic()))
            answer = self._ask(task_vars, "status", waiting["id"])
        if answer["state"] == "confirmed":
            return {"confirmed": True}
        if answer["state"] == "restored":
            text = f"the host restored its old rules at {answer['at']}"
        elif answer["state"] == "gone":
            text = "the host no longer knows of the change: run this again to bring it to a known state"
        else:
            text = f"the host restores its old rules by itself, without a word from here, at {waiting['until']}"
        # What was seen from here says more than that the time was over.
        why = (ill or why or answer["why"] or "no reason given").strip().rstrip(".")
        message = f"The change was made and not confirmed over a new connection ({why}): {text}."
        if ill:
            message = f"The change was made and the host does not pass its health check ({why}): {text}."
        elif limited:
            message += (
                " A limit admits ssh on this host (ufw limit) and refuses who opens many connections in a short time: wait "
                "a minute and run this again, or let a rule without a limit admit the controller."
            )
        return {"failed": True, "changed": False, "msg": message}


def _pauses(limited: bool) -> Iterator[int]:
    """The seconds between tries, without an end."""
    pauses = PAUSES_LIMITED if limited else PAUSES
    return itertools.chain(pauses, itertools.repeat(pauses[-1]))


def _limited(result: Mapping[str, Any]) -> bool:
    """Whether the host says that a limit admits this connection."""
    return any(
        isinstance(notice, Mapping) and notice.get("code") == "limited" for notice in result.get("notices") or ()
    )


def _warn_of_another(result: dict[str, Any], given: Mapping[str, Any], earlier: Any) -> None:
    """Warn where a run takes away what an earlier one of the same play allowed, and would again and again.

    :param earlier: the role's result before this one, on this host, which knows of those before it.
    """
    before = earlier.get("brought") if isinstance(earlier, Mapping) else None
    brought = dict(before) if isinstance(before, Mapping) else {}
    names = sorted({str(rule.get("name")) for rule in result["after"]} - {"management"})
    lost = sorted(set(brought.get(result["ruleset"], ())) - set(names))
    result["brought"] = {**brought, result["ruleset"]: names}
    if lost and given.get("state", "replaced") == "replaced":
        text = (
            f"this play has brought ruleset {result['ruleset']} to other rules before, and takes away {', '.join(lost)} "
            "now: give each role a ruleset of its own (host_firewall_ruleset), or let them add to one "
            "(host_firewall_state: merged)"
        )
        result["warnings"] = [*result.get("warnings", []), text]


def _told(result: Mapping[str, Any], full: bool) -> list[dict[str, str]]:
    """What ``--diff`` shows: the plan in words, and the firewall's own lines where they are asked for."""
    words = "".join(f"{_audit_answer.words(step)}\n" for step in result["operations"])
    return [{"prepared": words}, *([result["diff"]] if full else [])] if words else []
