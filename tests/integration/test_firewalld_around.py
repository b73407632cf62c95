# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that have a part of firewalld to themselves: NetworkManager, podman, docker and libvirt."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from integration.test_firewalld import module
from integration.test_firewalld_field import FACETIME, RULES, lives, opened

from hosts import Host, State, listen, probe
from hosts.firewalld import cmd

PODMAN: dict[str, Any] = {"name": "podman", "id": "2f" * 32, "driver": "bridge", "network_interface": "podman0"}
PODMAN |= {"created": "2026-01-01T00:00:00Z", "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}]}
PODMAN |= {"ipv6_enabled": False, "internal": False, "dns_enabled": False, "ipam_options": {"driver": "host-local"}}
CONTAINER: dict[str, Any] = {"container_id": "c" * 64, "container_name": "c1", "network_info": {"podman": PODMAN}}
CONTAINER["networks"] = {"podman": {"static_ips": ["10.88.0.2"], "interface_name": "eth0"}}

# What Docker Engine 28 asks of firewalld when it starts (libnetwork/iptables/firewalld.go), and its rules for the way out.
DOCKER = """
import os
import dbus
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
DBusGMainLoop(set_as_default=True)
NAME, PATH = "org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1"
bus = dbus.SystemBus()
main = bus.get_object(NAME, PATH)
config = bus.get_object(NAME, PATH + "/config")
empty = dbus.Array(signature="s")
pairs = dbus.Array(signature="(ss)")
zone = ("1.0", "docker", "zone for docker bridge network interfaces", False, "ACCEPT", empty, pairs, empty, False,
        dbus.Array(signature="(ssss)"), empty, empty, empty, empty, pairs, False)
config.addZone("docker", zone, dbus_interface=NAME + ".config")
policy = {"version": "1.0", "description": "allow forwarding to the docker zone", "ingress_zones": ["ANY"],
          "egress_zones": ["docker"], "target": "ACCEPT"}
config.addPolicy("docker-forwarding", policy, dbus_interface=NAME + ".config")
main.reload(dbus_interface=NAME)
main.addInterface("docker", "docker0", dbus_interface=NAME + ".zone")
def rules():
    words = ["-t", "nat", "-A", "POSTROUTING", "-s", "172.17.0.0/16", "!", "-o", "docker0", "-j", "MASQUERADE"]
    main.passthrough("ipv4", words, dbus_interface=NAME + ".direct")
rules()
bus.add_signal_receiver(rules, "Reloaded", NAME)
loop = GLib.MainLoop()
GLib.timeout_add(200, lambda: loop.quit() if os.path.exists("/run/netports-stop") else True)
print("ready", flush=True)
loop.run()
"""
# The zones and policies that libvirt brings (src/network/libvirt*.zone, *.policy), with their settings.
LIBVIRT = {
    "zones/libvirt": '<zone target="ACCEPT"><short>libvirt</short><rule priority="32767"><reject/></rule>'
    '<service name="dhcp"/><service name="dhcpv6"/><service name="dns"/><service name="ssh"/><service name="tftp"/></zone>',
    "zones/libvirt-routed": "<zone><short>libvirt-routed</short></zone>",
    "policies/libvirt-to-host": '<policy target="REJECT"><ingress-zone name="libvirt-routed"/><egress-zone name="HOST"/>'
    '<protocol value="icmp"/><service name="dhcp"/><service name="dns"/><service name="ssh"/></policy>',
    "policies/libvirt-routed-out": '<policy target="ACCEPT"><ingress-zone name="libvirt-routed"/>'
    '<egress-zone name="ANY"/></policy>',
    "policies/libvirt-routed-in": '<policy target="ACCEPT"><ingress-zone name="ANY"/>'
    '<egress-zone name="libvirt-routed"/></policy>',
}


def guest(host: Host, bridge: str, network: str, port: str) -> None:
    """A network namespace behind a bridge, as a container or a virtual machine is."""
    host.sh(
        f"""
        ip link add {bridge} type bridge; ip addr add {network}.1/24 dev {bridge}; ip link set {bridge} up
        ip netns add {bridge}; ip link add {port} type veth peer name eth0 netns {bridge}
        ip link set {port} master {bridge} up
        ip -n {bridge} addr add {network}.2/24 dev eth0; ip -n {bridge} link set eth0 up
        ip -n {bridge} route add default via {network}.1
        sysctl -qw net.ipv4.ip_forward=1
        """
    )


def gets_out(host: Host, peer: Host, namespace: str) -> bool:
    """Whether a guest reaches the peer's sshd by way of its host."""
    connect = f"exec 3<>/dev/tcp/{peer.address4}/22; head -c 4 <&3"
    # A program that hears of a reload needs a moment to bring its own rules back.
    script = f"for _attempt in $(seq 30); do timeout 2 bash -c '{connect}' 2>/dev/null && break; sleep 0.5; done"
    return host.run(["ip", "netns", "exec", namespace, "bash", "-c", script]).out == "SSH-"


def beside(host: Host, peer: Host, namespace: str, again: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
    """A ruleset lives beside a program's guests, which get out all the time. Returns the first run's notices.

    :param again: what the program has to be told after a reload, where it does not hear of it.
    """
    bindings, before = cmd(host, "--get-active-zones"), opened(host)

    def out() -> None:
        again()
        assert gets_out(host, peer, namespace) and cmd(host, "--get-active-zones") == bindings

    def meanwhile() -> None:
        out()
        states.append(probe(peer, host, [5223, 5224]))

    states: list[dict[int, State]] = []
    out()
    with listen(host, tcp=[5223, 5224]):
        notices = lives(host, meanwhile)
    assert states == [{5223: "open", 5224: "filtered"}, {5223: "filtered", 5224: "filtered"}]
    out()
    assert opened(host) == before
    return notices


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_networkmanager_chooses_the_zone(host: Host, peer: Host) -> None:
    # The hosts have no udev; without, NetworkManager takes an interface only where /sys cannot be written.
    host.sh("mount -o remount,bind,ro /sys")
    host.install("network-manager")

    def connect(zone: str) -> None:
        host.run(["nmcli", "connection", "modify", "lan", "connection.zone", zone])
        host.run(["nmcli", "connection", "up", "lan"])
        assert cmd(host, "--get-zone-of-interface=eth0").strip() == zone

    words = f"type ethernet ifname eth0 con-name lan ipv4.method manual ipv4.addresses {host.address4}/24"
    words += f" ipv6.method manual ipv6.addresses {host.address6}/64 connection.zone home"
    host.run(["nmcli", "connection", "add", *words.split()])
    connect("home")
    files = host.files("/etc/firewalld", "/etc/NetworkManager")

    def idle(**more: Any) -> list[str]:
        """The codes about rules that no packet comes to."""
        return [
            item["code"]
            for item in module(host, *RULES, **more)["notices"]
            if item["code"] in ("no-effect", "refused", "no-packets", "elsewhere")
        ]

    with listen(host, tcp=[5223, 5224]):
        # The default zone has no interface left, and says so.
        assert idle() == ["no-packets"] and probe(peer, host, [5223]) == {5223: "filtered"}
        for zone in ("home", "work"):
            connect(zone)
            assert idle(zone=zone) == [], zone
            assert cmd(host, "--get-zone-of-interface=eth0").strip() == zone
            assert not module(host, *RULES, zone=zone)["changed"]
            for family in (4, 6):
                assert probe(peer, host, [5223, 5224], family=family) == {5223: "open", 5224: "filtered"}, (
                    zone,
                    family,
                )
        # NetworkManager binds again what it finds in no zone: after firewalld's own reload and ours.
        cmd(host, "--reload")
        assert not module(host, *RULES, zone="work")["changed"] and idle(zone="work") == []
        connect("home")
        assert idle(zone="work") == ["no-packets"] and probe(peer, host, [5223]) == {5223: "filtered"}
    module(host)
    assert cmd(host, "--get-zone-of-interface=eth0").strip() == "home"
    now = host.files("/etc/firewalld", "/etc/NetworkManager")
    assert {path: item for path, item in now.items() if "lan.nmconnection" not in path} == {
        path: item for path, item in files.items() if "lan.nmconnection" not in path
    }


@pytest.mark.hosts("firewalld", "bookworm", "trixie")
def test_podman_trusts_its_networks(host: Host, peer: Host) -> None:
    """The network program of the real podman, without the rest of it."""
    host.install("netavark")
    host.write("/root/container.json", json.dumps(CONTAINER))
    host.sh("ip netns add c1; sysctl -qw net.ipv4.ip_forward=1")
    netavark = "/usr/lib/podman/netavark --config /run/containers {} /run/netns/c1 </root/container.json"
    host.sh(netavark.format("setup"))
    assert cmd(host, "--zone=trusted", "--list-sources").split() == ["10.88.0.0/16"]
    before = opened(host)
    assert not any("trusted" in text for text, _protocol, _ports in before), before

    def again() -> None:
        # As "podman network reload" does. What is gone already is an error of the first.
        host.sh(netavark.format("teardown"), check=False)
        host.sh(netavark.format("setup"))

    codes = [item["code"] for item in beside(host, peer, "c1", again)]
    # firewalld 1 empties iptables at each reload. podman has its rules there on Debian 12, and in nftables on Debian 13.
    assert "runtime-lost" in codes if host.suite == "bookworm" else "runtime-lost" not in codes
    assert not {"no-effect", "refused", "no-packets", "elsewhere"} & set(codes)
    # Its interfaces are in no zone. Packets of other hosts come by eth0 alone, wherever that is.
    cmd(host, "--zone=home", "--change-interface=eth0")
    assert [item["code"] for item in module(host, *RULES)["notices"] if item["code"] == "no-packets"] == ["no-packets"]
    assert not any("zone public" in text for text, _protocol, _ports in opened(host))
    module(host)
    again()
    host.sh(netavark.format("teardown"))
    assert cmd(host, "--zone=trusted", "--list-sources").strip() == ""


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_docker_has_a_zone_and_a_policy(host: Host, peer: Host) -> None:
    guest(host, "docker0", "172.17.0", "veth1234567")
    with subprocess.Popen(host.argv(["python3", "-c", DOCKER]), stdout=subprocess.PIPE, text=True) as docker:
        assert docker.stdout and docker.stdout.readline() == "ready\n"
        before = opened(host)
        assert not any("docker" in text for text, _protocol, _ports in before), before
        notices = beside(host, peer, "docker0")
        host.run(["touch", "/run/netports-stop"])
    assert not any(item["code"] in ("no-effect", "refused", "no-packets", "elsewhere") for item in notices), notices
    # With a cable in it, the bridge leads to other hosts.
    host.sh("ip link add cable type veth peer name plug; ip link set cable master docker0")
    assert ("zone docker: target ACCEPT", "any", ["0-65535"]) in opened(host)


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_libvirt_refuses_behind_a_target_that_accepts(host: Host, peer: Host) -> None:
    guest(host, "virbr0", "192.168.122", "vnet0")
    for name, text in LIBVIRT.items():
        host.write(f"/usr/lib/firewalld/{name}.xml", text)
    cmd(host, "--reload")
    cmd(host, "--zone=libvirt", "--change-interface=virbr0")
    # 1.0 and newer need a policy for it to leave, which libvirt leaves to its own rules; these are firewalld's.
    host.sh("nft 'add table ip libvirt; add chain ip libvirt guests { type nat hook postrouting priority 100; }'")
    host.sh("nft add rule ip libvirt guests ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 masquerade")
    before = opened(host)
    assert not any("libvirt" in text for text, _protocol, _ports in before), before
    notices = beside(host, peer, "virbr0")
    assert not any(item["code"] in ("no-effect", "refused", "no-packets", "elsewhere") for item in notices), notices
    # Rules for the guests themselves are no rules without effect.
    assert not any(item["code"].startswith("no-") for item in module(host, FACETIME, zone="libvirt")["notices"])
    module(host)
