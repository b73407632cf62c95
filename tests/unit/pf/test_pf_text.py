# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for pf: accepted by all dialects, admits exactly the rules' ports, and reads back as itself."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.pf import checker

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor as _pf_text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import main_ruleset, model, printed
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.firewall import Pf
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError, normalise

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
NAMES = st.builds(str.__add__, st.sampled_from(LETTERS), st.text(LETTERS + " ._+-", max_size=47))
PORTS = st.tuples(st.integers(1, 65535), st.integers(0, 300)).map(
    lambda pair: _ports.text((pair[0], min(65535, pair[0] + pair[1])))
)
NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 32)).map(
        lambda pair: str(ipaddress.ip_network((pair[0], pair[1]), strict=False))
    ),
    # Beyond ::/16, where the IPv4 addresses in IPv6 clothes are.
    st.tuples(st.integers(2**112, 2**128 - 1), st.integers(16, 128)).map(
        lambda pair: str(ipaddress.ip_network((pair[0], pair[1]), strict=False))
    ),
)


@st.composite
def any_rule(draw: st.DrawFn) -> Rule | None:
    data: dict[str, Any] = {
        "name": draw(NAMES),
        "direction": draw(st.sampled_from(["in", "out"])),
        "tcp": draw(st.lists(PORTS, max_size=5)),
        "udp": draw(st.lists(PORTS, max_size=5)),
        "sources": draw(st.lists(NETWORKS, max_size=3)),
        "destinations": draw(st.lists(NETWORKS, max_size=3)),
        "interface": draw(st.sampled_from(["", "en0", "em0.100", "lo1", "br-lan", "egress"])),
    }
    try:
        return Rule.from_dict(data)
    except RuleError:
        return None


RULES = st.lists(any_rule(), min_size=1, max_size=6).map(lambda rules: [rule for rule in rules if rule]).filter(bool)
GUARDS = st.lists(
    st.builds(
        lambda address, port: Rule("management", "in", ((port, port),), (), (str(address),)),
        st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6).filter(lambda address: int(address) >= 2**112)),
        st.integers(1, 65535),
    ),
    max_size=3,
).map(_pf_text.canonical)


@given(RULES, GUARDS, st.randoms())
def test_all_dialects_accept_it_and_expand_it_as_foreseen(
    rules: list[Rule], guards: tuple[Rule, ...], order: random.Random
) -> None:
    rules = normalise(rules)
    text = _pf_text.emit(rules, "apple", guards)
    found = checker.parse(text)
    for dialect in checker.DIALECTS:
        assert checker.expand(found, dialect) == _pf_text.expand(rules, dialect != "openbsd", guards)
    assert found.tables == _pf_text.tables(rules)
    assert all(rule.quick and 1 <= len(rule.label) <= 63 for rule in found.rules)
    shuffled = list(rules)
    order.shuffle(shuffled)
    assert _pf_text.emit(shuffled, "apple", guards) == text


@given(RULES, GUARDS)
def test_it_reads_back_as_itself(rules: list[Rule], guards: tuple[Rule, ...]) -> None:
    rules = normalise(rules)
    parsed = _pf_text.parse(_pf_text.emit(rules, "apple", guards), "apple")
    assert parsed.whole
    assert parsed.rules == tuple(_pf_text.arrange(rules))
    assert set(parsed.rules) == set(rules)
    assert parsed.guards == guards and not parsed.early
    early = _pf_text.emit(rules, "apple", guards, frozenset(guards[1:]))
    assert _pf_text.parse(early, "apple").whole and _pf_text.parse(early, "apple").early == frozenset(guards[1:])


def admitted(rule: Rule, direction: str, protocol: str, port: int, source: str, destination: str) -> bool:
    """What a rule says of a packet on interface en0."""

    def within(address: str, networks: tuple[str, ...]) -> bool:
        return not networks or any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in networks)

    return (
        rule.direction == direction
        and rule.interface in ("", "en0")
        and _ports.covers(rule.tcp if protocol == "tcp" else rule.udp, (port, port))
        and within(source, rule.sources)
        and within(destination, rule.destinations)
    )


@given(RULES, st.data())
def test_it_admits_exactly_the_ports_of_its_rules(rules: list[Rule], data: st.DataObject) -> None:
    found = checker.parse(_pf_text.emit(rules, "apple"))
    rule = data.draw(st.sampled_from(rules))
    edges = [edge + step for first, last in rule.tcp + rule.udp for edge in (first, last) for step in (-1, 0, 1)]
    port = data.draw(st.sampled_from([edge for edge in edges if 1 <= edge <= 65535]))
    version = data.draw(st.sampled_from([4, 6]))
    somewhere = st.ip_addresses(v=4) if version == 4 else st.ip_addresses(v=6)

    def address(networks: tuple[str, ...]) -> str:
        fitting = [one for one in networks if (":" in one) == (version == 6)]
        return str(data.draw(st.one_of([st.ip_addresses(network=one) for one in fitting] + [somewhere])))

    source, destination = address(rule.sources), address(rule.destinations)
    for direction in ("in", "out"):
        for protocol in ("tcp", "udp"):
            expected = any(admitted(one, direction, protocol, port, source, destination) for one in rules)
            assert checker.admits(found, direction, protocol, port, source, destination) == expected


@given(RULES, st.integers(0, 10_000), st.sampled_from(' \n09azZ<>{}:."#\\$'))
def test_no_edit_goes_unseen(rules: list[Rule], place: int, letter: str) -> None:
    text = _pf_text.emit(rules, "apple")
    place %= len(text)
    edited = text[:place] + letter + text[place:]
    assert _pf_text.parse(edited, "apple").whole == (edited == text)


def test_a_hole_of_one_port_stays() -> None:
    rule = Rule.from_dict({"name": "Game Center", "direction": "out", "udp": ["16384-16387", "16389-16402"]})
    found = checker.parse(_pf_text.emit([rule], "apple"))
    assert not checker.admits(found, "out", "udp", 16388, "192.0.2.1", "192.0.2.2")
    assert checker.admits(found, "out", "udp", 16389, "192.0.2.1", "192.0.2.2")


@pytest.mark.parametrize("interface", ["all", "in", "egress-not", "0net", "any", "inet6", "no-df"])
def test_interfaces_that_pf_would_misread(interface: str) -> None:
    rule = Rule.from_dict({"name": "x", "direction": "in", "tcp": ["1"], "interface": interface})
    if interface == "egress-not":
        assert "on egress-not " in _pf_text.emit([rule], "apple")
        return
    with pytest.raises(FirewallError, match=interface):
        _pf_text.emit([rule], "apple")


def test_rendered_says_where_it_goes() -> None:
    rule = Rule.from_dict({"name": "x", "direction": "in", "tcp": ["1"]})
    assert Pf.render([], "apple") == {}
    ((path, text),) = Pf.render([rule], "x" * 24).items()
    assert path == "/etc/pf.anchors/netports." + "x" * 24
    assert len(model.anchor("x" * 24)) <= 63
    for line in (main_ruleset.call_line("x" * 24), main_ruleset.load_line("x" * 24)):
        assert f"#   {line}\n" in text


# The main ruleset

RULESETS = st.text(st.sampled_from('# \\\n"{}ab\t'), max_size=60)


@given(st.one_of(st.none(), RULESETS))
def test_the_lines_come_and_go_without_a_trace(text: str | None) -> None:
    called = main_ruleset.with_call(text, "apple")
    assert main_ruleset.look(called, "apple") == main_ruleset.Mentions(called=1, loaded=1)
    assert main_ruleset.with_call(called, "apple") == called
    assert called.startswith(text or "")
    assert called.endswith("\n")
    assert main_ruleset.without_call(called, "apple") == text


@given(RULESETS, RULESETS, st.permutations(["apple", "office", "app"]))
def test_rulesets_take_their_own_lines_alone(text: str, behind: str, order: list[str]) -> None:
    called = text
    for ruleset in ("apple", "office", "app"):
        called = str(main_ruleset.with_call(called, ruleset))
    called += behind
    for ruleset in order:
        called = str(main_ruleset.without_call(called, ruleset))
    # A last line without an end gets one for good when somebody writes behind it, be that another ruleset.
    ended = text if text.endswith("\n") or not text else text + "\n"
    assert called in ({ended + behind} if behind else {text, ended})
    if not behind:
        assert called == text


def test_a_call_that_a_backslash_swallows_is_no_call() -> None:
    text = f"# \\\n{main_ruleset.call_line('apple')}\n{main_ruleset.load_line('apple')}\n"
    assert main_ruleset.look(text, "apple") == main_ruleset.Mentions(called=0, loaded=1)


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ('anchor "netports.apple" in on en0', True),
        ("  anchor netports.apple", True),
        ('load  anchor "netports.apple" from "/tmp/x"', True),
        ('anchor "netports.apple2"', False),
        ('anchor "netports.apple.x"', False),
        ('anchor "netports.apple/*"', False),
        ('# anchor "netports.apple"', False),
        ('nat-anchor "netports.apple"', False),
    ],
)
def test_whose_line_it_is(line: str, own: bool) -> None:
    assert (main_ruleset.without_call(f"a\n{line}\nb", "apple") == "a\nb") == own


@pytest.mark.parametrize(
    ("loaded", "file", "lost"),
    [
        ([], ["pass all"], []),
        (["pass all"], ["pass all", 'anchor "netports.apple" all'], []),
        (['anchor "netports.x" all', "pass all"], ["pass all"], []),
        (["pass all", "block drop all"], ["pass all"], ["block drop all"]),
        (["block drop all", "block drop all"], ["block drop all"], ["block drop all"]),
        (["pass all", "block drop all"], ["block drop all", "pass all"], ["the order of its rules"]),
        (["pass from <__automatic_1f_0> to any"], ["pass from <__automatic_2e_1> to any"], []),
        (['anchor "/bar" all'], ['anchor "foo/bar" all'], []),
        (['anchor "/bar/*" all'], ['anchor "foo/bar/*" all'], []),
        (['anchor "com.apple/*" all'], ['anchor "com.apple/*" all'], []),
        (['anchor "com.apple/*" all'], [], ['anchor "com.apple/*" all']),
    ],
)
def test_what_a_load_would_drop(loaded: list[str], file: list[str], lost: list[str]) -> None:
    assert main_ruleset.lost(loaded, file) == lost


def test_a_main_ruleset_without_what_it_loads_keeps_its_lines_apart() -> None:
    text = '# a comment \\\nload anchor "a" from "b"\nload anchor "a" \\\n from "b"\npass\n'
    assert main_ruleset.alone(text) == '# a comment \\\nload anchor "a" from "b"\n\n\npass\n'


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("= 22", ((22, 22),)),
        ("20:30", ((20, 30),)),
        ("!= 65535", ((0, 65534),)),
        ("= " + "9" * 5000, ()),
        ("!= " + "9" * 5000, ((0, 65535),)),
        ("<= 70000", ((0, 65535),)),
        ("> " + "9" * 5000, ()),
        ("1024:" + "9" * 5000, ((1024, 65535),)),
        ("20 <> " + "9" * 5000, ((0, 19),)),
    ],
)
def test_a_number_above_all_ports_matches_as_no_port_does(condition: str, found: tuple[_ports.PortRange, ...]) -> None:
    assert printed.ports(condition) == found
