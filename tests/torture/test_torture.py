# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The long form of the tests of faults: `make torture`. TORTURE_STRIDE=10 tries every tenth point."""

from __future__ import annotations

import os

import pytest

from hosts import Host
from torture import kill_at_points, kill_keepers_at_points

STRIDE = int(os.environ.get("TORTURE_STRIDE", "1"))


@pytest.mark.timeout(36000)
@pytest.mark.hosts("ufw")
@pytest.mark.hosts("nftables")
@pytest.mark.hosts("firewalld")
def test_killed_at_every_point(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    ends = kill_at_points(host, STRIDE)
    with capsys.disabled():
        print(f"\n{host.suite} {host.firewall}: {ends}")
    assert ends["locked out"] == 0
    # A run makes some calls more or fewer than the one that was counted: nearly each kill hit.
    assert ends["killed"] >= 0.9 * (ends["before"] + ends["wanted"])


@pytest.mark.timeout(7200)
@pytest.mark.hosts("ufw")
@pytest.mark.hosts("nftables")
@pytest.mark.hosts("firewalld")
def test_keepers_and_watchers_killed_at_every_point(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    ends = kill_keepers_at_points(host, STRIDE)
    with capsys.disabled():
        print(f"\n{host.suite} {host.firewall}, keepers: {ends}")
    assert ends["confirmed"] and ends["restored"]
