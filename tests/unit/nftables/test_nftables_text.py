# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text for nftables, held against the real nft in a network namespace of its own, where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils import _rules
from ansible_collections.netports.apple.plugins.module_utils._confirm import process
from ansible_collections.netports.apple.plugins.module_utils._firewalls import registry
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked, FirewallError, Host, Wanted
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import (
    checks,
    conditions,
    effect,
    fate,
    kernel,
    model,
    read,
    text,
    words,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import Part, Target
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _port_words, _sets
from hosts import nftables_forms

PORTS = st.integers(1, 65535)
RANGES = st.one_of(PORTS.map(lambda port: (port, port)), st.tuples(PORTS, PORTS).map(lambda two: (min(two), max(two))))
NETWORKS = st.sampled_from(
    [
        *("10.0.0.0/8", "10.1.0.0/16", "192.168.1.0/24", "192.168.2.0/24", "192.0.2.7", "192.0.2.8", "0.0.0.0/0"),
        *("fd00::/8", "2001:db8::1", "2001:db8::2", "fe80::/10", "::/0"),
    ]
)
TARGETS = [
    Target(family="inet", table="filter", chain="input", hook="input", prio=0),
    Target(family="ip", table="mine", chain="IN-1", hook="input", prio=-10),
    Target(family="ip6", table="mine", chain="i", hook="input", prio=5),
    Target(family="inet", table="filter", chain="output", hook="output", prio=0),
    Target(family="inet", table="other", chain="f", hook="forward", prio=0),
]


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    """A ruleset as the module would pass it on: checked and normalised."""
    made = []
    for _time in range(draw(st.integers(0, 5))):
        tcp, udp = draw(st.lists(RANGES, max_size=6)), draw(st.lists(RANGES, max_size=4))
        direction = draw(st.sampled_from(_rules.DIRECTIONS))
        plain = {
            "name": draw(st.sampled_from(["FaceTime", "Mac App Store", "a.b+c_d", "management", "0"])),
            "direction": direction,
            "tcp": [f"{first}-{last}" for first, last in tcp] or ["443"],
            "udp": [f"{first}-{last}" for first, last in udp],
            "sources": draw(st.lists(NETWORKS, max_size=4, unique=True)),
            "destinations": draw(st.lists(NETWORKS, max_size=2, unique=True)),
            "interface": draw(st.sampled_from(["", "eth0", "br-lan.5", "1-2"])),
            "out_interface": draw(st.sampled_from(["", "eth1"])) if direction == "forward" else "",
        }
        try:
            made.append(Rule.from_dict(plain))
        except _rules.RuleError:
            continue
    return _rules.normalise(made)


@pytest.fixture(scope="module")
def nft() -> list[str]:
    """The words that run a program in an empty network namespace of its own."""
    if not shutil.which("nft"):
        pytest.skip("nft is not here; tests/integration/test_nftables.py asks that of Debian 11, 12 and 13")
    return ["unshare", "--map-root-user", "--net"]


def ask(nft: list[str], script: str, given: str) -> str:
    done = subprocess.run([*nft, "sh", "-ec", script], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + given
    return done.stdout


@settings(max_examples=60)
@given(made=rules())
def test_a_file_is_read_back(made: list[Rule]) -> None:
    written = text.emit(made, "apple", TARGETS)
    assert list(text.parse(written)) == made
    assert text.emit(text.parse(written), "apple", TARGETS) == written


@settings(max_examples=40)
@given(made=rules())
def test_the_kernel_has_what_the_file_says(nft: list[str], made: list[Rule]) -> None:
    """The file as nft loads it, and the transaction that a run loads, are the same to the kernel."""
    chains, jumps = text.expected(made, "apple", TARGETS)
    goal = Part(chains=chains, jumps=jumps, own={})
    bases = "".join(
        f"add table {target.family} {target.table}\nadd chain {target.family} {target.table} {target.chain} "
        f"{{ type filter hook {target.hook} priority {target.prio}; }}\n"
        for target in TARGETS
    )
    written = bases + text.emit(made, "apple", TARGETS)
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", written))
    assert kernel.differs(listing, "apple", goal) == []
    assert kernel.transaction(listing, "apple", goal) == ""
    empty = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", bases))
    commands = kernel.transaction(empty, "apple", goal) or '{"nftables": []}'
    script = f"printf '%s' '{bases}' | nft -f - && nft -j -f - && nft -j list ruleset"
    assert kernel.differs(kernel.parse(ask(nft, script, commands)), "apple", goal) == []


def test_the_own_table_is_what_its_file_says(nft: list[str]) -> None:
    for forward in (False, True):
        written = text.own_text(forward, switched=False)
        listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", written + written))
        goal = Part(chains={}, jumps=(), own=text.own_chains(forward))
        assert kernel.differs(listing, "apple", goal) == []
        accepted = [rule for _chain, rule in checks.open_rules(listing, listing.chains["inet", "netports", "input"])]
        assert [rule for rule in accepted if checks.ports_of(rule, "tcp") or checks.ports_of(rule, "udp")] == []
        other = Part(chains={}, jumps=(), own=text.own_chains(not forward))
        assert len(kernel.differs(listing, "apple", other)) == 1


def test_all_products_pass_nft(nft: list[str]) -> None:
    """Every product of the catalogue, in every direction, in the form that the filter and the state rendered give."""
    catalogue = _catalogue.load()
    # A product whose port each site chooses needs a set of its own.
    sites = {
        product
        for product in catalogue.products
        if any(entry["port"] == _port_words.SITE_PORT for entry in catalogue.of_product(product, False))
    }
    shared = {"directions": ["in", "out", "forward"]}
    declared = [{**shared, "products": sorted(set(catalogue.products) - sites)}]
    declared += [{**shared, "products": [product], "ports": ["49200"]} for product in sorted(sites)]
    compiled = _sets.compile_sets(catalogue, declared, {"local_networks": ["10.0.0.0/8", "fd00::/8"]})
    # The host's own range has numbers on a host alone.
    numbered = [rule for rule in compiled.rules if _port_words.HOST_EPHEMERAL not in rule["tcp"] + rule["udp"]]
    made = [Rule.from_dict(rule) for rule in numbered]
    rendered = registry.load("nftables").render(made, "apple")
    (written,) = rendered.values()
    assert len(made) > 60 and written.count("accept comment") >= len(made)
    ask(nft, "nft -c -f -", written)


@pytest.mark.parametrize("main", ["", "flush ruleset\n", "flush ruleset\n# no end", "a\r\nb"])
@pytest.mark.parametrize("since", ["", "# a note\n", "table inet x {\n}\n", "\ntable inet x {\n}"])
def test_our_line_comes_stays_last_and_goes(main: str, since: str) -> None:
    """What the administrator writes behind it would be behind the rulesets: then it moves to the end."""
    edited = text.with_include(main)
    assert edited.startswith(main) and text.without_include(edited) == main
    later = text.with_include(edited + since)
    assert later == text.with_include(later) and later.count('include "') == 1
    assert (later == edited + since) is ("table" not in since)
    ended = main if not since or not main or main.endswith("\n") else f"{main}\n"
    assert text.without_include(later) == ended + since


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"nftables.conf": 'include "/etc/nftables.d/*.nft"'}, ["0-own", "apple", "office"]),
        ({"nftables.conf": '  include "/etc/nftables.d/netports-*.nft"'}, ["0-own", "apple", "office"]),
        ({"nftables.conf": 'include "/etc/nftables.d/netports-apple.nft"'}, ["apple"]),
        ({"nftables.conf": '# include "/etc/nftables.d/*.nft"'}, []),
        ({"nftables.conf": 'include "/etc/nftables.d/web.nft"'}, []),
        ({"nftables.conf": 'include "nftables.d/*.nft"'}, ["0-own", "apple", "office"]),
        ({"nftables.conf": 'include "/etc/./nftables.d//*.nft"'}, ["0-own", "apple", "office"]),
        ({"nftables.conf": 'include "/etc/*.nft"'}, []),
        (
            {"nftables.conf": 'include "/etc/fw/*.nft"', "fw/a.nft": "x", "fw/b.nft": 'include "/etc/nftables.d/*"'},
            ["0-own", "apple", "office"],
        ),
        ({"nftables.conf": 'include "/etc/fw/a.nft"', "fw/a.nft": 'include "/etc/fw/a.nft"'}, []),
        ({"nftables.conf": 'include "/etc/fw"', "fw/a.nft": 'include "/etc/nftables.d/*"'}, []),
        (
            {"nftables.conf": 'include "/etc/nftables.d/*"\ninclude "/etc/nftables.d/netports-a*"'},
            ["0-own", "apple", "office", "apple"],
        ),
    ],
)
def test_what_an_administrators_includes_load(tmp_path: Path, files: dict[str, str], found: list[str]) -> None:
    """A line of ours beside an include of his would load each ruleset twice."""
    (tmp_path / "etc/nftables.d").mkdir(parents=True)
    for name, body in {"nftables.d/netports-office.nft": "", "nftables.d/web.nft": "", **files}.items():
        (tmp_path / "etc" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "etc" / name).write_text(body)
    host = Host(root=str(tmp_path), run=process.Runner())
    state = read.state(host, Asked(ruleset="apple"), '{"nftables": []}', boot=False)
    assert text.included(state.files.whole) == [f"netports-{name}.nft" for name in found]


@pytest.mark.parametrize("line", ["#: ", "#: []", "#: {", '#: {"name": "x"}', "#: 5", "accept"])
def test_lines_that_are_no_rule_are_passed_over(line: str) -> None:
    made = [Rule("A", "in", ((443, 443),), ())]
    assert list(text.parse(line + "\n" + text.emit(made, "apple", TARGETS) + line)) == made


def test_names_of_files_keep_the_order_of_includes() -> None:
    """nft includes in the order of the names: the own table's chains have to be there before the jumps."""
    names = [Path(model.ruleset_file(name)).name for name in ("a", "apple", "z-9")]
    assert min(*names, Path(model.OWN_FILE).name) == Path(model.OWN_FILE).name


def test_the_administrators_file_loads_whatever_he_makes_of_his_chain(nft: list[str]) -> None:
    """A host without any firewall after its next boot is the worst that a file of ours could do."""
    written = text.emit([Rule("A", "in", ((443, 443),), ())], "apple", TARGETS[:1])
    for chain in ("filter hook input priority 10; policy drop;", "filter hook input priority -300;", "", None):
        made = "" if chain is None else f"chain input {{ {chain and 'type ' + chain} }}"
        main = f"flush ruleset\ntable inet filter {{\n{made}\n}}\n"
        listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", (main + written) * 2))
        joined = listing.chains["inet", "filter", "input"]
        assert kernel.jump_holds(joined, "netports-apple-in")
        assert bool(joined.hook) == bool(chain) and (joined.policy == "drop") == ("drop" in (chain or ""))


ALPINE = """flush ruleset
table inet filter {
\tchain input {
\t\ttype filter hook input priority 0; policy drop;
\t\ttcp dport 22 accept
\t}
}
include "/etc/nftables.d/*.nft"
"""


def test_a_host_with_openrc(nft: list[str], tmp_path: Path) -> None:
    """Alpine: its file includes the folder, and OpenRC is not switched by a run."""
    (tmp_path / "etc/runlevels/boot").mkdir(parents=True)
    (tmp_path / "etc/nftables.nft").write_text(ALPINE)
    host = Host(root=str(tmp_path), run=process.Runner())
    listed = ask(nft, "nft -f - && nft -j list ruleset", ALPINE.replace("include", "#"))
    want = Wanted(rules=(Rule("A", "in", ((443, 443),), ()),))
    plan = read.state(host, Asked(ruleset="apple"), listed, boot=False).plan(want)
    assert [(notice.code, "rc-update add nftables boot" in notice.text) for notice in plan.notices] == [
        ("off-at-boot", True)
    ]
    assert [change.path for change in plan.files] == [str(tmp_path / "etc/nftables.d/netports-apple.nft")]
    with pytest.raises(FirewallError, match="rc-update add nftables boot"):
        read.state(host, Asked(ruleset="apple", enable=True), listed, boot=False).plan(want)
    (tmp_path / "etc/runlevels/boot/nftables").touch()
    assert registry.load("nftables")(host).installed() is False
    assert read.state(host, Asked(ruleset="apple", enable=True), listed, boot=True).plan(want).notices == ()


@pytest.mark.parametrize(
    ("rest", "undone"),
    [
        ("table inet filter {\n chain a { type filter hook input priority 0; }\n}\n", "its chain of the input hook"),
        ("table inet filter {\n chain a { type filter hook postrouting priority 0; }\n # hook output\n}\n", ""),
        ("flush ruleset\n", "flushes the rules"),
        ("# flush ruleset\n", ""),
        ("table inet filter\ndelete table inet filter\n", "flushes the rules"),
        ("flush chain inet filter input; flush chain inet other a\n", "flushes the rules"),
        ("delete table ip nat\n", ""),
    ],
)
def test_what_undoes_an_include_of_the_rulesets(rest: str, undone: str) -> None:
    include = 'include "/etc/nftables.d/netports-apple.nft"\n'
    assert undone in text.undone_behind(include + rest, TARGETS[:1])
    assert bool(text.undone_behind(include + rest, TARGETS[:1])) is bool(undone)
    assert text.undone_behind(rest + include, TARGETS) == text.undone_behind(rest, TARGETS) == ""


@pytest.mark.parametrize(
    ("expr", "holds"),
    [
        ([{"jump": {"target": "x"}}], True),
        ([{"counter": {"packets": 1, "bytes": 1}}, {"jump": {"target": "x"}}], True),
        ([{"goto": {"target": "x"}}], False),
        (
            [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "a"}}, {"jump": {"target": "x"}}],
            False,
        ),
    ],
)
def test_a_jump_holds_for_every_packet(expr: list[dict[str, object]], holds: bool) -> None:
    chain = model.Chain(family="inet", table="t", name="c", hook="input", rules=(model.KernelRule(expr=tuple(expr)),))
    assert kernel.jump_holds(chain, "x") is holds


FROM = ("10.0.0.1", "192.0.2.1", "2001:db8::1")
PARTS = """
table inet t {
  set ports { type inet_service; flags interval; elements = { 22, 5900-5910 } }
  set pairs { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 22 } }
  set moving { type ipv4_addr; flags timeout; elements = { 10.0.0.1 timeout 1h } }
  chain sub { tcp dport 22 accept; }
  map verdicts { type inet_service : verdict; elements = { 22 : accept, 80 : jump sub } }
  chain input { type filter hook input priority 0; policy POLICY; RULE; }
}
"""


@pytest.mark.parametrize(
    ("rule", "accepts", "refuses"),
    [
        ("tcp dport 22 accept", FROM, ()),
        ("tcp dport != 22 accept", (), ()),
        ("tcp dport != 23 accept", FROM, ()),
        ("tcp dport != { 22, 23 } drop", (), ()),
        ("tcp dport < 1024 accept", FROM, ()),
        ("tcp dport >= 1024 drop", (), ()),
        ("tcp dport @ports accept", FROM, ()),
        ("tcp dport @ports drop", (), FROM),
        ("tcp dport vmap @verdicts", FROM, ()),
        ("tcp dport vmap { 22 : drop, 23 : accept }", (), FROM),
        ("ct state vmap { established : accept, invalid : drop }", (), ()),
        ("meta pkttype vmap { broadcast : drop, multicast : drop }", (), ()),
        ("ip saddr . tcp dport { 10.0.0.1 . 22, 192.0.2.0/24 . 80-90 } accept", FROM[:1], ()),
        ("ip saddr . tcp dport @pairs accept", FROM[:1], ()),
        ("ip saddr . tcp dport vmap { 10.0.0.1 . 22 : drop }", (), FROM[:1]),
        ("meta l4proto . th dport { tcp . 22, udp . 53 } accept", FROM, ()),
        ("meta l4proto { sctp, tcp } drop", (), FROM),
        ("meta l4proto != tcp drop", (), ()),
        ("meta l4proto != udp drop", (), FROM),
        ("sctp dport 22 accept", (), ()),
        ("ip saddr != 10.0.0.0/8 accept", FROM[1:2], ()),
        ("ip saddr @moving accept", (), ()),
        ("ip saddr @moving drop", (), FROM[:2]),
        ("ip saddr . tcp dport != @pairs accept", (), ()),
        ("meta mark 1 accept", (), ()),
        ("limit rate 1/second accept", (), ()),
        ("ct state & (established|related) == 0 accept", FROM, ()),
        ('iifname . ip saddr { "eth0" . 10.0.0.1 } accept', (), ()),
        ("tcp flags & (syn|ack) == syn accept", FROM, ()),
        ("tcp flags & (syn|ack) == ack accept", (), ()),
        ("fib daddr type local accept", FROM, ()),
        ("fib daddr type != local drop", (), ()),
        ("meta protocol ip accept", FROM[:2], ()),
        ("ip protocol tcp accept", FROM[:2], ()),
        ("ip6 nexthdr tcp drop", (), FROM[2:]),
        ("ip daddr 0.0.0.0/0 accept", FROM[:2], ()),
        ("ip daddr 10.9.9.9 accept", (), ()),
        ("goto sub", FROM, ()),
    ],
)
def test_what_a_rule_does_to_a_connection(
    nft: list[str], rule: str, accepts: tuple[str, ...], refuses: tuple[str, ...]
) -> None:
    """To 22/tcp. What is not known counts where it refuses, and never where it accepts."""
    for policy, decided in (("drop", accepts), ("accept", tuple(one for one in FROM if one not in refuses))):
        given = PARTS.replace("POLICY", policy).replace("RULE", rule)
        listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
        assert tuple(one for one in FROM if checks.admits(listing, one, 22, frozenset())) == decided
        base = listing.chains["inet", "t", "input"]
        assert all(words.words(one) for one in base.rules)
        assert all(chain.name in ("input", "sub") for chain, _rule in checks.open_rules(listing, base))


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        ("tcp dport @ports accept", [(22, 22), (5900, 5910)]),
        ("tcp dport != { 1-21, 23-65535 } accept", [(22, 22)]),
        ("tcp dport vmap { 22 : accept, 80 : drop }", [(22, 22)]),
        ("ip saddr . tcp dport @pairs accept", []),
        ("ip saddr != 10.0.0.1 tcp dport 22 accept", [(22, 22)]),
        ("sctp dport 22 accept", []),
        # Guests of the host are not everybody.
        ('iifname "podman*" tcp dport 22 accept', []),
        ('iifname { "virbr0", "virbr1" } tcp dport 22 accept', []),
        ('iifname { "virbr0", "eth0" } tcp dport 22 accept', [(22, 22)]),
        ('iifname != "podman0" tcp dport 22 accept', [(22, 22)]),
    ],
)
def test_what_a_rule_leaves_open_to_everybody(nft: list[str], rule: str, ports: list[tuple[int, int]]) -> None:
    given = PARTS.replace("POLICY", "drop").replace("RULE", rule)
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
    found = checks.open_rules(listing, listing.chains["inet", "t", "input"])
    assert [port for _chain, one in found for port in checks.ports_of(one, "tcp")] == ports


@pytest.mark.parametrize(
    "by_hand",
    [
        "add chain inet netports input",
        "add chain inet netports input { type filter hook input priority 7; policy drop; }",
        "add chain inet netports input { type filter hook forward priority 0; policy drop; }",
        "add chain inet netports other { type filter hook input priority 0; policy drop; }",
        "add rule inet netports input drop",
    ],
)
def test_the_own_table_is_mended_whatever_was_made_of_it(nft: list[str], by_hand: str) -> None:
    """A chain that lost its hook would take the rules and refuse nothing."""
    made = [Rule("A", "in", ((443, 443),), ())]
    chains, jumps = text.expected(made, "apple", text.own_targets(False))
    goal = Part(chains=chains, jumps=jumps, own=text.own_chains(False))
    start = "add table inet netports\n"
    if "input" in by_hand and "chain" not in by_hand:
        start += "add chain inet netports input { type filter hook input priority 0; policy drop; }\n"
    start += f"{by_hand}\n"
    for wanted in (goal, Part(chains={}, jumps=(), own={})):
        before = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", start))
        commands = kernel.transaction(before, "apple", wanted)
        script = f"printf '%s' '{start}' | nft -f - && nft -j -f - && nft -j list ruleset"
        after = kernel.parse(ask(nft, script, commands))
        assert kernel.differs(before, "apple", goal) and kernel.differs(after, "apple", wanted) == []
        assert bool(after.chains) is bool(wanted.own)


def test_protocols_are_compared_by_number() -> None:
    """nft prints numbers where the host has no /etc/protocols, and takes no names there."""
    assert "icmp }" not in text.own_text(True, switched=False)
    assert kernel.values({"set": ["icmp", "ipv6-icmp"]}) == kernel.values({"set": [58, 1]})


@pytest.mark.parametrize(("rule", "everywhere", "somewhere"), nftables_forms.FORMS)
def test_which_chains_are_joined(nft: list[str], rule: str, everywhere: bool, somewhere: bool) -> None:
    """A chain that refuses on some interfaces is joined; for the audit it leaves the others open."""
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", nftables_forms.table(rule)))
    base = listing.chains["inet", "t", "input"]
    assert fate.refuses(listing, base) is everywhere
    assert fate.may_refuse(listing, base) is somewhere


@pytest.mark.parametrize(
    ("marking", "rule", "everywhere", "somewhere", "said"),
    [*(("", *form) for form in nftables_forms.UNCERTAIN), *nftables_forms.MARKED],
)
def test_conditions_that_may_hold_or_not(
    nft: list[str], marking: str, rule: str, everywhere: bool, somewhere: bool, said: str
) -> None:
    """A chain that may refuse is joined, and a run says by which rule it may let in as well."""
    given = nftables_forms.table(rule, marking=marking)
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
    base = listing.chains["inet", "t", "input"]
    assert fate.refuses(listing, base) is everywhere
    assert fate.may_refuse(listing, base) is somewhere
    half_open = effect.half_open(effect.met(listing))
    assert {sentence.split(" inet t ")[1].split(" (")[0] for sentence in half_open} == ({said} if said else set())
    # What a rule accepts without asking for a port or a source is an exposure, too.
    if said == nftables_forms.ACCEPTS:
        assert all(half_open.values()) and list(checks.open_rules(listing, base))
    assert somewhere or effect.open_places(effect.met(listing)) == ["no chain of the input hook refuses packets"]


def test_what_is_forwarded_is_not_for_this_host(nft: list[str]) -> None:
    given = "table ip t {\nchain f { type filter hook forward priority 0; fib daddr type KIND drop; }\n}\n"
    for kind, refused in (("local", False), ("unicast", True), ("!= local", True)):
        listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given.replace("KIND", kind)))
        assert fate.refuses(listing, listing.chains["ip", "t", "f"]) is refused


FLAGS = {"payload": {"protocol": "tcp", "field": "flags"}}
STATE = {"ct": {"key": "state"}}


@pytest.mark.parametrize(
    ("op", "left", "right", "holds"),
    [
        # Debian 11: 0.9.8.
        ("==", {"&": [FLAGS, {"|": [{"|": [{"|": ["fin", "syn"]}, "rst"]}, "ack"]}]}, "syn", True),
        ("!=", {"&": [FLAGS, {"|": [{"|": [{"|": ["fin", "syn"]}, "rst"]}, "ack"]}]}, "syn", False),
        ("==", {"&": [FLAGS, {"|": ["fin", "syn"]}]}, {"|": ["fin", "syn"]}, False),
        ("==", FLAGS, {"set": ["syn"]}, True),
        ("==", {"&": [STATE, {"|": ["established", "related"]}]}, 0, True),
        # Debian 12: 1.0.6.
        ("==", {"&": [FLAGS, ["fin", "syn", "rst", "ack"]]}, "syn", True),
        ("==", {"&": [FLAGS, "syn"]}, "syn", True),
        ("in", FLAGS, "syn", True),
        ("!", FLAGS, ["fin", "syn", "rst"], False),
        ("!", STATE, ["established", "related"], True),
        ("in", STATE, ["new", "untracked"], True),
        ("==", FLAGS, {"set": [{"|": ["syn", "ack"]}, "syn"]}, True),
        # Debian 13: 1.1.3.
        ("==", {"&": [FLAGS, {"|": ["fin", "syn", "rst", "ack"]}]}, "syn", True),
        ("==", {"&": [STATE, {"|": ["established", "new"]}]}, "new", True),
        # Not known.
        ("in", FLAGS, "more", None),
        ("<", FLAGS, "syn", None),
        ("==", {"&": [STATE, {"ct": {"key": "mark"}}]}, 0, None),
        ("==", {"&": [{"meta": {"key": "mark"}}, 1]}, 0, None),
    ],
)
def test_bits_as_releases_of_nft_print_them(op: str, left: object, right: object, holds: bool | None) -> None:
    condition = {"match": {"op": op, "left": left, "right": right}}
    assert conditions.holds(condition, conditions.Packet()) is holds
    if left is FLAGS:
        assert conditions.holds(condition, conditions.Packet(protocol=conditions.UDP)) is False
    assert words.words(model.KernelRule(expr=(condition, {"drop": None})))


def test_a_rule_in_words(nft: list[str]) -> None:
    """Whatever release of nft printed it."""
    given = "tcp flags & (fin|syn) == syn fib daddr . iif type local tcp dport != { 22, 80-81 } drop"
    given = f"table inet t {{\nchain input {{ type filter hook input priority 0; {given}; }}\n}}\n"
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
    (rule,) = listing.chains["inet", "t", "input"].rules
    assert re.sub(r"[({] ?fin(,| \|) syn ?[)}]", "MASK", words.words(rule)) == (
        "tcp flags & MASK == syn fib daddr . iif type local tcp dport != { 22, 80-81 } drop"
    )


BASE = "type filter hook {} priority {}; policy {};"
REFUSED = [Rule("A", "in", ((5900, 5900),), (), sources=("10.0.0.0/8",))]


@pytest.mark.parametrize(
    ("chains", "said"),
    [
        ({}, ""),
        ({"early": ("input -10 accept", "jump sub")}, "tcp dport 5900 drop"),
        ({"early": ("input -10 accept", "ct state new jump sub; accept")}, "tcp dport 5900 drop"),
        ({"early": ("input -10 accept", 'iifname "eth1" jump sub')}, ""),
        ({"early": ("input -10 accept", "ip saddr 192.168.0.0/16 jump sub")}, ""),
        ({"early": ("input -10 accept", "ip saddr 10.0.0.0/8 jump sub")}, "tcp dport 5900 drop"),
        ({"early": ("input -10 accept", "tcp dport vmap { 22 : accept, 5900 : drop }")}, "tcp dport 5900 drop"),
        ({"early": ("input -10 accept", "tcp dport 5900 accept; drop")}, ""),
        ({"early": ("prerouting -300 drop", "tcp dport 22 accept")}, "policy drop"),
        ({"early": ("prerouting -300 drop", "ip saddr 10.0.0.0/8 accept")}, ""),
        ({"early": ("prerouting -300 drop", "ip saddr 192.168.0.0/16 accept")}, "policy drop"),
        ({"early": ("prerouting -300 accept", "tcp dport { 1-1023, 5900 } drop")}, "tcp dport { 1-1023, 5900 } drop"),
        ({"early": ("postrouting 0 drop", "")}, ""),
        (
            {"early": ("prerouting -300 accept", "tcp flags syn tcp dport 5900 drop")},
            "tcp flags syn tcp dport 5900 drop",
        ),
        ({"early": ("prerouting -300 accept", "fib daddr type != local drop")}, ""),
    ],
)
def test_what_refuses_a_wanted_port_before_the_rules(
    nft: list[str], chains: dict[str, tuple[str, str]], said: str
) -> None:
    made = "".join(
        f"chain {name} {{ {BASE.format(*place.split())} {body}{';' if body else ''} }}\n"
        for name, (place, body) in chains.items()
    )
    given = f"table inet t {{\nchain sub {{ tcp dport 5900 drop; }}\n{made}}}\n"
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
    found = [notice.text for notice in effect.without(listing, "apple", "in", REFUSED, [])]
    assert [text.rpartition("is reached: ")[2] for text in found] == ([said] if said else [])


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("ip saddr != 192.0.2.1 drop", True),
        ("ip saddr != 192.0.2.1 jump sub", True),
        ("meta mark != 1 drop", True),
        ("meta length > 0 drop", True),
        ("tcp sport 1024-65535 drop", True),
        ("udp sport 1024-65535 drop", True),
        ("ip version 4 drop", True),
        ("ip protocol tcp drop", True),
        ("meta l4proto . th dport != { tcp . 22 } drop", True),
        ("meta mark set 1; meta mark != 1 drop", False),
        ("ip saddr 192.0.2.1 drop", False),
        ("ip saddr @seen drop", False),
        ("limit rate over 10/second drop", False),
        ("meta mark 1 drop", False),
        ("tcp option maxseg size 1-535 drop", False),
        ("fib saddr . iif oif missing drop", False),
        ("udp sport 53 drop", False),
        ("ip ttl < 255 drop", False),
        ("limit rate 10/second accept; drop", False),
        ("ip saddr != 192.0.2.1 tcp dport 80 drop", False),
        # What accepts a few sources leaves the others to what is behind it.
        ("ip saddr 192.0.2.1 accept; drop", True),
        ("ip saddr @seen tcp dport 443 accept; tcp dport 443 drop", True),
        ("ip saddr . tcp dport { 192.0.2.1 . 443 } accept; drop", True),
        ("ip saddr != 192.0.2.1 accept; drop", False),
        ("meta l4proto . th dport { tcp . 443, udp . 5353 } accept; drop", False),
    ],
)
def test_what_nearly_all_packets_meet_refuses_before_the_rules(nft: list[str], rule: str, refused: bool) -> None:
    """At another hook no rule of ours can be, so that a run says what refuses there."""
    given = "table inet t {\nset seen { type ipv4_addr; flags timeout; }\nchain sub { counter drop; }\n"
    given += f"chain early {{ type filter hook prerouting priority -300; {rule}; }}\n}}\n"
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
    wanted = [Rule("A", "in", ((443, 443),), ((5353, 5353),))]
    assert [notice.code for notice in effect.without(listing, "apple", "in", wanted, [])] == ["refused"] * refused


def test_a_program_refuses_some_and_enable_makes_no_table_beside_it(nft: list[str], tmp_path: Path) -> None:
    """Then the rules have no effect, and it is no help to say that enable would make a table."""
    given = 'table ip filter {\nchain INPUT { type filter hook input priority 0; iifname "eth0" drop; }\n}\n'
    listed = ask(nft, "nft -f - && nft -j list ruleset", given)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nftables.conf").touch()
    host = Host(root=str(tmp_path), run=process.Runner())
    plan = read.state(host, Asked(ruleset="apple", enable=True), listed, boot=True).plan(Wanted(rules=tuple(REFUSED)))
    assert [notice.code for notice in plan.notices] == ["off"]
    assert [change.path for change in plan.files if "own" in change.path] == []
    assert "chain INPUT of table ip filter may refuse some" in plan.notices[0].text


def test_an_ingress_chain_refuses_before_all_others(nft: list[str]) -> None:
    """It belongs to a device: here the loopback, since this network namespace has no other."""
    given = 'table netdev t {\nchain i { type filter hook ingress device "lo" priority 0; policy drop; }\n}\n'
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
    (found,) = effect.without(listing, "apple", "in", REFUSED, [])
    assert found.code == "refused" and "chain i of table netdev t" in found.text
    assert effect.without(listing, "apple", "out", REFUSED, []) == []


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"inet": ("accept", "")}, [""]),
        ({"inet": ("drop", "")}, []),
        ({"ip": ("drop", "")}, ["IPv6 "]),
        ({"ip": ("drop", ""), "ip6": ("accept", "drop")}, []),
        ({"ip6": ("drop", "")}, ["IPv4 "]),
        ({"inet": ("accept", "meta nfproto ipv4 drop")}, ["IPv6 "]),
        ({"inet": ("accept", "tcp flags syn drop")}, ["UDP "]),
        ({"ip": ("accept", "meta l4proto tcp drop"), "ip6": ("drop", "")}, ["IPv4 UDP "]),
        ({"ip": ("accept", "meta l4proto udp drop")}, ["IPv4 TCP ", "IPv6 TCP ", "IPv6 UDP "]),
        ({"inet": ("accept", 'iifname "eth0" meta l4proto udp drop')}, ["TCP ", "UDP on an interface other than eth0"]),
        ({"inet": ("accept", 'iifname "eth0" drop')}, [" on an interface other than eth0"]),
        ({"inet": ("accept", 'iifname { "eth0", "ppp*" } drop')}, [" on an interface other than eth0, ppp*"]),
        ({"inet": ("accept", 'iifname != "eth0" drop')}, [" on eth0"]),
        ({"inet": ("accept", 'iifname != "eth0" drop; iifname "eth0" accept')}, []),
        ({"inet": ("drop", 'iifname "eth0" accept')}, []),
        ({"ip": ("accept", 'iifname "eth0" drop')}, ["IPv4 on an interface other than eth0", "IPv6 "]),
    ],
)
def test_where_nothing_refuses_packets(nft: list[str], tables: dict[str, tuple[str, str]], said: list[str]) -> None:
    given = "".join(
        f"table {family} t {{\nchain input {{ {BASE.format('input', 0, policy)} {body}{';' if body else ''} }}\n}}\n"
        for family, (policy, body) in tables.items()
    )
    listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", given))
    texts = [
        text.replace("no chain of the input hook refuses ", "").replace("packets", "")
        for text in effect.open_places(effect.met(listing))
    ]
    assert [" ".join(text.split()) for text in texts] == [" ".join(text.split()) for text in said]
    assert len(effect.partly(listing, enable=False)) == len(said)


@pytest.mark.parametrize(
    "printed",
    [
        *("", "[]", "{}", '{"nftables": null}', '{"nftables": [1]}', '{"nftables": [{"set": {"family": "inet"}}]}'),
        '{"nftables": [{"rule": {"family": "inet", "table": "t", "chain": "c", "expr": null}}]}',
    ],
)
def test_what_is_no_ruleset_is_a_value_error(printed: str) -> None:
    with pytest.raises(ValueError):
        kernel.parse(printed)


def test_a_dormant_table_refuses_nothing(nft: list[str]) -> None:
    body = "chain input {\n type filter hook input priority 0; policy drop;\n }\n}\n"
    for flags, awake in (("", True), ("flags dormant\n", False)):
        listing = kernel.parse(ask(nft, "nft -f - && nft -j list ruleset", f"table inet filter {{\n{flags}{body}"))
        (chain,) = listing.chains.values()
        # nft 1.0.6 does not say what the flag is: then the table is nobody's to join.
        assert (chain.hook == "input" and checks.editable(listing, chain)) is awake
