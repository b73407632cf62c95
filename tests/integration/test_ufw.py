# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on the real ufw, on real hosts: the files, ufw's own view, the kernel, and packets.

Each test plays the role once or more often; what it asks beside that, it asks of the module's code directly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from integration import direct

from hosts import Host, PlayFailed, Target, listen, play, probe, reach
from hosts.code import each

ROLE = "netports.apple.host_firewall"
MODULE = "netports.apple.host_firewall"
FACETIME_UDP = [3478, 3497, 16384, 16387, 16393, 16402]
FACETIME_NEIGHBOURS = [3477, 3498, 16383, 16388, 16392, 16403]
# The lists of rules in the kernel that are ufw's to fill from user.rules.
USER_CHAIN = re.compile(r"-A ufw6?-user-(?:input|output|forward)\b")


def role(host: Host, products: Iterable[str] = (), **options: Any) -> dict[str, Any]:
    """Apply the role, and return what the module returned."""
    settings = {key: options.pop(key) for key in ("check", "fails") if key in options}
    variables = {f"host_firewall_{key}": value for key, value in options.items()}
    variables["host_firewall_products"] = list(products)
    return play(host, role=ROLE, variables=variables, **settings).result(host, MODULE)


def rule(name: str, direction: str = "in", **ports: Any) -> dict[str, Any]:
    """A rule as the module takes it."""
    return {"name": name, "direction": direction, **ports}


def state(host: Host) -> tuple[Any, str]:
    """Everything that ufw keeps, on disk and in the kernel."""
    return host.files("/etc/ufw", "/etc/default/ufw"), host.kernel()


def foreign(host: Host) -> tuple[str, str, list[str]]:
    """What is not the ruleset's: both rules files without its blocks, and the kernel's user chains without its rules."""
    texts = [
        re.sub(r"\n### tuple ### [^\n]*? Apple%20[^\n]*\n(?:-A [^\n]*\n)+", "", host.read(f"/etc/ufw/{name}"))
        for name in ("user.rules", "user6.rules")
    ]
    kernel = [line for line in host.kernel().splitlines() if USER_CHAIN.match(line) and "dapp_Apple" not in line]
    return texts[0], texts[1], kernel


def owned(host: Host) -> list[str]:
    """The ruleset's rules in the kernel."""
    return [line for line in host.kernel().splitlines() if "dapp_Apple" in line and line.startswith("-A")]


def set_up_administrator(host: Host) -> None:
    """An administrator's own rules: a comment, a limit, a log, a refusal, a route, and one in the kernel alone."""
    for words in (
        ["allow", "8443/tcp", "comment", "nginx's own"[:5]],
        ["limit", "2222/tcp"],
        ["allow", "log", "from", "192.0.2.0/24", "to", "any", "port", "9000", "proto", "udp"],
        ["deny", "in", "on", "eth0", "to", "any", "port", "7777"],
        ["route", "allow", "in", "on", "eth0", "out", "on", "eth1", "to", "198.51.100.1", "port", "80", "proto", "tcp"],
    ):
        host.run(["ufw", *words])
    host.run(["iptables", "-A", "ufw-user-input", "-p", "tcp", "--dport", "7000", "-j", "ACCEPT"])


@pytest.mark.hosts("ufw")
def test_life_of_a_ruleset(host: Host) -> None:
    set_up_administrator(host)
    pristine = state(host)
    before = foreign(host)

    checked = direct.apply(host, ["FaceTime", "AirPlay", "Classroom"], check=True)
    assert state(host) == pristine, "check mode changed the host"
    first = role(host, ["FaceTime", "AirPlay", "Classroom"])
    assert first["changed"] and first["backend"] == "ufw"
    assert {key: checked[key] for key in ("diff", "operations", "before", "after")} == {
        key: first[key] for key in ("diff", "operations", "before", "after")
    }
    assert [one["action"] for one in first["operations"]] == ["add"] * 6
    assert foreign(host) == before
    assert direct.run(host, state="gathered")["gathered"] == first["after"]
    status = host.run(["ufw", "status"]).out
    assert re.search(r"^Apple FaceTime +ALLOW +Anywhere", status, re.MULTILINE)
    assert re.search(r"^Apple Classroom +ALLOW +10\.0\.0\.0/8", status, re.MULTILINE)
    assert re.search(r"^Apple FaceTime out \(v6\) +ALLOW OUT +Anywhere \(v6\)", status, re.MULTILINE)
    assert "Ports:\n  3478:3497,16384:16387,16393:16402/udp" in host.run(["ufw", "app", "info", "Apple FaceTime"]).out

    # A second run starts two processes, and writes nothing.
    settled = state(host)
    stamps = host.run(["find", "/etc/ufw", "-printf", "%p %i %T@ %C@\n"]).out
    with host.processes() as seen:
        again = direct.apply(host, ["FaceTime", "AirPlay", "Classroom"])
    assert not again["changed"] and again["operations"] == []
    assert again["diff"]["before"] == again["diff"]["after"]
    assert host.run(["find", "/etc/ufw", "-printf", "%p %i %T@ %C@\n"]).out == stamps
    assert state(host) == settled
    assert sorted(one.name for one in seen.below("python3") if one.execed) == ["ip6tables-save", "iptables-save"]

    # ufw writes the file anew from what it reads: to the letter what stands there already.
    host.run(["ufw", "allow", "9999/tcp"])
    host.run(["ufw", "delete", "allow", "9999/tcp"])
    assert host.files("/etc/ufw") == {path: item for path, item in settled[0].items() if path.startswith("/etc/ufw")}
    host.run(["ufw", "app", "update", "Apple FaceTime"])
    assert not direct.apply(host, ["FaceTime", "AirPlay", "Classroom"])["changed"]

    # One product leaves, one comes that shares ports with one that stays.
    third = direct.apply(host, ["FaceTime", "Classroom", "iMessage"])
    assert {(one["action"], one["rule"]["name"], one["rule"]["direction"]) for one in third["operations"]} == {
        ("add", "iMessage", "out"),
        ("remove", "AirPlay", "in"),
        ("remove", "AirPlay", "out"),
    }
    assert foreign(host)[:2] == before[:2] and not any("AirPlay" in line for line in owned(host))
    fourth = direct.apply(host, ["iMessage", "Classroom"])
    assert {one["rule"]["name"] for one in fourth["operations"]} == {"FaceTime"}
    assert any("dports 80,443,5223" in line and "iMessage%20out" in line for line in owned(host))
    assert not direct.apply(host, ["iMessage", "Classroom"])["changed"]

    # After a reboot the kernel has it from the files (and no longer what was never in them).
    stored = sorted(line.replace("\\'", "") for line in owned(host))
    host.reboot()
    assert sorted(line.replace("\\'", "") for line in owned(host)) == stored
    assert not direct.apply(host, ["iMessage", "Classroom"])["changed"]

    last = role(host, state="absent")
    assert last["changed"] and last["after"] == []
    assert foreign(host)[:2] == before[:2]
    assert host.files("/etc/ufw") == {path: item for path, item in pristine[0].items() if path.startswith("/etc/ufw")}
    assert owned(host) == []
    assert not direct.remove(host)["changed"]


def answers(source: Host, host: Host, tcp: Iterable[int] = (), udp: Iterable[int] = ()) -> dict[tuple[str, int], str]:
    """How ports answer over IPv4 and IPv6, which have to agree."""
    ports = [*(("tcp", port) for port in tcp), *(("udp", port) for port in udp)]
    found = reach(source, host, [Target(family, *port) for family in (4, 6) for port in ports])
    for port in ports:
        assert found[Target(4, *port)] == found[Target(6, *port)], (port, found)
    return {port: found[Target(4, *port)] for port in ports}


def expected(tcp: Iterable[int], near_tcp: Iterable[int]) -> dict[tuple[str, int], str]:
    """These ports of TCP and FaceTime's of UDP are open, and those beside them are not."""
    return {
        **{("tcp", port): "open" for port in tcp},
        **{("tcp", port): "filtered" for port in near_tcp},
        **{("udp", port): "open" for port in FACETIME_UDP},
        **{("udp", port): "filtered" for port in FACETIME_NEIGHBOURS},
    }


@pytest.mark.hosts("ufw", "trixie")
def test_packets_in(host: Host, peer: Host) -> None:
    role(host, ["FaceTime", "File Sharing", "Classroom"])
    tcp, near_tcp = [139, 548, 3284, 3285], [138, 140, 547, 549, 3283, 3286, 80, 443, 5223]
    both = [Target(family, "tcp", 548) for family in (4, 6)]
    with listen(host, tcp=tcp + near_tcp, udp=FACETIME_UDP + FACETIME_NEIGHBOURS):
        found = answers(peer, host, tcp + near_tcp, FACETIME_UDP + FACETIME_NEIGHBOURS)
        assert found == expected(tcp, near_tcp)
        # From networks that do not hold the peer, local services are shut, and the rest stays open.
        direct.apply(host, ["FaceTime", "File Sharing"], local_networks=["192.0.2.0/24", "2001:db8::/32"])
        found = answers(peer, host, [139, 548], FACETIME_UDP)
        assert found == {key: "open" if key[0] == "udp" else "filtered" for key in found}
        direct.apply(host, ["FaceTime"], sources=[peer.address4])
        by_family = reach(peer, host, [Target(family, "udp", port) for family in (4, 6) for port in FACETIME_UDP])
        assert by_family == {target: "open" if target.family == 4 else "filtered" for target in by_family}
        direct.apply(host, ["File Sharing"], sources=["any"], interface="eth0")
        assert set(probe(peer, host, [139, 548]).values()) == {"open"}
        direct.apply(host, ["File Sharing"], sources=["any"], interface="eth1")
        assert set(probe(peer, host, [139, 548]).values()) == {"filtered"}
        direct.apply(host, ["File Sharing"], destinations=[host.address6])
        assert reach(peer, host, both) == {both[0]: "filtered", both[1]: "open"}
        direct.remove(host)
        assert set(answers(peer, host, tcp).values()) == {"filtered"}


@pytest.mark.hosts("ufw", "bookworm")
def test_packets_out(host: Host, peer: Host) -> None:
    # By hand, and never by the role: this command opens the host for moments.
    host.run(["ufw", "default", "deny", "outgoing"])
    role(host, ["iMessage", "FaceTime"], directions=["out"])
    tcp, near = [80, 443, 5223], [79, 81, 442, 444, 5222, 5224, 22]
    with listen(peer, tcp=tcp + near, udp=FACETIME_UDP + FACETIME_NEIGHBOURS):
        found = answers(host, peer, tcp + near, FACETIME_UDP + FACETIME_NEIGHBOURS)
        assert found == expected(tcp, near)
        direct.apply(host, ["iMessage"], directions=["out"], destinations=["17.0.0.0/8"])
        assert set(probe(host, peer, tcp).values()) == {"filtered"}
    # iCloud connects out and is never connected to.
    result = direct.apply(host, ["iCloud"])
    assert {one["direction"] for one in result["after"]} == {"out"}
    assert not any("-user-input" in line for line in owned(host))


@pytest.mark.hosts("ufw", "trixie")
def test_drift_is_seen_named_and_mended(host: Host) -> None:
    set_up_administrator(host)
    direct.apply(host, ["FaceTime", "File Sharing"])
    host.run(["ufw", "allow", "4444/tcp"])
    settled = state(host)

    def drifted(*words: str, through: Callable[..., dict[str, Any]] = direct.apply) -> dict[str, Any]:
        """Drift, see it in check mode without a change, mend it, and be where we were."""
        host.run(["sh", "-c", *words])
        crooked = state(host)
        assert crooked != settled
        seen = through(host, ["FaceTime", "File Sharing"], check=True)
        assert seen["changed"] and state(host) == crooked
        mended = through(host, ["FaceTime", "File Sharing"])
        assert mended["operations"] == seen["operations"]
        now = state(host)
        assert now[0] == settled[0]
        assert [line.replace("\\'", "") for line in now[1].splitlines()] == [
            line.replace("\\'", "") for line in settled[1].splitlines()
        ]
        assert not direct.apply(host, ["FaceTime", "File Sharing"])["changed"]
        return mended

    # By restore, whose spelling iptables-save's is: a shell would take quotes away.
    delete = "(echo '*filter'; iptables-save -t filter | grep dapp_Apple | {} | sed 's/^-A/-D/'; echo COMMIT) | iptables-restore -n"
    gone = drifted(delete.format("sed -n 1p"))
    (one,) = gone["operations"]
    assert one["what"].startswith("iptables: rule missing in the kernel: ") and one["rules"] == ["FaceTime"]
    extra = drifted(
        "iptables -A ufw-user-input -p tcp --dport 23 -m comment --comment dapp_Apple%20FaceTime -j ACCEPT;"
        "ip6tables -I ufw6-user-input -p tcp --dport 23 -m comment --comment dapp_Apple%20FaceTime -j ACCEPT"
    )
    assert [(one["what"].rpartition(": ")[0], one["rules"]) for one in extra["operations"]] == [
        ("iptables: rule left over in the kernel", ["FaceTime"]),
        ("ip6tables: rule left over in the kernel", ["FaceTime"]),
    ]
    drifted(delete.format("cat"))
    # The files, on whose words the kernel still differs.
    wider = drifted("sed -i 's/3478:3497/3478:3999/g' /etc/ufw/user.rules", through=role)
    assert {one["action"] for one in wider["operations"]} >= {"change"} or len(wider["operations"]) >= 2
    drifted("sed -i 's/^ports=.*/ports=1:65535\\/tcp/' /etc/ufw/applications.d/netports-apple")
    drifted("rm /etc/ufw/applications.d/netports-apple")
    # What is gone from the file has lost its place, and comes to the end.
    kernel = owned(host)
    host.run(["sed", "-i", "/Apple%20FaceTime /d; /Apple%20FaceTime.$/d", "/etc/ufw/user6.rules"])
    before = foreign(host)
    mended = direct.apply(host, ["FaceTime", "File Sharing"])
    assert mended["changed"] and foreign(host) == before and len(owned(host)) == len(kernel)
    assert "Apple%20FaceTime " in host.read("/etc/ufw/user6.rules")
    assert not direct.apply(host, ["FaceTime", "File Sharing"])["changed"]


@pytest.mark.hosts("none", "trixie")
def test_inactive_stored_then_enabled_without_a_lock_out(host: Host, peer: Host) -> None:
    stored = direct.run(host, rules=direct.rules(["Classroom"]), backend="ufw")
    assert stored["changed"] and any("inactive" in text for text in stored["warnings"])
    assert host.run(["ufw", "status"]).out == "Status: inactive\n" and owned(host) == []
    assert not direct.run(host, rules=direct.rules(["Classroom"]), backend="ufw")["changed"]

    enabled = role(host, ["Classroom"], backend="ufw", enable=True)
    assert enabled["operations"][-1] == {"action": "enable", "what": "ufw"}
    assert "Status: active" in host.run(["ufw", "status"]).out
    # The connection that enabled it is admitted, by a new connection too, and nobody else's is.
    assert host.ssh("true").rc == 0
    assert any("management" in text for text in enabled["warnings"])
    with listen(host, tcp=[3284, 3283]):
        assert probe(peer, host, [22, 3284, 3283]) == {22: "filtered", 3284: "open", 3283: "filtered"}
    assert not direct.run(host, ssh=4, rules=direct.rules(["Classroom"]), backend="ufw", enable=True)["changed"]
    # Removing the ruleset keeps the door that one stands in; a rule of the administrator's takes over from it.
    direct.run(host, ssh=4, backend="ufw", state="deleted")
    assert host.ssh("true").rc == 0
    host.run(["ufw", "allow", "22/tcp"])
    gone = direct.run(host, ssh=4, backend="ufw", state="deleted")
    assert [one["rule"]["name"] for one in gone["operations"]] == ["management"]
    assert host.ssh("true").rc == 0 and owned(host) == []
    host.reboot()
    assert "Status: active" in host.run(["ufw", "status"]).out


@pytest.mark.hosts("ufw", "trixie")
def test_management_stays_admitted_before_an_administrators_refusal(host: Host) -> None:
    # In one connection: a new one would not come through between the two tasks.
    refuse = "ufw insert 1 deny proto tcp from 10.0.0.0/8 to any port 22"
    rules = "{{ query('netports.apple.ports', 'Classroom') | netports.apple.rules }}"
    run = play(
        host,
        [
            {"name": "Refuse", "ansible.builtin.command": refuse},
            {"name": "Run", MODULE: {"rules": rules}},
            {"name": "Again", MODULE: {"rules": rules}},
        ],
    )
    assert run.of(host, MODULE, "Run")[0].changed and not run.of(host, MODULE, "Again")[0].changed
    chain = [line for line in host.kernel().splitlines() if line.startswith("-A ufw-user-input")]
    assert "Apple%20management" in chain[0] and "--dport 22 -j DROP" in chain[1], chain
    assert host.ssh("true").rc == 0
    host.reboot()
    assert host.ssh("true").rc == 0


@pytest.mark.hosts("ufw", "bookworm")
def test_ipv6_off(shared: Host) -> None:
    direct.apply(shared, ["FaceTime"])
    shared.run(["sed", "-i", "s/^IPV6=yes/IPV6=no/", "/etc/default/ufw"])
    off = direct.apply(shared, ["FaceTime"])
    assert any("IPv6 is off in ufw" in text for text in off["warnings"])
    assert "Apple" not in shared.read("/etc/ufw/user6.rules") and "Apple" in shared.read("/etc/ufw/user.rules")
    assert not direct.apply(shared, ["FaceTime"])["changed"]
    assert direct.apply(shared, ["FaceTime", "Classroom"])["changed"]
    assert not direct.apply(shared, ["FaceTime", "Classroom"])["changed"]
    shared.run(["sed", "-i", "s/^IPV6=no/IPV6=yes/", "/etc/default/ufw"])
    assert direct.apply(shared, ["FaceTime"])["changed"]
    assert "Apple" in shared.read("/etc/ufw/user6.rules")


@pytest.mark.hosts("ufw", "bookworm")
def test_a_port_shared_with_an_administrators_rule(shared: Host) -> None:
    shared.run(["ufw", "allow", "443/tcp", "comment", "website"])
    shared.run(["ufw", "deny", "548/tcp"])
    before = foreign(shared)
    direct.run(shared, rules=[rule("Website", tcp=["443", "548"])])
    assert foreign(shared) == before
    direct.run(shared, state="deleted")
    assert foreign(shared) == before
    assert re.search(r"^443/tcp +ALLOW +Anywhere +# website", shared.run(["ufw", "status"]).out, re.MULTILINE)
    shared.sh("ufw delete allow 443/tcp; ufw delete deny 548/tcp")


@pytest.mark.hosts("ufw", "bookworm")
def test_states_and_rulesets_side_by_side(shared: Host) -> None:
    one, two = rule("One", tcp=["1001"]), rule("Two", "out", udp=["2001-2100"], destinations=["192.0.2.0/24"])
    tasks: list[dict[str, Any]] = [
        {"rules": [one]},
        {"rules": [rule("One", tcp=["3001"])], "ruleset": "kiosk"},
        {"rules": [two, rule("One", tcp=["1003"])], "state": "merged"},
        {"state": "gathered"},
        {"state": "rendered", "backend": "ufw", "rules": [one]},
    ]
    done = play(shared, [{"name": "Run", MODULE: task} for task in tasks])
    _first, other, merged, gathered, rendered = [task.result for task in done.of(shared, MODULE)]
    assert other["before"] == []
    assert [(item["name"], item["tcp"], item["udp"]) for item in merged["after"]] == [
        ("One", ["1001", "1003"], []),
        ("Two", [], ["2001-2100"]),
    ]
    assert not gathered["changed"] and gathered["gathered"] == merged["after"]
    assert "[Apple One]" in rendered["rendered"]["/etc/ufw/applications.d/netports-apple"]
    assert not direct.run(shared, rules=[two], state="merged")["changed"]
    # What was gathered makes the same ruleset again.
    assert not direct.run(shared, rules=gathered["gathered"])["changed"]
    dropped = direct.run(shared, rules=[rule("One", tcp=["1"])], state="deleted")
    assert [item["name"] for item in dropped["after"]] == ["Two"]
    assert direct.run(shared, state="gathered", ruleset="kiosk")["gathered"][0]["tcp"] == ["3001"]
    assert direct.run(shared, state="deleted")["after"] == []
    assert "Kiosk One" in shared.run(["ufw", "status"]).out
    shared.write("/etc/ufw/applications.d/mine", "[Apple Three]\ntitle=t\ndescription=d\nports=3/tcp\n")
    clash = direct.run(shared, rules=[rule("Three", tcp=["3"])], fails=True)
    assert "'Apple Three' is defined in /etc/ufw/applications.d/mine" in clash["msg"]
    shared.run(["rm", "/etc/ufw/applications.d/mine"])
    direct.run(shared, state="deleted", ruleset="kiosk")


@pytest.mark.hosts("ufw", "bullseye", "trixie")
def test_all_products_in_few_processes(host: Host) -> None:
    everything = "{{ query('netports.apple.ports') | netports.apple.rules }}"
    with host.processes() as seen:
        run = play(host, [{"name": "Run", MODULE: {"rules": everything}}])
    result = run.result(host, MODULE)
    assert len(result["operations"]) > 90
    # The bar is 40; the module's own interpreter and shell are not what it starts.
    started = [one.name for one in seen.below("python3") if one.execed]
    assert len(started) <= 14, started
    assert run.remote_calls(host) <= 3
    with host.processes() as seen:
        again = play(host, [{"name": "Run", MODULE: {"rules": everything}}]).result(host, MODULE)
    assert not again["changed"]
    assert len([one for one in seen.below("python3") if one.execed]) == 2
    assert host.run(["ufw", "show", "added"]).err == ""
    host.reboot()
    assert not direct.run(host, rules=result["after"])["changed"]


HOSTILE = ["'", '"', "a\nb", "a;b", "$(id)", "`id`", "{{ 1 }}", "-j ACCEPT", "a|b", "\u0000", "é", "x" * 300, ""]


@pytest.mark.hosts("ufw", "bookworm")
def test_bad_input_changes_nothing(shared: Host) -> None:
    good = rule("Good", tcp=["80"])
    direct.run(shared, rules=[good])
    before = state(shared)
    networks = [*HOSTILE, "10.0.0.1/8", "host.example", "010.0.0.1", "1.2.3"]
    ports = [*HOSTILE, "0", "65536", "90-80", "80:90", "80,90", "http"]
    kinds: list[list[dict[str, Any]]] = [
        [{"rules": [good, {**good, "name": value}]} for value in HOSTILE],
        [{"rules": [good, {**good, "interface": value}]} for value in HOSTILE if value],
        [{"rules": [good, {**good, "sources": [value]}]} for value in networks],
        [{"rules": [good, {**good, "destinations": [value]}]} for value in ["::1%eth0", "any\n", "300.0.0.0/8"]],
        [{"rules": [good, {**good, "tcp": [value]}]} for value in ports],
        [{"rules": [good], "ruleset": value} for value in [*HOSTILE, "Apple", "../etc", "all it"]],
        [{"rules": [good], "zone": value} for value in ["a b", "x;y"]],
        [{"rules": [{**good, "direction": "sideways"}]}],
        [{"rules": [{**good, "colour": "red"}]}],
        [{"rules": [{"name": "None", "direction": "in"}]}],
        [{"rules": [{**good, "sources": ["10.0.0.0/8"], "destinations": ["fd00::/8"]}]}],
        [{"rules": [rule("management", tcp=["22"])]}],
        [{"rules": [good], "backend": "pf"}],
    ]
    bad = [case for kind in kinds for case in kind]
    for case, (code, result) in zip(bad, each(shared, bad), strict=True):
        assert code == 1 and len(result["msg"]) > 20, (case, result)
    # One of each kind as Ansible brings it, in turn another value, and what Ansible itself refuses.
    played = [kind[(number + HOSTILE.index("{{ 1 }}")) % len(kind)] for number, kind in enumerate(kinds)]
    played += [{"rules": "FaceTime"}, {"rules": [good], "state": "gone"}]
    tasks = [
        {"name": f"Case {number}", MODULE: case, "ignore_errors": True} for number, case in enumerate(_literal(played))
    ]
    results = play(shared, tasks).of(shared, MODULE)
    for case, one in zip(played, results, strict=True):
        assert one.status == "ignored", case
        assert len(str(one.result["msg"])) > 20 and "Traceback" not in str(one.result), (case, one.result)
    assert state(shared) == before


def _literal(value: Any) -> Any:
    """Texts as they are: braces are not to be taken for templates."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return "{% raw %}" + value + "{% endraw %}" if isinstance(value, str) and "{" in value else value


@pytest.mark.hosts("ufw", "bookworm")
def test_bad_role_input_changes_nothing(shared: Host) -> None:
    direct.apply(shared, ["FaceTime"])
    before = state(shared)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"products": ["FaceTme"]}, "'FaceTme' is not a product of the catalogue: did you mean 'FaceTime'"),
        ({"products": ["iTunes"]}, "may be any of 'iTunes Music Sharing', 'iTunes Radio streams' and 'iTunes Store'"),
        ({"products": []}, "there is no product to allow"),
        ({"products": ["FaceTime"], "services": ["nosuch"]}, "'nosuch' is not a service"),
        ({"products": ["FaceTime"], "sources": []}, "sources is an empty list"),
        ({"products": ["FaceTime"], "sources": ["10.0.0.1/8"]}, "has bits set beyond its prefix"),
        ({"products": ["FaceTime"], "directions": ["up"]}, "directions"),
        ({"products": ["FaceTime"], "rules": [{"product": ["AirPlay"]}]}, "product"),
        ({"products": ["FaceTime"], "backend": "iptables"}, "backend"),
    )
    tasks = [
        {
            "block": [
                {
                    "ansible.builtin.include_role": {"name": ROLE},
                    "vars": {f"host_firewall_{key}": value for key, value in options.items()},
                }
            ],
            "rescue": [
                {"name": f"Case {number}", "ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg | string }}"}}
            ],
        }
        for number, (options, _text) in enumerate(cases)
    ]
    played = play(shared, tasks)
    for number, (options, text) in enumerate(cases):
        said = str(played.result(shared, task=f"Case {number}")["msg"])
        assert text in re.sub(r"\s+", " ", said), (options, said)
    assert state(shared) == before


@pytest.mark.hosts("ufw", "trixie")
def test_what_fails_half_way_is_put_back(host: Host) -> None:
    set_up_administrator(host)
    airplay = direct.rules(["AirPlay"])
    direct.apply(host, ["FaceTime"])
    before = state(host)
    # A program that fails once: v4 is loaded by then, and has to be undone.
    host.write(
        "/usr/local/sbin/ip6tables-restore",
        '#!/bin/sh\ncase "$*" in *--test*) exec /usr/sbin/ip6tables-restore "$@";; esac\ncat >/dev/null\necho no memory >&2\nexit 2\n',
    )
    host.run(["chmod", "755", "/usr/local/sbin/ip6tables-restore"])
    ways: list[Callable[[], dict[str, Any]]] = [
        lambda: role(host, ["AirPlay"], fails=True),
        lambda: direct.run(host, rules=airplay, confirm_seconds=0, fails=True),
    ]
    for way in ways:
        assert "no memory" in way()["msg"]
        after = state(host)
        assert after[0] == before[0]
        assert after[1].replace("\\'", "") == before[1].replace("\\'", "")
    host.run(["rm", "/usr/local/sbin/ip6tables-restore"])
    assert direct.apply(host, ["AirPlay"])["changed"] and not direct.apply(host, ["AirPlay"])["changed"]
    # A rules file that ufw cannot read either is said, and left as it is.
    host.write("/etc/ufw/user6.rules", "rubbish\n")
    broken = direct.run(host, rules=direct.rules(["FaceTime"]), fails=True)
    assert "has no line '### RULES ###'" in broken["msg"] and host.read("/etc/ufw/user6.rules") == "rubbish\n"


@pytest.mark.hosts("ufw", "bullseye")
def test_becoming_root_without_pipelining_over_ipv6(host: Host) -> None:
    # Each finds done what the one before did.
    for number, (pipelining, family) in enumerate(((False, 4), (False, 6), (True, 4), (True, 6))):
        variables = {"host_firewall_products": ["FaceTime"], "ansible_pipelining": pipelining}
        found = play(host, role=ROLE, variables=variables, user="admin", family=family).result(host, MODULE)
        assert found["changed"] == (number == 0)
        assert [one["name"] for one in found["after"]] == ["FaceTime", "FaceTime"]
    with pytest.raises(PlayFailed, match="ended with 0"):
        play(host, [{"ansible.builtin.meta": "noop"}], fails=True)


@pytest.mark.hosts("ufw", "trixie")
def test_two_firewalls_and_none(host: Host) -> None:
    host.run(["systemctl", "enable", "--now", "firewalld"])
    both = role(host, ["FaceTime"], fails=True)
    assert "ufw and firewalld are both in use on this host: set the backend" in both["msg"]
    host.run(["systemctl", "disable", "--now", "firewalld"])
    assert direct.apply(host, ["FaceTime"])["backend"] == "ufw"
    host.run(["apt-get", "purge", "-y", "ufw", "firewalld"])
    # The package's removal takes our rules and leaves our profiles.
    assert "netports-apple" in host.sh("ls /etc/ufw/applications.d").out and not owned(host)
    assert direct.run(host, state="deleted", check=True)["changed"]
    assert direct.run(host, state="deleted", backend="ufw")["changed"]
    assert "netports-apple" not in host.sh("ls /etc/ufw/applications.d").out
    assert not direct.remove(host)["changed"] and not direct.run(host, state="deleted", backend="ufw")["changed"]
    none = role(host, ["FaceTime"], fails=True)
    assert "no firewall that this collection manages is in use" in none["msg"]
