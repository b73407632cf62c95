# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables on a host of containers: podman and Docker as Debian has them, and a container that they really run."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

import pytest

from hosts import Host, code, listen, play, probe

ROLE = MODULE = "netports.apple.host_firewall"
KEPT = ("/etc/nftables.conf", "/etc/nftables.d")
THROUGH: dict[str, Any] = {"name": "Through", "direction": "forward", "tcp": ["443"]}
# A test host is a container itself. Overlays do not stack, so the engines copy their images ("vfs"). Its cgroups are of
# version 1, where runc needs a cgroup namespace of the container's, and crun can do without cgroups.
SETTINGS = {
    "/etc/containers/storage.conf": """[storage]
driver = "vfs"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
""",
    "/etc/containers/containers.conf": """[containers]
cgroups = "disabled"
[engine]
runtime = "crun"
env = ["PODMAN_IGNORE_CGROUPSV1_WARNING=1"]
""",
    "/etc/docker/daemon.json": '{"storage-driver": "vfs", "default-cgroupns-mode": "private"}',
}
# An image of the host's own busybox alone, and a container of it that serves a page, in a network of its own.
CONTAINER = """
mkdir -p /root/image/bin
cp /bin/busybox /root/image/bin/busybox
ln -s busybox /root/image/bin/sh
tar -C /root/image -c . | {engine} import - box
{engine} network create --subnet 10.99.0.0/24 {option} shop
{engine} run --detach --name web --network shop --ip 10.99.0.9 --publish 8080:80 box \
    sh -c 'echo of a container >/index.html; exec busybox httpd -f -h /'
"""


class Engine(NamedTuple):
    """An engine's name and packages, its first network's bridge, and what ``network create`` has to be told for it.

    :param drops: whether it makes the host's FORWARD chain of iptables refuse what is not its own.
    """

    name: str
    packages: tuple[str, ...]
    bridge: str
    option: str
    drops: bool


# By suite. podman writes its rules with nft on Debian 13; Docker writes them with iptables.
ENGINES = {
    "trixie": Engine("podman", ("podman", "netavark", "aardvark-dns", "crun"), "podman1", "", drops=False),
    "bookworm": Engine("docker", ("docker.io",), "docker1", "--opt com.docker.network.bridge.name=docker1", drops=True),
}
# An administrator's file, which refuses by default and knows his containers. It flushes its own table alone: one that
# flushes everything takes the engine's rules at each load, with and without this collection.
MAIN = """#!/usr/sbin/nft -f
table inet filter
delete table inet filter
table inet filter {{
\tchain input {{
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\tmeta l4proto {{ icmp, ipv6-icmp }} accept
\t\ttcp dport 22 accept
\t\tiifname "{bridge}" udp dport 53 accept
\t}}
\tchain forward {{
\t\ttype filter hook forward priority filter; policy drop;
\t\tiifname "{bridge}" accept
\t\toifname "{bridge}" ct status dnat accept
\t\tct state established accept
\t}}
}}
"""


def module(host: Host, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Run the module's own code on the host, past ssh and ansible-playbook."""
    rc, result = code.module(host, backend="nftables", accept=["no-way-in"], rules=list(rules), **more)
    assert rc == 0, result
    return result


def codes(result: dict[str, Any]) -> list[str]:
    return [notice["code"] for notice in result["notices"]]


def ruleset(host: Host) -> list[str]:
    """The lines of the kernel's ruleset. Without order: an engine puts rules that it makes anew elsewhere."""
    text = host.run(["nft", "--stateless", "list", "ruleset"]).out
    return sorted(re.sub(r"counter packets \d+ bytes \d+", "counter", text).splitlines())


def reaches_out(host: Host, peer: Host, engine: str) -> bool:
    """Whether the container reaches the peer's sshd."""
    argv = [engine, "exec", "web", "busybox", "nc", "-w", "3", peer.address4, "22"]
    return host.run(argv, check=False).out.startswith("SSH-")


def works(host: Host, peer: Host, engine: str) -> bool:
    """Whether the container answers from outside, reaches out, and is told its own name's address.

    What has just started takes a moment for it.
    """
    page = f"exec 3<>/dev/tcp/{host.address4}/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3"
    name = ["timeout", "5", engine, "exec", "web", "busybox", "nslookup", "web"]
    published, out, named = "", False, ""
    for _attempt in range(10):
        published = peer.run(["timeout", "5", "bash", "-c", page], check=False).out
        out = reaches_out(host, peer, engine)
        named = host.run(name, check=False).out
        found = re.search(r"^Name:\s+web\b.*\nAddress: 10\.99\.0\.9$", named, re.MULTILINE)
        if published == "of a container\n" and out and found:
            return True
        time.sleep(1)
    print(published, out, named)
    return False


@pytest.mark.hosts("none", "bookworm", "trixie")
def test_a_host_of_containers_keeps_its_network(host: Host, peer: Host) -> None:
    """By the own table, and beside an administrator's chains that refuse."""
    engine, packages, bridge, option, drops = ENGINES[host.suite]
    for path, text in SETTINGS.items():
        host.write(path, text)
    # As it is at first: Docker's FORWARD chain refuses by policy where Docker has switched forwarding on.
    host.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"])
    host.install("busybox-static", *packages)
    host.sh(CONTAINER.format(engine=engine, option=option))
    code.install(host)

    def lives(*scripts: str, **enable: Any) -> None:
        """A ruleset comes by the role, survives what the scripts do and the container's restart, and goes again."""
        before = ruleset(host), host.files(*KEPT)
        assert works(host, peer, engine)
        variables = {"host_firewall_products": ["Screen Sharing"], "host_firewall_backend": "nftables"}
        variables |= {f"host_firewall_{key}": value for key, value in enable.items()}
        applied = play(host, role=ROLE, variables=variables).result(host, MODULE)
        assert applied["changed"] and applied["confirmed"] and "refused" not in codes(applied)
        assert ("docker" in codes(applied)) == (engine == "docker")
        rules = [rule for rule in applied["after"] if rule["name"] != "management"]
        for script in ("true", *scripts, f"{engine} restart --time 0 web"):
            host.sh(script)
            assert works(host, peer, engine), script
            assert not module(host, *rules, **enable)["changed"], script
        with listen(host, tcp=[5900, 5901]):
            assert probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "filtered"}
        if enable:
            # A ruleset that forwards closes the forward hook. Docker's own chain refuses as well, and is Docker's alone.
            told = module(host, *rules, THROUGH, **enable)
            assert not reaches_out(host, peer, engine) and ("refused" in codes(told)) == drops
            module(host, *rules, **enable)
            assert works(host, peer, engine)
        module(host, state="deleted")
        assert (ruleset(host), host.files(*KEPT)) == before
        assert works(host, peer, engine)

    lives(enable=True)
    host.write("/etc/nftables.conf", MAIN.format(bridge=bridge), "0755")
    host.sh("systemctl enable --now nftables")
    lives("systemctl reload nftables")
