# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded and waits to be confirmed: kept, it is as without the wait; undone, as if it had never been."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest
from unit.pf.standin import Host
from unit.pf.test_pf_module import AIRPLAY, ALL, FACETIME, on

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls import base
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Left,
    Plan,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.firewall import Pf
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, normalise
from ansible_collections.netports.apple.plugins.module_utils._values import replace


def shown(host: Host) -> Any:
    """All that a host is, but for the numbers of macOS's tokens."""
    files = {path: text for path, text in host.files().items() if not path.endswith(".token")}
    return files, copy.deepcopy((host.main, host.anchors, host.enabled, len(host.tokens), host.daemons))


def planned(host: Host, want: tuple[Any, ...], enable: bool | None = None) -> Plan:
    rules = tuple(normalise(Rule.from_dict(rule) for rule in want))
    asked = Asked("apple", enable=enable, state="replaced", rules=rules)
    return Pf(base.Host(host.run, str(host.root))).read(asked).plan(Wanted(rules=rules))


def prepare(host: Host, was_on: bool, have: tuple[Any, ...]) -> None:
    """Switch pf on or not, with a ruleset or without."""
    if was_on:
        on(host)
    if have:
        host.apply(*have, enable=was_on or None)
    if host.system == "freebsd" and not was_on:
        # The module stays in the kernel whatever happens; with it, the rest can be compared.
        host.run(["/sbin/kldload", "-n", "pf"])


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("have", [(), (AIRPLAY,)])
@pytest.mark.parametrize("want", [(FACETIME,), ALL, ()])
def test_load_commit_and_rollback(host: Host, was_on: bool, have: tuple[Any, ...], want: tuple[Any, ...]) -> None:
    prepare(host, was_on, have)
    plan = planned(host, want, True)
    if not plan.operations or not plan.live:
        return
    before = shown(host)
    for _again in range(2):
        plan.load()
        assert shown(host)[0] == before[0], "a reboot would not take it back"
        # Where pf is off, there may be nothing loaded to take away.
        assert shown(host) != before or (not was_on and not want)
        plan.rollback()
        assert shown(host) == before
        plan.rollback()
        assert shown(host) == before
    plan.commit(plan.load())
    kept = shown(host)
    assert not planned(host, want, True).operations
    plan.rollback()
    assert shown(host)[0] == before[0]
    plan.apply()
    assert shown(host) == kept


def test_what_somebody_else_took_away_is_not_kept(host: Host) -> None:
    on(host)
    plan = planned(host, (FACETIME,))
    loaded = plan.load()
    host.anchors.clear()
    before = host.files()
    with pytest.raises(FirewallError, match="no longer loaded"):
        plan.commit(loaded)
    assert host.files() == before


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("have", [(), (AIRPLAY,)])
@pytest.mark.parametrize("want", [(FACETIME,), ()])
@pytest.mark.parametrize("died", ["waiting", "committed", "before"])
def test_what_a_dead_run_left_is_taken_back(
    host: Host, was_on: bool, have: tuple[Any, ...], want: tuple[Any, ...], died: str
) -> None:
    """Files, kernel and switch, by what was written down of its plan."""
    prepare(host, was_on, have)
    before, enabled = shown(host), host.enabled
    rules = tuple(normalise(Rule.from_dict(rule) for rule in want))
    plan = planned(host, want, True)
    if not plan.operations or not plan.live:
        return
    if died != "before":
        loaded = plan.load()
    if died == "committed":
        plan.commit(loaded)
    pf = Pf(base.Host(host.run, str(host.root)))
    for _again in range(2):
        pf.take_back(Asked("apple"), Left(want=Wanted(rules=rules), files=plan.files, switched=plan.switched))
        now = shown(host)
        assert now[0] == before[0] and host.enabled == enabled
        # While pf is off, what is loaded may be what its files say.
        assert (was_on and now[1][:2] == before[1][:2]) or not was_on


@pytest.mark.parametrize("dead", [True, False])
def test_the_same_text_of_somebody_else_stays(host: Host, dead: bool) -> None:
    on(host)
    plan = planned(host, (FACETIME,))
    plan.load()
    os.makedirs(os.path.dirname(plan.files[0].path), exist_ok=True)
    for change in plan.files:
        _files.replace(change.path, change.after)
    files = host.files()
    pf = Pf(base.Host(host.run, str(host.root)))
    for waits in (True, False):
        if dead:
            pf.take_back(Asked("apple"), Left(want=Wanted(rules=()), files=plan.files, waits=waits))
        else:
            plan.rollback(waits)
            assert not host.anchors
        assert (host.files() == files) == waits


@pytest.mark.parametrize("system", ["freebsd"])
def test_what_an_administrator_switched_on_since_stays_on(host: Host) -> None:
    host.run(["/sbin/kldload", "-n", "pf"])
    plan = planned(host, (FACETIME,), True)
    plan.load()
    host.run(["/usr/sbin/sysrc", "pf_enable=YES"])
    files = host.files()
    pf = Pf(base.Host(host.run, str(host.root)))
    left = Left(want=Wanted(rules=()), files=plan.files, switched=plan.switched)
    assert plan.switched.now and plan.switched.boot
    for waits in (False, True):
        plan.rollback(waits)
        assert host.enabled and not host.anchors and host.files() == files
        pf.take_back(Asked("apple"), replace(left, waits=waits))
        assert host.enabled and not host.anchors and host.files() == files
