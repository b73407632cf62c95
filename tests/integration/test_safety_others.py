# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else acts at the same time: another controller, a program that hangs, a full disk, somebody with a kill."""

from __future__ import annotations

import json
from typing import Any

import pytest
from integration import direct
from torture import STEP, WANTED, State, give_up, kill_keepers_at_points, settle, state, status, waiting

from hosts import Host
from hosts.code import FOLDER, install, module
from hosts.firewalld import permanent, runtime


def codes(result: dict[str, Any]) -> set[str]:
    return {notice["code"] for notice in result["notices"]}


@pytest.mark.hosts("none", "bookworm")
def test_guards_stay_where_ufw_is_not_loaded_and_for_other_controllers(host: Host) -> None:
    asked: dict[str, Any] = {"rules": WANTED}
    direct.run(host, ssh=4, backend="ufw", enable=True, **asked)
    host.sh("ufw disable")
    assert "guard" in codes(direct.run(host, ssh=4, backend="ufw", state="deleted"))
    host.sh("ufw --force enable")
    assert host.ssh("true").rc == 0, "the guard was there for what the files do"
    # Another controller, which a rule admits, comes by the other family: the first one's guard stays.
    network = host.address6.rpartition("::")[0] + "::/64"
    host.sh(f"ufw allow from {network} to any port 22 proto tcp")
    found = codes(direct.run(host, ssh=6, **asked))
    assert "guard-kept" in found and "guard" not in found
    assert host.ssh("true", family=4).rc == 0 and host.ssh("true", family=6).rc == 0
    assert direct.run(host, ssh=4, **asked)["changed"] is False
    assert "guard-dropped" in codes(direct.run(host, ssh=6, accept=["guard-dropped"], **asked))
    assert host.ssh("true", family=4).rc == 255 and host.ssh("true", family=6).rc == 0


# Loads, and hangs behind that, once: the new rules are in the kernel.
HANGS = """#!/bin/sh
/usr/sbin/xtables-nft-multi iptables-restore "$@" || exit
case " $* " in *" --test "*) exit 0;; esac
if rm /run/hang 2>/dev/null; then exec sleep 86400; fi
"""


@pytest.mark.hosts("ufw", "bookworm")
def test_a_program_that_hangs_is_ended_and_all_is_put_back(host: Host) -> None:
    install(host)
    package = f"{FOLDER}/ansible_collections/netports/apple/plugins/module_utils/_confirm"
    host.sh(f"sed -i 's/^LIMIT = .*/LIMIT = 20.0/' {package}/process.py; grep -q 'LIMIT = 20.0' {package}/process.py")
    host.sh(
        f"sed -i 's/^_ORPHANS = .*/_ORPHANS = 5.0/' {package}/keeper.py; grep -q '_ORPHANS = 5.0' {package}/keeper.py"
    )
    before = state(host)
    # iptables-restore is a link to a program of many names.
    host.sh("rm /usr/sbin/iptables-restore")
    host.write("/usr/sbin/iptables-restore", HANGS, "0755")
    ways: list[dict[str, Any]] = [{}, {"confirm_seconds": 900, "_confirm": STEP}]
    for more in ways:
        host.sh("touch /run/hang")
        code, result = module(host, rules=WANTED, **more)
        assert code == 1 and "did not end within 20 seconds and was killed" in result["msg"], result
        settle(host)
        assert state(host) == before
        assert host.run(["pgrep", "-f", "sleep 86400"], check=False).out == ""


@pytest.mark.hosts("ufw", "bookworm")
def test_a_keeper_that_is_stopped_goes_on(shared: Host) -> None:
    before = state(shared)
    _identity, keeper, _watcher = waiting(shared, rules=WANTED)
    shared.sh(f"kill -STOP {keeper}; kill -TERM {keeper}")
    settle(shared)
    assert state(shared) == before


@pytest.mark.hosts("ufw", "bookworm")
def test_a_disk_that_is_full_at_the_confirmation(shared: Host) -> None:
    folder = "/var/lib/netports-apple"
    shared.sh(f"mkdir -p {folder}; mount -t tmpfs -o size=128k,mode=0700 none {folder}")
    identity, _keeper, _watcher = waiting(shared, rules=WANTED)
    shared.sh(f"dd if=/dev/zero of={folder}/fill bs=1k 2>/dev/null || true")
    answer = module(shared, _confirm={"step": "confirm", "id": identity})[1]["confirm"]
    settle(shared)
    assert answer["state"] == status(shared, identity) == "confirmed"
    shared.sh(f"rm {folder}/fill")
    assert not module(shared, rules=WANTED)[1]["changed"]
    shared.sh(f"umount {folder}")


@pytest.mark.hosts("ufw", "bookworm")
def test_the_old_rules_come_back_where_the_record_cannot_be_read(shared: Host) -> None:
    folder = "/var/lib/netports-apple"
    chain = "iptables -S ufw-user-input"
    shared.sh(f"{chain} > /run/before")
    identity, keeper, _watcher = waiting(shared, rules=WANTED)
    assert shared.sh(chain).out != shared.read("/run/before")
    shared.sh(f"chmod 775 {folder}; kill {keeper}")
    shared.sh(f"timeout 120 sh -c 'until {chain} | cmp -s - /run/before; do sleep 0.2; done'")
    shared.sh(f"chmod 700 {folder}; rm /run/before")
    settle(shared)
    assert status(shared, identity) == "restored"


@pytest.mark.parametrize("end", ["killed", "rebooted"])
@pytest.mark.hosts("firewalld", "bookworm")
def test_a_zone_that_firewalld_wrote_while_a_change_waited_whose_keepers_are_dead(host: Host, end: str) -> None:
    """For an administrator's command firewalld writes the zone as it remembers it, with the services of the change."""
    before = permanent(host), runtime(host)
    _identity, keeper, watcher = waiting(host, rules=WANTED)
    host.sh("firewall-cmd --permanent --add-port=7777/tcp")
    if end == "killed":
        host.sh(f"kill -KILL {watcher} {keeper}")
        settle(host)
    else:
        host.reboot(hard=True)
    other = [{"name": "Other", "direction": "in", "tcp": ["7778"]}]
    assert "recovered" in codes(module(host, ruleset="other", rules=other)[1])
    host.sh(
        "firewall-cmd --permanent --remove-port=7777/tcp; firewall-cmd --check-config; firewall-cmd --remove-port=7777/tcp"
    )
    assert module(host, ruleset="other", state="deleted")[0] == 0
    assert (permanent(host), runtime(host)) == before


# What an administrator does who wants a firewall to stay on.
STAYS = {
    "ufw": "ufw --force enable; ufw allow 22/tcp",
    "firewalld": "systemctl enable firewalld",
    "nftables": "systemctl enable nftables",
}
# Everybody who holds a change dies as soon as systemd has the firewall start at boot.
DEADLY = """#!/bin/sh
/usr/bin/systemctl "$@" || exit
case "$*" in *enable*) kill -KILL $(ls -l /proc/[0-9]*/fd 2>/dev/null |
    awk '/^\\/proc/ { split($1, part, "/") } /netports-apple\\/lock$/ { print part[3] }'); esac
"""
# As the module says it, which would settle the change itself.
CONFIRMS = """
import json, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
    stream.connect("/var/lib/netports-apple/keeper")
    stream.sendall(json.dumps({"confirm": sys.argv[1], "origin": None}).encode() + b"\\n")
    print(stream.recv(99).decode(), end="")
"""


@pytest.mark.parametrize("backend", STAYS)
@pytest.mark.hosts("none", "bookworm")
def test_a_firewall_that_nobody_keeps_on_goes_off_again(host: Host, backend: str) -> None:
    install(host)
    host.sh("systemctl disable --quiet ufw")
    on: dict[str, Any] = {"rules": WANTED, "backend": backend, "enable": True, "accept": ["no-way-in"]}
    off = state(host)

    def recovered() -> State:
        """How the host is behind a run of anything."""
        code, result = module(host, ruleset="kiosk", state="deleted", backend=backend)
        assert code == 0 and "recovered" in codes(result), result
        assert [notice["text"] for notice in result["notices"] if "but for" in notice["text"]] == []
        assert host.ssh("true").rc == 0
        return state(host)

    # While it waits for its confirmation.
    _identity, keeper, watcher = waiting(host, **on)
    host.sh(f"kill -KILL {watcher} {keeper}")
    assert state(host).kernel != off.kernel and recovered() == off
    # While it is confirmed.
    identity, *_keepers = waiting(host, **on)
    host.write("/usr/local/sbin/systemctl", DEADLY, "0755")
    assert host.run(["python3", "-c", CONFIRMS, identity]).out == "", "the keeper lives"
    host.run(["rm", "/usr/local/sbin/systemctl"])
    found = state(host)
    assert found.files != off.files and found.enabled != off.enabled and recovered() == off
    # Where the administrator has switched it on since, that stays, and no more than that.
    _identity, keeper, watcher = waiting(host, **on)
    host.sh(f"kill -KILL {watcher} {keeper}; {STAYS[backend]}")
    kept = recovered()
    assert kept.enabled != off.enabled or backend == "ufw"
    assert "ENABLED=yes" in host.read("/etc/ufw/ufw.conf") or backend != "ufw"
    assert backend == "nftables" or kept.kernel != off.kernel
    assert "pple" not in kept.kernel.replace("netports-apple", "") and "3284" not in kept.kernel


OFF = {
    "ufw": "ufw disable",
    "firewalld": "systemctl disable --quiet --now firewalld",
    "nftables": "systemctl disable --quiet nftables; nft flush ruleset",
}


@pytest.mark.parametrize("backend", STAYS)
@pytest.mark.hosts("none", "bookworm")
def test_a_firewall_that_others_switch_on_as_a_change_does_stays_on(host: Host, backend: str) -> None:
    """The change does nothing else: its rules are there already."""
    install(host)
    on: dict[str, Any] = {"rules": WANTED, "backend": backend, "enable": True, "accept": ["no-way-in"]}

    def ended(way: str, meanwhile: str, **more: Any) -> State:
        """How the host is behind a change."""
        identity, keeper, watcher = waiting(host, **{**on, **more})
        assert state(host).kernel != off.kernel
        if way == "killed":
            host.sh(f"kill -KILL {watcher} {keeper}; {meanwhile}")
            assert "recovered" in codes(module(host, ruleset="kiosk", state="deleted", backend=backend)[1])
            return state(host)
        host.sh(meanwhile)
        if way == "confirmed":
            assert module(host, _confirm={"step": "confirm", "id": identity})[1]["confirm"]["state"] == "confirmed"
        else:
            give_up(host)
        settle(host)
        return state(host)

    direct.run(host, **on)
    host.sh(f"{STAYS[backend]}; {OFF[backend]}")
    off = state(host)
    for way in ("given up", "killed"):
        assert ended(way, "true") == off
    for way in ("given up", "killed", "confirmed"):
        kept = ended(way, STAYS[backend])
        assert "ENABLED=yes" in host.read("/etc/ufw/ufw.conf") if backend == "ufw" else kept.enabled != off.enabled
        assert "3284" in kept.kernel
        host.sh(OFF[backend])
        assert state(host) == off
    if backend == "ufw":
        # On at the next boot, and not now: all of that is as before. Also where rules are changed.
        host.sh("ufw --force enable; /usr/lib/ufw/ufw-init stop")
        off = state(host)
        for way in ("given up", "killed"):
            for rules in (WANTED, WANTED[:1]):
                assert ended(way, "true", rules=rules) == off


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("nftables", "bookworm")
def test_the_same_text_of_somebody_else_stays(shared: Host) -> None:
    before = state(shared)
    for killed in (False, True):
        _identity, keeper, watcher = waiting(shared, rules=WANTED)
        for path, _old, new, _mode in json.loads(shared.read("/var/lib/netports-apple/pending.json"))["files"]:
            shared.run(["sh", "-c", 'mkdir -p "${1%/*}"; cat >"$1"', "", path], stdin=new)
        written = state(shared).files
        if killed:
            shared.sh(f"kill -KILL {watcher} {keeper}")
            assert "recovered" in codes(module(shared, ruleset="kiosk", state="deleted")[1])
        else:
            give_up(shared)
            settle(shared)
        now = state(shared)
        assert now.files == written != before.files
        # Nobody is left who knows what was loaded: the files say it.
        assert killed or now.kernel == before.kernel
        assert module(shared, state="deleted")[0] == 0
        assert state(shared) == before


@pytest.mark.hosts("ufw", "bookworm")
def test_a_folder_that_others_may_write_to_is_refused(shared: Host) -> None:
    planted = {"id": "x", "ruleset": "apple", "files": [["/etc/cron.d/x", "* * * * * root id\n", None, 0o644]]}
    before = state(shared)
    for mode, owner, said in (
        ("0777", "root", "root alone"),
        ("0755", "admin", "root alone"),
        ("0700", "root", "no firewall's"),
    ):
        shared.sh("rm -rf /var/lib/netports-apple; mkdir /var/lib/netports-apple")
        shared.write("/var/lib/netports-apple/pending.json", json.dumps(planted), "0600")
        shared.sh(f"chown {owner} /var/lib/netports-apple; chmod {mode} /var/lib/netports-apple")
        code, result = module(shared, rules=WANTED)
        assert code == 1 and said in result["msg"], result
        assert state(shared) == before and shared.run(["test", "-e", "/etc/cron.d/x"], check=False).rc == 1
    shared.sh("rm -rf /var/lib/netports-apple")


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("nftables", "bookworm")
def test_keepers_killed_at_chosen_points(shared: Host) -> None:
    ends = kill_keepers_at_points(shared, 17)
    assert ends["killed"] > 5 and ends["confirmed"] and ends["restored"], ends
