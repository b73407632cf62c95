# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules: what is good comes through unchanged, what is bad is a RuleError and nothing else."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError

GOOD: dict[str, Any] = {
    "name": "FaceTime",
    "direction": "in",
    "tcp": ["443"],
    "udp": ["3478-3497"],
    "sources": ["10.0.0.0/8", "fd00::/8"],
    "destinations": ["192.0.2.7"],
    "interface": "eth0",
    "out_interface": "",
}

# What breaks out of quotes, lines, commands, templates, XML, pf's and ufw's own syntax, or is seen as something else.
HOSTILE: list[Any] = [
    '"', "'", "a'b", 'a"b', "`id`", "a;b", "; reboot", "$(id)", "${HOME}", "$HOME", "{{ 7 * 7 }}", "{% raw %}", "{# #}",
    "a\nb", "a\n", "\n", "a\rb", "a\tb", "\x00", "a\x00b", "\x1b[31m", "\x7f", "a\u2028b", "a\u0085b", "\ufeffa",
    "\u202ea", "\u200b", "\ud800",
    "a|b", "a&b", "a>b", "a<b", "<!--", "]]>", "&amp;", "a\\b", "a/b", "../../etc/passwd", "/etc/passwd", "a#b", "a%b",
    "%eth0", "a{b}", "a[b]", "a(b)", "a=b", "a:b", "a,b", "a*b", "a?b", "a!b", "a~b", "a^b", "a@b", "-rf", "--force",
    " a", "\u00a0", "é", "Ａ", "А", "٤٤٣", "²",
    "x" * 10_000, "\n" * 10_000,
    b"a", 1.5, float("nan"), float("inf"), True, False, -1, 10**5000,
    ["a"], [["a"]], ("a",), {"a": 1}, {"a"}, object(),
]  # fmt: skip


def hostile_id(value: Any) -> str:
    return "huge" if isinstance(value, int) and abs(value) > 10**100 else ascii(value)[:14]


hostile = pytest.mark.parametrize("value", HOSTILE, ids=hostile_id)


def refused(data: Any) -> str:
    """The message with which data is refused."""
    with pytest.raises(RuleError) as caught:
        Rule.from_dict(data)
    message = str(caught.value)
    assert len(message) < 700
    assert ":" in message, "says what would do"
    assert not any(ord(char) < 32 or char == "\x7f" for char in message), "shows no control characters"
    return message


def named(value: Any) -> str:
    """What of a value its message has to show."""
    return "huge int" if hostile_id(value) == "huge" else repr(value)[:60]


# --- Hostile values ---------------------------------------------------------------------------------------------------


@hostile
def test_name(value: Any) -> None:
    message = refused({**GOOD, "name": value})
    assert named(value) in message and "letters" in message


@hostile
def test_direction(value: Any) -> None:
    message = refused({**GOOD, "direction": value})
    assert named(value) in message and "'in', 'out' or 'forward'" in message and "'FaceTime'" in message


@hostile
@pytest.mark.parametrize("key", ["tcp", "udp"])
def test_port(key: str, value: Any) -> None:
    assert named(value) in refused({**GOOD, key: [value]})
    message = refused({**GOOD, key: ["443", value]})
    assert named(value) in message and key in message and "'FaceTime'" in message


@hostile
@pytest.mark.parametrize("key", ["tcp", "udp"])
def test_ports_that_are_no_list(key: str, value: Any) -> None:
    message = refused({**GOOD, key: value})
    assert key in message and "'FaceTime'" in message
    if not isinstance(value, (list, tuple)):
        assert named(value) in message and "list" in message


@hostile
@pytest.mark.parametrize("key", ["sources", "destinations"])
def test_network(key: str, value: Any) -> None:
    message = refused({**GOOD, key: [value]})
    assert named(value) in message and "network" in message
    assert named(value) in refused({**GOOD, key: ["10.0.0.0/8", value]})


@hostile
@pytest.mark.parametrize("key", ["sources", "destinations"])
def test_networks_that_are_no_list(key: str, value: Any) -> None:
    message = refused({**GOOD, key: value})
    if not isinstance(value, (list, tuple)):
        assert named(value) in message and key in message and "list" in message


@hostile
@pytest.mark.parametrize("key", ["interface", "out_interface"])
def test_interface(key: str, value: Any) -> None:
    message = refused({**GOOD, "direction": "forward", key: value})
    assert named(value) in message and "eth0" in message


@pytest.mark.parametrize("direction", ["in", "out"])
def test_only_what_is_forwarded_leaves_by_an_interface_of_its_own(direction: str) -> None:
    message = refused({**GOOD, "direction": direction, "out_interface": "eth1"})
    assert "'FaceTime'" in message and "eth1" in message and repr(direction) in message
    rule = Rule.from_dict({**GOOD, "direction": "forward", "out_interface": "eth1"})
    assert (rule.interface, rule.out_interface) == ("eth0", "eth1")
    assert rule.key != rule._replace(out_interface="").key


@hostile
def test_key(value: Any) -> None:
    if isinstance(value, (list, dict, set)):
        return  # no key of a mapping
    assert "its keys are name, direction" in refused({**GOOD, value: "x"})


@hostile
def test_rule_that_is_no_mapping(value: Any) -> None:
    assert "rule" in refused(value)


@hostile
def test_ruleset(value: Any) -> None:
    with pytest.raises(RuleError) as caught:
        _rules.check_ruleset(value)
    assert named(value) in str(caught.value) and "lower-case" in str(caught.value)


@pytest.mark.parametrize("key", ["name", "direction"])
def test_what_has_to_be_there(key: str) -> None:
    assert "None" in refused({name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize("data", [{"tcp": [], "udp": []}, {"tcp": None, "udp": None}, {}])
def test_a_rule_without_ports(data: dict[str, Any]) -> None:
    assert "'FaceTime' names no port" in refused({"name": "FaceTime", "direction": "in", **data})


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "other"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | st.binary()
            | st.sampled_from([value for value in HOSTILE if hostile_id(value) != "huge"]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
            max_leaves=5,
        )
        | st.sampled_from(list(GOOD.values())),
    )
)
def test_whatever_comes_is_a_rule_or_a_rule_error(data: dict[str, Any]) -> None:
    try:
        rule = Rule.from_dict(data)
    except RuleError:
        return
    assert Rule.from_dict(rule.to_dict()) == rule


def test_a_list_in_a_list_as_deep_as_it_gets() -> None:
    deep: list[Any] = []
    for _time in range(100_000):
        deep = [deep]
    with pytest.raises(RuleError, match="huge list"):
        Rule.from_dict({**GOOD, "tcp": [deep]})
    while deep:
        deep = deep.pop()


# --- Names, rulesets, interfaces --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["F", "9", "a" * 48, "Wi-Fi Calling", "A.b_c+d-e f", "iCloud"])
def test_good_names(name: str) -> None:
    assert _rules.check_name(name) == name


@pytest.mark.parametrize("name", ["", "a" * 49, "-a", ".a", "_a", "+a", " a", None, 5])
def test_bad_names(name: Any) -> None:
    with pytest.raises(RuleError):
        _rules.check_name(name)


@pytest.mark.parametrize("name", ["a", "apple", "a1", "site-a", "a" * 24])
def test_good_rulesets(name: str) -> None:
    assert _rules.check_ruleset(name) == name


@pytest.mark.parametrize("name", ["", "Apple", "1a", "-a", "a_b", "a b", "a.b", "a" * 25, "apple\n", None, 5])
def test_bad_rulesets(name: Any) -> None:
    with pytest.raises(RuleError):
        _rules.check_ruleset(name)


@pytest.mark.parametrize("name", ["e", "eth0", "br-lan", "eth0.100", "wg_home", "a" * 15, "en0", "_x"])
def test_good_interfaces(name: str) -> None:
    assert _rules.check_interface(name) == name


@pytest.mark.parametrize("name", ["", None])
def test_no_interface(name: Any) -> None:
    assert _rules.check_interface(name) == ""


@pytest.mark.parametrize("name", [" ", "a" * 16, "-i", ".", "..", "eth0:1", "eth0 ", "eth0+", "eth0\n", 0, []])
def test_bad_interfaces(name: Any) -> None:
    with pytest.raises(RuleError):
        _rules.check_interface(name)


# --- Networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("FD00::/8", "fd00::/8"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:0db8::/32", "2001:db8::/32"),
        ("2001:db8:0:0010::01", "2001:db8:0:10::1"),
        ("0.0.0.0", "0.0.0.0"),
        ("fe80::/10", "fe80::/10"),
        ("::1", "::1"),
        ("::1/128", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
        ("10.0.0.0/0.255.255.255", "10.0.0.0/8"),
    ],
)
def test_good_networks(written: str, canonical: str) -> None:
    assert _rules.network(written) == canonical


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("10.0.0.1/8", "write '10.0.0.0/8' for the network or '10.0.0.1' for the host"),
        ("fd00::1/8", "write 'fd00::/8' for the network or 'fd00::1' for the host"),
        ("fe80::1%eth0", "network"),
        ("fe80::%eth0/10", "network"),
        ("fe80::1%eth0;id", "network"),
        ("010.0.0.1", "leading zero"),
        ("10.00.0.1", "leading zero"),
        ("10.0.0.0/08", "leading zero"),
        ("10.0.0.0/255.0.0.00", "leading zero"),
        ("fd00::/08", "leading zero"),
        ("64:ff9b::192.0.2.01", "leading zero"),
        ("::ffff:10.0.0.1", "write the IPv4 address"),
        ("::FFFF:A00:1", "write the IPv4 address"),
        ("::ffff:10.0.0.0/104", "write the IPv4 address"),
        ("::ffff:0:0/96", "write the IPv4 address"),
        ("::10.0.0.1", "write the IPv4 address"),
        ("::", "write the IPv4 address"),
        ("64:ff9b::010.0.2.1", "leading zero"),
        ("10.0.0.00", "leading zero"),
        ("01.example.com", "no host names"),
        ("example.com", "no host names"),
        ("localhost", "no host names"),
        ("10.0.0", "network"),
        ("10", "network"),
        ("1.2.3.4.5", "network"),
        ("256.0.0.1", "network"),
        ("10.0.0.0/33", "network"),
        ("10.0.0.0/-1", "network"),
        ("10.0.0.0/", "network"),
        ("10.0.0.0/8/8", "network"),
        ("10.0.0.0 /8", "network"),
        (" 10.0.0.0/8", "network"),
        ("10.0.0.0/8\n", "network"),
        ("fd00::/129", "network"),
        ("fd00:::", "network"),
        ("10.0.0.1-10.0.0.9", "network"),
        ("1٠.0.0.0/8", "network"),
        ("10.0.0.0/٨", "network"),
        ("0x0a.0.0.1", "network"),
        ("any", "network"),
        ("", "network"),
        (10, "network"),
        (167772160, "network"),
        (b"\x0a\x00\x00\x01", "network"),
        (("10.0.0.0", 8), "network"),
        (ipaddress.ip_network("10.0.0.0/8"), "network"),
        ("10.0.0.1/" + "0" * 5000 + "8", "leading zero"),
        ("10.0.0.1/" + "8" * 5000, "network"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_bad_networks(value: Any, word: str) -> None:
    with pytest.raises(RuleError) as caught:
        _rules.network(value)
    assert word in str(caught.value)
    assert repr(value)[:60] in str(caught.value)


V4 = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: ipaddress.IPv4Network((pair[0] >> (32 - pair[1]) << (32 - pair[1]), pair[1]))
)
V6 = st.tuples(st.integers(2**48, 2**128 - 1), st.integers(1, 128)).map(
    lambda pair: ipaddress.IPv6Network((pair[0] >> (128 - pair[1]) << (128 - pair[1]), pair[1]))
)


@given(V4 | V6.filter(lambda one: int(one.network_address) >> 48 or one.prefixlen < 80))
def test_every_way_to_write_a_network_is_one_network(one: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    canonical = _rules.network(str(one))
    assert ipaddress.ip_network(canonical) == one
    for written in (one.with_netmask if one.version == 4 else one.exploded, str(one).upper(), canonical):
        assert _rules.network(written) == canonical
    assert _rules.version(canonical) == one.version


@given(st.lists(V4 | V6, max_size=8))
def test_lists_of_networks(ones: list[Any]) -> None:
    written = [str(one) for one in ones if one.version == 4 or int(one.network_address) >> 48]
    found = _rules.networks(written, "sources")
    assert set(map(ipaddress.ip_network, found)) == set(map(ipaddress.ip_network, written))
    assert len(set(found)) == len(found)
    assert [_rules.version(one) for one in found] == sorted(_rules.version(one) for one in found)
    assert _rules.networks(list(found), "sources") == _rules.networks(tuple(reversed(written)), "sources") == found


def test_order_of_networks() -> None:
    written = ["fd00::/8", "192.168.0.0/16", "10.0.0.0/8", "9.0.0.0/8", "10.0.0.0/8", "2001:db8::1", "100.64.0.0/10"]
    assert _rules.networks(written, "sources") == (
        ("9.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "192.168.0.0/16", "2001:db8::1", "fd00::/8")
    )


def test_any() -> None:
    assert _rules.networks(["any"], "sources") == _rules.networks(None, "sources") == _rules.networks([], "x") == ()
    with pytest.raises(RuleError, match="sources names 'any' beside other networks"):
        _rules.networks(["any", "10.0.0.0/8"], "sources")
    no_lists: list[Any] = ["any", "10.0.0.0/8", {"any": 1}, {"10.0.0.0/8"}, 5, True, iter([])]
    for value in no_lists:
        with pytest.raises(RuleError, match="destinations is .*: give a list"):
            _rules.networks(value, "destinations")


# --- Good rules -------------------------------------------------------------------------------------------------------

PORT = st.integers(1, 65535)
PORTS = st.lists(
    st.tuples(PORT, PORT).map(lambda pair: (min(pair), max(pair))) | PORT.map(lambda port: (port, port)), max_size=4
)
NETWORKS = st.lists(
    st.sampled_from(["10.0.0.0/8", "192.168.0.0/16", "192.0.2.7", "fd00::/8", "2001:db8::1", "0.0.0.0/0"]), max_size=4
)
RULES = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,47}", fullmatch=True) | st.sampled_from("ab"),
        "direction": st.sampled_from(["in", "out", "forward"]),
        "tcp": PORTS.map(lambda ranges: [_ports.text(one) for one in ranges]),
        "udp": PORTS.map(lambda ranges: [_ports.text(one) for one in ranges]),
        "sources": NETWORKS,
        "destinations": NETWORKS,
        "interface": st.sampled_from(["", "eth0", "br-lan"]),
        "out_interface": st.sampled_from(["", "eth1"]),
    }
).filter(
    lambda data: bool((data["tcp"] or data["udp"]) and (data["direction"] == "forward" or not data["out_interface"]))
)


def made(data: dict[str, Any]) -> Rule | None:
    """The rule, or nothing where sources and destinations share no IP version."""
    try:
        return Rule.from_dict(data)
    except RuleError as error:
        assert "share no IP version" in str(error)
        return None


@given(RULES)
def test_round_trip(data: dict[str, Any]) -> None:
    before = json.dumps(data)
    rule = made(data)
    assert json.dumps(data) == before
    if rule is None:
        return
    plain = rule.to_dict()
    assert list(plain) == list(GOOD)
    assert Rule.from_dict(plain) == rule
    assert json.loads(json.dumps(plain)) == plain
    assert plain["name"] == data["name"] and plain["direction"] == data["direction"]
    assert set(plain["sources"]) == set(data["sources"])
    assert rule.tcp == tuple(_ports.merge(_ports.parse(one) for one in data["tcp"]))
    assert hash(rule) == hash(Rule.from_dict(plain))


class Text(str):
    """As ansible-core 2.19 and newer hand strings to filters."""


class Items(list[Any]):
    """The same for lists."""


class Mapping(dict[str, Any]):
    """The same for dictionaries."""


def plain(value: Any) -> bool:
    """Whether a value is of plain types all through."""
    if isinstance(value, (list, tuple)):
        return type(value) in (list, tuple) and all(map(plain, value))
    if isinstance(value, dict):
        return type(value) is dict and all(plain(item) for pair in value.items() for item in pair)
    return type(value) in (str, int, bool, type(None))


def test_subclasses_come_out_plain() -> None:
    tagged = Mapping(
        (Text(key), Items(map(Text, value)) if isinstance(value, list) else Text(value)) for key, value in GOOD.items()
    )
    rule = Rule.from_dict(tagged)
    assert rule == Rule.from_dict(GOOD)
    assert plain(tuple(rule)) and plain(rule.to_dict())
    assert plain(_rules.check_ruleset(Text("apple")))


def test_ports_as_numbers() -> None:
    assert Rule.from_dict({"name": "a", "direction": "out", "tcp": [80, "443", "81-90"]}).to_dict() == {
        "name": "a",
        "direction": "out",
        "tcp": ["80-90", "443"],
        "udp": [],
        "sources": [],
        "destinations": [],
        "interface": "",
        "out_interface": "",
    }


# --- Families and pairs -----------------------------------------------------------------------------------------------


def rule_with(sources: list[str], destinations: list[str]) -> Rule:
    return Rule("a", "in", ((80, 80),), (), tuple(sources), tuple(destinations))


V4_ONLY, V6_ONLY, MIXED = ["10.0.0.0/8"], ["fd00::/8"], ["10.0.0.0/8", "fd00::/8"]


@pytest.mark.parametrize(
    ("sources", "destinations", "families"),
    [
        ([], [], (4, 6)),
        (V4_ONLY, [], (4,)),
        ([], V4_ONLY, (4,)),
        (V6_ONLY, [], (6,)),
        (MIXED, [], (4, 6)),
        (MIXED, V4_ONLY, (4,)),
        (V6_ONLY, MIXED, (6,)),
        (MIXED, MIXED, (4, 6)),
        (V4_ONLY, V6_ONLY, ()),
    ],
)
def test_families(sources: list[str], destinations: list[str], families: tuple[int, ...]) -> None:
    assert _rules.families(rule_with(sources, destinations)) == families


def test_a_rule_that_can_never_match() -> None:
    message = refused({**GOOD, "sources": V4_ONLY, "destinations": V6_ONLY})
    assert "10.0.0.0/8" in message and "fd00::/8" in message and "no IP version" in message


@given(NETWORKS, NETWORKS)
def test_pairs(sources: list[str], destinations: list[str]) -> None:
    rule = rule_with(list(_rules.networks(sources, "s")), list(_rules.networks(destinations, "d")))
    for family in (4, 6):
        pairs = _rules.pairs(rule, family)
        assert bool(pairs) == (family in _rules.families(rule))
        assert len(set(pairs)) == len(pairs)
        for source, destination in pairs:
            # A side that is left open in the pair is open in the rule: nothing is ever wider than asked.
            assert (source == "") == (not rule.sources) and (destination == "") == (not rule.destinations)
            assert all(_rules.version(one) == family for one in (source, destination) if one)
    every = {one for family in (4, 6) for pair in _rules.pairs(rule, family) for one in pair if one}
    reachable = [one for one in (*rule.sources, *rule.destinations) if _rules.version(one) in _rules.families(rule)]
    assert every == set(reachable)


# --- Normalise --------------------------------------------------------------------------------------------------------


def opened(rules: list[Rule]) -> dict[Any, set[int]]:
    """What a list of rules opens, by protocol and all that is no port."""
    ports: dict[Any, set[int]] = {}
    for rule in rules:
        for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
            for first, last in ranges:
                ports.setdefault((rule.key, protocol), set()).update(range(first, last + 1))
    return ports


SMALL = st.lists(
    st.builds(
        Rule,
        name=st.sampled_from("ab"),
        direction=st.sampled_from(["in", "out"]),
        tcp=st.lists(st.integers(1, 9).map(lambda port: (port, port + 1)), max_size=3).map(
            lambda ranges: tuple(_ports.merge(ranges))
        ),
        udp=st.just(((7, 7),)),
        sources=st.sampled_from([(), ("10.0.0.0/8",)]),
        destinations=st.just(()),
        interface=st.sampled_from(["", "eth0"]),
    ),
    max_size=6,
)


@given(SMALL)
def test_normalise(rules: list[Rule]) -> None:
    before = list(rules)
    joined = _rules.normalise(rules)
    assert rules == before
    assert opened(joined) == opened(rules)
    assert [rule.key for rule in joined] == list(dict.fromkeys(rule.key for rule in rules))
    assert _rules.normalise(joined) == joined
    assert all(list(rule.tcp) == _ports.merge(rule.tcp) for rule in joined)


def test_rules_that_differ_in_more_than_ports_stay_apart() -> None:
    rules = [
        Rule("a", "in", ((80, 80),), ()),
        Rule("a", "out", ((80, 80),), ()),
        Rule("a", "in", ((80, 80),), (), ("10.0.0.0/8",)),
        Rule("a", "in", ((80, 80),), (), (), ("10.0.0.0/8",)),
        Rule("a", "in", ((80, 80),), (), (), (), "eth0"),
        Rule("b", "in", ((80, 80),), ()),
    ]
    assert _rules.normalise(rules) == rules
    assert _rules.normalise([*rules, Rule("a", "in", ((81, 81),), ((5, 5),))]) == [
        Rule("a", "in", ((80, 81),), ((5, 5),)),
        *rules[1:],
    ]
