# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway lets the devices behind it out to what they need: three real hosts in a row, client, gateway and server."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from integration import direct

from hosts import Host, Lab, State, Target, listen, play, probe, reach
from hosts.firewalld import cmd

ROLE = MODULE = "netports.apple.host_firewall"
# FaceTime's own ports and their neighbours.
ALLOWED = [("tcp", 443), ("tcp", 5223), ("udp", 3478), ("udp", 16402)]
NEIGHBOURS = [("tcp", 444), ("tcp", 5222), ("udp", 3477), ("udp", 16403)]
TARGETS = [Target(family, *one) for family in (4, 6) for one in (*ALLOWED, *NEIGHBOURS)]
CLOSED = dict.fromkeys(TARGETS, "filtered")
OPEN = {one: "open" if (one.protocol, one.port) in ALLOWED else "filtered" for one in TARGETS}

KEPT = ("/etc/ufw", "/etc/firewalld", "/etc/nftables.conf", "/etc/nftables.d")

Row = tuple[Host, Host]


@pytest.fixture(scope="module")
def row(lab: Lab) -> Iterator[Row]:
    """The client and the server, which the tests of this module share; each test's own host is the gateway."""
    hosts = lab.start("bookworm"), lab.start("bookworm")
    yield hosts
    for host in hosts:
        lab.stop(host)


@contextmanager
def listening(*hosts: Host) -> Iterator[None]:
    """All ports of the test answer on the hosts."""
    ports = {kind: [one.port for one in TARGETS if one.protocol == kind] for kind in ("tcp", "udp")}
    if not hosts:
        yield
        return
    with listen(hosts[0], **ports), listening(*hosts[1:]):
        yield


def role(gateway: Host, **options: Any) -> dict[str, Any]:
    """Apply the role, and return what the module returned."""
    check = options.pop("check", False)
    given = {"products": ["FaceTime"], "directions": ["forward"], **options}
    variables = {f"host_firewall_{key}": value for key, value in given.items()}
    return play(gateway, role=ROLE, variables=variables, check=check).result(gateway, MODULE)


def applied(gateway: Host, **options: Any) -> dict[str, Any]:
    """The same without a play."""
    return direct.apply(gateway, **{"products": ["FaceTime"], "directions": ["forward"], **options})


def state(gateway: Host) -> Any:
    """All that the firewalls keep, on disk and in the kernel."""
    return gateway.files(*KEPT), gateway.kernel()


def through(row: Row) -> dict[Target, State]:
    """What the client reaches of the server."""
    client, server = row
    return reach(client, server, TARGETS)


def check_life(gateway: Host, row: Row, reload: list[str], **options: Any) -> None:
    """Closed, opened exactly, left alone, kept over a reload and a reboot, and closed again.

    :param reload: the command by which the firewall itself loads its rules anew.
    """
    client, server = row
    client.behind(gateway, server)
    pristine = gateway.files(*KEPT)
    with listening(server, gateway):
        assert through(row) == CLOSED
        predicted = applied(gateway, check=True, **options)
        first = role(gateway, **options)
        assert first["changed"] and "warnings" not in first
        assert all(predicted[key] == first[key] for key in ("operations", "diff", "before", "after"))
        (rule,) = first["after"]
        assert (rule["name"], rule["direction"]) == ("FaceTime", "forward")
        assert direct.run(gateway, state="gathered")["gathered"] == first["after"]
        assert through(row) == OPEN
        # The gateway's own ports are as closed as before, seen from either side.
        assert set(reach(client, gateway, TARGETS).values()) == {"filtered"}
        assert set(reach(server, gateway, TARGETS).values()) == {"filtered"}
        if "interface" in options:
            assert set(reach(server, client, TARGETS).values()) == {"filtered"}
    settled = state(gateway)
    again = applied(gateway, **options)
    assert not again["changed"] and again["operations"] == [] and state(gateway) == settled
    gateway.run(reload)
    with listening(server):
        assert through(row) == OPEN
    assert not applied(gateway, **options)["changed"]
    gateway.reboot()
    client.behind(gateway, server)
    with listening(server):
        assert through(row) == OPEN
        assert not applied(gateway, **options)["changed"]
        gone = direct.remove(gateway)
        assert [one["action"] for one in gone["operations"]] == ["remove"] and gone["after"] == []
        assert through(row) == CLOSED
    assert gateway.files(*KEPT) == pristine


@pytest.mark.hosts("ufw", "bullseye", "trixie")
def test_ufw(host: Host, row: Row) -> None:
    host.run(
        [
            "ufw",
            "route",
            "allow",
            "in",
            "on",
            "eth0",
            "out",
            "on",
            "eth1",
            "to",
            "198.51.100.1",
            "port",
            "80",
            "proto",
            "tcp",
        ]
    )
    host.run(["ufw", "route", "allow", "in", "on", "eth1", "to", "198.51.100.2", "app", "OpenSSH"])
    own = ufw_routes(host)
    check_life(host, row, ["ufw", "reload"])
    assert ufw_routes(host) == own


@pytest.mark.hosts("ufw", "bookworm")
def test_ufw_between_two_interfaces(host: Host, row: Row) -> None:
    check_life(host, row, ["ufw", "reload"], interface="eth1", out_interface="eth0")


@pytest.mark.hosts("ufw", "trixie")
def test_ufw_shows_and_deletes_the_rules(host: Host, row: Row) -> None:
    """ufw's own tools take them for what they are, and write them anew to the letter."""
    client, server = row
    client.behind(host, server)
    both = {"name": "X", "tcp": ["443", "5223"], "udp": ["3478"]}
    sources = ["172.16.0.0/12", "fd00::/8"]
    rules = [
        {**both, "direction": "forward", "sources": sources, "interface": "eth1", "out_interface": "eth0"},
        {**both, "direction": "in", "sources": sources},
        {**both, "direction": "out"},
    ]
    made = direct.run(host, rules=rules)
    assert [one["action"] for one in made["operations"]] == ["add"] * 3
    assert direct.run(host, state="gathered")["gathered"] == made["after"]
    shown = host.run(["ufw", "status"]).out
    assert re.search(r"^Apple X forward on eth0 +ALLOW FWD +172\.16\.0\.0/12 on eth1", shown, re.MULTILINE)
    assert re.search(r"^Apple X out +ALLOW OUT", shown, re.MULTILINE) and re.search(
        r"^Apple X +ALLOW  ", shown, re.MULTILINE
    )
    files = [host.read(f"/etc/ufw/{name}") for name in ("user.rules", "user6.rules")]
    host.run(["ufw", "allow", "9999/tcp"])
    host.run(["ufw", "delete", "allow", "9999/tcp"])
    assert [host.read(f"/etc/ufw/{name}") for name in ("user.rules", "user6.rules")] == files
    # The commands in the profiles' own file say the same: nothing to add.
    commands = re.findall(r"^# (ufw route .*)$", host.read("/etc/ufw/applications.d/netports-apple"), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert "Skipping adding existing rule" in host.sh(command).out
    # Drift in the kernel is mended where the counters go on.
    host.run(["iptables", "-D", "ufw-user-forward", "1"])
    mended = direct.run(host, rules=rules)
    assert [one["action"] for one in mended["operations"]] == ["mend"]
    with listening(server):
        assert probe(client, server, [443, 444]) == {443: "open", 444: "filtered"}
        before = counted(host)
        assert before and direct.run(host, rules=rules[:1])["changed"] and counted(host) == before
    for command in commands:
        assert "Rule deleted" in host.sh(command.replace("route allow", "route delete allow")).out
    assert ufw_routes(host) == []


def ufw_routes(host: Host) -> list[str]:
    """The rules of ufw's route chains in the kernel."""
    return re.findall(r"^-A ufw6?-user-forward .*$", host.kernel(), re.MULTILINE)


def counted(host: Host) -> list[str]:
    """The route rules of the kernel that packets met, with their counters."""
    lines = host.run(["iptables-save", "-c", "-t", "filter"]).out.splitlines()
    return [line for line in lines if "-A ufw-user-forward" in line and not line.startswith("[0:0]")]


def bind(host: Host, **zones: str) -> None:
    """Binds interfaces to zones of firewalld's, for good."""
    for zone, interface in zones.items():
        cmd(host, "--permanent", f"--zone={zone}", f"--change-interface={interface}")
    cmd(host, "--reload")


@pytest.mark.hosts("firewalld")
def test_firewalld(host: Host, row: Row) -> None:
    """The inner interface in a zone of its own, the outer one where all interfaces fall."""
    bind(host, internal="eth1")
    check_life(host, row, ["firewall-cmd", "--reload"])


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_firewalld_between_two_interfaces(host: Host, row: Row) -> None:
    """Each in a zone of its own, with what the distribution has for zones of these names."""
    cmd(host, "--permanent", "--zone=external", "--remove-masquerade")
    bind(host, internal="eth1", external="eth0")
    check_life(host, row, ["firewall-cmd", "--reload"], interface="eth1", out_interface="eth0")


@pytest.mark.hosts("firewalld", "trixie")
def test_firewalld_where_the_rules_do_not_do_what_they_seem_to(host: Host, row: Row) -> None:
    client, server = row
    client.behind(host, server)
    with listening(server):
        assert "no zone has an interface or a source" in role(host)["warnings"][0]
        assert through(row) == CLOSED
        bind(host, public="eth0")
        (warning,) = applied(host)["warnings"]
        assert "zone public forwards everything between its interfaces (eth0, eth1) that leaves by eth0" in warning
        assert set(through(row).values()) == {"open"}
        bind(host, internal="eth1")
        assert not applied(host)["warnings"] and through(row) == OPEN
        # Without the kernel's own switch, nothing goes.
        host.run(["sysctl", "-q", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"])
        four, six = applied(host)["warnings"]
        assert "forwards no IPv4 (net.ipv4.ip_forward is 0)" in four
        assert "forwards no IPv6 (net.ipv6.conf.all.forwarding is 0)" in six
        assert through(row) == CLOSED


@pytest.mark.hosts("nftables", "bullseye", "trixie")
def test_nftables(host: Host, row: Row) -> None:
    check_life(host, row, ["nft", "-f", "/etc/nftables.conf"])


@pytest.mark.hosts("nftables", "bookworm")
def test_nftables_between_two_interfaces(host: Host, row: Row) -> None:
    check_life(host, row, ["nft", "-f", "/etc/nftables.conf"], interface="eth1", out_interface="eth0")


# --- Between two networks: the sender behind the gateway, the receiver on the other side ------------------------------

# Ports that either side chose for the session, by itself; and what both listen on anyhow.
BACK = [("tcp", 40000), ("tcp", 60172), ("udp", 50000), ("udp", 59776), ("udp", 319), ("udp", 6001)]
THERE = [("tcp", 7000), *BACK]
SHUT = [("tcp", 23), ("tcp", 7001), ("udp", 321), ("udp", 6010), ("udp", 32767)]
ASKED = [*THERE, *SHUT]
ACROSS = [Target(family, *one) for family in (4, 6) for one in ASKED]


def answers(source: Host, host: Host, allowed: list[tuple[str, int]], source_address: str | None = None) -> None:
    """All that is allowed is answered on both IP versions, and nothing else."""
    for family in (4, 6):
        if source_address is None or (":" in source_address) == (family == 6):
            targets = [target for target in ACROSS if target.family == family]
            found = reach(source, host, targets, source_address)
            assert {(one.protocol, one.port) for one, state in found.items() if state == "open"} == {*allowed}, (
                source.name,
                family,
                source_address,
            )
            assert set(found.values()) <= {"open", "filtered"}


def between(gateway: Host, row: Row, reload: list[str], **options: Any) -> None:
    """Shut, opened both ways to the port, told of in words, kept over a reload, and shut again."""
    sender, receiver = row
    sender.behind(gateway, receiver)
    strangers = (f"192.168.77.{receiver.number}", f"fd00:bad::{receiver.number:x}")
    for stranger in strangers:
        receiver.alias(stranger, gateway)
    # The receiver answers from its own address all the same.
    receiver.run(["ip", "-6", "address", "change", f"{strangers[1]}/128", "dev", "eth0", "preferred_lft", "0"])
    sources = [gateway.inner(4)[0], gateway.inner(6)[0]]
    # All of the test hosts' network: this machine's bridge gives what the receiver sends its own address there.
    destinations = [
        str(ipaddress.ip_network(f"{receiver.address(family)}/{length}", strict=False))
        for family, length in ((4, 24), (6, 64))
    ]
    given = {
        "products": ["AirPlay receiver"],
        "sources": sources,
        "destinations": destinations,
        **options,
    }
    pristine = gateway.files(*KEPT)
    ports = {kind: [port for protocol, port in ASKED if protocol == kind] for kind in ("tcp", "udp")}
    with listen(sender, **ports), listen(receiver, **ports), listen(gateway, **ports):
        answers(sender, receiver, [])
        answers(receiver, sender, [])
        variables = {f"host_firewall_{key}": value for key, value in {**given, "directions": ["forward"]}.items()}
        planned = play(gateway, role=ROLE, variables=variables, check=True, diff=True)
        predicted = planned.result(gateway, MODULE)
        # The plan in words, and what multicast needs, by its name.
        for one, other in ((sources, destinations), (destinations, sources)):
            assert f"from {', '.join(one)} to {', '.join(other)}" in planned.text
        assert "no router forwards the multicast" in " ".join(planned.text.split())
        assert "_raop._tcp.local" in planned.text
        made = role(gateway, **given)
        assert made["operations"] == predicted["operations"] and made["notices"] == []
        assert [(rule["sources"], rule["destinations"]) for rule in made["after"]] == [
            (sources, destinations),
            (destinations, sources),
        ]
        for _attempt in range(2):
            answers(sender, receiver, THERE)
            answers(receiver, sender, BACK)
            # From a third network nothing comes through, and the gateway itself stays shut.
            for stranger in strangers:
                answers(receiver, sender, [], stranger)
            answers(sender, gateway, [])
            answers(receiver, gateway, [])
            assert direct.run(gateway, state="gathered")["gathered"] == made["after"]
            gateway.run(reload)
        assert not applied(gateway, **given)["changed"]
        # The third network, once it is named.
        applied(gateway, **{**given, "destinations": [*destinations, *strangers]})
        for stranger in strangers:
            answers(receiver, sender, BACK, stranger)
        gone = direct.remove(gateway)
        assert [one["action"] for one in gone["operations"]] == ["remove", "remove"] and gone["after"] == []
        answers(sender, receiver, [])
        answers(receiver, sender, [])
    assert gateway.files(*KEPT) == pristine


@pytest.mark.hosts("ufw", "bookworm")
def test_ufw_between_two_networks(host: Host, row: Row) -> None:
    between(host, row, ["ufw", "reload"], interface="eth1", out_interface="eth0")


@pytest.mark.hosts("firewalld", "trixie")
def test_firewalld_between_two_networks(host: Host, row: Row) -> None:
    cmd(host, "--permanent", "--zone=external", "--remove-masquerade")
    bind(host, internal="eth1", external="eth0")
    between(host, row, ["firewall-cmd", "--reload"], interface="eth1", out_interface="eth0")


@pytest.mark.hosts("nftables", "bullseye")
def test_nftables_between_two_networks(host: Host, row: Row) -> None:
    between(host, row, ["nft", "-f", "/etc/nftables.conf"])
