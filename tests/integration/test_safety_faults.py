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
from torture import STEP, WANTED, install, kill_at_points, module, sampler, settle, state

from hosts import Host

# What is tried here, of all that `make torture` tries: every so many.
STRIDE = 31


@pytest.mark.hosts("ufw", "bookworm", "trixie")
def test_killed_at_chosen_points(host: Host) -> None:
    ends = kill_at_points(host, "ufw", STRIDE)
    assert ends["killed"] > 8 and ends["locked out"] == 0, ends


@pytest.mark.hosts("ufw", "bookworm")
def test_never_open(host: Host) -> None:
    install(host)
    for words in (["allow", "8443/tcp"], ["deny", "7777"], ["limit", "2222/tcp"]):
        host.run(["ufw", *words])
    with sampler(host) as found:
        module(host, rules=WANTED)
        module(host, rules=WANTED)
        module(host, rules=WANTED[:1])
        waiting = module(host, rules=WANTED, confirm_seconds=30, _confirm=STEP)[1]["confirm"]
        module(host, _confirm={"step": "confirm", "id": waiting["id"]})
        module(host, state="deleted", confirm_seconds=1, _confirm=STEP)
        settle(host)
        module(host, state="deleted")
    (seen,) = found
    assert seen.samples / seen.seconds > 20, f"{seen.samples} samples in {seen.seconds} s are too few to say anything"
    assert len(seen.states) >= 4
    for text in seen.states:
        assert re.findall(r"hook (input|forward) [^;]*; policy (\w+);", text) == [
            ("input", "drop"), ("forward", "drop"), ("input", "drop"), ("forward", "drop"),
        ], text  # fmt: skip
        for port in (22, 8443, 7777, 2222):
            assert text.count(f"dport {port}") == seen.states[0].count(f"dport {port}"), f"{port} in {text}"


def disk_full(host: Host) -> Callable[[], None]:
    host.sh(
        "mkdir -p /run/small; mount -t tmpfs -o size=200k none /run/small; cp -a /etc/ufw/. /run/small;"
        "mount --bind /run/small /etc/ufw; dd if=/dev/zero of=/run/small/fill bs=1k 2>/dev/null || true"
    )
    return lambda: host.sh("umount /etc/ufw; umount /run/small") and None


def read_only(host: Host) -> Callable[[], None]:
    host.sh("mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    return lambda: host.sh("umount /etc") and None


def lock_held(host: Host) -> Callable[[], None]:
    host.sh("systemd-run --unit=holder flock /run/xtables.lock sleep 600; sleep 0.3")
    # iptables over nftables has no such lock: there a program that never gets it stands for it.
    host.write(
        "/usr/local/sbin/ip6tables-restore", "#!/bin/sh\necho 'Another app is holding the lock' >&2\nexit 4\n", "0755"
    )
    return lambda: host.sh("systemctl stop holder; rm /usr/local/sbin/ip6tables-restore") and None


def broken_profile(host: Host) -> Callable[[], None]:
    host.write("/etc/ufw/applications.d/broken", "[Broken\nports=\x01,,/sctp\n[Two]\n\n[]\nports=1\n")
    return lambda: host.sh("rm /etc/ufw/applications.d/broken") and None


def broken_rules(host: Host) -> Callable[[], None]:
    text = host.read("/etc/ufw/user6.rules")
    host.write("/etc/ufw/user6.rules", "### tuple ### allow tcp\n", "0640")
    return lambda: host.write("/etc/ufw/user6.rules", text, "0640")


@pytest.mark.hosts("ufw", "bookworm")
def test_faults_of_the_host(host: Host) -> None:
    install(host)
    ways: list[dict[str, Any]] = [{}, {"confirm_seconds": 20, "_confirm": STEP}]
    for fault in (disk_full, read_only, lock_held, broken_profile, broken_rules):
        for more in ways:
            module(host, state="deleted")
            mend = fault(host)
            before = state(host)
            code, result = module(host, rules=WANTED, **more)
            if code == 0 and more:
                code, result = module(host, _confirm={"step": "confirm", "id": result["confirm"]["id"]})
                code = result["confirm"]["state"] != "confirmed"
            now = state(host)
            assert (now == before) == bool(code), f"{fault.__name__}: {result}"
            assert code or fault is broken_profile, fault.__name__
            assert code == 0 or "Traceback" not in json.dumps(result)
            mend()
            settle(host)
            assert module(host, rules=WANTED)[0] == 0
            assert not module(host, rules=WANTED)[1]["changed"], f"{fault.__name__}: the next run did not converge"


@pytest.mark.hosts("ufw", "bookworm")
def test_another_locale_and_five_thousand_rules(host: Host) -> None:
    install(host)
    assert module(host, rules=WANTED, env={"LANG": "de_DE.UTF-8", "LANGUAGE": "nl:de"})[0] == 0
    module(host, state="deleted")
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
    assert module(host, state="deleted", confirm_seconds=1, _confirm=STEP)[1]["changed"]
    settle(host)
    assert module(host, state="deleted")[1]["changed"]
    assert state(host) == before
