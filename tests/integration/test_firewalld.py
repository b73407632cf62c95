# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module and the role on the real firewalld, on real hosts: its files, its tools, the kernel, and packets."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from ansible.plugins.loader import lookup_loader
from integration import direct

from hosts import Host, Target, listen, play, probe, reach
from hosts.code import each
from hosts.code import module as run_code
from hosts.firewalld import cmd, permanent, runtime
from hosts.machine import PROJECT

ROLE = "netports.apple.host_firewall"
MODULE = "netports.apple.host_firewall"
FACETIME_UDP = [3478, 3497, 16384, 16387, 16393, 16402]
FACETIME_NEIGHBOURS = [3477, 3498, 16383, 16388, 16392, 16403]
LOCAL = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"]
# A zone as an administrator may write it by hand: comments, an order and white space of their own.
ZONE = """<?xml version="1.0" encoding="utf-8"?>
<!-- Kept by the web team -->
<zone>
  <short>Public</short>
  <description>Ours &amp; theirs</description>

  <service name="ssh"/>
    <service   name="http" />  <!-- shop -->
  <port port="8443" protocol="tcp"/>
  <port protocol="tcp" port="5220-5230"/>
  <rule family="ipv4"><source address="192.0.2.0/24"/><service name="https"/><log prefix="&lt;x&gt;"/><accept/></rule>
  <rule family="ipv4">
    <source address="198.51.100.7"/>
    <reject/>
  </rule>
</zone>
"""


def role(host: Host, products: Iterable[str] = (), **options: Any) -> dict[str, Any]:
    """Apply the role, and return what the module returned."""
    settings = {key: options.pop(key) for key in ("check", "user", "fails") if key in options}
    variables = {f"host_firewall_{key}": value for key, value in options.items()}
    variables["host_firewall_products"] = list(products)
    return play(host, role=ROLE, variables=variables, **settings).result(host, MODULE)


def played(host: Host, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Run the module by ansible-playbook over ssh, and return what it returned."""
    arguments = {"backend": "firewalld", "rules": list(rules), **more}
    return play(host, [{"name": "Run", MODULE: arguments}]).result(host, MODULE)


def module(host: Host, *rules: dict[str, Any], fails: bool = False, check: bool = False, **more: Any) -> dict[str, Any]:
    """Run the module's own code on the host, past ssh and ansible-playbook: a tenth of the time."""
    code, result = run_code(host, backend="firewalld", rules=list(rules), check=check, **more)
    assert result and (code != 0) == fails, result
    return result


def predicted(host: Host, *rules: dict[str, Any], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """In check mode, which has to say what a run does, and for real: both results."""
    arguments = {"backend": "firewalld", "rules": list(rules), **more}
    runs = each(host, [{**arguments, "check": True}, arguments])
    assert [code for code, _result in runs] == [0, 0], runs
    checked, done = (result for _code, result in runs)
    same = ("changed", "diff", "operations", "before", "after", "notices")
    assert {key: checked.get(key) for key in same} == {key: done.get(key) for key in same}
    return checked, done


def rule(name: str, direction: str = "in", **more: Any) -> dict[str, Any]:
    """A rule as the module takes it."""
    return {"name": name, "direction": direction, **more}


FACETIME = rule("FaceTime", tcp=["80", "443", "5223"], udp=["3478-3497", "16384-16387", "16393-16402"])
FACETIME_OUT = rule("FaceTime", "out", tcp=["80", "443", "5223"], udp=["3478-3497"])
CLASSROOM = rule("Classroom", tcp=["3284", "3285"], sources=LOCAL)
RULES = (FACETIME, FACETIME_OUT, CLASSROOM)


def foreign(found: dict[str, Any]) -> dict[str, Any]:
    """A configuration of firewalld without what the ruleset apple owns: its services, rich rules and policy."""

    def kept(settings: dict[str, Any]) -> dict[str, Any]:
        lists = {key: value for key, value in settings.items() if isinstance(value, list)}
        left = {key: [item for item in items if "apple-" not in json.dumps(item)] for key, items in lists.items()}
        return {key: left.get(key, value) for key, value in settings.items() if left.get(key, value) != []}

    zones = {name: kept(zone) for name, zone in found["zones"].items()}
    policies = {name: kept(policy) for name, policy in found["policies"].items() if not name.startswith("apple-")}
    return {"zones": zones, "policies": policies, "direct": found["direct"]}


def theirs(host: Host) -> list[dict[str, Any]]:
    """What is not the ruleset's, at runtime and for good."""
    return [foreign(runtime(host)), foreign(permanent(host))]


def ours(found: dict[str, Any]) -> dict[str, Any]:
    """The ruleset's part of a configuration: what zones name of it, its policies and its services."""
    named = {
        name: [word for key in ("services", "rules_str") for word in zone.get(key, []) if "apple-" in word]
        for name, zone in found["zones"].items()
    }
    return {
        "zones": {name: words for name, words in named.items() if words},
        "policies": {name: policy for name, policy in found["policies"].items() if name.startswith("apple-")},
        "services": found["services"],
    }


def agree(host: Host) -> None:
    """Assert that runtime and permanent configuration say the same of the ruleset, and say something."""
    live = ours(runtime(host))
    assert live == ours(permanent(host))
    assert live["services"] and live["zones"]


def gone(host: Host, name: str) -> bool:
    """Whether firewalld knows nothing of such a name, neither at runtime nor for good."""
    return name not in json.dumps([runtime(host), permanent(host)])


def stamps(host: Host) -> str:
    """Inode and times of everything below /etc/firewalld."""
    return host.run(["find", "/etc/firewalld", "-printf", "%p %i %T@ %C@\n"]).out


def set_up_administrator(host: Host) -> None:
    """An administrator's own configuration, for good."""
    host.write("/etc/firewalld/zones/public.xml", ZONE)
    cmd(host, "--reload")
    cmd(host, "--permanent", "--zone=home", "--add-port=7000/udp")
    cmd(host, "--permanent", "--new-policy=theirs")
    for word in ("--add-ingress-zone=home", "--add-egress-zone=work", "--add-service=dns"):
        cmd(host, "--permanent", "--policy=theirs", word)
    cmd(host, "--reload")


@pytest.mark.hosts("firewalld")
def test_life_of_a_ruleset(host: Host) -> None:
    set_up_administrator(host)
    files, kernel = host.files("/etc/firewalld"), host.kernel()
    before = theirs(host)

    checked = module(host, *RULES, check=True)
    assert host.files("/etc/firewalld") == files and host.kernel() == kernel, "check mode changed the host"
    first = played(host, *RULES)
    same = ("diff", "operations", "before", "after")
    assert {key: checked.get(key) for key in same} == {key: first.get(key) for key in same}
    assert [one["action"] for one in first["operations"]] == ["add"] * 3
    assert theirs(host) == before
    agree(host)
    assert "services: apple-facetime http ssh" in cmd(host, "--list-all")
    assert 'source address="fe80::/10" service name="apple-classroom" accept' in cmd(host, "--list-rich-rules")
    info = cmd(host, "--info-service=apple-facetime")
    assert "ports: 80/tcp 443/tcp 5223/tcp 3478-3497/udp 16384-16387/udp 16393-16402/udp" in info
    described = cmd(host, "--permanent", "--service=apple-facetime", "--get-description")
    assert "Owned by ruleset apple of netports.apple" in described
    assert "services: apple-facetime-out" in cmd(host, "--info-policy=apple-out")
    zone = host.read("/etc/firewalld/zones/public.xml")
    assert [line for line in ZONE.splitlines() if line not in zone.splitlines()] == []

    # The second run starts no process, writes nothing and reloads nothing.
    settled, tables = stamps(host), host.run(["nft", "--handle", "list", "ruleset"]).out
    with host.processes() as seen:
        again = module(host, *RULES)
    assert not again["changed"] and again["operations"] == [] and again["diff"]["before"] == again["diff"]["after"]
    assert stamps(host) == settled
    assert host.run(["nft", "--handle", "list", "ruleset"]).out == tables, "something was loaded"
    assert [one.name for one in seen.below("python3") if one.execed] == []
    # run_command gives back tuples as lists, and the rules in their canonical form.
    assert sorted(module(host, state="gathered")["gathered"], key=str) == sorted(first["after"], key=str)

    # A product leaves, one comes that shares its ports with one that stays; the administrator's range stays whole.
    imessage = rule("iMessage", tcp=["80", "443", "5223"])
    module(host, FACETIME, imessage, FACETIME_OUT)
    agree(host)
    assert gone(host, "apple-classroom")
    module(host, imessage, FACETIME_OUT)
    agree(host)
    assert "5220-5230/tcp" in cmd(host, "--list-ports") and "apple-imessage" in cmd(host, "--list-services")
    assert "dport 5223" in host.kernel() and "dport 16384-16387" not in host.kernel()
    for settle in (["firewall-cmd", "--reload"], ["systemctl", "restart", "firewalld"]):
        host.run(settle)
        host.run(["firewall-cmd", "--state"])
        assert not module(host, imessage, FACETIME_OUT)["changed"]
    assert theirs(host) == before

    # Changed sources: the definition stays, the name too.
    moved = module(host, dict(imessage, sources=["192.0.2.0/24"]), FACETIME_OUT)
    assert [one["action"] for one in moved["operations"]] == ["add", "remove"]
    agree(host)
    assert cmd(host, "--list-rich-rules").count('source address="192.0.2.0/24" service name="apple-imessage"') == 1

    last = module(host, state="replaced")
    assert last["changed"] and last["after"] == []
    assert host.files("/etc/firewalld") == files
    assert sorted(host.kernel().splitlines()) == sorted(kernel.splitlines())
    assert not module(host, state="replaced")["changed"]


@pytest.mark.hosts("firewalld")
def test_packets_in_and_out(host: Host, peer: Host) -> None:
    def wall(target: str) -> None:
        """An administrator's policy for what goes out."""
        cmd(host, "--permanent", "--policy=wall", f"--set-target={target}")
        cmd(host, "--reload")

    cmd(host, "--permanent", "--new-policy=wall")
    for word in (
        "--add-ingress-zone=HOST",
        "--add-egress-zone=ANY",
        "--set-priority=-1",
        # Without its neighbours, IPv6 answers nobody.
        "--add-rich-rule=rule family=ipv6 icmp-type name=neighbour-solicitation accept",
        "--add-rich-rule=rule family=ipv6 icmp-type name=neighbour-advertisement accept",
    ):
        cmd(host, "--permanent", "--policy=wall", word)
    wall("DROP")
    ports = [*FACETIME_UDP, *FACETIME_NEIGHBOURS, 80, 81, 443, 5222, 5223, 3284, 3285, 9100]
    out = [Target(family, "tcp", port) for family in (4, 6) for port in (80, 81, 443, 5223, 9100)]
    out += [Target(family, "udp", port) for family in (4, 6) for port in (3477, 3478, 3497, 3498)]

    def expect(tcp_in: Iterable[int], udp_in: Iterable[int], tcp_out: Iterable[int], udp_out: Iterable[int]) -> None:
        opened_in = {("tcp", port) for port in tcp_in} | {("udp", port) for port in udp_in}
        opened_out = {("tcp", port) for port in tcp_out} | {("udp", port) for port in udp_out}
        with listen(host, tcp=ports, udp=ports), listen(peer, tcp=ports, udp=ports):
            found_out = reach(host, peer, out)
            if host.suite == "bullseye":
                # 0.9 drops the answers to inbound connections too: OUTPUT accepts nothing that is established.
                wall("CONTINUE")
            for family in (4, 6):
                for protocol in ("tcp", "udp"):
                    found = probe(peer, host, ports, protocol, family)
                    assert {port for port, state in found.items() if state == "open"} == {
                        port for kind, port in opened_in if kind == protocol
                    }
        if host.suite == "bullseye":
            wall("DROP")
        assert {(one.protocol, one.port) for one, state in found_out.items() if state == "open"} == opened_out
        assert len({one for one, state in found_out.items() if state == "open"}) == 2 * len(opened_out)

    expect([], [], [], [])
    classroom = dict(CLASSROOM, sources=[f"{peer.address4}/32", peer.address6])
    home = rule("Home", tcp=["9100"], sources=["192.0.2.0/24", "2001:db8::/32"])
    module(host, FACETIME, FACETIME_OUT, classroom, home)
    expect([80, 443, 5223, 3284, 3285], FACETIME_UDP, [80, 443, 5223], [3478, 3497])
    # Destinations of outbound rules: to the peer's addresses alone, and not by a service that leads elsewhere.
    printing = rule("Printing", "out", tcp=["9100"], destinations=[peer.address4, peer.address6])
    elsewhere = rule("Elsewhere", "out", tcp=["81"], destinations=["192.0.2.0/24", "2001:db8::/32"])
    module(host, printing, elsewhere, classroom)
    agree(host)
    expect([3284, 3285], [], [9100], [])
    module(host)
    expect([], [], [], [])


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_all_products_never_change_twice(host: Host, record_property: Callable[[str, object], None]) -> None:
    products = [product["id"] for product in lookup_loader.get("netports.apple.products").run([], variables={})]
    with host.processes() as seen:
        assert role(host, products)["changed"]
    # The module's own and those of firewalld's reload; ssh, the login and its shell start more.
    ours_or_its = re.compile(r"python3|firewall|systemctl|ebtables|ip6?tables|ipset|nft|modprobe|sysctl")
    started = [one for one in seen.all if one.execed and ours_or_its.match(one.name)]
    assert len(started) <= 40, seen.names()
    below = [one.name for one in seen.below("python3") if one.execed]
    # firewalld reads its files some 5 s late. Where a busy machine takes longer to confirm, it has by then read those that
    # the disk had meanwhile, and a second reload brings its memory up to date.
    assert below in (["firewall-offlin", "nft", "nft"], ["firewall-offlin", "nft", "nft", "nft", "nft"])
    agree(host)
    files, kernel = host.files("/etc/firewalld"), sorted(host.kernel().splitlines())
    for settle in (None, ["firewall-cmd", "--reload"], ["systemctl", "restart", "firewalld"], "reboot"):
        if settle == "reboot":
            host.reboot()
        elif settle:
            host.run(list(settle))
            host.run(["firewall-cmd", "--state"])
        with host.processes() as seen:
            # That the role comes to the same, its second run says.
            again = direct.apply(host, products) if settle else role(host, products)
        assert not again["changed"] and again["operations"] == [], settle
        assert [one.name for one in seen.below("python3") if one.execed] == []
        assert host.files("/etc/firewalld") == files
    agree(host)
    assert sorted(host.kernel().splitlines()) == kernel
    record_property("processes", len(started))


@pytest.mark.hosts("firewalld")
def test_what_is_there_at_runtime_only_survives(host: Host) -> None:
    set_up_administrator(host)
    cmd(host, "--permanent", "--new-ipset=theirs", "--type=hash:ip", check=False)
    if host.suite != "bullseye":  # 0.9 has ipsets only with the program of that name
        cmd(host, "--reload")
        cmd(host, "--ipset=theirs", "--add-entry=192.0.2.9")
    else:
        cmd(host, "--permanent", "--delete-ipset=theirs", check=False)
    for words in (
        ["--add-port=7001/tcp", "--add-port=7002-7010/udp"],
        ["--add-service=dns"],
        ["--remove-service=http"],
        ["--remove-port=5223/tcp"],
        ["--add-protocol=gre"],
        ["--add-source-port=1234/udp"],
        ["--add-forward-port=port=7020:proto=tcp:toport=7021:toaddr=192.0.2.1"],
        ["--add-icmp-block=echo-request"],
        ["--add-rich-rule=rule family=ipv4 source address=203.0.113.0/24 port port=7030 protocol=tcp reject"],
        ["--add-masquerade"],
        ["--zone=home", "--change-interface=eth0"],
        ["--zone=work", "--add-source=203.0.113.128/25"],
        ["--zone=home", "--remove-service=mdns"],
        ["--policy=theirs", "--add-port=7040/tcp"],
        ["--policy=theirs", "--remove-service=dns"],
    ):
        cmd(host, *words)
    if host.suite != "trixie":  # beside an ipset, 2.3 wants the program of that name for these
        cmd(
            host, "--direct", "--add-passthrough", "ipv4", "-A", "INPUT", "-p", "tcp", "--dport", "7051", "-j", "ACCEPT"
        )
        cmd(host, "--direct", "--add-chain", "ipv4", "filter", "THEIRS")
        cmd(host, "--direct", "--add-rule", "ipv4", "filter", "THEIRS", "0", "-j", "RETURN")
    # Decided for good, and not live yet.
    cmd(host, "--permanent", "--zone=public", "--add-port=7999/tcp")
    cmd(host, "--permanent", "--zone=public", "--remove-port=8443/tcp")
    before = theirs(host)
    checked, result = predicted(host, *RULES)
    assert result["changed"] and checked["warnings"] == result["warnings"]
    said = " ".join(result["warnings"])
    assert "zone public: port 7001/tcp at runtime only" in said and "stay so over the reload" in said
    assert theirs(host) == before
    if host.suite != "bullseye":
        assert cmd(host, "--ipset=theirs", "--get-entries") == "192.0.2.9\n"
    assert cmd(host, "--get-zone-of-interface=eth0").strip() == "home"
    agree(host)
    again = module(host, *RULES)
    assert not again["changed"] and "differ in what is not this ruleset's: " in " ".join(again["warnings"])
    module(host)
    assert theirs(host)[0] == before[0]


@pytest.mark.hosts("firewalld")
def test_drift_is_mended(host: Host) -> None:
    module(host, *RULES)
    good, kernel = host.files("/etc/firewalld"), sorted(host.kernel().splitlines())
    rich = 'rule family="ipv4" source address="10.0.0.0/8" service name="apple-classroom" accept'
    wide = 'rule family="ipv4" source address="203.0.113.0/24" service name="apple-classroom" accept'
    edit = ["--permanent", "--service=apple-facetime"]
    drifts: list[tuple[list[list[str]], str]] = [
        ([["--remove-service=apple-facetime"]], "zone public: apple-facetime missing at runtime"),
        ([[f"--remove-rich-rule={rich}"]], f"zone public: {rich} missing at runtime"),
        ([[f"--add-rich-rule={wide}"]], f"zone public: {wide} left over at runtime"),
        ([["--zone=home", "--add-service=apple-facetime"]], "zone home: apple-facetime left over at runtime"),
        ([["--policy=apple-out", "--remove-service=apple-facetime-out"]], "apple-facetime-out missing at runtime"),
        ([["--policy=apple-out", "--add-port=99/tcp"]], "policy apple-out has more at runtime"),
        ([["--permanent", f"--add-rich-rule={wide}"]], ""),
        ([["--permanent", "--remove-service=apple-facetime"]], ""),
        ([["--permanent", "--zone=work", "--add-service=apple-facetime"]], "zone work: apple-facetime left over"),
        ([["--permanent", "--policy=apple-out", "--set-priority=5"]], "policy apple-out differs"),
        ([["--permanent", "--delete-policy=apple-out"], ["--reload"]], ""),
        ([[*edit, "--add-port=99/tcp"]], ""),
        # The runtime has it and the file no more: nothing but the definition at runtime shows it.
        (
            [[*edit, "--add-port=99/tcp"], ["--reload"], [*edit, "--remove-port=99/tcp"]],
            "apple-facetime differs at runtime",
        ),
    ]
    # That each of them alone is seen is our own comparison's matter, and tried on one release.
    together = [range(number, number + 1) for number in range(len(drifts))]
    if host.suite != "trixie":
        together = [range(6), range(6, 10), *together[10:]]
    for numbers in together:
        steps = [step for number in numbers for step in drifts[number][0]]
        for step in steps:
            cmd(host, *step)
        _checked, mended = predicted(host, *RULES)
        assert mended["changed"] and mended["diff"]["before"] != mended["diff"]["after"], steps
        found = " ".join(one.get("what", "") for one in mended["operations"])
        assert [drifts[number][1] for number in numbers if drifts[number][1] not in found] == [], steps
        assert sorted(host.kernel().splitlines()) == kernel, steps
        agree(host)
        assert "apple" not in cmd(host, "--zone=home", "--list-all") + cmd(host, "--zone=work", "--list-all")
        assert not module(host, *RULES)["changed"], steps
        host.sh("rm -f /etc/firewalld/*/*.old")
    # firewalld wrote the zone anew above, in its own order; our files are the same bytes.
    now = host.files("/etc/firewalld/services", "/etc/firewalld/policies")
    assert now == {path: item for path, item in good.items() if path in now}
    # firewalld's own way to write everything down makes no difference.
    cmd(host, "--runtime-to-permanent")
    assert not module(host, *RULES)["changed"]
    cmd(host, "--reload")
    assert not module(host, *RULES)["changed"]
    # A definition that is gone, with what names it still there: firewalld itself cannot load this.
    for reloaded in (False, True):
        host.run(["rm", "/etc/firewalld/services/apple-classroom.xml"])
        if reloaded:
            assert host.run(["firewall-cmd", "--reload"], check=False).rc != 0
        assert module(host, FACETIME, FACETIME_OUT)["changed"]
        assert cmd(host, "--state") == "running\n"
        assert gone(host, "apple-classroom")
        agree(host)
        module(host, *RULES)
    assert sorted(host.kernel().splitlines()) == kernel


@pytest.mark.hosts("firewalld")
def test_mends_the_runtime_without_a_reload(host: Host) -> None:
    module(host, *RULES)
    cmd(host, "--remove-service=apple-facetime")
    settled = stamps(host)
    # A signal of our own says that all before it was seen.
    last = "org.netports.Test"
    matches = [f"--match=type='signal',{which}" for which in ("member='Reloaded'", f"interface='{last}'")]
    watch = ["busctl", "monitor", *matches]
    with subprocess.Popen(host.argv(watch), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout and monitor.stderr and "Monitoring" in monitor.stderr.readline()
        with host.processes() as seen:
            assert module(host, *RULES)["changed"]
        assert [one.name for one in seen.below("python3") if one.execed] == []
        assert stamps(host) == settled
        agree(host)
        cmd(host, "--reload")
        host.run(["busctl", "emit", "/", last, "End"])
        text = "".join(itertools.takewhile(lambda line: last not in line, monitor.stdout))
        monitor.terminate()
    assert text.count("Member=Reloaded") == 1, "the run reloaded, or the monitor saw nothing"


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_a_change_that_waits(host: Host) -> None:
    """What is loaded and not confirmed goes again, by the clock, a reload or a reboot; what is confirmed stays."""
    module(host, CLASSROOM)
    cmd(host, "--add-port=7001/tcp")
    step = {"step": "apply", "id": ""}

    def loaded() -> dict[str, Any]:
        """What is loaded, but for the definitions of services: as in the files, new ones stay that nobody names."""
        return {**runtime(host), "services": {}}

    files, before = host.files("/etc/firewalld"), loaded()

    def old() -> bool:
        """Whether the files are the old ones, but for new services that nobody names."""
        now = host.files("/etc/firewalld")
        new = {path for path in now.keys() - files.keys() if path.startswith("/etc/firewalld/services/apple-")}
        return {path: one for path, one in now.items() if path not in new} == files

    def waits(seconds: int) -> dict[str, Any]:
        result = module(host, *RULES, confirm_seconds=seconds, _confirm=step)
        assert result["changed"] and result["confirm"]["seconds"] == seconds
        assert old() and "apple-facetime" in cmd(host, "--list-services")
        waiting: dict[str, Any] = result["confirm"]
        return waiting

    assert module(host, *RULES, confirm_seconds=1, _confirm=step)["changed"]
    host.run(["flock", "/var/lib/netports-apple/lock", "true"])
    assert loaded() == before
    assert host.files("/etc/firewalld") == files and host.run(["ls", "/etc/firewalld/policies"]).out == ""
    answer = module(host, _confirm={"step": "confirm", "id": waits(900)["id"]})
    assert answer["confirm"]["state"] == "confirmed"
    agree(host)
    assert not module(host, *RULES)["changed"] and "7001/tcp" in cmd(host, "--list-ports")
    cmd(host, "--reload")
    assert not module(host, *RULES)["changed"]
    # A reload of the administrator's takes back what is not on the disk; a confirmation is too late then.
    module(host, CLASSROOM)
    files = host.files("/etc/firewalld")
    waiting = waits(900)
    cmd(host, "--reload")
    assert module(host, _confirm={"step": "confirm", "id": waiting["id"]})["confirm"]["state"] == "restored"
    assert host.files("/etc/firewalld") == files and "apple-facetime" not in json.dumps(loaded())
    waits(900)
    host.reboot()
    assert old() and "apple-facetime" not in json.dumps(loaded())
    agree(host)


@pytest.mark.hosts("firewalld")
def test_never_open_and_connections_live_on(host: Host, peer: Host) -> None:
    hammer = f"""
import select, socket, sys
keep = socket.create_connection(("{host.address4}", 22), 60)
keep.recv(64)
print("connected", flush=True)
opened = tried = 0
while tried < 60 or not select.select([sys.stdin], [], [], 0)[0]:
    one = socket.socket()
    one.settimeout(0.05)
    tried += 1
    opened += one.connect_ex(("{host.address4}", 9999)) == 0
    one.close()
keep.sendall(b"SSH-2.0-netports\\r\\n")
print(tried, opened, len(keep.recv(64)) > 0)
"""
    argv = peer.argv(["python3", "-c", hammer])
    with (
        listen(host, tcp=[9999]),
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hammering,
    ):
        assert hammering.stdout and hammering.stdout.readline() == "connected\n"
        assert module(host, *RULES)["changed"]
        assert module(host)["changed"]
        tried, opened, alive = hammering.communicate()[0].split()
    assert int(tried) > 50 and opened == "0" and alive == "True"


def printed(text: str) -> list[str]:
    """The ruleset's services and rich rules in what firewalld's tools print of zones."""
    return sorted(re.findall(r'(?<= )apple-[^" ]+(?= |$)|rule .*service name="apple-.*', text, re.MULTILINE))


@pytest.mark.hosts("none")
def test_stopped_daemon(host: Host, peer: Host) -> None:
    files = host.files("/etc/firewalld")
    with host.processes() as seen:
        result = module(host, *RULES)
    assert result["changed"] and "firewalld is not running" in " ".join(result["warnings"])
    assert [one.name for one in seen.below("python3") if one.execed] == ["firewall-offlin"]
    assert host.kernel() == "\n" and not module(host, *RULES)["changed"]
    offline = printed(host.run(["firewall-offline-cmd", "--list-all-zones"]).out)
    host.run(["systemctl", "start", "firewalld"])
    host.run(["firewall-cmd", "--state"])
    agree(host)
    assert offline == printed(cmd(host, "--list-all-zones"))
    again = module(host, *RULES)
    assert not again["changed"] and "off at the next boot" in " ".join(again["warnings"])
    with listen(host, tcp=[80, 81, 3284]):
        assert probe(peer, host, [80, 81, 3284]) == {80: "open", 81: "filtered", 3284: "open"}
    host.run(["systemctl", "stop", "firewalld"])
    module(host)
    assert host.files("/etc/firewalld") == files


@pytest.mark.hosts("none", "bullseye", "trixie")
def test_switching_on_keeps_the_way_in(host: Host) -> None:
    host.sh("printf 'Port 22\\nPort 2222\\n' >> /etc/ssh/sshd_config; systemctl restart ssh")
    port = {"ansible_port": 2222}
    arguments = {"backend": "firewalld", "rules": [FACETIME], "enable": True}

    def run(*, times: int = 1) -> list[dict[str, Any]]:
        found = play(host, [{"name": "Run", MODULE: arguments}] * times, variables=port).of(host, MODULE)
        return [task.result for task in found]

    result, again = run(times=2)
    assert not again["changed"]
    assert {"action": "enable", "what": "firewalld"} in result["operations"]
    assert host.run(["systemctl", "is-enabled", "firewalld"]).out == "enabled\n"
    assert host.ssh("true", port=2222).rc == 0
    assert "apple-management" in cmd(host, "--list-all") and "port port" not in cmd(host, "--list-rich-rules")
    agree(host)
    # What the administrator admits needs no rule of ours.
    cmd(host, "--permanent", "--add-port=2222/tcp")
    cmd(host, "--reload")
    assert run()[0]["changed"] and "management" not in json.dumps(runtime(host))
    assert host.ssh("true", port=2222).rc == 0
    host.run(["systemctl", "disable", "--now", "firewalld"])
    assert [one["action"] for one in run()[0]["operations"]] == ["enable"]


@pytest.mark.hosts("firewalld")
def test_a_failure_puts_everything_back(host: Host) -> None:
    module(host, CLASSROOM)
    cmd(host, "--add-port=7001/tcp")
    # Somebody's unfinished edit: firewalld's own check refuses the whole configuration.
    host.write("/etc/firewalld/services/broken.xml", "<service><port port='70000' protocol='tcp'/></service>\n")
    files, kernel = host.files("/etc/firewalld"), host.kernel()
    failed = module(host, *RULES, fails=True)
    assert "refuses the new configuration" in failed["msg"] and "INVALID_PORT" in failed["msg"]
    assert host.files("/etc/firewalld") == files and host.kernel() == kernel
    host.run(["rm", "/etc/firewalld/services/broken.xml"])
    # What no check sees and only loading shows: a direct rule that no kernel takes.
    wrong = '<direct><rule ipv="ipv4" table="filter" chain="INPUT" priority="0">-j NOSUCH</rule></direct>\n'
    host.write("/etc/firewalld/direct.xml", wrong)
    files = host.files("/etc/firewalld")
    before = foreign(runtime(host))
    failed = module(host, *RULES, fails=True)
    assert host.files("/etc/firewalld") == files
    host.run(["rm", "/etc/firewalld/direct.xml"])
    cmd(host, "--reload")
    assert module(host, *RULES)["changed"]
    agree(host)
    assert before["zones"]["public"].pop("ports") == [["7001", "tcp"]]
    assert foreign(runtime(host)) == before


@pytest.mark.hosts("firewalld", "bullseye", "trixie")
def test_zones_interfaces_and_names(host: Host) -> None:
    assert module(host, FACETIME, zone="nowhere", fails=True)["msg"].count("home, internal, public")
    module(host, FACETIME, zone="home")
    assert "apple-facetime" in cmd(host, "--zone=home", "--list-services")
    warned = module(host, FACETIME, zone="home")["warnings"]
    assert any("zone home has no interface and no source" in one for one in warned)
    # Unset: the default zone, whichever it is.
    host.run(["firewall-cmd", "--set-default-zone=internal"])
    assert module(host, FACETIME)["changed"]
    assert "apple-facetime" not in cmd(host, "--zone=home", "--list-services")
    assert "apple-facetime" in cmd(host, "--zone=internal", "--list-services")
    agree(host)
    host.run(["firewall-cmd", "--set-default-zone=public"])
    module(host, FACETIME)

    # An interface: only where a zone holds for exactly that one.
    bound = dict(FACETIME, interface="eth0")
    settled = stamps(host)
    assert "default zone" in module(host, bound, fails=True)["msg"]
    assert stamps(host) == settled
    cmd(host, "--permanent", "--zone=work", "--change-interface=eth0")
    cmd(host, "--permanent", "--zone=work", "--add-interface=eth1")
    cmd(host, "--reload")
    assert "its zone work has eth1 as well" in module(host, bound, fails=True)["msg"]
    cmd(host, "--permanent", "--zone=work", "--remove-interface=eth1")
    cmd(host, "--reload")
    assert "not in zone home" in module(host, bound, zone="home", fails=True)["msg"]
    result = module(host, bound, dict(FACETIME_OUT, interface="eth0"), FACETIME_OUT)
    assert result["changed"] and "apple-facetime" in cmd(host, "--zone=work", "--list-services")
    assert "egress-zones: work" in cmd(host, "--info-policy=apple-out-2")
    agree(host)
    assert not module(host, bound, dict(FACETIME_OUT, interface="eth0"), FACETIME_OUT)["changed"]
    module(host)

    # Names that are somebody else's, a service of ours in use elsewhere, two rulesets side by side.
    cmd(host, "--permanent", "--new-service=apple-facetime")
    cmd(host, "--permanent", "--service=apple-facetime", "--add-port=1/tcp")
    cmd(host, "--reload")
    theirs = host.read("/etc/firewalld/services/apple-facetime.xml")
    module(host, FACETIME)
    assert "apple-facetime-2" in cmd(host, "--list-services")
    module(host, FACETIME, ruleset="apple-lab")
    assert not module(host, FACETIME)["changed"] and not module(host, FACETIME, ruleset="apple-lab")["changed"]
    rich = "--add-rich-rule=rule service name=apple-facetime-2 log prefix=x accept"
    cmd(host, "--permanent", "--zone=home", rich)
    cmd(host, "--reload")
    assert "zone home still names it" in module(host, fails=True)["msg"]
    cmd(host, "--permanent", "--zone=home", rich.replace("--add", "--remove"))
    cmd(host, "--reload")
    module(host)
    assert "apple-lab-facetime" in cmd(host, "--list-services") and "apple-facetime-2" not in json.dumps(runtime(host))
    module(host, ruleset="apple-lab")
    assert host.read("/etc/firewalld/services/apple-facetime.xml") == theirs


@pytest.mark.hosts("firewalld", "bullseye")
def test_removal_by_hand(host: Host) -> None:
    """The commands of docs/backends/firewalld.md."""
    files = host.files("/etc/firewalld")
    module(host, *RULES)
    text = (PROJECT / "docs" / "backends" / "firewalld.md").read_text()
    script = text.split("```sh\n", 1)[1].split("```", 1)[0]
    assert host.sh(script).out.splitlines()[-1] == "success"
    assert gone(host, "apple")
    host.sh("rm -f /etc/firewalld/*/*.old")
    assert not module(host)["changed"]
    left = {path: item for path, item in host.files("/etc/firewalld").items() if path not in files}
    assert set(left) <= {"/etc/firewalld/zones/public.xml"}


@pytest.mark.hosts("firewalld", "bullseye")
def test_a_firewalld_without_policies(host: Host) -> None:
    # 0.8 and older are in no supported Debian: the folder that tells them apart is taken away.
    host.run(["mv", "/usr/lib/firewalld/policies", "/usr/lib/firewalld/none"])
    result = module(host, *RULES)
    assert "has no policies" in " ".join(result["warnings"]) and "outbound rules of FaceTime" in " ".join(
        result["warnings"]
    )
    assert "apple-facetime" in cmd(host, "--list-services") and not host.run(["ls", "/etc/firewalld/policies"]).out
    assert not module(host, *RULES)["changed"]


@pytest.mark.hosts("firewalld", "trixie")
def test_hostile_files_of_others(host: Host) -> None:
    """What others wrote in ways that firewalld takes and editors forget."""
    host.write(
        "/etc/firewalld/zones/public.xml",
        '<?xml version="1.0"?><zone><service name="ssh"/><!-- </zone> <service name="apple-x"/> --></zone><!-- </zone> -->',
    )
    host.write(
        "/etc/firewalld/zones/dos.xml", '<?xml version="1.0"?>\r\n<zone>\r\n  <service name="ssh"/>\r\n</zone>\r\n'
    )
    host.write("/etc/firewalld/zones/empty.xml", '<zone target="DROP"/>\n')
    cmd(host, "--reload")
    files = host.files("/etc/firewalld")
    for zone in ("public", "dos", "empty"):
        module(host, *RULES, zone=zone)
        agree(host)
        assert not module(host, *RULES, zone=zone)["changed"]
    module(host)
    now = host.files("/etc/firewalld")
    assert now.pop("/etc/firewalld/zones/empty.xml")[1] == b'<zone target="DROP">\n</zone>\n'
    files.pop("/etc/firewalld/zones/empty.xml")
    assert now == files
    assert not any(ours(runtime(host)).values())
