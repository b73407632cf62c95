# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the report of an audit, all of it in one step on the controller.

As facts and files of ansible-core's modules, the report of a large fleet would be copied and templated once for each file.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.netports.apple.plugins.plugin_utils import _audit_collect, _audit_write

_ARGUMENTS = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "dest": {"type": "path", "required": True},
}


class ActionModule(ActionBase):
    """Collects what hosts registered, and writes the report's files."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the task.

        :returns: ``summary``, ``deviating`` and ``exposed``, as the module's documentation has them, and ``dest``.
        :raises AnsibleActionFail: an option is wrong, or the files cannot be written.
        """
        self._supports_check_mode = True
        self._supports_async = False
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        folder = os.path.abspath(args["dest"])
        try:
            report = _audit_collect.report(
                args["hosts"], task_vars["hostvars"], str(task_vars.get("playbook_dir") or "")
            )
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from None
        if not self._task.check_mode:
            _write(folder, report)
        deviating = [host["host"] for host in report["hosts"] if host["status"] != "compliant"]
        exposed = [host["host"] for host in report["hosts"] if host["exposures"]]
        result.update(
            changed=False,
            summary=report["summary"],
            deviating=wrap_var(deviating),
            exposed=wrap_var(exposed),
            dest=folder,
        )
        return result


def _write(folder: str, report: dict[str, Any]) -> None:
    """Write the report's files, each of them whole or not at all.

    :raises AnsibleActionFail: one cannot be written.
    """
    texts = {
        "audit.json": json.dumps(report, indent=1),
        "audit.csv": _audit_write.to_csv(report),
        "audit.xml": _audit_write.to_junit(report),
        "audit.html": _audit_write.to_page(report),
    }
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        for name, text in texts.items():
            descriptor, path = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
            try:
                with open(descriptor, "w", encoding="utf-8", newline="") as stream:
                    stream.write(text)
                os.chmod(path, 0o644)
                os.replace(path, os.path.join(folder, name))
            except OSError:
                os.unlink(path)
                raise
    except OSError as error:
        raise AnsibleActionFail(
            f"the report cannot be written to {folder} ({error}): give another folder (netports_audit_dir)"
        ) from error
