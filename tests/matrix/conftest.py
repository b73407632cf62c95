# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says at the end which ansible-cores were run on which Python, and which could not be."""

from __future__ import annotations

from typing import Any

from matrix.cores import cores


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not any("matrix" in str(report.nodeid) for report in terminalreporter.getreports("passed")):
        return
    terminalreporter.section("ansible-core")
    for core in cores():
        terminalreporter.line(core.missing or f"ansible-core {core.version} on Python {core.python}")
