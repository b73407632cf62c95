# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that do what people use them for: an everyday name opens what its service needs, and real packets come through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from integration import direct

from hosts import Host, Target, listen, play, reach

ROLE = MODULE = "netports.apple.host_firewall"
# A name, the ports that answer, and ports beside them that do not.
PURPOSES = [
    ("SMB file sharing", [("tcp", 445), ("udp", 5353)], [("tcp", 139), ("tcp", 548), ("udp", 5354)]),
    ("AirPrint server", [("tcp", 631), ("udp", 5353)], [("tcp", 515), ("tcp", 9100), ("udp", 631)]),
]
# The range from which the host takes ports: not the one of its system, so that it has to be read.
FIRST, LAST = 40000, 40999
RECEIVER = [
    *(("udp", port) for port in (319, 320, 5353, 6000, 6009, FIRST, LAST)),
    *(("tcp", port) for port in (3689, 5000, 7000, FIRST, LAST)),
]
BESIDE_RECEIVER = [
    *(("udp", port) for port in (318, 321, 6010, FIRST - 1, LAST + 1)),
    *(("tcp", port) for port in (5001, 7001, FIRST - 1, LAST + 1)),
]


@contextmanager
def listening(host: Host, ports: list[tuple[str, int]]) -> Iterator[None]:
    """All of these ports answer on the host."""
    kinds = {kind: [port for protocol, port in ports if protocol == kind] for kind in ("tcp", "udp")}
    with listen(host, **kinds):
        yield


def role(host: Host, **options: Any) -> dict[str, Any]:
    """Apply the role inbound, and return what the module returned."""
    # A busy machine is slow to come back, which is not what is tested here.
    asked = {"directions": ["in"], "confirm_seconds": 600, **options}
    variables = {f"host_firewall_{key}": value for key, value in asked.items()}
    return play(host, role=ROLE, variables=variables).result(host, MODULE)


def applied(host: Host, **options: Any) -> dict[str, Any]:
    """The same without a play."""
    return direct.apply(host, directions=["in"], **options)


def reached(peer: Host, host: Host, ports: list[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """How ports answer over IPv4 and IPv6, which have to agree."""
    found = reach(peer, host, [Target(family, *port) for family in (4, 6) for port in ports])
    states = {port: {found[Target(family, *port)] for family in (4, 6)} for port in ports}
    assert all(len(state) == 1 for state in states.values()), states
    return {port: state.pop() for port, state in states.items()}


def expected(opened: list[tuple[str, int]], shut: list[tuple[str, int]]) -> dict[tuple[str, int], str]:
    return {**dict.fromkeys(opened, "open"), **dict.fromkeys(shut, "filtered")}


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "trixie")
def test_a_purpose_opens_what_it_needs_and_nothing_beside_it(shared: Host, peer: Host) -> None:
    # The host's addresses are of a documentation prefix in IPv6, so that "any" stands for the peer's network.
    for way, (name, opened, shut) in zip((role, applied), PURPOSES, strict=True):
        with listening(shared, opened + shut):
            assert reached(peer, shared, opened + shut) == expected([], opened + shut)
            assert way(shared, products=[name], sources=["any"])["changed"]
            assert reached(peer, shared, opened + shut) == expected(opened, shut)
            assert direct.remove(shared)["changed"]


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "trixie")
def test_an_airplay_receiver_gets_the_hosts_own_range(shared: Host, peer: Host) -> None:
    shared.run(["sysctl", "-w", f"net.ipv4.ip_local_port_range={FIRST} {LAST}"])
    asked = {"products": ["AirPlay receiver"], "sources": ["any"]}
    ports = RECEIVER + BESIDE_RECEIVER
    with listening(shared, ports):
        assert reached(peer, shared, ports) == expected([], ports)
        predicted = applied(shared, check=True, **asked)
        first = role(shared, **asked)
        assert {key: predicted[key] for key in ("operations", "diff", "after")} == {
            key: first[key] for key in ("operations", "diff", "after")
        }
        (rule,) = first["after"]
        assert rule["tcp"] == ["3689", "5000", "7000", f"{FIRST}-{LAST}"]
        assert rule["udp"] == ["319-320", "5353", "6000-6009", f"{FIRST}-{LAST}"]
        assert reached(peer, shared, ports) == expected(RECEIVER, BESIDE_RECEIVER)
    assert direct.run(shared, state="gathered")["gathered"] == first["after"]
    again = applied(shared, **asked)
    assert not again["changed"] and again["operations"] == []
    # A host whose range became another follows it.
    shared.run(["sysctl", "-w", f"net.ipv4.ip_local_port_range={FIRST} {LAST - 500}"])
    assert applied(shared, **asked)["after"][0]["tcp"][-1] == f"{FIRST}-{LAST - 500}"
