# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The word host_ephemeral: the host's own range takes its place."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.netports.apple.plugins.module_utils import _ephemeral, _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Host
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError


def rule(*tcp: Any, udp: Any = ()) -> Rule:
    return Rule.from_dict({"name": "A", "direction": "in", "tcp": list(tcp), "udp": list(udp)})


def linux(folder: Path, text: str | None) -> Host:
    """A host of Linux whose kernel has that range."""

    def refuse(argv: list[str], _stdin: str | None) -> tuple[int, str, str]:
        raise AssertionError(f"no process is needed: {argv}")

    if text is not None:
        path = folder / "proc" / "sys" / "net" / "ipv4" / "ip_local_port_range"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return Host(run=refuse, root=str(folder))


def test_the_word_is_a_port_of_a_rule() -> None:
    given = rule("host_ephemeral", 1, "3689", "host_ephemeral", udp=["host_ephemeral"])
    assert given.to_dict()["tcp"] == ["host_ephemeral", "1", "3689"]
    assert Rule.from_dict(given.to_dict()) == given
    assert _ports.subtract(given.tcp, [_ports.HOST_EPHEMERAL]) == [(1, 1), (3689, 3689)]


def test_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    given = rule("host_ephemeral", 443, 60999, udp=["host_ephemeral", "60000-62000"])
    (made,) = _ephemeral.resolved([given], linux(tmp_path, "32768\t60999\n"))
    assert made.to_dict()["tcp"] == ["443", "32768-60999"] and made.to_dict()["udp"] == ["32768-62000"]


def test_rules_without_the_word_cost_nothing(tmp_path: Path) -> None:
    given = [rule(443), rule("8000-8999")]
    assert _ephemeral.resolved(given, linux(tmp_path, None)) == given


@pytest.mark.parametrize(
    ("system", "names"),
    [
        ("Darwin", ["net.inet.ip.portrange.first", "net.inet.ip.portrange.last"]),
        ("FreeBSD", ["net.inet.ip.portrange.first", "net.inet.ip.portrange.last"]),
        ("OpenBSD", ["net.inet.ip.portfirst", "net.inet.ip.portlast"]),
    ],
)
def test_systems_of_pf(system: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], _stdin: str | None) -> tuple[int, str, str]:
        assert argv == ["sysctl", "-n", *names]
        return 0, "49152\n65535\n", ""

    monkeypatch.setattr(platform, "system", lambda: system)
    (made,) = _ephemeral.resolved([rule("host_ephemeral")], Host(run=run))
    assert made.tcp == ((49152, 65535),)


@pytest.mark.parametrize("told", [None, "", "32768", "a b", "0 65535", "60999 32768", "1 2 3", "host_ephemeral"])
def test_a_host_that_does_not_tell(told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    with pytest.raises(RuleError, match=r"this host does not tell its range of ports \(net\.ipv4\.ip_local_port_range"):
        _ephemeral.resolved([rule("host_ephemeral")], linux(tmp_path, told))
