# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of a change that has to be confirmed over a new connection.

The module makes the change and returns while the host waits. The connection is dropped, and the module is
called again over a new one, which confirms. When that cannot be done, the host restores what was there by
itself; what this says then is only what happened.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible.utils.display import Display

from ansible_collections.netports.apple.plugins.plugin_utils import _sets

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


class ActionModule(ActionBase):
    """Calls the module, and where a change waits to be confirmed, confirms it over a new connection."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the task.

        :returns: what the module returns, and ``confirmed``: whether a new connection confirmed the change.
        """
        self._supports_check_mode = True
        self._supports_async = False
        result: dict[str, Any] = super().run(tmp, task_vars)
        transport = self._connection.transport.rpartition(".")[2]
        result.update(self._call(task_vars, "" if transport in LOCAL else "apply"))
        waiting = result.pop("confirm", None)
        if waiting:
            result["confirmed"] = False
            result.update(self._confirm(task_vars, waiting))
            if transport not in SSH:
                text = (
                    f"connection {transport!r} is not known here: the change is confirmed over it, but that it was a new "
                    "connection, which the new rules let in, nobody can tell"
                )
                result["warnings"] = [*result.get("warnings", []), text]
        return result

    def _call(self, task_vars: Any, step: str, identity: str = "") -> dict[str, Any]:
        arguments = dict(self._task.args)
        arguments.pop("_confirm", None)
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

    def _confirm(self, task_vars: Any, waiting: dict[str, Any]) -> dict[str, Any]:
        """Confirm a change, again and again until its time is over.

        :param waiting: ``id``, ``seconds`` and ``until``, from the host.
        :returns: what it makes of the task's result.
        """
        end = time.monotonic() + waiting["seconds"]
        pause = 0.5
        why = ""
        while True:
            answer = self._ask(task_vars, "confirm", waiting["id"])
            if answer["state"] in ("confirmed", "restored", "gone"):
                break
            why = answer["why"]
            display.v(f"{MODULE}: not confirmed yet: {why}")
            if time.monotonic() + pause >= end:
                break
            time.sleep(pause)
            pause = min(pause * 2, 5)
        ask_until = end + RESTORING
        while answer["state"] not in ("confirmed", "restored", "gone") and time.monotonic() < ask_until:
            time.sleep(max(1.0, end - time.monotonic()))
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
        why = (why or answer["why"] or "no reason given").strip().rstrip(".")
        return {
            "failed": True,
            "changed": False,
            "msg": f"The change was made and not confirmed over a new connection ({why}): {text}.",
        }
