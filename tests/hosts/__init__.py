# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real test hosts for the integration tests: Debian under systemd, with ufw and firewalld, over ssh.

The fixtures that give tests their hosts are in tests/integration/conftest.py.
"""

from __future__ import annotations

from .host import Done, Host, Lab, Process, Processes
from .images import SUITES
from .machine import HostsError
from .packets import State, Target, listen, probe, reach
from .plays import Play, PlayFailed, TaskResult, inventory, play

__all__ = [
    "SUITES",
    "Done",
    "Host",
    "HostsError",
    "Lab",
    "Play",
    "PlayFailed",
    "Process",
    "Processes",
    "State",
    "Target",
    "TaskResult",
    "inventory",
    "listen",
    "play",
    "probe",
    "reach",
]
