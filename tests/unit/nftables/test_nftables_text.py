# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text for nftables, held against the real nft in a network namespace of its own, where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils import _rules
from ansible_collections.netports.apple.plugins.module_utils._firewalls import registry
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import kernel, model, text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import Part, Target
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _sets

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
        other = Part(chains={}, jumps=(), own=text.own_chains(not forward))
        assert len(kernel.differs(listing, "apple", other)) == 1


def test_all_products_pass_nft(nft: list[str]) -> None:
    """Every product of the catalogue, in every direction, in the form that the filter and the state rendered give."""
    catalogue = _catalogue.load()
    products = sorted(catalogue.products)
    declared = [{"products": products, "directions": ["in", "out", "forward"]}]
    compiled = _sets.compile_sets(catalogue, declared, {"local_networks": ["10.0.0.0/8", "fd00::/8"]})
    made = [Rule.from_dict(rule) for rule in compiled.rules]
    rendered = registry.load("nftables").render(made, "apple")
    (written,) = rendered.values()
    assert len(made) > 60 and written.count("accept comment") >= len(made)
    ask(nft, "nft -c -f -", written)


@pytest.mark.parametrize("main", ["", "flush ruleset\n", "flush ruleset\n# no end"])
def test_the_include_comes_and_goes(main: str) -> None:
    edited = text.with_include(main)
    assert text.included(edited) and text.with_include(edited) == edited
    assert edited.startswith(main) and text.without_include(edited) == main


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ('include "/etc/nftables.d/*.nft"', True),
        ('  include "/etc/nftables.d/netports-*.nft"', True),
        ('include "/etc/nftables.d/netports-apple.nft"', True),
        ('# include "/etc/nftables.d/*.nft"', False),
        ('include "/etc/nftables.d/web.nft"', False),
        ('include "nftables.d/*.nft"', True),
        ('include "/etc/./nftables.d//*.nft"', True),
        ('include "/etc/*.nft"', False),
    ],
)
def test_an_include_of_the_administrators_own(line: str, counts: bool) -> None:
    """Alpine's file includes the whole folder: a line of ours beside it would load each ruleset twice."""
    assert text.included(f"flush ruleset\n{line}\n") is counts
    assert (text.with_include(f"{line}\n") == f"{line}\n") is counts


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


def test_hooks_behind_an_include() -> None:
    tables = "table inet filter {\n chain a { type filter hook input priority 0; }\n # hook output\n}\n"
    include = 'include "/etc/nftables.d/*.nft"\n'
    assert text.hooks_behind(include + tables) == {"input"}
    assert text.hooks_behind(tables + include) == text.hooks_behind(tables) == set()


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
