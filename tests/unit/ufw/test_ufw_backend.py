# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ufw backend against a stand-in, over random rulesets among random rules of an administrator's."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.standins import MEMORY
from unit.ufw.standin import Host

from ansible_collections.netports.apple.plugins.module_utils import _files, _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils import _run as _host_firewall
from ansible_collections.netports.apple.plugins.module_utils._firewalls import base, registry
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Left,
    Operation,
    Switched,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel as _kernel
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import model, profiles, tuples
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.firewall import Ufw
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# One block an element.
ADMIN = {
    4: [
        "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp --dport 22 -j ACCEPT\n",
        (
            "### tuple ### deny any 7777 0.0.0.0/0 any 0.0.0.0/0 in_eth0\n"
            "-A ufw-user-input -i eth0 -p tcp --dport 7777 -j DROP\n-A ufw-user-input -i eth0 -p udp --dport 7777 -j DROP\n"
        ),
        (
            "### tuple ### allow tcp 443 0.0.0.0/0 any 10.0.0.0/8 in comment=77656273697465\n"
            "-A ufw-user-input -p tcp --dport 443 -s 10.0.0.0/8 -j ACCEPT\n"
        ),
        (
            "### tuple ### allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 Nginx%20Full - in\n"
            "-A ufw-user-input -p tcp -m multiport --dports 80,443 -j ACCEPT -m comment --comment 'dapp_Nginx%20Full'\n"
        ),
        "### tuple ### deny udp 53 192.0.2.1 any 0.0.0.0/0 out\n-A ufw-user-output -p udp -d 192.0.2.1 --dport 53 -j DROP\n",
        (
            "### tuple ### route:allow tcp 80 198.51.100.1 any 0.0.0.0/0 in_eth1!out_eth0\n"
            "-A ufw-user-forward -i eth1 -o eth0 -p tcp -d 198.51.100.1 --dport 80 -j ACCEPT\n"
        ),
        (
            "### tuple ### route:deny udp 53 0.0.0.0/0 any 0.0.0.0/0 DNS - out_eth0\n"
            "-A ufw-user-forward -o eth0 -p udp --dport 53 -j DROP -m comment --comment 'dapp_DNS'\n"
        ),
    ],
    6: ["### tuple ### allow tcp 22 ::/0 any ::/0 in\n-A ufw6-user-input -p tcp --dport 22 -j ACCEPT\n"],
}

PORTS = st.integers(1, 65535)
RANGES = st.one_of(PORTS.map(lambda one: (one, one)), st.tuples(PORTS, PORTS).map(lambda two: (min(two), max(two))))
NETWORKS = st.sampled_from(
    ["10.0.0.0/8", "192.168.1.0/24", "192.0.2.7", "0.0.0.0/0", "fd00::/8", "2001:db8::1", "fe80::/10", "::/0"]
)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    """A ruleset as the module would pass it on: checked and normalised."""
    made = []
    for _time in range(draw(st.integers(0, 5))):
        tcp, udp = draw(st.lists(RANGES, max_size=12)), draw(st.lists(RANGES, max_size=4))
        plain = {
            "name": draw(st.sampled_from(["FaceTime", "AirPlay", "Mac App Store", "Wi-Fi Calling", "a.b+c_d"])),
            "direction": draw(st.sampled_from(_rules.DIRECTIONS)),
            "tcp": [f"{first}-{last}" for first, last in tcp] or ["1"],
            "udp": [f"{first}-{last}" for first, last in udp],
            "sources": draw(st.lists(NETWORKS, max_size=3, unique=True)),
            "destinations": draw(st.lists(NETWORKS, max_size=2, unique=True)),
            "interface": draw(st.sampled_from(["", "eth0"])),
        }
        if plain["direction"] == "forward":
            plain["out_interface"] = draw(st.sampled_from(["", "eth1", "br_lan"]))
        try:
            made.append(Rule.from_dict(plain))
        except _rules.RuleError:
            continue  # no IP version in common
    return _rules.normalise(made)


@contextmanager
def fresh(active: bool = True) -> Iterator[Host]:
    """A host with the administrator's rules."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Host(Path(folder), ADMIN, active)


def read(host: Host, **asked: Any) -> base.State:
    """What a run reads."""
    return Ufw(base.Host(run=host.run, root=str(host.root))).read(Asked(ruleset="apple", **asked))


def planned(host: Host, wanted: list[Rule]) -> base.Plan:
    """What a run plans."""
    return read(host).plan(Wanted(rules=tuple(wanted)))


def make(host: Host, wanted: list[Rule]) -> list[Operation]:
    """One run; the operations of its plan."""
    plan = planned(host, wanted)
    if plan.operations:
        plan.apply()
    return list(plan.operations)


def foreign_blocks(host: Host, family: int) -> list[str]:
    return [
        block.text
        for block in tuples.parse_blocks(host.file(family).read_text())
        if not block.profile.startswith("Apple ")
    ]


def foreign_kernel(host: Host, family: int) -> list[str]:
    return [line for line in host.chains[family] if "dapp_Apple" not in line]


@settings(max_examples=60)
@given(first=rules(), second=rules())
def test_any_ruleset_after_any_other(first: list[Rule], second: list[Rule]) -> None:
    with fresh() as host:
        texts = {family: host.file(family).read_text() for family in (4, 6)}
        kernel = {family: list(host.chains[family]) for family in (4, 6)}
        for wanted in (first, second):
            make(host, wanted)
            for family in (4, 6):
                assert foreign_blocks(host, family) == ADMIN[family]
                assert foreign_kernel(host, family) == kernel[family]
            # A second run, and one after a reboot, find nothing to do and start two processes.
            for reboot in (False, True):
                if reboot:
                    host.reboot()
                host.calls.clear()
                assert make(host, wanted) == []
                assert [call[0] for call in host.calls] == ["iptables-save", "ip6tables-save"]
        make(host, [])
        assert {family: host.file(family).read_text() for family in (4, 6)} == texts
        assert host.chains == kernel
        assert not (host.root / "etc/ufw/applications.d/netports-apple").exists()


@settings(max_examples=50)
@given(wanted=rules())
def test_what_is_read_back_makes_the_same_ruleset(wanted: list[Rule]) -> None:
    with fresh() as host:
        make(host, wanted)
        have = list(read(host).rules)
        # Rules may come back grouped otherwise; what they open is the same to the port.
        assert make(host, have) == [] or opened(have) == opened(wanted)
        assert opened(have) == opened(wanted)


def opened(made: list[Rule]) -> set[tuple[object, ...]]:
    """Every (direction, interfaces, source, destination, protocol, range) that rules open, as a set."""
    found: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for rule in made:
        for family in (4, 6):
            for source, destination in _rules.pairs(rule, family):
                ends = (source or model.ANYWHERE[family], destination or model.ANYWHERE[family])
                for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
                    ways = (rule.direction, rule.interface, rule.out_interface)
                    found.setdefault((*ways, *ends, protocol), []).extend(ranges)
    return {(*key, tuple(_ports.merge(ranges))) for key, ranges in found.items() if ranges}


INBOUND = Rule("FaceTime", "in", ((1, 1),), ())
FORWARD = Rule("FaceTime", "forward", (), ((3228, 3228),))
OUTBOUND = Rule("FaceTime", "out", ((1, 1),), ())


@settings(max_examples=40)
@example(first=[FORWARD, INBOUND], second=[OUTBOUND, INBOUND], program="ip6tables-restore")
@given(first=rules(), second=rules(), program=st.sampled_from(["iptables-restore", "ip6tables-restore", "ufw"]))
def test_a_failing_program_leaves_everything_as_it_was(first: list[Rule], second: list[Rule], program: str) -> None:
    with fresh() as host:
        make(host, first)
        texts = {path: path.read_bytes() for path in (host.root / "etc/ufw").rglob("*") if path.is_file()}
        kernel = {family: list(host.chains[family]) for family in (4, 6)}
        host.broken = program
        try:
            make(host, second)
        except FirewallError as error:
            assert "out of memory" in str(error)
            assert {path: path.read_bytes() for path in (host.root / "etc/ufw").rglob("*") if path.is_file()} == texts
            assert host.chains == kernel
        host.broken = ""
        make(host, second)
        assert make(host, second) == []


@settings(max_examples=40)
@given(wanted=rules(), data=st.data())
def test_drift_in_the_kernel_is_mended_in_its_place(wanted: list[Rule], data: st.DataObject) -> None:
    with fresh() as host:
        make(host, wanted)
        settled = {family: list(host.chains[family]) for family in (4, 6)}
        ours = [(family, line) for family in (4, 6) for line in settled[family] if "dapp_Apple" in line]
        gone = data.draw(st.lists(st.sampled_from(ours), unique=True) if ours else st.just([]))
        for family, line in gone:
            host.chains[family].remove(line)
        assert bool(make(host, wanted)) == bool(gone)
        assert host.chains == settled


def test_profiles_have_at_most_fifteen_slots_a_group() -> None:
    rule = Rule("Many", "in", tuple((port, port) for port in range(1000, 1080, 2)), ((5, 9), (20, 30)))
    groups = profiles.port_groups(rule)
    assert [protocol for protocol, _ports in groups] == ["tcp", "tcp", "tcp", "udp"]
    assert all(ports.count(",") + ports.count(":") <= 14 for _protocol, ports in groups)
    assert ",".join(ports for protocol, ports in groups if protocol == "tcp").split(",") == [
        str(p) for p, _last in rule.tcp
    ]


# Each as `ufw route allow …` of ufw 0.36 and 0.36.2 wrote it.
ROUTES = [
    ({}, 4, "0.0.0.0/0 any 0.0.0.0/0", "in", "-p udp --dport 53"),
    ({"sources": ["10.0.0.0/8"], "interface": "eth1"}, 4, "0.0.0.0/0 any 10.0.0.0/8", "in_eth1",
     "-i eth1 -p udp --dport 53 -s 10.0.0.0/8"),
    ({"sources": ["10.0.0.0/8"], "destinations": ["1.2.3.4"], "out_interface": "eth0"}, 4, "1.2.3.4 any 10.0.0.0/8",
     "out_eth0", "-o eth0 -p udp -d 1.2.3.4 --dport 53 -s 10.0.0.0/8"),
    ({"sources": ["fd00::/8"], "interface": "eth1", "out_interface": "eth0"}, 6, "::/0 any fd00::/8",
     "in_eth1!out_eth0", "-i eth1 -o eth0 -p udp --dport 53 -s fd00::/8"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "family", "ends", "way", "line"), ROUTES, ids=[one[3] for one in ROUTES])
def test_a_route_rule_is_written_as_ufw_writes_it(
    options: dict[str, object], family: int, ends: str, way: str, line: str
) -> None:
    rule = Rule.from_dict({"name": "X", "direction": "forward", "udp": ["53"], **options})
    ((text,),) = [*tuples.wanted_groups([rule], profiles.allocate([rule], "apple"), family).values()]
    assert text == (
        f"### tuple ### route:allow udp 53 {ends} Apple%20X%20forward - {way}\n"
        f"-A ufw{'6' if family == 6 else ''}-user-forward {line} -j ACCEPT -m comment "
        "--comment 'dapp_Apple%20X%20forward'\n"
    )
    (block,) = tuples.parse_blocks(text)
    assert (block.action, block.direction, block.profile) == ("allow", "forward", "Apple X forward")
    assert (block.interface, block.out_interface) == (rule.interface, rule.out_interface)


def test_the_commands_of_a_route_rule_are_ufws() -> None:
    rule = Rule("X", "forward", (), ((53, 53),), ("10.0.0.0/8", "fd00::/8"), (), "eth1", "eth0")
    assert profiles.commands(rule, "Apple X forward") == [
        f"ufw route allow in on eth1 out on eth0 from {source} to any app 'Apple X forward'"
        for source in ("10.0.0.0/8", "fd00::/8")
    ]
    plain = Rule("X", "forward", (), ((53, 53),))
    assert profiles.commands(plain, "Apple X forward") == ["ufw route allow from any to any app 'Apple X forward'"]


@pytest.mark.parametrize(
    ("four", "six", "rule", "said"),
    [
        ("0", "0", {"direction": "forward"}, [4, 6]),
        ("0", "1", {"direction": "forward"}, [4]),
        ("1", "0", {"direction": "forward"}, [6]),
        ("1", "1", {"direction": "forward"}, []),
        ("0", "0", {"direction": "forward", "sources": ["10.0.0.0/8"]}, [4]),
        ("0", "0", {"direction": "forward", "destinations": ["fd00::/8"]}, [6]),
        (None, None, {"direction": "forward"}, []),
        ("0", "0", {"direction": "out"}, []),
    ],
)
def test_a_kernel_that_forwards_nothing_is_said(
    four: str | None, six: str | None, rule: dict[str, object], said: list[int]
) -> None:
    with fresh() as host:
        for value, path in ((four, "ipv4/ip_forward"), (six, "ipv6/conf/all/forwarding")):
            file = host.root / "proc/sys/net" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if value is not None:
                file.write_text(f"{value}\n")
        (host.root / "proc/net").mkdir(parents=True)
        (host.root / "proc/net/tcp").write_text("")
        params = {name: one.get("default") for name, one in _host_firewall.ARGUMENTS.items()}
        params.update(backend="ufw", rules=[{"name": "X", "udp": ["53"], **rule}])
        for check in (True, False):
            result = _host_firewall.execute(params, host.run, check, str(host.root))
            found = [one for one in result["warnings"] if "forwards no IPv" in one]
            assert [int(one.split("IPv")[1][0]) for one in found] == said
            assert all("sysctl.d" in one for one in found)
        # What is taken away need not work.
        result = _host_firewall.execute({**params, "state": "deleted"}, host.run, False, str(host.root))
        assert not any("forwards no IPv" in one for one in result["warnings"])


@pytest.mark.parametrize(
    ("policy", "direction", "said"),
    [("ACCEPT", "forward", True), ("ACCEPT", "out", False), ("DROP", "forward", False), ("REJECT", "forward", False)],
)
def test_a_ufw_that_forwards_everything_is_said(policy: str, direction: str, said: bool) -> None:
    with fresh() as host:
        settings = host.root / "etc/default/ufw"
        settings.write_text(f'{settings.read_text()}DEFAULT_FORWARD_POLICY="{policy}"\n')
        notices = planned(host, [Rule("X", direction, (), ((53, 53),))]).notices
        assert [(notice.code, notice.rules) for notice in notices] == [("no-effect", ("X",))] * said


def test_rules_whose_profiles_would_have_one_name_have_two() -> None:
    """A name may end like what parts the profiles of one name."""
    ports = ((1, 1),)
    wanted = [
        Rule(name, direction, ports, ())
        for name, direction in (("X", "forward"), ("X forward", "in"), ("X", "out"), ("X out", "in"), ("X", "in"))
    ]
    with fresh() as host:
        make(host, wanted)
        assert make(host, wanted) == []
        assert sorted(read(host).rules) == sorted(wanted)


def test_too_many_ports_for_a_profile_are_refused() -> None:
    rule = Rule("Many", "in", tuple((port, port) for port in range(1000, 3000, 2)), ())
    with pytest.raises(FirewallError, match="more port ranges than a ufw profile holds"):
        profiles.profile_text([rule], "apple")


def test_a_name_too_long_for_ufw_is_refused() -> None:
    with pytest.raises(FirewallError, match="ufw takes 64"):
        profiles.allocate([Rule("x" * 48, "out", ((1, 1),), ())], "a-ruleset-of-24-letters-")


def test_an_untouched_file_of_the_package_is_edited_and_restored() -> None:
    shipped = (
        "*filter\n:ufw-user-input - [0:0]\n:ufw-user-limit - [0:0]\n### RULES ###\n"
        "-A ufw-user-limit -m limit --limit 3/minute -j LOG\n-A ufw-user-limit -j REJECT\nCOMMIT\n"
    )
    block = "### tuple ### allow tcp 1 0.0.0.0/0 any 0.0.0.0/0 Apple%20X - in\n"
    block += "-A ufw-user-input -p tcp --dport 1 -j ACCEPT -m comment --comment 'dapp_Apple%20X'\n"
    key = ("Apple X", "in", "", "", "0.0.0.0/0", "0.0.0.0/0")
    edited = tuples.edit(shipped, [], ["Apple X"], {key: [block]})
    assert [one.text for one in tuples.parse_blocks(edited)] == [block]
    assert tuples.edit(edited, list(tuples.parse_blocks(edited)), ["Apple X"], {}) == shipped


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser_of_tuples(text: str) -> None:
    for block in tuples.parse_blocks("### tuple ### " + text + "\n" + text):
        assert block.text


@given(st.text(max_size=200))
def test_no_line_breaks_the_comparison(text: str) -> None:
    assert isinstance(_kernel.canonical("-A ufw-user-input " + text), tuple)


def test_first_match_decides_whether_an_address_is_admitted() -> None:
    with fresh() as host:
        have = read(host)
        assert have.admits("198.51.100.9", 22) and have.admits("2001:db8::9", 22)
        assert not have.admits("198.51.100.9", 2222)
        assert have.admits("10.1.2.3", 443) and have.admits("198.51.100.9", 80)
        assert not have.admits("198.51.100.9", 7777)
        assert have.admits(None, 443) and not have.admits(None, 7777)
        put_first(
            host,
            "### tuple ### deny any any 0.0.0.0/0 any 198.51.100.0/24 in\n-A ufw-user-input -s 198.51.100.0/24 -j DROP\n",
        )
        have = read(host)
        assert not have.admits("198.51.100.9", 22) and have.admits("203.0.113.9", 22) and have.admits(None, 22)


def test_a_limit_that_decides_is_told() -> None:
    limit = (
        "### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n"
        "-A ufw-user-input -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --set\n"
        "-A ufw-user-input -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 "
        "-j ufw-user-limit\n-A ufw-user-input -p tcp --dport 22 -j ufw-user-limit-accept\n"
    )
    with fresh() as host:
        assert not read(host).limits("198.51.100.9", 22)
        put_first(host, limit)
        have = read(host)
        assert have.admits("198.51.100.9", 22) and have.limits("198.51.100.9", 22)
        assert not have.limits("198.51.100.9", 80) and not have.limits("2001:db8::9", 22)
        put_first(host, ADMIN[4][0])
        assert not read(host).limits("198.51.100.9", 22)
    with fresh(active=False) as host:
        put_first(host, limit)
        assert not read(host).limits("198.51.100.9", 22)


@pytest.mark.parametrize("ports", ["9" * 5000, "1:" + "9" * 5000, "22," + "9" * 5000, "65536"])
def test_a_tuple_with_a_port_that_there_is_not_is_passed_over(ports: str) -> None:
    with fresh() as host:
        put_first(host, f"### tuple ### allow tcp {ports} 0.0.0.0/0 any 0.0.0.0/0 in\n")
        put_first(host, f"### tuple ### allow tcp any 0.0.0.0/0 {ports} 0.0.0.0/0 in\n")
        assert read(host).rules == () and read(host, foreign=True).exposed()
        make(host, SHARING)
        assert make(host, SHARING) == []


def put_first(host: Host, block: str, family: int = 4) -> None:
    """An administrator's rule before all others, in the file alone."""
    text = host.file(family).read_text()
    host.file(family).write_text(text.replace("### RULES ###\n", "### RULES ###\n\n" + block))


def test_what_somebody_else_writes_at_the_same_time_stays() -> None:
    with fresh() as host:
        wanted = [Rule("FaceTime", "in", ((1, 1),), ())]
        plan = planned(host, wanted)
        put_first(host, ADMIN[4][0].replace("22", "2222"))
        plan.apply()
        assert foreign_blocks(host, 4) == [ADMIN[4][0].replace("22", "2222"), *ADMIN[4]]
        assert not planned(host, wanted).operations


def test_everybodys_rules_that_let_anywhere_in_are_told_apart() -> None:
    with fresh() as host:
        make(
            host, [Rule("FaceTime", "in", ((1, 1),), ((5, 9),)), Rule("AirPlay", "in", ((2, 2),), (), ("10.0.0.0/8",))]
        )
        assert read(host).exposed() == []
        found = {(one.ruleset, one.name, one.protocol, one.ports) for one in read(host, foreign=True).exposed()}
        assert found == {
            ("", "22/tcp", "tcp", ("22",)),
            ("", "Nginx Full", "tcp", ("80", "443")),
            ("apple", "FaceTime", "tcp", ("1",)),
            ("apple", "FaceTime", "udp", ("5-9",)),
        }
        (host.root / "etc/ufw/applications.d/netports-office").write_text("[Nginx Full]\ntitle=Web\n")
        assert ("office", "Web", "tcp", ("80", "443")) in {
            (one.ruleset, one.name, one.protocol, one.ports) for one in read(host, foreign=True).exposed()
        }
        assert {name: [rule.name for rule in held] for name, held in read(host).rulesets().items()} == {
            "apple": ["FaceTime", "AirPlay"],
            "office": ["Web"],
        }
        settings_file = host.root / "etc/default/ufw"
        settings_file.write_text(settings_file.read_text().replace('INPUT_POLICY="DROP"', 'INPUT_POLICY="ACCEPT"'))
        assert read(host, foreign=True).exposed()[0].ports == ("0-65535",) and not read(host).refuses_inbound()


# --- Other people's hands ---------------------------------------------------------------------------------------------

SHARING = [Rule("File Sharing", "in", ((139, 139), (548, 548)), (), ("10.0.0.0/8", "192.168.0.0/16"))]


def ours(host: Host, family: int = 4) -> list[str]:
    """The ruleset's rules in the kernel, without their chain."""
    return [line.split(" ", 2)[2] for line in host.chains[family] if "dapp_Apple" in line]


def test_rules_go_behind_the_last_one_also_where_no_line_closes_them() -> None:
    deny = "### tuple ### deny udp 3478 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p udp --dport 3478 -j DROP\n"
    key = ("Apple X", "in", "", "", "0.0.0.0/0", "0.0.0.0/0")
    mine = "### tuple ### allow udp 3478 0.0.0.0/0 any 0.0.0.0/0 Apple%20X - in\n"
    mine += "-A ufw-user-input -p udp --dport 3478 -j ACCEPT -m comment --comment 'dapp_Apple%20X'\n"
    raw = "-A ufw-user-input -p tcp --dport 7 -j DROP\n"
    for head in ("*filter\n### RULES ###\n\n", "*filter\n\n"):
        for after in ("", raw):
            for end in ("COMMIT\n", "\n### END RULES ###\nCOMMIT\n", ""):
                text = head + deny + after + end
                blocks = list(tuples.parse_blocks(text))
                edited = tuples.edit(text, blocks, ["Apple X"], {key: [mine]})
                assert edited == head + deny + after + "\n" + mine + end
                assert tuples.edit(edited, list(tuples.parse_blocks(edited)), ["Apple X"], {}) == text
    # A line of somebody's right below a block of ours is not ours.
    text = "### RULES ###\n\n" + mine + raw + "\n### END RULES ###\n"
    assert [block.text for block in tuples.parse_blocks(text)] == [mine]


def test_the_blocks_of_a_rule_stay_together() -> None:
    with fresh() as host:
        make(host, SHARING)
        more = [SHARING[0]._replace(udp=((137, 138),))]
        make(host, more)
        groups = [
            block.group
            for block in tuples.parse_blocks(host.file(4).read_text())
            if block.profile in ("Apple File Sharing",)
        ]
        # 'ufw app update' makes a group anew wherever it meets another one before.
        assert len(groups) == 4 and groups[0] == groups[1] and groups[2] == groups[3] != groups[0]
        assert make(host, more) == []


def test_a_limit_and_a_refusal_by_hand() -> None:
    with fresh() as host:
        make(host, SHARING)
        before = {family: list(host.chains[family]) for family in (4, 6)}
        # What 'ufw limit' makes of a rule of ours, in iptables' own words, which it does not find again by itself.
        place = next(number for number, line in enumerate(host.chains[4]) if "Apple" in line)
        host.chains[4][place : place + 1] = [
            f"-A ufw-user-input -s 10.0.0.0/8 -p tcp -m multiport --dports 139,548 {rest} -m comment --comment dapp_Apple%20File%20Sharing{jump}"
            for rest, jump in (
                ("-m conntrack --ctstate NEW -m recent --set --name DEFAULT --mask 255.255.255.255 --rsource", ""),
                ("-m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6", " -j ufw-user-limit"),
                ("", " -j ufw-user-limit-accept"),
            )
        ]
        assert make(host, SHARING) and host.chains[4] == before[4]
        # A rule that is changed stays before a refusal that iptables prints in other words than ufw writes.
        block = (
            "### tuple ### reject any any 0.0.0.0/0 any 198.51.100.9 in\n-A ufw-user-input -s 198.51.100.9 -j REJECT\n"
        )
        text = host.file(4).read_text()
        host.file(4).write_text(text.replace("\n### END RULES", "\n" + block + "\n### END RULES"))
        at = len([line for line in host.chains[4] if "input" in line.split()[1]]) + len(
            [line for line in host.chains[4] if "forward" in line.split()[1]]
        )
        refusal = "-A ufw-user-input -s 198.51.100.9/32 -j REJECT --reject-with icmp-port-unreachable"
        host.chains[4].insert(at, refusal)
        assert make(host, [SHARING[0]._replace(tcp=((139, 139), (445, 445)))])
        lines = [line for line in host.chains[4] if line.startswith("-A ufw-user-input")]
        assert lines[-1] == refusal and "445" in lines[-2]
        # Doubled, or out of order: drift, and mended.
        for change in (
            lambda chain: chain + [ours_line(chain)],
            lambda chain: [ours_line(chain)] + [one for one in chain if one != ours_line(chain)],
        ):
            settled = list(host.chains[4])
            host.chains[4] = sorted(change(host.chains[4]), key=lambda line: line.split()[1])
            assert [step.action for step in make(host, [SHARING[0]._replace(tcp=((139, 139), (445, 445)))])] == ["mend"]
            assert host.chains[4] == settled


def ours_line(chain: list[str]) -> str:
    return next(line for line in chain if "dapp_Apple" in line)


@pytest.mark.parametrize("name", ["netports-apple.bak", "netports-apple~", "netports-apple.dpkg-old"])
def test_a_copy_of_the_profile_file_changes_nobodys_property(name: str) -> None:
    with fresh() as host:
        make(host, SHARING)
        folder = host.root / "etc/ufw/applications.d"
        (folder / name).write_text((folder / "netports-apple").read_text())
        assert read(host).rules == tuple(SHARING)
        if name.endswith(".bak"):
            with pytest.raises(FirewallError, match=re.escape(f"'Apple File Sharing' is defined in {folder / name}")):
                planned(host, [SHARING[0]._replace(tcp=((1, 1),))])
        else:
            assert not planned(host, SHARING).operations
        make(host, [])
        assert ours(host) == [] == ours(host, 6) and foreign_blocks(host, 4) == ADMIN[4]


def test_rules_that_nobody_lists_are_not_taken_for_gone_nor_for_ours() -> None:
    with fresh() as host:
        make(host, SHARING)
        (host.root / "etc/ufw/applications.d/netports-apple").unlink()
        with pytest.raises(FirewallError, match="'Apple File Sharing', which no file .* lists any more") as caught:
            planned(host, [])
        assert caught.value.code == "left-over"
        # A run that wants them takes them over again, and can then remove them.
        assert make(host, SHARING)
        make(host, [])
        assert ours(host) == []
        # Somebody else's, under a name that begins like ours: it stays.
        put_first(host, ADMIN[4][3].replace("Nginx%20Full", "Apple%20Pie"))
        make(host, SHARING)
        make(host, [SHARING[0]._replace(name="Other")])
        assert "dapp_Apple%20Pie" in host.file(4).read_text()


@pytest.mark.parametrize(
    ("block", "rules", "said"),
    [
        ("deny any any 0.0.0.0/0 any 0.0.0.0/0 in", ["File Sharing"], "'deny in from any to any'"),
        (
            "reject tcp 100:600 0.0.0.0/0 any 10.0.0.0/8 in",
            ["File Sharing"],
            "'reject in from 10.0.0.0/8 to any port 100:600 proto tcp'",
        ),
        ("deny any any 0.0.0.0/0 any 0.0.0.0/0 in_eth7", [], ""),
        ("deny udp any 0.0.0.0/0 any 0.0.0.0/0 in", [], ""),
        ("deny tcp 139 0.0.0.0/0 any 0.0.0.0/0 in", [], ""),
        ("deny any any 0.0.0.0/0 any 0.0.0.0/0 out", [], ""),
        ("allow any any 0.0.0.0/0 any 0.0.0.0/0 in", [], ""),
    ],
)
def test_a_refusal_that_decides_first_is_named(block: str, rules: list[str], said: str) -> None:
    with fresh() as host:
        put_first(host, f"### tuple ### {block}\n")
        found = [notice for notice in planned(host, SHARING).notices if notice.code == "refused"]
        assert [list(notice.rules) for notice in found] == [rules] * bool(rules)
        assert all(said in notice.text for notice in found)


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        (["-A INPUT -j ufw-before-input"], ""),
        (["-A INPUT -p tcp --dport 9 -j DROP", "-A INPUT -j ufw-before-input", "-A INPUT -j DROP"], ""),
        (["-A INPUT -j REJECT --reject-with icmp-host-prohibited", "-A INPUT -j ufw-before-input"], "-j REJECT"),
        ([], "no longer calls ufw's chains"),
    ],
)
def test_what_the_kernel_asks_before_ufw_is_named(chain: list[str], said: str) -> None:
    with fresh() as host:
        host.input = [line + "\n" for line in chain]
        code = "refused" if chain else "no-effect"
        found = [notice.text for notice in planned(host, SHARING).notices if notice.code == code]
        assert len(found) == bool(said) and all(said in text for text in found)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "extra",
    ["", "### tuple ### allow tcp 80 host.example any any in\n", "### tuple ### deny tcp http,https any any any in\n"],
)
def test_odd_files_are_read_as_ufw_reads_them(line_end: str, extra: str) -> None:
    with fresh() as host:
        put_first(host, extra)
        text = host.file(4).read_text().replace("\n", line_end)
        host.file(4).write_bytes(text.encode())
        have = read(host)
        assert have.admits("10.1.2.3", 443) == ("http" not in extra) and have.admits("198.51.100.9", 22)
        make(host, SHARING)
        assert make(host, SHARING) == []
        make(host, [])
        assert host.file(4).read_bytes() == text.encode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('IPV6="yes"', "yes"),
        ("IPV6=Yes", "yes"),
        # ufw's own code, unlike the shell that starts it, takes a comment for a part of the value.
        ("IPV6=yes # for later", "yes # for later"),
        ("# IPV6=yes", None),
        ("IPV6='yes'", None),
        ("IPV6=yes\r", "yes"),
    ],
)
def test_settings_are_read_as_ufw_reads_them(text: str, found: str | None) -> None:
    assert model.settings(text + "\n").get("ipv6") == found


def test_ipv6_off_needs_no_rules_file_of_ipv6() -> None:
    with fresh() as host:
        defaults = host.root / "etc/default/ufw"
        defaults.write_text(defaults.read_text().replace("IPV6=yes", "IPV6=no"))
        host.file(6).write_text("")
        make(host, SHARING)
        assert make(host, SHARING) == [] and host.file(6).read_text() == ""
        assert [notice.code for notice in planned(host, SHARING).notices] == ["ipv6-off"]


def test_a_file_that_cannot_be_written_is_named_before_anything_is() -> None:
    with fresh() as host:
        (host.root / "etc/ufw/applications.d").rmdir()
        with pytest.raises(FirewallError, match="its folder is missing") as caught:
            planned(host, SHARING)
        assert caught.value.code == "blocked"
    with fresh() as host:
        (host.root / "proc/self").mkdir(parents=True)
        (host.root / "proc/self/mountinfo").write_text(f"1 2 0:3 / {host.file(4)} rw - ext4 x rw\n")
        with pytest.raises(FirewallError, match=r"user\.rules is a mount of its own"):
            planned(host, SHARING)


def test_refuses_by_its_files_also_where_it_is_not_loaded() -> None:
    with fresh(active=False) as host:
        assert read(host).refuses_inbound() and not read(host).active


@pytest.mark.parametrize("program", ["iptables-restore", "ip6tables-restore"])
def test_a_load_is_believed_when_the_kernel_has_it(program: str) -> None:
    with fresh() as host:
        texts = {path: path.read_bytes() for path in (host.root / "etc/ufw").rglob("*") if path.is_file()}
        kernel = {family: list(host.chains[family]) for family in (4, 6)}
        host.deaf = program
        with pytest.raises(FirewallError, match="the kernel's rules are not what was loaded"):
            make(host, [Rule("FaceTime", "in", ((1, 1),), ())])
        assert {path: path.read_bytes() for path in (host.root / "etc/ufw").rglob("*") if path.is_file()} == texts
        assert host.chains == kernel


@pytest.mark.parametrize(
    "changed",
    [
        {"sysctls": {path: "1"}}
        for path in (
            *("/etc/passwd", "proc/sys/net\0", "proc/sys/net", "proc/sys/kernel/core_pattern"),
            *("proc/sys/net/../kernel/core_pattern", "proc/sys/net/nowhere"),
        )
    ]
    + [{"sysctls": []}, {"tables": {"7": ""}}, {"tables": {"four": ""}}, {"nft": None}],
)
def test_a_record_that_ufws_start_would_not_have_made_is_refused(changed: dict[str, Any]) -> None:
    with fresh() as host:
        for path, text in (
            ("etc/default/ufw", "IPT_SYSCTL=/etc/ufw/sysctl.conf\n"),
            ("etc/ufw/sysctl.conf", "net/ipv4/conf/all/log_martians=0\n"),
            ("proc/sys/net/ipv4/conf/all/log_martians", "1"),
            ("proc/sys/kernel/core_pattern", "core"),
        ):
            (host.root / path).parent.mkdir(parents=True, exist_ok=True)
            (host.root / path).write_text(text)
        if isinstance(changed.get("sysctls"), dict):
            changed = {"sysctls": {str(host.root / path): text for path, text in changed["sysctls"].items()}}
        before = {"tables": {"4": ""}, "nft": [], "sysctls": {}, **changed}
        left = Left(want=Wanted(rules=()), switched=Switched(now=True, before=before))
        ufw = Ufw(base.Host(run=host.run, root=str(host.root)))
        with pytest.raises(FirewallError, match="the record of how the kernel was before ufw's start"):
            ufw.take_back(Asked(ruleset="apple"), left)
        assert not any("disable" in call for call in host.calls)


@pytest.mark.parametrize("dead", [True, False])
def test_the_same_text_of_somebody_else_stays(dead: bool) -> None:
    """While the change waits. Otherwise nobody can tell, and it is taken for the change's."""
    with fresh() as host:
        plan = planned(host, SHARING)
        kernel = {family: list(host.chains[family]) for family in (4, 6)}
        plan.load()
        for change in plan.files:
            _files.replace(change.path, change.after)
        ufw = Ufw(base.Host(run=host.run, root=str(host.root)))
        for waits in (True, False):
            if dead:
                ufw.take_back(Asked(ruleset="apple"), Left(want=Wanted(rules=()), files=plan.files, waits=waits))
            else:
                plan.rollback(waits)
                assert host.chains == kernel
            stay = [change for change in plan.files if _files.read(change.path) == change.after]
            assert stay == (list(plan.files) if waits else [])
        assert host.chains == kernel


@pytest.mark.parametrize("backend", ["ufw", "auto"])
@pytest.mark.parametrize("purged", [False, True])
def test_what_an_uninstalled_ufw_leaves_is_removed(backend: str, purged: bool) -> None:
    with fresh() as host:
        before = host.file(4).read_text()
        make(host, SHARING)
        (host.root / "usr/sbin/ufw").unlink()
        if purged:
            for path in [*host.root.glob("etc/ufw/*.rules"), host.root / "etc/ufw/ufw.conf"]:
                path.unlink()
        profile = host.root / "etc/ufw/applications.d/netports-apple"
        params = {
            **{name: option.get("default") for name, option in _host_firewall.ARGUMENTS.items()},
            "state": "deleted",
            "backend": backend,
        }
        host.calls.clear()
        foreseen = _host_firewall.execute(params, host.run, True, str(host.root))
        assert foreseen["changed"] and profile.exists()
        done = _host_firewall.execute(params, host.run, False, str(host.root))
        assert done["changed"] and done["operations"] == foreseen["operations"] and done["after"] == []
        assert [notice["code"] for notice in done["notices"]] == ["not-installed"]
        assert not profile.exists() and (purged or host.file(4).read_text() == before)
        assert not _host_firewall.execute(params, host.run, False, str(host.root))["changed"]
        for other in ({"state": "replaced"}, {"enable": True}, {"rules": [SHARING[0].to_dict()]}):
            with pytest.raises(FirewallError) as caught:
                _host_firewall.execute({**params, **other}, host.run, False, str(host.root))
            assert caught.value.code == ("not-installed" if backend == "ufw" else "no-firewall")


def test_a_ufw_that_only_lost_its_settings_is_not_taken_for_gone() -> None:
    with fresh() as host:
        (host.root / "etc/ufw/ufw.conf").unlink()
        with pytest.raises(FirewallError, match="not installed"):
            registry.choose("ufw", base.Host(run=host.run, root=str(host.root)), removal=True)
