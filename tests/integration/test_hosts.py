# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts prove themselves: what a test sees on them is what a real host would do."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosts import Host, HostsError, Lab, PlayFailed, Target, listen, machine, play, probe, reach
from hosts.code import FOLDER, install, module
from hosts.images import VERSIONS
from hosts.machine import BRIDGE
from hosts.pool import Pool

PING = [{"name": "Ping", "ansible.builtin.ping": {}}]
CODE = f"{FOLDER}/ansible_collections/netports/apple/plugins/module_utils/_run.py"
EVERY = [(family, protocol) for family in (4, 6) for protocol in ("tcp", "udp")]


@pytest.mark.hosts("none")
def test_up_with_both_firewalls_off(host: Host, peer: Host) -> None:
    assert host.run(["systemctl", "is-system-running"]).out == "running\n"
    assert host.read("/etc/os-release").count(host.suite)
    assert host.run(["ufw", "status"]).out == "Status: inactive\n"
    assert host.run(["firewall-cmd", "--state"], check=False).rc == 252
    assert host.kernel() == "\n"
    with listen(host, tcp=[80], udp=[80]):
        answers = reach(peer, host, [(family, protocol, port) for family, protocol in EVERY for port in (80, 81)])
    assert answers == {
        Target(family, protocol, port): {80: "open", 81: "closed"}[port]
        for family, protocol in EVERY
        for port in (80, 81)
    }
    check_versions(host)
    check_files(host)
    check_processes(host)
    check_compiled(host)


def check_versions(host: Host) -> None:
    """Those of the table of compatibility: Debian's without epoch and revision, of Python the first two numbers."""
    installed = host.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", "ufw", "firewalld", "nftables", "python3"]
    )
    found = {name: re.split("[-+~]", version)[0] for name, version in map(str.split, installed.out.splitlines())}
    found["python3"] = ".".join(found["python3"].split(".")[:2])
    found["debian"] = re.findall(r'^VERSION_ID="(\d+)"', host.read("/etc/os-release"), re.MULTILINE)[0]
    assert found == VERSIONS[host.suite]


@pytest.mark.hosts("ufw")
def test_a_host_with_ufw(host: Host, peer: Host) -> None:
    check_reboots(host, peer)
    check_plays(host)
    check_ufw(host, peer)
    check_a_thousand_ports(host, peer)


def check_ufw(host: Host, peer: Host) -> None:
    """It filters packets."""
    host.run(["ufw", "allow", "443"])
    host.run(["ufw", "allow", "proto", "udp", "to", "any", "port", "16384:16403"])
    ports = [443, 444, 16384, 16403, 16404]
    with listen(host, tcp=ports, udp=ports):
        for family in (4, 6):
            assert probe(peer, host, ports, "tcp", family) == {
                port: "open" if port == 443 else "filtered" for port in ports
            }
            assert probe(peer, host, ports, "udp", family) == {
                port: "filtered" if port in (444, 16404) else "open" for port in ports
            }


@pytest.mark.hosts("firewalld")
def test_a_host_with_firewalld(host: Host, peer: Host) -> None:
    """It filters packets, and does again after a reboot."""
    kernel = host.kernel()
    assert "firewalld" in kernel
    host.reboot()
    assert host.kernel() == kernel
    host.run(["firewall-cmd", "--add-port=443/tcp", "--add-port=443/udp"])
    with listen(host, tcp=[443, 444], udp=[443, 444]):
        for family, protocol in EVERY:
            assert probe(peer, host, [443, 444], protocol, family) == {443: "open", 444: "filtered"}


@pytest.mark.hosts("ufw", "bookworm")
def test_a_public_address_is_another_source(host: Host, make_host: Callable[..., Host]) -> None:
    for network in ("10.0.0.0/8", "fc00::/7"):
        host.run(["ufw", "allow", "proto", "tcp", "from", network, "to", "any", "port", "548"])
    far = make_host("bookworm")
    with listen(host, tcp=[548]):
        for family, address in zip((4, 6), far.public, strict=True):
            far.alias(address, host)
            target = Target(family, "tcp", 548)
            assert reach(far, host, [target]) == {target: "open"}
            assert reach(far, host, [target], source_address=address) == {target: "filtered"}
    host.run(["ufw", "delete", "allow", "proto", "tcp", "from", "10.0.0.0/8", "to", "any", "port", "548"])
    host.run(["ufw", "allow", "proto", "tcp", "from", "203.0.113.0/24", "to", "any", "port", "548"])
    with listen(host, tcp=[548]):
        target = Target(4, "tcp", 548)
        assert reach(far, host, [target]) == {target: "filtered"}
        assert reach(far, host, [target], source_address=far.public[0]) == {target: "open"}


def check_a_thousand_ports(host: Host, peer: Host) -> None:
    """They are tried at once."""
    host.run(["ufw", "allow", "20000:20499/tcp"])
    ports = range(20000, 21000)
    with listen(host, tcp=ports):
        states = probe(peer, host, ports)
    assert states == {port: "open" if port < 20500 else "filtered" for port in ports}


def check_reboots(host: Host, peer: Host) -> None:
    """A reboot keeps files and addresses alone."""
    host.write("/etc/netports/kept", "kept\n")
    files, kernel = host.files("/etc/ufw", "/etc/netports"), host.kernel()
    assert "/etc/netports/kept" in files
    for hard in (False, True):
        host.write("/run/gone", "gone\n")
        host.run(["iptables", "-I", "INPUT", "-p", "tcp", "--dport", "4433", "-j", "ACCEPT"])
        assert host.kernel() != kernel
        host.reboot(hard=hard)
        assert host.files("/etc/ufw", "/etc/netports") == files
        assert host.run(["test", "-e", "/run/gone"], check=False).rc == 1
        assert host.kernel() == kernel
        assert probe(peer, host, [22, 80]) == {22: "open", 80: "filtered"}
        assert probe(peer, host, [22, 80], family=6) == {22: "open", 80: "filtered"}


def check_files(host: Host) -> None:
    """Every change is seen."""
    before = host.files("/etc/ufw")
    assert host.files("/etc/ufw") == before
    for change in ("chmod 0600 /etc/ufw/ufw.conf", "printf x >>/etc/ufw/user.rules", "ln -s x /etc/ufw/y"):
        host.sh(change)
        after = host.files("/etc/ufw")
        assert after != before
        before = after


def check_processes(host: Host) -> None:
    """Each is counted, and what started it is known."""
    with host.processes() as nothing:
        pass
    assert len(nothing) == 0
    with host.processes() as seen:
        host.sh("/bin/true; (exit 0); /bin/true; sleep 60 >/dev/null 2>&1 &")
    assert seen.names() == {"sh": 2, "true": 2, "sleep": 1}
    assert sorted(process.name for process in seen.below("sh") if process.execed and process.ended) == ["true", "true"]
    assert [process.name for process in seen.all if not process.execed] == ["sh"]
    assert [process.name for process in seen.all if not process.ended] == ["sleep"]


def check_plays(host: Host) -> None:
    """They run over ssh."""
    tasks = [*PING, {"name": "Who", "ansible.builtin.command": {"argv": ["id", "-un"]}}]
    for user, family in (("root", 4), ("admin", 6)):
        with host.processes() as seen:
            done = play(host, tasks, user=user, family=family)
        assert done.result(host, task="Ping")["ping"] == "pong"
        assert done.result(action="command")["stdout"] == "root"
        assert [one.changed for one in done.of(host)] == [False, True]
        assert done.remote_calls(host) == done.remote_calls() == 2
        assert [process.name for process in seen.below("python3")] == ["id"]


TWO_ARCHIVES = """
import os, zipfile, zipimport, netports_compiled
for path in ("/tmp/a.zip", "/tmp/b.zip"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("kept.py", "TEXT = %r\\ndef first(): pass" % os.urandom(8).hex() if path == "/tmp/a.zip" else source)
    with zipfile.ZipFile(path) as archive:
        source = archive.read("kept.py")
    code = zipimport.zipimporter(path).get_code("kept")
    print(code.co_filename, [part.co_filename for part in code.co_consts if hasattr(part, "co_filename")])
    netports_compiled.compile_source = None
"""


def check_compiled(host: Host) -> None:
    """What was compiled out of an archive is kept."""
    printed = host.run(["python3", "-c", TWO_ARCHIVES]).out.splitlines()
    assert printed == ["/tmp/a.zip/kept.py ['/tmp/a.zip/kept.py']", "/tmp/b.zip/kept.py ['/tmp/b.zip/kept.py']"]


@pytest.mark.hosts("none", "bookworm")
def test_plays_without_pipelining_cost_more_calls(host: Host) -> None:
    assert play(host, PING, pipelining=False).remote_calls(host) > 2


def test_plays_on_two_hosts(make_host: Callable[..., Host]) -> None:
    pair = [make_host("bookworm"), make_host("trixie")]
    done = play(pair, PING, check=True)
    assert [done.result(one)["ping"] for one in pair] == ["pong", "pong"]
    assert [done.remote_calls(one) for one in pair] == [1, 1]


@pytest.mark.hosts("none", "bookworm")
def test_a_host_that_goes_holds_no_other_up(host: Host) -> None:
    """A bridge takes the lowest address of its ports. Who answers one that has gone is not heard for up to a minute."""
    port = f"{BRIDGE}-x"
    subprocess.run(["ip", "link", "add", port, "address", "02:00:00:00:00:01", "type", "veth"], check=True)
    try:
        subprocess.run(["ip", "link", "set", port, "master", BRIDGE, "up"], check=True)
        with subprocess.Popen(
            [*host.ssh_argv(), "sleep 2; echo done"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as answer:
            time.sleep(1)
            subprocess.run(["ip", "link", "delete", port], check=True)
            try:
                assert answer.communicate(timeout=30)[0] == "done\n"
            finally:
                answer.kill()
    finally:
        subprocess.run(["ip", "link", "delete", port], check=False, capture_output=True)


@pytest.mark.hosts("none", "bookworm")
def test_a_failing_play_raises(host: Host) -> None:
    tasks = [{"name": "Fall", "ansible.builtin.command": "false"}]
    with pytest.raises(PlayFailed, match="non-zero return code"):
        play(host, tasks)
    done = play(host, tasks, fails=True)
    assert done.of(host, task="Fall")[0].status == "failed"
    with pytest.raises(PlayFailed):
        play(host, PING, fails=True)


@pytest.mark.hosts("none", "bookworm")
def test_a_run_of_the_code_that_breaks_raises(host: Host) -> None:
    """Forked from a process that has imported it; and from another one, where a test edits it."""
    asked: dict[str, Any] = {"state": "rendered", "backend": "ufw"}
    with pytest.raises(AssertionError, match="Traceback"):
        module(host, **asked, rules=5)
    assert module(host, **asked)[0] == 0
    install(host)
    text = host.read(CODE)
    for broken in ("def execute(*given):\n    raise RuntimeError('edited')\n", "raise RuntimeError('edited')\n"):
        host.write(CODE, f"{text}\n{broken}")
        with pytest.raises(AssertionError, match="edited"):
            module(host, **asked)
    host.write(CODE, text)
    assert module(host, **asked)[0] == 0


@pytest.mark.hosts("ufw", "bookworm")
def test_a_lock_out_is_seen_and_does_not_lock_the_test_out(host: Host) -> None:
    assert host.ssh("echo $SSH_CONNECTION").out.startswith(host.address4.rpartition(".")[0])
    host.run(["ufw", "delete", "allow", "22/tcp"])
    assert host.ssh("true").rc == 255
    assert host.run(["true"]).rc == 0


def test_a_host_can_be_left_behind() -> None:
    first = Lab()
    host = first.start("bookworm")
    first.keep(host)
    first.close()
    assert Lab().remove_kept([]) == 0 and host.run(["true"]).rc == 0
    assert Lab().remove_kept([host.number]) == 1
    assert host.run(["true"], check=False).rc != 0


def test_a_host_that_served_a_test_is_as_a_fresh_one_or_goes(lab: Lab) -> None:
    pool = Pool(lab, most=1)
    host = pool.take("bookworm", "none")
    port_range = host.read("/proc/sys/net/ipv4/ip_local_port_range")
    host.sh(
        "nft add table inet mine; systemctl enable --quiet nftables; sysctl -qw net.ipv4.ip_local_port_range='40000 41000'"
    )
    host.sh("echo >>/etc/nftables.conf; touch /run/mark /tmp/mark; mkdir /run/netports; rm /etc/default/ufw")
    install(host)
    host.write(CODE, "raise RuntimeError('edited')\n")
    pool.give(host)
    assert pool.take("bookworm", "none") is host
    assert host.kernel() == "\n" and host.read("/proc/sys/net/ipv4/ip_local_port_range") == port_range
    assert (
        host.sh("! ls -d /run/mark /tmp/mark /run/netports; systemctl is-enabled nftables", check=False).out
        == "disabled\n"
    )
    assert "iif lo" not in host.read("/etc/nftables.conf") and "IPV6" in host.read("/etc/default/ufw")
    assert module(host, state="rendered", backend="ufw")[0] == 0
    for left in (
        "echo >>/usr/sbin/ufw",
        "rm /etc/issue",
        "sleep 600 >/dev/null 2>&1 &",
        "systemctl stop ssh",
        "mkdir /var/lib/netports-apple; touch /var/lib/netports-apple/pending.json",
    ):
        host.sh(left)
        pool.give(host)
        assert host not in lab.hosts, left
        host = pool.take("bookworm", "none")


def test_podmans_settings_are_left_alone_where_they_are_right() -> None:
    """Another process may be reading them."""
    files = [Path(machine.settings()[name]) for name in ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")]

    def seen() -> list[tuple[int, int]]:
        return [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files]

    before = seen()
    machine.settings.cache_clear()
    machine.settings()
    assert seen() == before


def test_what_is_not_there_is_named(lab: Lab) -> None:
    with pytest.raises(HostsError, match="sid"):
        lab.start("sid")
    with pytest.raises(HostsError, match="pf"):
        lab.start("bookworm", "pf")
