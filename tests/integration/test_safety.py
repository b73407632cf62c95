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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from torture import (
    BLIND,
    DEADLY,
    PATIENT,
    STEP,
    WANTED,
    State,
    collection,
    give_up,
    settle,
    ssh_in_place,
    state,
)

from hosts import Host, play
from hosts.code import install, module
from hosts.machine import PROJECT

MODULE = "netports.apple.host_firewall"
# What decides whether the present connection needs a rule of its own, and the same without it.
GUARD = {
    "plugins__module_utils___run": ("guards=protection.guards", "guards=()"),
}
# A controller that does not wait for a host that it cannot reach.
HASTY = ("RESTORING = 15", "RESTORING = 1")
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


def run(host: Host, fails: bool = False, **more: Any) -> dict[str, Any]:
    """Play the module's task, and return what it returned."""
    settings = {
        key: more.pop(key) for key in ("check", "user", "family", "pipelining", "env", "variables") if key in more
    }
    task = {"name": "Run", MODULE: {"rules": WANTED, **more}}
    return play(host, [task], fails=fails, **settings).result(host, MODULE)


def old(waiting: State, before: State) -> bool:
    """Whether a reboot would bring the old rules: the files are the old ones, but for services that nobody names."""
    new = {path for path in waiting.files.keys() - before.files.keys() if "/firewalld/services/apple-" in path}
    return {path: one for path, one in waiting.files.items() if path not in new} == before.files


def kept_connection(host: Host, folder: Path) -> dict[str, Any]:
    """Run the module with a controller that confirms over the connection that it had, and end its change after that."""
    asked = folder / "asked"
    ask = "            answer = self._call(task_vars, step, identity)\n"
    patch = (f"            self._connection.reset()\n{ask}", f"{ask}            open({str(asked)!r}, 'w').close()\n")
    with collection(plugins__action__host_firewall=patch) as env, ThreadPoolExecutor() as pool:
        # The connection outlives the pauses between the tries, so that none of them makes a new one.
        env = {**env, "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=600s"}
        going = pool.submit(run, host, fails=True, confirm_seconds=PATIENT, env=env)
        while not asked.exists() and not going.done():
            time.sleep(0.1)
        if asked.exists():
            give_up(host)
        return going.result()


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "bookworm")
@pytest.mark.hosts("nftables", "trixie")
def test_only_a_new_connection_confirms(host: Host, tmp_path: Path) -> None:
    host.sh(OWN[host.firewall])
    before = state(host)
    checked = run(host, check=True)
    assert checked["changed"] and "confirmed" not in checked
    # A controller that the rules shut out, one that died, and one that came back over the connection that it had.
    with collection(plugins__action__host_firewall=HASTY) as env:
        failed = run(host, fails=True, confirm_seconds=3, env={**env, **ssh_in_place(tmp_path, BLIND)})
    assert "No route to host" in failed["msg"] and not failed["changed"] and not failed["confirmed"], failed
    settle(host)
    assert state(host) == before
    task = {"name": "Run", MODULE: {"rules": WANTED, "confirm_seconds": 3}}
    assert play(host, [task], fails=True, env=ssh_in_place(tmp_path, DEADLY)).rc == -9
    settle(host)
    outcome = json.loads(host.read("/var/lib/netports-apple/outcome.json"))
    assert outcome["why"] == "no new connection confirmed the change within 3 seconds"
    assert state(host) == before
    kept = kept_connection(host, tmp_path)
    assert "over the connection that the change was made over" in kept["msg"], kept
    assert "the host restored its old rules at" in kept["msg"]
    assert state(host) == before
    # And one that did it right, through sudo, over IPv6, with files in the place of a pipe.
    for pipelining in (True, False):
        done = run(host, user="admin", family=6, pipelining=pipelining, confirm_seconds=PATIENT)
        assert done["changed"] and done["confirmed"] is True
        assert state(host) != before
        assert "confirmed" not in run(host), "nothing changed, so there was nothing to confirm"
        assert run(host, state="deleted")["confirmed"]
        assert state(host) == before
    assert "confirmed" not in run(host, confirm_seconds=0)


@pytest.mark.hosts("ufw", "bookworm")
def test_a_host_that_limits_ssh(host: Host, tmp_path: Path) -> None:
    host.sh("ufw delete allow 22/tcp; ufw limit 22/tcp")
    before = state(host)
    done = run(host, confirm_seconds=PATIENT)
    assert done["confirmed"] is True and "limited" in [notice["code"] for notice in done["notices"]]
    # The limit counts anew: the kernel's list has the addresses that came.
    host.sh("echo / > /proc/net/xt_recent/DEFAULT")
    # A controller that does not come back hears of the limit.
    with collection(plugins__action__host_firewall=HASTY) as env:
        env |= ssh_in_place(tmp_path, BLIND)
        failed = run(host, fails=True, state="deleted", confirm_seconds=3, env=env)
    assert "A limit admits ssh on this host" in failed["msg"], failed
    settle(host)
    assert state(host) != before
    assert run(host, state="deleted", confirm_seconds=PATIENT)["confirmed"] is True
    assert state(host) == before


@pytest.mark.hosts("ufw", "trixie")
@pytest.mark.hosts("firewalld", "bookworm")
@pytest.mark.hosts("nftables", "bookworm")
def test_while_a_change_waits(host: Host) -> None:
    install(host)
    before = state(host)
    code, first = module(host, rules=WANTED, confirm_seconds=PATIENT, _confirm=STEP)
    assert code == 0 and first["confirm"]["seconds"] == PATIENT
    waiting = state(host)
    assert old(waiting, before) and waiting.kernel != before.kernel
    # Another run waits; a confirmation with another name settles nothing; check mode says what goes on.
    assert any("waits until" in text for text in run(host, check=True)["warnings"])
    code, answer = module(host, _confirm={"step": "confirm", "id": "another"})
    assert answer["confirm"]["state"] == "gone" and state(host) == waiting
    code, answer = module(host, _confirm={"step": "confirm", "id": first["confirm"]["id"]})
    assert answer["confirm"]["state"] == "confirmed", answer
    wanted = state(host)
    assert wanted.kernel == waiting.kernel and wanted.files != before.files
    code, answer = module(host, _confirm={"step": "confirm", "id": first["confirm"]["id"]})
    assert answer["confirm"]["state"] == "confirmed"
    # Who comes too late is told so.
    code, second = module(host, state="deleted", confirm_seconds=1, _confirm=STEP)
    after = module(host, rules=WANTED[:1])[1]
    assert after["changed"] and len(after["before"]) == len(WANTED), (
        "the next run waited, and went on from the old rules"
    )
    code, answer = module(host, _confirm={"step": "confirm", "id": second["confirm"]["id"]})
    assert answer["confirm"]["state"] in ("gone", "restored"), answer
    module(host, rules=WANTED)
    assert state(host) == wanted
    # A run over no network, which the plugin does not ask to wait, leaves nobody behind.
    code, local = module(host, rules=WANTED[:1], confirm_seconds=PATIENT)
    assert code == 0 and local["changed"] and "confirm" not in local
    settle(host)
    host.sh("while pgrep -f 'netports-cod[e]'; do sleep 0.1; done")
    module(host, rules=WANTED)
    # Told to end, or killed, the keeper has the old rules restored at once; killed with its watcher, by the next run.
    for words, settled in (("-TERM $1", True), ("-KILL $1", True), ("-KILL $(ps -o ppid= -p $1) $1", False)):
        module(host, state="deleted", confirm_seconds=PATIENT, _confirm=STEP)
        keeper = json.loads(host.read("/var/lib/netports-apple/pending.json"))["keeper"]
        host.sh(f"set -- {keeper}; kill {words}")
        settle(host)
        assert (state(host) == wanted) == settled, words
        assert module(host, rules=WANTED)[0] == 0
        assert state(host) == wanted
    # A reboot needs nobody.
    module(host, state="deleted", confirm_seconds=PATIENT, _confirm=STEP)
    host.reboot(hard=True)
    assert state(host).files == wanted.files
    assert sorted(state(host).kernel.splitlines()) == sorted(wanted.kernel.splitlines())
    assert not run(host)["changed"]


# What switches a firewall off again, and forgets what it was told.
OFF = {
    "ufw": "ufw disable; ufw --force reset; rm -f /etc/ufw/applications.d/netports-apple",
    "firewalld": "systemctl disable --now firewalld; rm -f /etc/firewalld/*/*.xml",
}


@pytest.mark.parametrize("backend", ["ufw", "firewalld"])
@pytest.mark.hosts("none", "bookworm")
def test_switching_on_without_the_guard_locks_out(host: Host, backend: str) -> None:
    # A port of its own, so that no rule of the distribution's is in the way.
    host.sh("echo 'Port 22\nPort 2222' >> /etc/ssh/sshd_config; systemctl restart ssh")
    redirects = "net.ipv4.conf.all.accept_redirects"
    host.sh(f"sysctl -w {redirects}=1")
    before = state(host)
    over: dict[str, Any] = {"variables": {"ansible_port": 2222}, "enable": True, "backend": backend}
    with collection(**GUARD, plugins__action__host_firewall=HASTY) as env:
        # Locked out indeed: nobody comes back, and the host helps itself.
        failed = run(host, fails=True, confirm_seconds=8, env={**env, "ANSIBLE_TIMEOUT": "3"}, **over)
        assert "the host restored its old rules at" in failed["msg"] or "restores its old rules" in failed["msg"]
        settle(host)
        assert state(host) == before and host.ssh("true", port=2222).rc == 0
        assert host.run(["sysctl", "-n", redirects]).out == "1\n"
        run(host, confirm_seconds=0, env=env, **over)
        assert host.ssh("true", port=2222).rc == 255 and host.ssh("true", port=2222, family=6).rc == 255
        assert host.run(["sysctl", "-n", redirects]).out == ("0\n" if backend == "ufw" else "1\n")
        host.sh(OFF[backend])
    for family in (4, 6):
        done = run(host, user="admin", family=family, **over)
        assert done["confirmed"] and any("2222" in text for text in done["warnings"])
        assert host.ssh("true", port=2222, family=family).rc == 0
        assert host.ssh("true", port=2222, family=10 - family).rc == 255
        host.sh(OFF[backend])


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


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "bookworm")
def test_a_host_that_speaks_german(host: Host) -> None:
    for path in ("/etc/default/locale", "/etc/locale.conf"):
        host.write(path, "LANG=de_DE.UTF-8\nLC_ALL=de_DE.UTF-8\n")
    host.reboot()
    assert "nicht gefunden" in host.ssh("ls /nowhere").err and "nicht gefunden" in host.ssh("sudo ls /x", "admin").err
    before = state(host)
    for user in ("root", "admin"):
        assert run(host, user=user)["confirmed"] and not run(host, user=user)["changed"]
        assert run(host, user=user, state="deleted")["confirmed"]
        assert state(host) == before


@pytest.mark.hosts("ufw", "bookworm")
def test_logind_kills_what_a_session_leaves_behind(host: Host, tmp_path: Path) -> None:
    host.write("/etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\n")
    host.sh("systemctl restart systemd-logind")
    host.ssh("sudo setsid sleep 987 >/dev/null 2>&1 </dev/null &", user="admin")
    host.sh("while pgrep -f 'sleep 98[7]'; do sleep 0.1; done")
    before = state(host)
    with collection(plugins__action__host_firewall=HASTY) as env:
        run(host, user="admin", fails=True, confirm_seconds=4, env={**env, **ssh_in_place(tmp_path, BLIND)})
    settle(host)
    assert state(host) == before
    assert run(host, user="admin")["confirmed"]


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
