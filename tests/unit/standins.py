# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share that run the module over stand-ins of hosts: a keeper in the test's process, and a quick disk.

The real keeper is a fork. A fork has a stand-in of its own, which is not the host that the test looks at, and it may
outlive the host's folder. The real keeper is tested in tests/unit/confirm, tests/integration and tests/torture.
"""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.netports.apple.plugins.module_utils._confirm import change, wire
from ansible_collections.netports.apple.plugins.module_utils._confirm.journal import Journal
from ansible_collections.netports.apple.plugins.module_utils._confirm.pending import Pending
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Plan

# A folder in memory, where the machine has one.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Keeper:
    """A keeper that does at once what the run asks for, and that is the run's end of the line to it, too."""

    def __init__(self, journal: Journal, _lock: int, plan: Plan, pending: Pending) -> None:
        self.journal = journal
        self.plan = plan
        self.pending = pending
        self.answer = b""

    def start(self) -> tuple[Keeper, int]:
        """The line to the keeper, and a descriptor to lend."""
        return self, os.open(os.devnull, os.O_WRONLY)

    def sendall(self, data: bytes) -> None:
        """Take a message of the run's."""
        message = json.loads(data)
        assert message["kind"] in (wire.DONE, wire.UNDO), "a change that waits needs a keeper of its own"
        if message["kind"] == wire.UNDO:
            self.plan.rollback()
            self.journal.close(self.pending.id, wire.RESTORED, message["why"])
            self.answer = wire.line({"kind": wire.RESTORED})

    def recv(self, _size: int) -> bytes:
        """Give the answer."""
        return self.answer

    def close(self) -> None:
        """The run is over."""


@pytest.fixture(autouse=True)
def standin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has each change kept in the process of the test, and nothing wait for a disk: no stand-in loses its power."""
    monkeypatch.setattr(change, "Keeper", Keeper)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
