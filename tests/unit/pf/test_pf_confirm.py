# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded and waits to be confirmed: kept, it is as without the wait; undone, as if it had never been."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from unit.pf.standin import Host
from unit.pf.test_pf_module import AIRPLAY, ALL, FACETIME, on

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.legacy import Options
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.firewall import Pf
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, normalise


def shown(host: Host) -> Any:
    """All that a host is, but for the numbers of macOS's tokens."""
    files = {path: text for path, text in host.files().items() if not path.endswith(".token")}
    return files, copy.deepcopy((host.main, host.anchors, host.enabled, len(host.tokens), host.daemons))


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("have", [(), (AIRPLAY,)])
@pytest.mark.parametrize("want", [(FACETIME,), ALL, ()])
def test_engage_keep_and_undo(host: Host, was_on: bool, have: tuple[Any, ...], want: tuple[Any, ...]) -> None:
    if was_on:
        on(host)
    if have:
        host.apply(*have, enable=was_on or None)
    if host.system == "freebsd" and not was_on:
        # The module stays in the kernel whatever happens; with it, the rest can be compared.
        host.run(["/sbin/kldload", "-n", "pf"])
    backend = Pf(host.run, Options("apple", True), str(host.root), host.system)
    change = backend.plan(backend.read(), normalise(Rule.from_dict(one) for one in want))
    if not change.operations or not backend.live(change):
        return
    before = shown(host)
    for _again in range(2):
        engaged = backend.engage(change)
        assert shown(host)[0] == before[0], "a reboot would not take it back"
        # Where pf is off, there may be nothing loaded to take away.
        assert shown(host) != before or (not was_on and not want)
        backend.undo(change)
        assert shown(host) == before
        backend.undo(change)
        assert shown(host) == before
    engaged = backend.engage(change)
    backend.keep(change, engaged)
    kept = shown(host)
    assert not backend.plan(backend.read(), normalise(Rule.from_dict(one) for one in want)).operations
    backend.undo(change)
    assert shown(host)[0] == before[0]
    backend.apply(change)
    assert shown(host) == kept


def test_what_somebody_else_took_away_is_not_kept(host: Host) -> None:
    on(host)
    backend = Pf(host.run, Options("apple"), str(host.root), host.system)
    change = backend.plan(backend.read(), [Rule.from_dict(FACETIME)])
    engaged = backend.engage(change)
    host.anchors.clear()
    before = host.files()
    with pytest.raises(FirewallError, match="no longer loaded"):
        backend.keep(change, engaged)
    assert host.files() == before
