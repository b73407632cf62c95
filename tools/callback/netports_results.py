# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes every task's result as a line of JSON to the file that NETPORTS_RESULTS names."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: netports_results
    type: notification
    short_description: Results of tasks as lines of JSON
    description:
      - Writes every task's result as a line of JSON to the file that E(NETPORTS_RESULTS) names.
    requirements:
      - enable in configuration
"""


def _plain(value: Any) -> Any:
    """`value` in JSON's own types: ansible-core tags its strings, numbers and containers."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


class CallbackModule(CallbackBase):
    """The callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "netports_results"
    CALLBACK_NEEDS_ENABLED = True

    def _note(self, status: str, result: Any) -> None:
        # ansible-core 2.19 made these public under new names.
        host, task, returned = (
            getattr(result, name, None) or getattr(result, f"_{name}") for name in ("host", "task", "result")
        )
        line = {
            "status": status,
            "host": host.get_name(),
            "task": task.get_name(),
            "action": task.action,
            "result": _plain(dict(returned)),
        }
        with open(os.environ["NETPORTS_RESULTS"], "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task went well."""
        self._note("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._note("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task was skipped."""
        self._note("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """The host could not be reached."""
        self._note("unreachable", result)
