# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables without a front end, on real hosts: the own table, and chains of an administrator that refuse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from torture import give_up, killed_at, sampler, settle, state, waiting

from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import effect, fate, kernel
from hosts import Host, code, listen, nftables_forms, play, probe
from hosts.host import NFTABLES

ROLE = MODULE = "netports.apple.host_firewall"
FACETIME_UDP = [3478, 3497, 16384, 16387, 16393, 16402]
FACETIME_NEIGHBOURS = [3477, 3498, 16383, 16388, 16392, 16403]
KEPT = ("/etc/nftables.conf", "/etc/nftables.d")


def role(host: Host, products: Iterable[str] = (), **options: Any) -> dict[str, Any]:
    """Apply the role, and return what the module returned."""
    settings = {key: options.pop(key) for key in ("check", "fails") if key in options}
    variables = {f"host_firewall_{key}": value for key, value in options.items()}
    variables["host_firewall_products"] = list(products)
    return play(host, role=ROLE, variables=variables, **settings).result(host, MODULE)


def module(host: Host, *rules: dict[str, Any], fails: bool = False, **more: Any) -> dict[str, Any]:
    """Run the module's own code on the host, past ssh and ansible-playbook."""
    # Past ssh there is no connection that the run would keep.
    arguments = {"backend": "nftables", "accept": ["no-way-in"], "rules": list(rules), **more}
    rc, result = code.module(host, **arguments)
    assert (rc != 0) == fails, result
    return result


def rule(name: str, direction: str = "in", **more: Any) -> dict[str, Any]:
    """A rule as the module takes it."""
    return {"name": name, "direction": direction, **more}


def ruleset(host: Host) -> list[str]:
    """The kernel's ruleset as nft prints it, without counters."""
    return [
        line.strip() for line in host.run(["nft", "--stateless", "list", "ruleset"]).out.splitlines() if line.strip()
    ]


def codes(result: dict[str, Any]) -> list[str]:
    return [notice["code"] for notice in result["notices"]]


VNC = rule("Screen Sharing", tcp=["5900"], sources=["10.0.0.0/8", "fc00::/7"])
WEB = rule("Web", tcp=["8080"])


@pytest.mark.hosts("none")
@pytest.mark.hosts("nftables")
def test_life_of_a_ruleset(host: Host, peer: Host) -> None:
    """Both ways: on a plain Debian the own table comes, beside an administrator's chains a jump."""
    own = host.firewall == "none"
    enable: dict[str, Any] = {"enable": True, "backend": "nftables"} if own else {}
    files, kernel = host.files(*KEPT), ruleset(host)
    products = ["FaceTime", "AirPlay", "Classroom"]
    code.install(host)
    checked = role(host, products, check=True, **enable)
    assert (host.files(*KEPT), ruleset(host)) == (files, kernel), "check mode changed the host"
    first = role(host, products, **enable)
    assert first["changed"] and first["backend"] == "nftables" and first["confirmed"]
    assert {key: checked[key] for key in ("diff", "operations", "before", "after")} == {
        key: first[key] for key in ("diff", "operations", "before", "after")
    }
    assert 'comment "Apple FaceTime"' in host.run(["nft", "list", "ruleset"]).out
    table = "netports" if own else "filter"
    jump = f"nft list chain inet {table} input"
    assert 'jump netports-apple-in comment "netports.apple, ruleset apple"' in host.sh(jump).out

    with listen(host, tcp=[3283, 3284, 5223, 5224], udp=FACETIME_UDP + FACETIME_NEIGHBOURS):
        for family in (4, 6):
            assert probe(peer, host, [3284, 5223, 5224], "tcp", family=family) == {
                3284: "open", 5223: "filtered", 5224: "filtered",
            }  # fmt: skip
            found = probe(peer, host, FACETIME_UDP + FACETIME_NEIGHBOURS, "udp", family=family)
            assert found == {**dict.fromkeys(FACETIME_UDP, "open"), **dict.fromkeys(FACETIME_NEIGHBOURS, "filtered")}
    # From here on past ssh, which would say the same again.
    rules = [one for one in first["after"] if one["name"] != "management"]
    # In processes of their own, whose sets are in another order.
    apart = {"under": ["env"], **enable}
    with host.processes() as seen:
        again = module(host, *rules, **apart)
    assert not again["changed"] and again["operations"] == []
    assert [process.name for process in seen.below("python3") if process.execed] == ["nft"]

    # On a plain Debian nobody has loaded the administrator's file so far.
    host.run(["nft", "-f", "/etc/nftables.conf"])
    settled = ruleset(host)
    assert not module(host, *rules, **apart)["changed"], "after the administrator's reload"
    host.reboot()
    assert not module(host, *rules, **apart)["changed"], "after a reboot"
    assert sorted(ruleset(host)) == sorted(settled)

    less = module(host, *[one for one in rules if one["name"] == "Classroom"], **enable)
    assert {step["action"] for step in less["operations"]} == {"remove"}
    with listen(host, udp=[3478], tcp=[3284]):
        assert probe(peer, host, [3478], "udp") == {3478: "filtered"}
        assert probe(peer, host, [3284], "tcp") == {3284: "open"}
    gone = role(host, state="absent", **{key: value for key, value in enable.items() if key == "backend"})
    assert gone["changed"] and gone["after"] == []
    assert host.files(*KEPT) == files
    assert own or ruleset(host) == kernel
    assert ("enabled" in host.run(["systemctl", "is-enabled", "nftables"], check=False).out.split()) != own


@pytest.mark.hosts("nftables", "bookworm")
def test_everything_that_drifts_is_mended(host: Host) -> None:
    module(host, VNC, WEB)
    settled = sorted(ruleset(host))
    for script in (
        "nft flush chain inet filter netports-apple-in",
        "nft add rule inet filter netports-apple-in tcp dport 23 accept",
        "nft insert rule inet filter input drop",
        "nft flush chain inet filter input",
        "nft flush ruleset; sed -i '/netports/d' /etc/nftables.conf; nft -f /etc/nftables.conf",
        "echo '# mine' >>/etc/nftables.d/netports-apple.nft",
        "rm /etc/nftables.d/netports-apple.nft",
        "nft insert rule inet filter input jump netports-apple-in",
    ):
        host.sh(script)
        checked = module(host, VNC, WEB, check=True)
        mended = module(host, VNC, WEB)
        assert mended["changed"] and mended["operations"] == checked["operations"], script
        assert not module(host, VNC, WEB)["changed"], script
        host.run(["nft", "-f", "/etc/nftables.conf"])
        assert sorted(ruleset(host)) == settled, script


@pytest.mark.hosts("nftables", "bookworm")
def test_what_others_make_is_never_touched_and_named_where_it_decides(host: Host, peer: Host) -> None:
    """Several chains that refuse are all joined, but for those of programs, which the run names."""
    module(host, VNC)
    host.sh("""
        nft add table ip mine
        nft add chain ip mine late '{ type filter hook input priority 10; }'
        nft add rule ip mine late tcp dport 22 accept
        nft add rule ip mine late meta l4proto icmp accept
        nft add rule ip mine late ct state established accept
        nft add chain ip mine end
        nft add rule ip mine end reject
        nft add rule ip mine late goto end
    """)
    with listen(host, tcp=[5900]):
        assert probe(peer, host, [5900], "tcp") == {5900: "closed"} or probe(peer, host, [5900], "tcp") == {
            5900: "filtered"
        }
        joined = module(host, VNC)
        assert joined["changed"] and any("ip mine" in step["what"] for step in joined["operations"])
        assert probe(peer, host, [5900], "tcp") == {5900: "open"}
    assert "refused" not in codes(module(host, VNC))
    host.sh("""
        nft add chain ip mine early '{ type filter hook prerouting priority -300; }'
        nft add rule ip mine early tcp dport 5900-5901 drop
    """)
    with listen(host, tcp=[5900]):
        assert probe(peer, host, [5900], "tcp") == {5900: "filtered"}
    told = module(host, VNC)
    assert not told["changed"] and "refused" in codes(told)
    assert any(
        "chain early of table ip mine refuses packets of rule 'Screen Sharing'" in text for text in told["warnings"]
    )
    host.sh("nft flush chain ip mine early; nft delete chain ip mine early")
    host.sh(
        "iptables -P INPUT DROP; iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A INPUT -p icmp -j ACCEPT"
    )
    before = host.run(["iptables", "-S"]).out
    told = module(host, VNC)
    assert not told["changed"] and "refused" in codes(told)
    assert host.run(["iptables", "-S"]).out == before
    assert any("INPUT of table ip filter" in text for text in told["warnings"])
    module(host, state="deleted")
    assert "netports" not in "\n".join(ruleset(host)) and "goto end" in "\n".join(ruleset(host))


@pytest.mark.hosts("none")
def test_a_chain_that_dispatches_by_interface(host: Host, peer: Host) -> None:
    """A verdict map leads eth0 to a chain that refuses; what comes in elsewhere is nobody's."""
    main = """flush ruleset
table inet filter {
\tset blocked { type ipv4_addr; flags interval; elements = { ELEMENTS } }
\tset seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; size 999; }
\tcounter refused { }
\tchain wan {
\t\tct state vmap { established : accept, related : accept, invalid : drop }
\t\tmeta l4proto { icmp, ipv6-icmp } accept
\t\ttcp dport { 22, 5901 } accept comment "he said: 'ssh'"
\t\tip saddr @blocked drop
\t\tadd @seen { ip saddr } counter name refused reject with icmpx type admin-prohibited
\t\tcounter name refused drop
\t}
\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tiifname vmap { "lo" : accept, "eth0" : goto wan }
\t}
}
"""
    elements = ", ".join(
        f"198.{18 + number // 8192}.{number // 32 % 256}.{number % 32 * 8}/31" for number in range(10_000)
    )
    host.write("/etc/nftables.conf", main.replace("ELEMENTS", elements), "0755")
    host.run(["systemctl", "enable", "--now", "nftables"])
    with listen(host, tcp=[5900, 5901]):
        assert probe(peer, host, [5900, 5901], "tcp")[5900] != "open"
        done = module(host, VNC)
        assert done["changed"] and probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "open"}
        assert any("packets on an interface other than eth0: what" in text for text in done["warnings"]), done[
            "warnings"
        ]
        host.run(["systemctl", "reload", "nftables"])
        assert not module(host, VNC)["changed"]
        audit = module(host, state="gathered", foreign=True)["exposed"]
        assert [(found["kind"], found["ports"]) for found in audit] == [
            ("default", ["1-65535"]), ("rule", ["22", "5901"]),
        ]  # fmt: skip
        assert audit[0]["text"] == "no chain of the input hook refuses packets on an interface other than eth0"
        # Before the input hook nothing of ours can be.
        host.sh("""
            nft add table netdev early
            nft "add chain netdev early first { type filter hook ingress device eth0 priority 0; }"
            nft add rule netdev early first tcp dport 5900 counter drop
        """)
        told = module(host, VNC)
        assert probe(peer, host, [5900], "tcp") == {5900: "filtered"} and "refused" in codes(told)
        assert any("chain first of table netdev early refuses packets of rule" in text for text in told["warnings"])


# Rules that refuse what a ruleset opens, each in a shape of its own.
SHAPES = (
    *("tcp flags & (fin|syn|rst|ack) == syn drop", "tcp flags syn drop", "ct state new drop"),
    *("ct state & (established|related) == 0 drop", "ip protocol { tcp, udp } drop", "meta protocol ip drop"),
    *("meta nfproto ipv4 reject", "meta l4proto { tcp, udp } drop", "fib daddr type local drop"),
    *("tcp dport != { 22, 8080-8090 } drop", "ip daddr 0.0.0.0/0 drop"),
    *("ip saddr != 192.0.2.1 drop", "meta mark != 1 drop", "meta l4proto . th dport != { tcp . 22, udp . 53 } drop"),
    *("meta length > 0 drop", "ct status != dnat drop", "tcp sport 1024-65535 drop", "ip version 4 drop"),
    *("ip ttl < 255 drop", "ip daddr != 192.0.2.1 drop", "fib saddr type unicast drop"),
)
# Rules that refuse or accept a few, beside which a host needs a firewall as before.
HARDENING = """
    ct state established accept
    ct state invalid drop
    limit rate over 1000/second drop
    ct count over 1000 drop
    meta mark 0xbad drop
    fib saddr . iif oif missing drop
    fib saddr type { broadcast, multicast } drop
    tcp option maxseg size 1-535 drop
    ip frag-off & 0x1fff != 0 drop
    ip saddr { 192.0.2.0/24, 224.0.0.0/3 } drop
    icmp type echo-request limit rate over 100/second drop
    ip ttl < 5 drop
"""


@pytest.mark.hosts("none")
def test_forms_of_rules_as_each_release_prints_them(host: Host) -> None:
    """All of them in a ruleset, each in a table of its own, read back from the real nft."""
    forms: list[tuple[str, str, bool, bool, str | None]] = [("", *form, None) for form in nftables_forms.FORMS]
    forms += [("", *form) for form in nftables_forms.UNCERTAIN]
    forms += nftables_forms.MARKED
    tables = [nftables_forms.table(rule, f"t{place}", marking) for place, (marking, rule, *_rest) in enumerate(forms)]
    host.run(["nft", "-f", "-"], stdin="".join(tables).encode())
    printed = json.loads(host.run(["nft", "-j", "list", "ruleset"]).out)["nftables"]
    for place, (_marking, rule, everywhere, somewhere, said) in enumerate(forms):
        name = f"t{place}"
        bodies = [(entry, body) for entry in printed for body in entry.values()]
        entries = [entry for entry, body in bodies if "version" in body or body.get("table", body.get("name")) == name]
        listing = kernel.parse(json.dumps({"nftables": entries}))
        base = listing.chains["inet", name, "input"]
        if "add @seen" in rule and host.suite == "bullseye":
            # Its nft does not print whether a limit is kept in the set.
            assert fate.may_refuse(listing, base), rule
            continue
        assert (fate.refuses(listing, base), fate.may_refuse(listing, base)) == (everywhere, somewhere), rule
        if said is not None:
            half_open = [
                sentence.split(f" {name} ")[1].split(" (")[0] for sentence in effect.half_open(effect.met(listing))
            ]
            assert set(half_open) == ({said} if said else set()), rule


@pytest.mark.hosts("none")
def test_whatever_shape_of_rule_refuses_is_joined(host: Host, peer: Host) -> None:
    """Each release of nft prints them otherwise."""

    def load(shapes: Iterable[str]) -> None:
        """Put each of the rules into a chain of its own."""
        chain = "chain c{0} {{ type filter hook input priority {0}; ct state established accept; {1}; }}"
        chains = "\n".join(chain.format(number, shape) for number, shape in enumerate(shapes))
        host.write("/etc/nftables.conf", f"flush ruleset\ntable inet mine {{\n{chains}\n}}\n", "0755")
        host.run(["nft", "-f", "/etc/nftables.conf"])

    # Each of them refuses: a port for each.
    ports = {6000 + number: shape for number, shape in enumerate(SHAPES)}
    shut = "".join(f"chain c{port} {{ {shape}; }}\n" for port, shape in ports.items())
    jumps = "; ".join(f"tcp dport {port} jump c{port}" for port in ports)
    base = f"chain input {{ type filter hook input priority 0; ct state established accept; {jumps}; }}"
    host.run(["nft", "-f", "-"], stdin=f"table inet shut {{\n{shut}{base}\n}}\n")
    with listen(host, tcp=[5900, *ports]):
        found = probe(peer, host, [5900, *ports], "tcp")
        assert [ports[port] for port in ports if found[port] == "open"] == [] and found[5900] == "open"
        load(SHAPES)
        done = module(host, VNC)
        assert done["changed"] and not {"off", "refused"} & set(codes(done)), done["warnings"]
        assert probe(peer, host, [5900], "tcp") == {5900: "open"}
        assert not module(host, VNC)["changed"]
        # What refuses a part of it alone is the administrator's wish, and no firewall.
        load(["tcp dport 5901 drop", "ip saddr 192.0.2.0/24 drop", "ct state invalid drop", "tcp flags rst drop"])
        assert "off" in codes(module(host, VNC)) and "jump" not in " ".join(ruleset(host))


@pytest.mark.hosts("none")
def test_a_firewall_that_accepts_more_than_ports_is_named_and_left_alone(host: Host, peer: Host) -> None:
    """A table beside it would lock out what it accepts: then a run says what comes in without a rule."""
    main = "flush ruleset\ntable inet mine {{\nchain input {{ type filter hook input priority 0; {}; }}\n}}\n"
    with listen(host, tcp=[5900, 5901]):
        for rule, policy in (
            ("limit rate 1000/second accept", "policy drop"),
            ("meta mark 0 accept", "drop"),
            ("ip ttl > 1 accept", "policy drop"),
            ("tcp sport >= 1024 accept", "drop"),
            ("ip saddr != 192.0.2.1 accept", "policy drop"),
        ):
            host.write(
                "/etc/nftables.conf", main.format(f"{rule}; {policy}" if policy == "drop" else f"{policy}; {rule}")
            )
            host.run(["nft", "-f", "/etc/nftables.conf"])
            assert probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "open"}, rule
            done = module(host, VNC, enable=True)
            assert "jump netports-apple-in" in " ".join(ruleset(host)) and "table inet netports {" not in ruleset(host)
            (said,) = [text for text in done["warnings"] if "accepts packets to any port (" in text]
            assert "needs no rule, and host_firewall_enable makes no table beside" in said and "off" not in codes(done)
            assert probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "open"}, rule
            audit = module(host, state="gathered", foreign=True)["exposed"]
            assert (
                [("rule", ["1-65535"]) for _one in audit] == [(found["kind"], found["ports"]) for found in audit] != []
            )
        # Where a condition alone refuses, the audit says so as it does of an open host.
        host.write("/etc/nftables.conf", main.format("ip ttl < 255 meta mark != 1 drop"))
        host.run(["nft", "-f", "/etc/nftables.conf"])
        assert "refuses packets to any port under a condition alone" in " ".join(module(host, VNC)["warnings"])
        exposed = module(host, state="gathered", foreign=True)["exposed"]
        assert [found["kind"] for found in exposed] == ["default", "default"], exposed
        assert probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "filtered"}
        # Before the input hook nothing of ours can be.
        early = "chain early { type filter hook prerouting priority -300; ip saddr != 192.0.2.1 drop; }"
        host.run(["nft", "-f", "-"], stdin=f"table ip early {{\n{early}\n}}\n")
        assert probe(peer, host, [5900], "tcp") == {5900: "filtered"} and "refused" in codes(module(host, VNC))


@pytest.mark.hosts("none")
def test_rules_that_refuse_a_few_are_no_firewall(host: Host, peer: Host) -> None:
    """The own table comes beside them, and both have their effect."""
    chain = f"chain input {{\n type filter hook input priority 0;{HARDENING}}}\n"
    host.write("/etc/nftables.conf", f"flush ruleset\ntable inet mine {{\n{chain}}}\n")
    host.run(["nft", "-f", "/etc/nftables.conf"])
    assert "off" in codes(module(host, VNC))
    with listen(host, tcp=[5900, 5901]):
        assert probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "open"}
        done = module(host, VNC, enable=True)
        assert not {"off", "refused", "other", "ipv6-off"} & set(codes(done)), done["warnings"]
        assert "table inet netports {" in ruleset(host)
        assert probe(peer, host, [5900, 5901], "tcp") == {5900: "open", 5901: "filtered"}
    module(host, state="deleted")


@pytest.mark.hosts("none", "bookworm")
def test_off_is_said_and_a_plain_debian_is_left_to_its_owner(host: Host) -> None:
    stored = module(host, VNC)
    assert stored["changed"] and "off" in codes(stored)
    assert "netports" not in "\n".join(ruleset(host)), "there is nothing to allow where nothing refuses"
    assert not module(host, VNC)["changed"]
    audit = module(host, state="gathered", foreign=True)
    assert [found["kind"] for found in audit["exposed"]] == ["default"] and list(audit["rulesets"]) == ["apple"]
    failed = play(
        host, [{"name": "Run", MODULE: {"rules": [VNC]}}], fails=True
    ).result(host, MODULE)  # fmt: skip
    assert failed["notices"][0]["code"] in ("none-in-use", "no-firewall")


@pytest.mark.hosts("none", "bookworm")
def test_several_rulesets_share_the_own_table(host: Host, peer: Host) -> None:
    module(host, VNC, enable=True)
    module(host, WEB, ruleset="office")
    whole = ruleset(host)
    with listen(host, tcp=[5900, 8080]):
        assert probe(peer, host, [5900, 8080], "tcp") == {5900: "open", 8080: "open"}
        # As after a reboot where nftables.service is off: a removal loads nothing, and who loads the table loads it whole.
        host.run(["nft", "flush", "ruleset"])
        assert not module(host, state="deleted", ruleset="kiosk")["changed"] and ruleset(host) == []
        before = state(host)
        waiting(host, rules=[WEB], ruleset="office", accept=["no-way-in"])
        give_up(host)
        settle(host)
        assert state(host) == before
        assert module(host, WEB, ruleset="office")["changed"] and sorted(ruleset(host)) == sorted(whole)
        for name in ("office", "apple"):
            assert not module(host, WEB if name == "office" else VNC, ruleset=name)["changed"]
        assert probe(peer, host, [5900, 8080], "tcp") == {5900: "open", 8080: "open"}
        module(host, state="deleted")
        assert probe(peer, host, [5900, 8080], "tcp") == {5900: "filtered", 8080: "open"}
        audit = module(host, state="gathered", foreign=True)
        assert audit["gathered"] == [] and list(audit["rulesets"]) == ["office"]
        assert [(found["ruleset"], found["ports"]) for found in audit["exposed"]] == [("office", ["8080"])]
        module(host, state="deleted", ruleset="office")
        assert probe(peer, host, [5900, 8080], "tcp") == {5900: "open", 8080: "open"}
    assert "netports" not in "\n".join(ruleset(host))


@pytest.mark.hosts("nftables", "bookworm")
def test_a_failing_load_leaves_everything_as_it_was(host: Host) -> None:
    module(host, VNC)
    files, kernel = host.files(*KEPT), ruleset(host)
    host.sh("printf 'table inet broken {\\n' >>/etc/nftables.conf")
    broken = host.files(*KEPT)
    failed = module(host, VNC, WEB, fails=True)
    assert "nft refuses /etc/nftables.conf" in failed["msg"]
    assert (host.files(*KEPT), ruleset(host)) == (broken, kernel)
    host.write("/etc/nftables.conf", files["/etc/nftables.conf"][1].decode(), "0755")
    host.sh("""
        mv /usr/sbin/nft /usr/sbin/nft.real
        printf '#!/bin/sh\\ncase "$*" in "-j -f -") exit 1;; esac\\nexec nft.real "$@"\\n' >/usr/sbin/nft
        chmod 755 /usr/sbin/nft
    """)
    failed = module(host, VNC, WEB, fails=True)
    assert "could not load" in failed["msg"]
    assert (host.files(*KEPT), ruleset(host)) == (files, kernel)
    # Somebody else is quicker: the jump is gone, or another chain refuses from now on.
    late = "add table inet late; add chain inet late a { type filter hook input priority 9; policy drop; }"
    for act, undo, said in (
        ("-f /etc/nftables.was", "true", "does not jump to netports-apple-in"),
        (f"'{late}'", "nft delete table inet late", "chain a of table inet late came during this run and refuses"),
    ):
        host.sh(f"""
            cp /etc/nftables.conf /etc/nftables.was
            printf '%s\n' '#!/bin/sh' 'case "$*" in "-j -f -") [ -e /run/once ] || nft.real {act.replace("'", '"')};' \
                'touch /run/once;; esac' 'exec nft.real "$@"' >/usr/sbin/nft
            sed -i '/include/d' /etc/nftables.was; rm -f /run/once
        """)
        failed = module(host, WEB, fails=True)
        assert said in failed["msg"], failed
        host.sh(f"mv /usr/sbin/nft /run/wrapper; cp /usr/sbin/nft.real /usr/sbin/nft; rm /etc/nftables.was; {undo}")
        assert host.files(*KEPT) == files
        module(host, VNC)
        assert ruleset(host) == kernel


@pytest.mark.hosts("nftables", "bookworm")
def test_what_an_administrator_takes_away_while_a_change_waits_stays_away(host: Host) -> None:
    """The change is put back without it, and keeps nobody waiting."""
    module(host, VNC)
    files, kernel = host.files(*KEPT), ruleset(host)
    for command in ("flush ruleset", "delete table inet filter", "delete chain inet filter input"):
        identity = module(host, VNC, WEB, confirm_seconds=900, _confirm={"step": "apply", "id": ""})["confirm"]["id"]
        host.sh(f"nft flush chain inet filter input; nft {command}")
        answer = module(host, _confirm={"step": "confirm", "id": identity})["confirm"]
        settle(host)
        assert answer["state"] == "restored" and "no longer has what was loaded" in answer["why"], command
        assert host.files(*KEPT) == files and "chain input" not in "\n".join(ruleset(host))
        host.run(["nft", "-f", "/etc/nftables.conf"])
        assert not module(host, VNC)["changed"] and ruleset(host) == kernel


@pytest.mark.hosts("nftables", "bookworm")
def test_the_administrators_edits_never_keep_his_file_from_loading(host: Host) -> None:
    """Where his chain changes or goes, the ruleset's file still loads, and refuses nothing by itself."""
    assert "refused" not in codes(module(host, WEB)), "the jump comes before the rule that ends his chain"
    module(host, VNC)
    include = host.read("/etc/nftables.conf").splitlines()[-1]
    host.write(
        "/etc/nftables.conf", NFTABLES.replace("hook input priority filter", "hook input priority 10") + include + "\n"
    )
    host.reboot()
    assert "hook input priority filter + 10; policy drop;" in ruleset(host)[2]
    code.install(host)
    assert not module(host, VNC)["changed"]
    for text in ("flush ruleset\n", "flush ruleset\ntable inet filter {\n}\n"):
        host.write("/etc/nftables.conf", f"{text}{include}\n")
        host.run(["nft", "-f", "/etc/nftables.conf"])
        assert "policy drop" not in "\n".join(ruleset(host))
        assert "off" in codes(module(host, VNC))
    early = 'flush ruleset\ninclude "/etc/nftables.d/*.nft"\n' + NFTABLES.replace("flush ruleset", "")
    host.sh("nft flush ruleset; rm /etc/nftables.d/*")
    host.write("/etc/nftables.conf", early)
    host.run(["nft", "-f", "/etc/nftables.conf"])
    assert "move the include to the end" in module(host, VNC, fails=True)["msg"]
    host.write("/etc/nftables.conf", NFTABLES.replace("filter {", "mine {") + include + "\n")
    host.run(["nft", "-f", "/etc/nftables.conf"])
    module(host, VNC)
    assert "inet mine" in host.read("/etc/nftables.d/netports-apple.nft")
    assert json.loads(host.run(["nft", "-j", "list", "chain", "inet", "mine", "input"]).out)["nftables"][2]["rule"][
        "expr"
    ][0] == {"jump": {"target": "netports-apple-in"}}


HEAD, TABLE = NFTABLES.split("flush ruleset\n")
SHUT = "table inet early {\n\tchain input {\n\t\ttype filter hook input priority -5; policy accept;\n\t}\n}\n"
# What the administrator has below /etc: his file, and what it includes.
FILES: dict[str, dict[str, str]] = {
    "no final newline": {"nftables.conf": NFTABLES.rstrip()},
    "the folder": {"nftables.conf": f'{NFTABLES}include "/etc/nftables.d/*.nft"\n', "nftables.d/50-early.nft": SHUT},
    "the folder, by another file": {
        "nftables.conf": 'flush ruleset\ninclude "/etc/nftables/main.nft"\n',
        "nftables/main.nft": f'{TABLE}include "/etc/nftables.d/*.nft"\n',
    },
    "his table in another file": {"nftables.conf": f'{HEAD}flush ruleset\ninclude "fw/*"\n', "fw/10": TABLE},
    "our file by its name": {"nftables.conf": f'{NFTABLES}include "/etc/nftables.d/netports-apple.*"\n'},
    "defines": {
        "nftables.conf": NFTABLES.replace("flush ruleset", "define ssh = { 22 }\nflush ruleset").replace(
            "22 acc", "$ssh acc"
        )
    },
    "a table that is deleted first": {
        "nftables.conf": NFTABLES.replace("flush ruleset", "table inet filter\ndelete table inet filter")
    },
    "comments behind": {"nftables.conf": f"{NFTABLES}\n# flush ruleset\n\n"},
}


@pytest.mark.hosts("none", "bookworm")
def test_what_administrators_make_of_their_file(host: Host, peer: Host) -> None:
    """Each holds over a second run, a reload and a start, and is what it was when the ruleset goes."""
    host.run(["systemctl", "enable", "--now", "nftables"])
    kept = ("/etc/nftables.conf", "/etc/nftables", "/etc/nftables.d", "/etc/fw")
    for name, files in FILES.items():
        host.sh("nft flush ruleset; rm -rf /etc/nftables /etc/nftables.d /etc/fw")
        for path, body in files.items():
            host.write(f"/etc/{path}", body)
        host.run(["nft", "-f", "/etc/nftables.conf"])
        before = host.files(*kept)
        module(host, VNC, WEB)
        for act in ("true", "systemctl reload nftables", "boot"):
            if act == "boot":
                # What nftables.service does at boot; that systemd starts it then is another test's.
                # systemd refuses a unit that starts too often, as it does on a fast machine.
                host.sh("systemctl stop nftables; nft flush ruleset; systemctl reset-failed nftables")
                host.run(["systemctl", "start", "nftables"])
            else:
                host.sh(act)
            again = module(host, VNC, WEB)
            assert not again["changed"], f"{name}, {act}: {again['operations']}"
        with listen(host, tcp=[8080, 8081]):
            assert probe(peer, host, [8080, 8081], "tcp") == {8080: "open", 8081: "filtered"}, name
        module(host, state="deleted")
        after = host.files(*kept)
        # A folder that his file includes stays.
        assert {path: after[path] for path in before} == before and not set(after) - {*before, "/etc/nftables.d"}, name
        host.run(["nft", "-f", "/etc/nftables.conf"])


@pytest.mark.hosts("nftables", "bookworm")
def test_files_that_would_not_load_the_ruleset(host: Host) -> None:
    """Each is refused with nothing changed, or mended where the line is ours."""
    include = 'include "/etc/nftables.d/*.nft"\n'
    module(host, WEB, ruleset="office")
    for body, said in (
        (f"{NFTABLES}{include}flush ruleset\n{TABLE}", "move the include to the end"),
        (f"{NFTABLES}{include}delete table inet filter\n{TABLE}", "move the include to the end"),
        (f'{NFTABLES}include "/etc/nftables.d/netports-office.nft"\n', "has to be included once"),
        (f"{NFTABLES}{include}{include}", "has to be included once"),
    ):
        host.write("/etc/nftables.conf", body)
        files, kernel = host.files(*KEPT), ruleset(host)
        assert said in module(host, VNC, fails=True)["msg"]
        assert (host.files(*KEPT), ruleset(host)) == (files, kernel)
    host.write("/etc/nftables.conf", NFTABLES)
    module(host, state="deleted", ruleset="office")
    # What he writes behind our line would undo it.
    host.write("/etc/nftables.conf", NFTABLES.rstrip())
    module(host, VNC)
    host.sh("sed -n '/^flush/,$p' /etc/nftables.conf | grep -v include >/run/more; cat /run/more >>/etc/nftables.conf")
    host.run(["nft", "-f", "/etc/nftables.conf"])
    assert "netports" not in "\n".join(ruleset(host))
    text = host.read("/etc/nftables.conf")
    assert module(host, VNC)["changed"] and not module(host, VNC)["changed"]
    host.run(["nft", "-f", "/etc/nftables.conf"])
    assert not module(host, VNC)["changed"]
    module(host, state="deleted")
    assert host.read("/etc/nftables.conf").splitlines() == [one for one in text.splitlines() if "include" not in one]
    # Without the file that he names his own would not load at the next boot.
    named = 'include "/etc/nftables.d/netports-apple.nft"\n'
    module(host, VNC)
    host.write("/etc/nftables.conf", NFTABLES + named)
    assert not module(host, VNC)["changed"]
    assert "File not found" in module(host, state="deleted", fails=True)["msg"]
    assert not module(host, VNC)["changed"]
    host.write("/etc/nftables.conf", NFTABLES)
    module(host, state="deleted")
    # A link stays a link, and a file that is missing or that leads nowhere is not made.
    host.sh("mkdir /etc/site; mv /etc/nftables.conf /etc/site/fw; ln -s site/fw /etc/nftables.conf")
    module(host, VNC)
    assert "netports" in host.read("/etc/site/fw") and host.run(["readlink", "/etc/nftables.conf"]).out == "site/fw\n"
    host.sh("rm /etc/site/fw")
    assert "/etc/nftables.conf is missing" in module(host, WEB, fails=True)["msg"]
    host.sh("rm /etc/nftables.conf")
    assert "/etc/nftables.conf is missing" in module(host, WEB, fails=True)["msg"]
    assert module(host, state="deleted")["changed"]
    host.sh(": >/etc/nftables.conf")
    module(host, VNC, enable=True)
    assert not module(host, VNC, enable=True)["changed"]
    module(host, state="deleted")
    assert host.read("/etc/nftables.conf") == ""


@pytest.mark.hosts("none", "trixie")
@pytest.mark.hosts("nftables", "bookworm")
def test_never_open(host: Host) -> None:
    """In no sample does a chain that refuses accept by its policy, or a rule of the administrator's miss."""
    code.install(host)
    module(host, WEB, enable=True)
    with sampler(host) as found:
        for rules in ([VNC, WEB], [WEB], [VNC, rule("Through", "forward", tcp=["443"])], [WEB]):
            module(host, *rules, enable=True)
            host.run(["nft", "-f", "/etc/nftables.conf"])
        module(host, VNC, WEB, confirm_seconds=1, _confirm={"step": "apply", "id": ""})
        settle(host)
    (seen,) = found
    assert seen.samples > 50 and len(seen.states) >= 4
    table = "netports" if host.firewall == "none" else "filter"
    for text in seen.states:
        chain = text.split(f"table inet {table} {{")[1].split("}")[0]
        assert "hook input priority filter; policy drop;" in chain, text
        assert host.firewall == "none" or "tcp dport 22 accept" in text


@pytest.mark.hosts("nftables", "bookworm")
def test_a_run_behind_a_dead_one_loads_what_it_took_back(host: Host) -> None:
    """To choose the firewall, the kernel was asked before the dead run's change was taken back."""
    host.run(["systemctl", "disable", "nftables"])
    _identity, keeper, watcher = waiting(host, rules=[WEB])
    host.sh(f"kill -KILL {watcher} {keeper}")
    result = module(host, WEB, backend="auto")
    assert "recovered" in codes(result) and "tcp dport 8080 accept" in " ".join(ruleset(host))
    assert not module(host, WEB, backend="auto")["changed"]
    # A run that is killed at the first look, before its keeper is there, and one that is killed while it takes that back.
    module(host, state="deleted")
    before = state(host)
    for number in range(3, 8):
        killed_at(host, "pipe2", number, backend="nftables", rules=[WEB])
        settle(host)
        assert state(host) == before, number
