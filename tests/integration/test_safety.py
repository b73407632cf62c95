# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that is not confirmed over a new connection goes again; the present connection stays admitted."""

from __future__ import annotations

import importlib.metadata
import io
import json
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from integration import direct
from torture import (
    BLIND,
    DEADLY,
    LASTING,
    PATIENT,
    STEP,
    WANTED,
    State,
    give_up,
    settle,
    ssh_in_place,
    state,
    status,
)
from torture import waiting as waiting_change

from hosts import Host, play
from hosts.code import FOLDER, install, module
from hosts.machine import PROJECT

MODULE = "netports.apple.host_firewall"
KIOSK = [{"name": "Kiosk", "direction": "in", "tcp": ["9999"]}]
# A connection that nobody drops outlives the pauses between the tries to confirm, so that none of them makes a new one.
PERSISTENT = {"ansible_ssh_args": "-C -o ControlMaster=auto -o ControlPersist=60s"}
# An administrator's own: for ufw for good, for firewalld at runtime alone, which no reload brings back by itself.
OWN = {
    "ufw": "ufw allow 8443/tcp comment ours",
    "nftables": "nft insert rule inet filter input tcp dport 8443 accept comment ours",
    "firewalld": """
        firewall-cmd --add-port=8443/tcp
        firewall-cmd --add-rich-rule='rule family=ipv4 source address=192.0.2.7 reject'
        firewall-cmd --permanent --add-port=9443/tcp
        firewall-cmd --zone=internal --add-source=198.51.100.0/24
    """,
}


OWN_GONE = {
    "ufw": "ufw delete allow 8443/tcp",
    "nftables": "nft -f /etc/nftables.conf",
    "firewalld": "rm /etc/firewalld/zones/*; firewall-cmd --reload",
}


def run(host: Host, fails: bool = False, **more: Any) -> dict[str, Any]:
    """Play the module's task, and return what it returned."""
    settings = {
        key: more.pop(key) for key in ("check", "user", "family", "pipelining", "env", "variables") if key in more
    }
    task = {"name": "Run", MODULE: {"rules": WANTED, **more}}
    return play(host, [task], fails=fails, **settings).result(host, MODULE)


def codes(result: dict[str, Any]) -> set[str]:
    """The codes of a result's notices."""
    return {notice["code"] for notice in result["notices"]}


def old(waiting: State, before: State) -> bool:
    """Whether a reboot would bring the old rules: the files are the old ones, but for services that nobody names."""
    new = {path for path in waiting.files.keys() - before.files.keys() if "/firewalld/services/apple-" in path}
    return {path: one for path, one in waiting.files.items() if path not in new} == before.files


def kept_connection(host: Host, folder: Path) -> dict[str, Any]:
    """Run the module with a controller that confirms over the connection that it had, and end its change after that."""
    used = folder / "used"
    count = LASTING.replace("echo >> used", f"echo >> {used}")
    over = {**ssh_in_place(folder, count), **PERSISTENT}
    with ThreadPoolExecutor() as pool:
        going = pool.submit(run, host, fails=True, confirm_seconds=PATIENT, variables=over)
        # Two calls were made when it begins its third.
        while not going.done() and not (used.exists() and used.read_text().count("\n") > 2):
            time.sleep(0.1)
        if not going.done():
            give_up(host)
        return going.result()


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "bookworm")
@pytest.mark.hosts("nftables", "trixie")
def test_only_a_new_connection_confirms(shared: Host, tmp_path: Path) -> None:
    shared.sh(OWN[shared.firewall])
    before = state(shared)
    # A controller that the rules shut out.
    failed = run(shared, fails=True, confirm_seconds=1, variables=ssh_in_place(tmp_path, BLIND))
    assert "No route to host" in failed["msg"] and not failed["changed"] and not failed["confirmed"], failed
    assert "the host restored its old rules at" in failed["msg"]
    assert state(shared) == before
    # And one that did it right, through sudo, over IPv6.
    wanted: dict[str, Any] = {"rules": WANTED, "confirm_seconds": PATIENT}
    steps: list[dict[str, Any]] = [
        {MODULE: wanted, "check_mode": True},
        {MODULE: wanted},
        {MODULE: wanted},
        {"ansible.builtin.command": "nft list ruleset"},
        {MODULE: {**wanted, "state": "deleted"}},
    ]
    # With files in the place of a pipe for one of the firewalls.
    over = {"ansible_pipelining": shared.firewall != "nftables", **PERSISTENT}
    done = play(shared, steps, user="admin", family=6, variables=over)
    assert any(call.startswith("sftp") for call in done.calls) == (shared.firewall == "nftables")
    checked, made, again, deleted = [one.result for one in done.of(shared, MODULE)]
    assert checked["changed"] and "confirmed" not in checked
    assert made["changed"] and made["confirmed"] is True
    assert not again["changed"] and "confirmed" not in again, "nothing changed, so there was nothing to confirm"
    assert "3284" in done.result(shared, action="command")["stdout"]
    assert deleted["changed"] and deleted["confirmed"] is True
    assert state(shared) == before
    shared.sh(OWN_GONE[shared.firewall])


@pytest.mark.hosts("nftables", "trixie")
def test_controllers_that_do_not_come_back_over_a_new_connection(shared: Host, tmp_path: Path) -> None:
    before = state(shared)
    task = {"name": "Run", MODULE: {"rules": WANTED, "confirm_seconds": 3}}
    assert play(shared, [task], fails=True, variables=ssh_in_place(tmp_path, DEADLY)).rc == -9
    settle(shared)
    outcome = json.loads(shared.read("/var/lib/netports-apple/outcome.json"))
    assert outcome["why"] == "no new connection confirmed the change within 3 seconds"
    assert state(shared) == before
    kept = kept_connection(shared, tmp_path)
    assert "over the connection that the change was made over" in kept["msg"], kept
    assert "the host restored its old rules at" in kept["msg"]
    assert state(shared) == before
    # And one that asks for no confirmation.
    at_once = run(shared, confirm_seconds=0)
    assert at_once["changed"] and "confirmed" not in at_once


@pytest.mark.hosts("ufw", "bookworm")
def test_a_host_that_limits_ssh(shared: Host, tmp_path: Path) -> None:
    shared.sh("ufw delete allow 22/tcp; ufw limit 22/tcp")
    before = state(shared)
    done = run(shared, confirm_seconds=PATIENT)
    assert done["confirmed"] is True and "limited" in codes(done)
    # The limit counts anew: the kernel's list has the addresses that came.
    shared.sh("echo / > /proc/net/xt_recent/DEFAULT")
    # A controller that does not come back hears of the limit.
    failed = run(shared, fails=True, state="deleted", confirm_seconds=1, variables=ssh_in_place(tmp_path, BLIND))
    assert "A limit admits ssh on this host" in failed["msg"], failed
    settle(shared)
    assert state(shared) != before
    shared.sh("echo / > /proc/net/xt_recent/DEFAULT")
    assert direct.run(shared, ssh=4, state="deleted")["changed"]
    assert state(shared) == before
    shared.sh("ufw delete limit 22/tcp; ufw allow 22/tcp")


@pytest.mark.hosts("ufw", "trixie")
@pytest.mark.hosts("firewalld", "bookworm")
@pytest.mark.hosts("nftables", "bookworm")
def test_while_a_change_waits(shared: Host) -> None:
    before = state(shared)
    code, first = module(shared, rules=WANTED, confirm_seconds=PATIENT, _confirm=STEP)
    assert code == 0 and first["confirm"]["seconds"] == PATIENT
    waiting = state(shared)
    assert old(waiting, before) and waiting.kernel != before.kernel
    # Another run waits; a confirmation with another name settles nothing; check mode says what goes on.
    assert any("waits until" in text for text in module(shared, rules=WANTED, check=True)[1]["warnings"])
    code, answer = module(shared, _confirm={"step": "confirm", "id": "another"})
    assert answer["confirm"]["state"] == "gone" and state(shared) == waiting
    code, answer = module(shared, _confirm={"step": "confirm", "id": first["confirm"]["id"]})
    assert answer["confirm"]["state"] == "confirmed", answer
    wanted = state(shared)
    assert wanted.kernel == waiting.kernel and wanted.files != before.files
    code, answer = module(shared, _confirm={"step": "confirm", "id": first["confirm"]["id"]})
    assert answer["confirm"]["state"] == "confirmed"
    # Who comes too late is told so.
    code, second = module(shared, state="deleted", confirm_seconds=1, _confirm=STEP)
    after = module(shared, rules=WANTED[:1])[1]
    assert after["changed"] and len(after["before"]) == len(WANTED), (
        "the next run waited, and went on from the old rules"
    )
    code, answer = module(shared, _confirm={"step": "confirm", "id": second["confirm"]["id"]})
    assert answer["confirm"]["state"] in ("gone", "restored"), answer
    module(shared, rules=WANTED)
    assert state(shared) == wanted
    # A run over no network, which the plugin does not ask to wait, leaves nobody behind.
    code, local = module(shared, ["env"], rules=WANTED[:1], confirm_seconds=PATIENT)
    assert code == 0 and local["changed"] and "confirm" not in local
    settle(shared)
    shared.sh("while pgrep -f 'netports-cod[e]'; do sleep 0.1; done")
    module(shared, rules=WANTED)
    # Told to end, or killed, the keeper has the old rules restored at once.
    for signal in ("TERM", "KILL"):
        _identity, keeper, _watcher = waiting_change(shared, state="deleted")
        shared.sh(f"kill -{signal} {keeper}")
        settle(shared)
        assert state(shared) == wanted, signal
    # A reboot needs nobody.
    module(shared, state="deleted", confirm_seconds=PATIENT, _confirm=STEP)
    shared.reboot(hard=True)
    assert state(shared).files == wanted.files
    assert sorted(state(shared).kernel.splitlines()) == sorted(wanted.kernel.splitlines())
    assert not module(shared, rules=WANTED)[1]["changed"]


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "bookworm")
@pytest.mark.hosts("nftables", "bookworm")
def test_what_nobody_keeps_any_more_is_said_and_put_back_by_any_run(shared: Host) -> None:
    assert module(shared, ruleset="kiosk", rules=KIOSK)[0] == 0
    before = state(shared)
    identity, keeper, watcher = waiting_change(shared, rules=WANTED)
    assert status(shared, identity) == "waiting"
    shared.sh(f"kill -KILL {watcher} {keeper}")
    settle(shared)
    assert status(shared, identity) == "gone"
    code, result = module(shared, ruleset="kiosk", rules=KIOSK)
    assert code == 0 and "recovered" in codes(result)
    assert state(shared) == before and status(shared, identity) == "restored"
    # Over a new connection it may stay.
    identity, keeper, watcher = waiting_change(shared, rules=WANTED)
    shared.sh(f"kill -KILL {watcher} {keeper}")
    settle(shared)
    answer = module(shared, rules=WANTED, _confirm={"step": "confirm", "id": identity})[1]["confirm"]
    assert answer["state"] == "confirmed" and not module(shared, rules=WANTED)[1]["changed"]
    module(shared, ruleset="kiosk", state="deleted")


@contextmanager
def unguarded(host: Host) -> Iterator[None]:
    """Host code that admits the present connection by no rule of its own."""
    install(host)
    path = f"{FOLDER}/ansible_collections/netports/apple/plugins/module_utils/_run.py"
    text = host.read(path)
    assert "guards=protection.guards" in text
    host.write(path, text.replace("guards=protection.guards", "guards=()"))
    yield
    host.write(path, text)


# What switches a firewall off again, and forgets what it was told.
OFF = {
    "ufw": "ufw disable; ufw --force reset; rm -f /etc/ufw/applications.d/netports-apple",
    "firewalld": "systemctl disable --now firewalld; rm -f /etc/firewalld/*/*.xml",
}
# An administrator's rule for the daemon's port.
ADMIT = {
    "ufw": "ufw allow 2222/tcp",
    "firewalld": "firewall-cmd --permanent --add-port=2222/tcp; firewall-cmd --add-port=2222/tcp",
}


@pytest.mark.parametrize("backend", ["ufw", "firewalld"])
@pytest.mark.hosts("none", "bookworm")
def test_switching_on_without_the_guard_locks_out(host: Host, backend: str) -> None:
    # A port that no rule of the distribution's admits.
    host.sh("echo 'Port 2222' >> /etc/ssh/sshd_config; systemctl restart ssh")
    redirects = "net.ipv4.conf.all.accept_redirects"
    host.sh(f"sysctl -w {redirects}=1")
    before = state(host)
    asked: dict[str, Any] = {"rules": WANTED, "backend": backend, "enable": True}
    with unguarded(host):
        # Locked out indeed, until the host puts its old rules back.
        code, _result = module(host, ssh=4, port=2222, confirm_seconds=PATIENT, _confirm=STEP, **asked)
        assert code == 0 and state(host) != before
        assert [host.ssh("true", port=2222, family=family).rc for family in (4, 6)] == [255, 255]
        assert host.run(["sysctl", "-n", redirects]).out == ("0\n" if backend == "ufw" else "1\n")
        give_up(host)
        settle(host)
    assert state(host) == before and host.ssh("true", port=2222).rc == 0
    assert host.run(["sysctl", "-n", redirects]).out == "1\n"
    # A run that no connection made knows nobody to admit, and says so.
    stale = f"{host.address4} 50000 {host.address4} 2222"
    for seen in ({}, {"SSH_CONNECTION": stale}):
        for check in (True, False):
            code, result = module(host, check=check, env=seen, **asked)
            assert code == 1 and "its ssh daemon (port 2222)" in result["msg"], result
            assert state(host) == before
    code, result = module(host, accept=["no-way-in"], **asked)
    assert code == 0 and "no-way-in" in codes(result)
    assert host.ssh("true", port=2222).rc == 255
    # Nothing to change: nobody is asked anything.
    assert module(host, **asked)[1]["changed"] is False
    host.sh(ADMIT[backend])
    code, result = module(host, **{**asked, "rules": WANTED[:1]})
    assert code == 0 and "no-way-in" not in codes(result)
    assert host.ssh("true", port=2222).rc == 0
    # With the guard, each family admits the connection that came over it.
    for family in (4, 6):
        host.sh(OFF[backend])
        if family == 4:
            done = direct.run(host, ssh=4, port=2222, **asked)
        else:
            done = run(host, user="admin", family=6, variables={"ansible_port": 2222}, **asked)
        assert done["changed"] and any("2222" in text for text in done["warnings"])
        assert host.ssh("true", port=2222, family=family).rc == 0
        assert host.ssh("true", port=2222, family=10 - family).rc == 255


@pytest.mark.hosts("none", "bullseye", "trixie")
def test_firewalld_in_short(host: Host) -> None:
    install(host)
    off = state(host)
    code, _result = module(host, rules=WANTED, backend="firewalld", enable=True, confirm_seconds=PATIENT, _confirm=STEP)
    assert code == 0 and state(host) != off
    give_up(host)
    settle(host)
    assert state(host) == off, "switched on and not confirmed"
    assert module(host, rules=WANTED[1:], backend="firewalld", enable=True)[0] == 0
    host.sh(OWN["firewalld"])
    before = state(host)
    assert "198.51.100.0/24" in before.kernel and "192.0.2.7" in before.kernel and "enabled" in before.enabled
    assert module(host, rules=WANTED, confirm_seconds=1, _confirm=STEP)[0] == 0
    settle(host)
    assert state(host) == before
    _code, result = module(host, rules=WANTED, confirm_seconds=PATIENT, _confirm=STEP)
    waiting = state(host)
    assert old(waiting, before) and waiting.kernel != before.kernel
    _code, answer = module(host, _confirm={"step": "confirm", "id": result["confirm"]["id"]})
    assert answer["confirm"]["state"] == "confirmed", answer
    assert state(host).kernel == waiting.kernel and not module(host, rules=WANTED)[1]["changed"]
    module(host, state="deleted", confirm_seconds=PATIENT, _confirm=STEP)
    wanted = state(host).files
    host.reboot(hard=True)
    assert state(host).files == wanted
    assert not module(host, rules=WANTED)[1]["changed"]


@pytest.mark.parametrize("firewall", ["ufw", "firewalld"])
@pytest.mark.hosts("none", "bookworm")
def test_a_host_that_speaks_german_and_kills_what_a_session_leaves_behind(
    host: Host, firewall: str, tmp_path: Path
) -> None:
    for path in ("/etc/default/locale", "/etc/locale.conf"):
        host.write(path, "LANG=de_DE.UTF-8\nLC_ALL=de_DE.UTF-8\n")
    host.write("/etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\n")
    on = {"ufw": "ufw allow 22/tcp; ufw --force enable", "firewalld": "systemctl enable firewalld"}
    host.sh(on[firewall])
    host.reboot()
    assert "nicht gefunden" in host.ssh("ls /nowhere").err and "nicht gefunden" in host.ssh("sudo ls /x", "admin").err
    host.ssh("sudo setsid sleep 987 >/dev/null 2>&1 </dev/null &", user="admin")
    host.sh("while pgrep -f 'sleep 98[7]'; do sleep 0.1; done")
    before = state(host)
    over = ssh_in_place(tmp_path, BLIND)
    assert "restored" in run(host, user="admin", fails=True, confirm_seconds=1, variables=over)["msg"]
    assert state(host) == before
    asked: dict[str, Any] = {"rules": WANTED, "confirm_seconds": PATIENT}
    tasks = [{MODULE: asked}, {MODULE: asked}, {MODULE: {**asked, "state": "deleted"}}]
    made, again, deleted = [one.result for one in play(host, tasks, user="admin").of(host, MODULE)]
    assert made["confirmed"] and not again["changed"] and deleted["confirmed"]
    assert state(host) == before
    assert direct.run(host, ssh=4, rules=WANTED)["changed"]
    assert direct.run(host, ssh=4, state="deleted")["changed"]
    assert state(host) == before


def carry_ansible(host: Host, folder: str) -> None:
    """Bring the ansible-core that these tests run with, and the collection, into a folder of the host."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("ansible-core", "jinja2", "markupsafe", "pyyaml", "packaging", "resolvelib"):
            for file in importlib.metadata.files(name) or ():
                # What is compiled is for this machine's Python; all of them do without.
                if not str(file).startswith("..") and file.suffix not in (".so", ".pyc"):
                    archive.add(file.locate(), str(file))
        for name in ("plugins", "data", "meta", "roles", "galaxy.yml"):
            archive.add(PROJECT / name, f"collections/ansible_collections/netports/apple/{name}")
    host.run(["mkdir", "-p", folder])
    host.run(["tar", "-xf", "-", "-C", folder, "--no-same-owner"], stdin=data.getvalue())


# Debian 13's Python is new enough for every ansible-core that the tests may run with.
@pytest.mark.hosts("ufw", "trixie")
def test_a_host_that_manages_itself_waits_for_nobody(host: Host) -> None:
    folder = "/var/tmp/local"
    carry_ansible(host, folder)
    tasks = [{"netports.apple.host_firewall": {"rules": WANTED, "confirm_seconds": PATIENT}, "register": "run"}]
    tasks.append({"ansible.builtin.copy": {"content": "{{ run | ansible.builtin.to_json }}", "dest": f"{folder}/run"}})
    host.write(f"{folder}/play.yml", json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    # As an administrator would, over ssh, which then is no connection of Ansible's.
    done = host.ssh(
        f"cd {folder} && LC_ALL=C.UTF-8 ANSIBLE_COLLECTIONS_PATH={folder}/collections PYTHONPATH={folder} "
        "python3 -m ansible.cli.playbook -i localhost, -c local play.yml"
    )
    assert done.rc == 0, done.out + done.err
    result = json.loads(host.read(f"{folder}/run"))
    assert result["changed"] and "confirmed" not in result
    assert host.run(["test", "-e", "/var/lib/netports-apple/pending.json"], check=False).rc == 1
    assert "FaceTime" in host.kernel() and "netports-apple" in " ".join(state(host).files)
    settle(host)
