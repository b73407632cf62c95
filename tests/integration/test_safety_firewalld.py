# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of firewalld and of its host end as before or as wanted; no moment of a run is open, a reload neither."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from torture import PATIENT, STEP, WANTED, give_up_in_vain, sampler, settle, state

from hosts import Host
from hosts.code import each, install, module
from hosts.firewalld import cmd

FOLDER = "/etc/firewalld"
OWN_RULES = ("dport 9443 ", "dport 8443 ", "192.0.2.7 reject", "dport 22 ")


def add_own(host: Host) -> None:
    """An administrator's own: for good, and at runtime alone, where a reload takes it away."""
    cmd(host, "--permanent", "--add-port=9443/tcp")
    cmd(host, "--reload")
    cmd(host, "--add-port=8443/tcp")
    cmd(host, "--add-rich-rule=rule family=ipv4 source address=192.0.2.7 reject")


def confirm(host: Host, **arguments: Any) -> dict[str, Any]:
    """Make a change that waits, and confirm it."""
    waiting = module(host, confirm_seconds=PATIENT, _confirm=STEP, **arguments)[1]["confirm"]
    answer: dict[str, Any] = module(host, _confirm={"step": "confirm", "id": waiting["id"]})[1]["confirm"]
    return answer


@pytest.mark.hosts("firewalld")
def test_never_open(host: Host) -> None:
    install(host)
    add_own(host)
    with sampler(host) as found:
        module(host, rules=WANTED)
        module(host, rules=WANTED)
        assert confirm(host, rules=WANTED[:1])["state"] == "confirmed"
        module(host, state="deleted", confirm_seconds=1, _confirm=STEP)
        settle(host)
        module(host, state="deleted")
    (seen,) = found
    assert seen.samples > 100, f"{seen.samples} samples are too few to say anything"
    closed, refusal = 0, "reject with icmpx"
    for text in seen.states:
        # Both refuse every new connection: firewalld's own while it reloads, and ours until all is back.
        if "table inet firewalld_policy_drop" in text or "ipv4 timeout" in text:
            closed += 1
            continue
        missing = [one for one in OWN_RULES if one not in text]
        assert not missing, f"{missing} in {text}"
        assert text.count(refusal) == seen.states[0].count(refusal) > 1, text
    assert closed > 4 and "netports_closed" not in state(host).kernel


@pytest.mark.hosts("firewalld", "bookworm")
def test_firewalld_writes_nothing_of_its_own(host: Host) -> None:
    # It brings its memory of its files up to date five seconds after they changed, and may write them then.
    install(host)
    before = state(host)
    assert module(host, rules=WANTED, confirm_seconds=7, _confirm=STEP)[0] == 0
    settle(host)
    time.sleep(7)
    assert state(host) == before
    waiting = module(host, rules=WANTED, confirm_seconds=PATIENT, _confirm=STEP)[1]["confirm"]
    time.sleep(7)
    assert module(host, _confirm={"step": "confirm", "id": waiting["id"]})[1]["confirm"]["state"] == "confirmed"
    wanted = state(host).files
    time.sleep(7)
    assert state(host).files == wanted
    host.sh("firewall-cmd --permanent --add-port=7000/tcp && firewall-cmd --reload")
    assert not module(host, rules=WANTED)[1]["changed"]
    assert confirm(host, state="deleted")["state"] == "confirmed"
    time.sleep(7)
    text = host.read(f"{FOLDER}/zones/public.xml")
    assert "7000" in text and "apple" not in text
    assert host.run(["firewall-cmd", "--check-config"]).out == "success\n"


FILL = """
    mount -o remount,size=$(($(df -k --output=used /run | tail -1) + 64))k /run
    dd if=/dev/zero of=/run/fill bs=1k 2>/dev/null || true
"""
FREE = "rm -f /run/fill; mount -o remount,size=100m /run"


@pytest.mark.hosts("firewalld", "bullseye", "bookworm")
def test_run_is_full(host: Host) -> None:
    """firewalld then ends its reload with half of its rules, or none, and says that it runs."""
    install(host)
    add_own(host)
    before = state(host)
    host.sh(FILL)
    code, result = module(host, rules=WANTED)
    assert code == 1 and "/run has" in result["msg"] and "nothing was changed" in result["msg"], result
    assert state(host) == before
    host.sh(FREE)
    # It fills while a change waits: what the keeper cannot load it loads when there is space again.
    assert module(host, rules=WANTED, confirm_seconds=PATIENT, _confirm=STEP)[0] == 0
    host.sh(FILL)
    give_up_in_vain(host)
    host.sh(FREE)
    settle(host)
    assert state(host) == before
    assert host.ssh("true").rc == 0
    assert not module(host, state="deleted")[1]["changed"]


def disk_full(host: Host) -> Callable[[], None]:
    host.sh(
        f"mkdir -p /run/small; mount -t tmpfs -o size=200k none /run/small; cp -a {FOLDER}/. /run/small;"
        f"mount --bind /run/small {FOLDER}; dd if=/dev/zero of=/run/small/fill bs=1k 2>/dev/null || true"
    )
    return lambda: host.sh(f"umount {FOLDER}; umount /run/small") and None


def read_only(host: Host) -> Callable[[], None]:
    host.sh("mount --bind /etc /etc; mount -o remount,ro,bind /etc")
    return lambda: host.sh("umount /etc") and None


def broken(kind: str) -> Callable[[Host], Callable[[], None]]:
    def fault(host: Host) -> Callable[[], None]:
        host.write(f"{FOLDER}/{kind}/broken.xml", "<?xml version='1.0'?>\n<zone><short>Theirs</zo\x01")
        return lambda: host.sh(f"rm {FOLDER}/{kind}/broken.xml") and None

    fault.__name__ = f"broken_{kind}"
    return fault


def dies_reloading(host: Host) -> Callable[[], None]:
    # From the first thing that a reload of ours calls on firewalld is watched. It reads its zones to check them, and again with
    # the old rules gone and everything refused: there it stops, and dies when that is seen.
    host.write(
        "/usr/local/sbin/nft",
        '#!/bin/sh\n[ "$1" = -f ] && ! [ -e /run/fault ] && {\n'
        "touch /run/fault; pid=$(systemctl show -P MainPID firewalld)\n"
        "strace -qq -o /dev/null -p $pid -P /usr/lib/firewalld/zones/public.xml -e trace=openat"
        " -e inject=openat:signal=STOP:when=2 >/run/fault 2>&1 &\n"
        'while grep -q "^TracerPid:.0$" /proc/$pid/status; do sleep 0.01; done\n'
        "(while ! /usr/sbin/nft list tables | grep -q firewalld_policy_drop; do sleep 0.05; done; kill -KILL $pid)"
        " >/run/fault 2>&1 &\n"
        '}\nexec /usr/sbin/nft "$@"\n',
        "0755",
    )
    return lambda: host.sh("rm /usr/local/sbin/nft /run/fault") and None


WAYS: list[dict[str, Any]] = [{}, {"confirm_seconds": PATIENT, "_confirm": STEP}]
KILL = "kill -KILL $(systemctl show -P MainPID firewalld)"


@pytest.mark.hosts("firewalld", "bookworm")
def test_faults_of_the_host(host: Host) -> None:
    install(host)
    add_own(host)
    before = state(host)
    for fault in (disk_full, read_only, broken("services"), broken("zones"), broken("policies"), dies_reloading):
        for more in WAYS:
            mend = fault(host)
            there = state(host).files
            code, result = module(host, rules=WANTED, **more)
            # Nobody of a run that failed is at work behind its end: what it left is what stays.
            settle(host)
            now = state(host)
            assert code == 1 and "Traceback" not in json.dumps(result), f"{fault.__name__}: {result}"
            assert now == before._replace(files=there), f"{fault.__name__}: {result}"
            assert (fault is dies_reloading) == ("disconnected from message bus" in result["msg"]), result
            mend()
        # The next run converges, and what it made goes again.
        runs = each(host, [{"rules": WANTED}, {"rules": WANTED}, {"state": "deleted"}])
        assert [(code, result.get("changed")) for code, result in runs] == [(0, True), (0, False), (0, True)], runs
        assert state(host) == before, fault.__name__


@pytest.mark.hosts("firewalld", "bookworm")
def test_faults_while_a_change_waits(host: Host) -> None:
    install(host)
    add_own(host)
    module(host, rules=WANTED[:1])
    before = state(host)
    own = f"{FOLDER}/services/apple-facetime.xml"
    # Told to stop or to start anew it takes its runtime along, as whoever did that wanted; killed it is brought back.
    for fault, expected in (("systemctl restart firewalld", False), (KILL, True)):
        waiting = module(host, rules=WANTED, confirm_seconds=PATIENT, _confirm=STEP)[1]["confirm"]
        host.sh(fault)
        answer = module(host, _confirm={"step": "confirm", "id": waiting["id"]})[1]["confirm"]
        assert answer["state"] == "restored" and "firewalld" in answer["why"], answer
        settle(host)
        now = state(host)
        assert now.files == before.files and (now == before) == expected, fault
        assert all(one in now.kernel for one in OWN_RULES[:1])
        add_own(host)
        assert state(host) == before
    for more in WAYS:
        module(host, rules=WANTED)
        wanted = state(host)
        host.write(own, host.read(own)[:-8])
        code, result = module(host, rules=WANTED, **more)
        assert code == 0 and result["changed"], result
        if more:
            module(host, _confirm={"step": "confirm", "id": result["confirm"]["id"]})
        assert state(host) == wanted and not module(host, rules=WANTED)[1]["changed"]


@pytest.mark.hosts("firewalld", "bookworm")
def test_a_thousand_rules(host: Host) -> None:
    install(host)
    rules = "".join(
        f'<rule family="ipv4"><source address="192.0.2.{port % 250}"/><port port="{port}" protocol="tcp"/><accept/></rule>'
        for port in range(20000, 21000)
    )
    text = host.read("/usr/lib/firewalld/zones/public.xml").replace("</zone>", rules + "</zone>")
    host.write(f"{FOLDER}/zones/public.xml", text)
    cmd(host, "--reload")
    add_own(host)
    before = state(host)
    assert before.kernel.count("192.0.2.") > 1000
    assert module(host, rules=WANTED, confirm_seconds=1, _confirm=STEP)[0] == 0
    settle(host)
    assert state(host) == before
    assert confirm(host, rules=WANTED)["state"] == "confirmed"
    assert not module(host, rules=WANTED)[1]["changed"]
    assert confirm(host, state="deleted")["state"] == "confirmed"
    assert state(host) == before
