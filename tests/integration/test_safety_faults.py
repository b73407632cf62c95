# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the middle of a run end as before or as wanted, and no moment of any run is open. `make torture` has more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from torture import PATIENT, STEP, WANTED, give_up, give_up_in_vain, kill_at_points, sampler, settle, state

from hosts import Host
from hosts.code import install, module

# What is tried here, of all that `make torture` tries: every so many.
STRIDE = 31
# A change that is kept at once, and one that waits.
WAYS: list[dict[str, Any]] = [{}, {"confirm_seconds": PATIENT, "_confirm": STEP}]


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("nftables", "trixie")
def test_killed_at_chosen_points(shared: Host) -> None:
    ends = kill_at_points(shared, STRIDE)
    assert ends["killed"] > 8 and ends["locked out"] == 0, ends


@pytest.mark.hosts("ufw", "bookworm")
def test_never_open(shared: Host) -> None:
    shared.sh("ufw allow 8443/tcp; ufw deny 7777; ufw limit 2222/tcp")
    module(shared, state="gathered")
    with sampler(shared) as found:
        module(shared, rules=WANTED)
        module(shared, rules=WANTED)
        module(shared, rules=WANTED[:1])
        waiting = module(shared, rules=WANTED, confirm_seconds=PATIENT, _confirm=STEP)[1]["confirm"]
        module(shared, _confirm={"step": "confirm", "id": waiting["id"]})
        module(shared, state="deleted", confirm_seconds=PATIENT, _confirm=STEP)
        give_up(shared)
        settle(shared)
        module(shared, state="deleted")
    (seen,) = found
    assert seen.samples > 100, f"{seen.samples} samples are too few to say anything"
    assert len(seen.states) >= 4
    for text in seen.states:
        assert re.findall(r"hook (input|forward) [^;]*; policy (\w+);", text) == [
            ("input", "drop"), ("forward", "drop"), ("input", "drop"), ("forward", "drop"),
        ], text  # fmt: skip
        for port in (22, 8443, 7777, 2222):
            assert text.count(f"dport {port}") == seen.states[0].count(f"dport {port}"), f"{port} in {text}"
    shared.sh("ufw delete allow 8443/tcp; ufw delete deny 7777; ufw delete limit 2222/tcp")


def disk_full(host: Host) -> Callable[[], None]:
    host.sh(
        "mkdir -p /run/small; mount -t tmpfs -o size=200k none /run/small; cp -a /etc/ufw/. /run/small;"
        "mount --bind /run/small /etc/ufw; dd if=/dev/zero of=/run/small/fill bs=1k 2>/dev/null || true"
    )
    return lambda: host.sh("umount /etc/ufw; umount /run/small") and None


def read_only(host: Host) -> Callable[[], None]:
    host.sh("mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    return lambda: host.sh("umount /etc") and None


def broken_profile(host: Host) -> Callable[[], None]:
    host.write("/etc/ufw/applications.d/broken", "[Broken\nports=\x01,,/sctp\n[Two]\n\n[]\nports=1\n")
    return lambda: host.sh("rm /etc/ufw/applications.d/broken") and None


def broken_rules(host: Host) -> Callable[[], None]:
    text = host.read("/etc/ufw/user6.rules")
    host.write("/etc/ufw/user6.rules", "### tuple ### allow tcp\n", "0640")
    return lambda: host.write("/etc/ufw/user6.rules", text, "0640")


@pytest.mark.hosts("ufw", "bookworm")
def test_faults_of_the_host(shared: Host) -> None:
    for fault in (disk_full, read_only, broken_profile, broken_rules):
        for more in WAYS:
            mend = fault(shared)
            before = state(shared)
            code, result = module(shared, rules=WANTED, **more)
            if code == 0 and more:
                code, result = module(shared, _confirm={"step": "confirm", "id": result["confirm"]["id"]})
                code = result["confirm"]["state"] != "confirmed"
            now = state(shared)
            assert (now == before) == bool(code), f"{fault.__name__}: {result}"
            assert code or fault is broken_profile, fault.__name__
            assert code == 0 or "Traceback" not in json.dumps(result)
            mend()
            settle(shared)
            if code == 0:
                module(shared, state="deleted")
        assert module(shared, rules=WANTED)[0] == 0
        assert not module(shared, rules=WANTED)[1]["changed"], f"{fault.__name__}: the next run did not converge"
        module(shared, state="deleted")


@pytest.mark.hosts("none", "bookworm")
def test_a_lock_of_iptables(host: Host) -> None:
    # iptables over nftables has no lock; the older one has, and is there still.
    host.sh("for name in iptables ip6tables; do update-alternatives --set $name /usr/sbin/$name-legacy; done")
    host.sh("ufw allow 22/tcp; ufw --force enable")
    install(host)
    before = state(host)

    def hold(seconds: int) -> None:
        host.sh(
            f"systemd-run --unit=holder --collect flock /run/xtables.lock sleep {seconds};"
            "while flock -n /run/xtables.lock true; do sleep 0.05; done"
        )

    for more in WAYS:
        hold(600)
        code, result = module(host, rules=WANTED, **more)
        assert code == 1 and "xtables lock" in result["msg"] and state(host) == before, result
        host.sh("systemctl stop holder")
    # One that is given free in time is waited for.
    hold(3)
    assert module(host, rules=WANTED)[0] == 0
    assert host.run(["systemctl", "is-active", "holder"], check=False).out == "inactive\n"
    wanted = state(host)
    # And who restores tries again.
    assert module(host, state="deleted", confirm_seconds=PATIENT, _confirm=STEP)[0] == 0
    hold(600)
    give_up_in_vain(host)
    assert state(host) != wanted
    host.sh("systemctl stop holder")
    settle(host)
    assert state(host) == wanted


@pytest.mark.hosts("none", "bookworm")
def test_switching_ufw_on_never_opens_it_again(host: Host) -> None:
    install(host)
    host.sh("ufw allow 22/tcp")
    with sampler(host) as found:
        assert module(host, rules=WANTED, backend="ufw", enable=True)[0] == 0
    (seen,) = found
    shut: set[tuple[str, str]] = set()
    for text in seen.states:
        for table in text.split("table ")[1:]:
            name = table.split(" {")[0]
            for hook, policy in re.findall(r"hook (input|forward) [^;]*; policy (\w+);", table):
                assert policy == "drop" or (name, hook) not in shut, text
                if policy == "drop":
                    shut.add((name, hook))
                    assert "dport 22 " in table, f"ssh is shut out: {text}"
    assert len(shut) == 4 and len(seen.states) > 5


@pytest.mark.hosts("ufw", "bookworm")
def test_five_thousand_rules(host: Host) -> None:
    install(host)
    blocks = "".join(
        f"\n### tuple ### allow tcp {port} 0.0.0.0/0 any 192.0.2.{port % 250} in\n"
        f"-A ufw-user-input -p tcp --dport {port} -s 192.0.2.{port % 250} -j ACCEPT\n"
        for port in range(20000, 25000)
    )
    text = host.read("/etc/ufw/user.rules")
    host.write("/etc/ufw/user.rules", text.replace("### RULES ###\n", "### RULES ###\n" + blocks, 1), "0640")
    host.reboot()
    before = state(host)
    assert module(host, rules=WANTED)[1]["changed"]
    assert not module(host, rules=WANTED)[1]["changed"]
    wanted = state(host)
    assert module(host, state="deleted", confirm_seconds=1, _confirm=STEP)[1]["changed"]
    settle(host)
    assert state(host) == wanted
    waiting = module(host, state="deleted", confirm_seconds=PATIENT, _confirm=STEP)[1]["confirm"]
    assert module(host, _confirm={"step": "confirm", "id": waiting["id"]})[1]["confirm"]["state"] == "confirmed"
    assert state(host) == before
