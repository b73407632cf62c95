# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who manages a host, where its ssh daemon listens, and the guards that follow from both."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.netports.apple.plugins.module_utils import _connection, _guard, _sshd
from ansible_collections.netports.apple.plugins.module_utils._connection import Connection
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    Exposure,
    FirewallError,
    Host,
    Plan,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
# The kernel's own lines, of a little-endian machine: 10.0.0.5:22 from 10.0.0.9:50000, and sshd on every address.
TCP = HEADER + (
    "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n"
    "   1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n"
    "   2: 0500000A:0016 0900000A:C350 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n"
    "   3: 0500000A:0016 0800000A:C351 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 100 0 0 10 0\n"
)
# [2001:db8::5]:2222 from [2001:db8::9]:50001, a connection of IPv4 to a socket of IPv6, and a listener on 8080.
TCP6 = HEADER + (
    "   0: B80D0120000000000000000005000000:08AE B80D0120000000000000000009000000:C351 01 0:0 00:0 0 0 0 4720 1\n"
    "   1: 0000000000000000FFFF00000500000A:0016 0000000000000000FFFF00000700000A:C352 01 0:0 00:0 0 0 0 4721 1\n"
    "   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4722 1\n"
    "   3: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4723 1\n"
)
NETSTAT = """Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
tcp4       0      0  10.0.0.5.22            10.0.0.9.50000         ESTABLISHED
tcp6       0      0  fd00::1234:5678.22     fd00::1234:9abc.50001  ESTABLISHED
tcp4       0      0  10.0.0.5.22            10.0.0.8.50002         CLOSE_WAIT
tcp46      0      0  *.22                   *.*                    LISTEN
tcp4       0      0  127.0.0.1.2222         *.*                    LISTEN
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with the tables above, managed over no connection."""
    if sys.byteorder != "little":
        pytest.fail("the kernel's tables above are those of a little-endian machine")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    (tmp_path / "proc" / "net").mkdir(parents=True)
    (tmp_path / "proc" / "net" / "tcp").write_text(TCP)
    (tmp_path / "proc" / "net" / "tcp6").write_text(TCP6)

    def run(argv: list[str], _stdin: str | None) -> tuple[int, str, str]:
        raise AssertionError(f"no process is needed: {argv}")

    return Host(run=run, root=str(tmp_path))


def netstat(host: Host, code: int = 0, out: str = NETSTAT) -> Host:
    """The host as a BSD: without /proc, with netstat."""
    for name in ("tcp", "tcp6"):
        os.unlink(host.path("proc", "net", name))
    return replace(host, run=lambda argv, _stdin: (code, out, "") if argv[0] == "netstat" else (127, "", ""))


def process(host: Host, pid: int, name: str, *inodes: int) -> None:
    """Give the host a process with sockets."""
    folder = Path(host.path("proc", str(pid), "fd"))
    folder.mkdir(parents=True)
    (folder.parent / "comm").write_text(f"{name}\n")
    for number, inode in enumerate(inodes):
        (folder / str(number)).symlink_to(f"socket:[{inode}]")


# The connection


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("10.0.0.9 50000 10.0.0.5 22", Connection("10.0.0.9", 22, 50000, "10.0.0.5")),
        ("2001:db8::9 50001 2001:db8::5 2222", Connection("2001:db8::9", 2222, 50001, "2001:db8::5")),
        ("::ffff:10.0.0.9 50000 ::ffff:10.0.0.5 22", Connection("10.0.0.9", 22, 50000, "10.0.0.5")),
        ("10.0.0.7 50002 10.0.0.5 22", Connection("10.0.0.7", 22, 50002, "10.0.0.5")),
        # Not there any more, or never was.
        ("10.0.0.9 50009 10.0.0.5 22", None),
        ("10.0.0.8 50001 10.0.0.5 22", None),
        ("10.0.0.5 22 10.0.0.9 50000", None),
        # Not what sshd says.
        ("UNKNOWN 65535 UNKNOWN 65535", None),
        ("10.0.0.9 50000 10.0.0.5", None),
        ("10.0.0.9 x 10.0.0.5 22", None),
        ("", None),
    ],
)
def test_a_connection_counts_where_the_kernel_has_it(
    host: Host, monkeypatch: pytest.MonkeyPatch, value: str, found: Connection | None
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", value)
    assert _connection.connection(host) == found
    assert found is None or _connection.established(host, found)


def test_the_environments_of_parents_are_asked_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 1 10.0.0.5 22")
    parents = {os.getppid(): b"", 17: b"SSH_CONNECTION=10.0.0.8 50001 10.0.0.5 22\0", 16: b"HOME=/root\0"}
    parents[15] = b"SSH_CONNECTION=10.0.0.9 50000 10.0.0.5 22\0"
    for pid, parent in zip(parents, [17, 16, 15, 1], strict=True):
        folder = Path(host.path("proc", str(pid)))
        folder.mkdir()
        (folder / "environ").write_bytes(parents[pid])
        (folder / "stat").write_bytes(b"%d (a) b) S %d 0 0" % (pid, parent))
    assert _connection.connection(host) == Connection("10.0.0.9", 22, 50000, "10.0.0.5")


def test_without_proc_netstat_is_asked_only_when_it_matters(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 50000 10.0.0.5 22")
    asked: list[list[str]] = []

    def run(argv: list[str], _stdin: str | None) -> tuple[int, str, str]:
        asked.append(argv)
        return 0, NETSTAT, ""

    bsd = replace(netstat(host), run=run)
    found = _connection.connection(bsd)
    assert found == Connection("10.0.0.9", 22, 50000, "10.0.0.5") and asked == []
    assert _connection.established(bsd, found) and len(asked) == 1
    assert not _connection.established(bsd, replace(found, origin=50002)), "the other side has closed it"
    assert not _connection.established(bsd, replace(found, origin=5000))
    assert _connection.established(replace(bsd, run=lambda _argv, _stdin: (127, "", "")), replace(found, origin=1))


# The ssh daemon


def test_where_the_ssh_daemon_listens(host: Host) -> None:
    # systemd's own socket on ssh's port counts; a service on another port does not.
    assert _sshd.ssh_ports(host) == (22,)
    process(host, 50, "nginx", 4722)
    assert _sshd.ssh_ports(host) == (22,)
    process(host, 51, "sshd", 4711, 4722)
    assert _sshd.ssh_ports(host) == (22, 8080)
    (Path(host.root) / "proc/net/tcp").write_text(HEADER)
    assert _sshd.ssh_ports(host) == (8080,)
    (Path(host.root) / "proc/net/tcp6").write_text(HEADER)
    assert _sshd.ssh_ports(host) == ()


@pytest.mark.parametrize(
    "text", ["Port 8080\n", "#Port 1\n  port=8080\n", "ListenAddress [::]:8080\n", "ListenAddress 0.0.0.0:8080\n"]
)
def test_ports_of_the_daemons_configuration_count_where_somebody_listens(host: Host, text: str) -> None:
    path = Path(host.path("etc/ssh/sshd_config.d/own.conf"))
    path.parent.mkdir(parents=True)
    path.write_text(text + "Port 9999\nListenAddress 2001:db8::8081\n")
    assert _sshd.ssh_ports(host) == (22, 8080)
    path.write_text("Match User port\n# Port 8080\n")
    assert _sshd.ssh_ports(host) == (22,)


def test_what_cannot_be_told_is_not_taken_for_nothing(host: Host) -> None:
    assert _sshd.ssh_ports(netstat(host)) == (22,)
    assert _sshd.ssh_ports(replace(host, run=lambda _argv, _stdin: (127, "", ""))) == (22,)


# The guards


@dataclass(frozen=True)
class Firewall(State):
    """A firewall that refuses unless told otherwise."""

    admitted: Collection[tuple[str | None, int]] = ()
    refuses: bool = True

    def refuses_inbound(self) -> bool:
        return self.refuses

    def admits(self, address: str | None, port: int) -> bool:
        if address == "2001:db8::dead":
            raise FirewallError("no IPv6 here")
        return (address, port) in self.admitted

    def exposed(self) -> list[Exposure]:
        raise NotImplementedError

    def foreign(self) -> str:
        raise NotImplementedError

    def rulesets(self) -> dict[str, tuple[Rule, ...]]:
        raise NotImplementedError

    def plan(self, want: Wanted) -> Plan:
        raise NotImplementedError


def firewall(host: Host, *rules: Rule, accept: Collection[str] = (), **more: Any) -> Firewall:
    asked = Asked(ruleset="apple", accept=frozenset(accept))
    return Firewall(**{"host": host, "asked": asked, "rules": rules, "active": True, "enabled": True, **more})


def guard(address: str, *ports: int) -> Rule:
    return Rule(
        name="management", direction="in", tcp=tuple((port, port) for port in ports), udp=(), sources=(address,)
    )


HERE = Connection("10.0.0.9", 22, 50000, "10.0.0.5")


def test_a_guard_is_there_where_no_other_rule_admits_the_connection(host: Host) -> None:
    found = _guard.protect(firewall(host), HERE)
    assert found.guards == (guard("10.0.0.9", 22),) and not found.blind
    assert [notice.code for notice in found.notices] == ["guard"]
    assert "(10.0.0.9 to port 22)" in found.notices[0].text
    admitted = _guard.protect(firewall(host, guard("10.0.0.9", 22), admitted=[("10.0.0.9", 22)]), HERE)
    assert admitted == _guard.Protection()
    assert _guard.protect(firewall(host, guard("10.0.0.9", 22), refuses=False), HERE) == _guard.Protection()


def test_nobody_loses_the_way_in_to_somebody_elses_run(host: Host) -> None:
    old = [guard("10.0.0.7", 22, 2222), guard("2001:db8::7", 22), guard("10.0.0.9", 22)]
    found = _guard.protect(firewall(host, *old, admitted=[("2001:db8::7", 22)]), HERE)
    assert set(found.guards) == {guard("10.0.0.9", 22), guard("10.0.0.7", 22), guard("10.0.0.7", 2222)}
    assert found.guards == _guard.protect(firewall(host, *old[::-1], admitted=[("2001:db8::7", 22)]), HERE).guards
    assert [notice.code for notice in found.notices] == ["guard", "guard-kept"]
    assert "(10.0.0.7 to port 22, 10.0.0.7 to port 2222)" in found.notices[1].text
    # Over a connection that another rule admits it is the same.
    found = _guard.protect(firewall(host, *old, admitted=[("10.0.0.9", 22), ("2001:db8::7", 22)]), HERE)
    assert found.guards == (guard("10.0.0.7", 22), guard("10.0.0.7", 2222))
    # And so without any.
    assert len(_guard.protect(firewall(host, *old), None).guards) == 4
    # Unless that is accepted; then they are named.
    found = _guard.protect(firewall(host, *old, accept=["guard-dropped"]), HERE)
    assert found.guards == (guard("10.0.0.9", 22),)
    assert [notice.code for notice in found.notices] == ["guard", "guard-dropped"]
    assert "10.0.0.7 to port 2222, 2001:db8::7 to port 22" in found.notices[1].text
    # What the firewall drops altogether no guard can admit.
    assert _guard.protect(firewall(host, guard("2001:db8::dead", 22)), None).guards == ()


def test_a_limit_on_the_connection_is_told(host: Host) -> None:
    @dataclass(frozen=True)
    class Limiting(Firewall):
        def limits(self, address: str, port: int) -> bool:
            return (address, port) == ("10.0.0.9", 22)

    assert _guard.limited(firewall(host), HERE) == []
    limiting = Limiting(host=host, asked=Asked(ruleset="apple"), rules=(), active=True, enabled=True)
    (notice,) = _guard.limited(limiting, HERE)
    assert notice.code == "limited" and "(10.0.0.9 to port 22)" in notice.text
    assert _guard.limited(limiting, replace(HERE, address="10.0.0.8")) == []


def test_without_a_connection_a_change_that_leaves_no_way_in_is_refused(host: Host) -> None:
    shut = firewall(host)
    assert _guard.protect(shut, None).blind and not _guard.protect(firewall(host, guard("10.0.0.7", 22)), None).blind
    with pytest.raises(FirewallError, match=r"port 22\).*host_firewall_accept: \[no-way-in\]") as caught:
        _guard.check_way_in(shut, [])
    assert caught.value.code == "no-way-in"
    ways: list[dict[str, Any]] = [{"active": True}, {"enabled": True}, {"asked": Asked(ruleset="apple", enable=True)}]
    for way in ways:
        with pytest.raises(FirewallError):
            _guard.check_way_in(firewall(host, **{"active": False, "enabled": False, **way}), [])
    for fine in (firewall(host, accept=["no-way-in"]), firewall(host, active=False, enabled=False)):
        assert [notice.code for notice in _guard.check_way_in(fine, [])] == ["no-way-in"]
    assert _guard.check_way_in(firewall(host, admitted=[(None, 22)]), []) == []
    own = Rule(name="ssh", direction="in", tcp=((20, 30),), udp=())
    assert _guard.check_way_in(shut, [own]) == []
    with pytest.raises(FirewallError):
        _guard.check_way_in(shut, [own._replace(direction="out")])
    (Path(host.root) / "proc/net/tcp").write_text(HEADER)
    assert _guard.check_way_in(shut, []) == [], "no ssh daemon, nothing to protect"
