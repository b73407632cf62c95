# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for the tests of pf: the module itself over a stand-in of each system."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.pf.standin import Host
from unit.standins import standin

from ansible_collections.netports.apple.plugins.module_utils import _connection as _guard
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import addresses

__all__ = ["host", "make_host", "standin", "system"]

PLATFORMS = {"macos": "Darwin", "freebsd": "FreeBSD", "openbsd": "OpenBSD"}


@pytest.fixture(params=PLATFORMS)
def system(request: pytest.FixtureRequest) -> str:
    """The name of a system."""
    return str(request.param)


@pytest.fixture
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Host]:
    """Makes a host of a system, managed over no connection."""

    def make(system: str) -> Host:
        monkeypatch.setattr(platform, "system", lambda: PLATFORMS[system])
        monkeypatch.setattr(_guard, "connection", lambda _host: None)
        for variable in ("SSH_CONNECTION", "SUDO_USER", "DOAS_USER"):
            monkeypatch.delenv(variable, raising=False)
        host = Host(tmp_path / "root", system)
        monkeypatch.setattr(addresses, "interfaces", lambda: host.interfaces)
        return host

    return make


@pytest.fixture
def host(system: str, make_host: Callable[[str], Host]) -> Host:
    """A host of each system."""
    return make_host(system)
