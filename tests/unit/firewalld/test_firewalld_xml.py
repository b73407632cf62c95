# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""firewalld's files as text: what is written is read back, and what is not ours keeps every byte."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import emit, naming, rich, xml
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import Attachment, Owner
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.xml import XmlError
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import replace

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9 ._+-]{0,47}\Z")
RULESETS = st.from_regex(r"\A[a-z][a-z0-9-]{0,23}\Z")
SLUGS = st.from_regex(r"\A[a-z][a-z0-9-]{0,20}\Z")
NETWORKS4 = st.sampled_from(["10.0.0.0/8", "192.0.2.7", "172.16.0.0/12", "198.51.100.0/24"])
NETWORKS6 = st.sampled_from(["fc00::/7", "fe80::/10", "2001:db8::1", "2001:db8::/32"])
PORTS = st.integers(1, 65535).flatmap(
    lambda first: st.integers(first, 65535).map(lambda last: f"{first}-{last}" if last > first else str(first))
)
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="-"), max_size=20)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any rule that there can be."""
    four, six = draw(st.lists(NETWORKS4, unique=True)), draw(st.lists(NETWORKS6, unique=True))
    direction = draw(st.sampled_from(["in", "out", "forward"]))
    return Rule.from_dict(
        {
            "name": draw(NAMES),
            "direction": direction,
            "tcp": draw(st.lists(PORTS, min_size=1, max_size=6)),
            "udp": draw(st.lists(PORTS, max_size=6)),
            "sources": four + six,
            "interface": draw(st.sampled_from(["", "eth0", "br-lan.7"])),
            "out_interface": draw(st.sampled_from(["", "eth1", "to"])) if direction == "forward" else "",
        }
    )


@st.composite
def attachments(draw: st.DrawFn) -> list[Attachment]:
    """Attachments of our services, each once."""
    four, six = st.one_of(st.just(""), NETWORKS4), st.one_of(st.just(""), NETWORKS6)
    one = st.one_of(st.tuples(SLUGS, four, four), st.tuples(SLUGS, six, six)).map(lambda parts: Attachment(*parts))
    found: list[Attachment] = draw(st.lists(one, unique=True, max_size=6))
    return [replace(item, service=f"apple-{item.service}") for item in found]


@st.composite
def zones(draw: st.DrawFn) -> str:
    """A zone file of somebody else's, in many hands."""
    gap = draw(st.sampled_from(["", "\n", "\n  ", "\r\n\t", " "]))
    theirs = [
        '<service name="ssh"/>',
        "<service name='apple'/>",
        '<port port="8443" protocol="tcp" />',
        '<rule family="ipv4"><source address="192.0.2.0/24"/><service name="https"/><log prefix="a>b"/><accept/></rule>',
        '<rule>\n<service name="dns"></service><accept/>\n</rule>',
        "<description>Ours &amp; theirs</description>",
        '<interface name="eth0"/>',
        f"<!--{draw(TEXT)} </zone> <service name='apple-x'/>-->",
        "<masquerade/>",
    ]
    body = gap.join(draw(st.lists(st.sampled_from(theirs), max_size=6)))
    head = draw(st.sampled_from(["", '<?xml version="1.0" encoding="utf-8"?>\n', "<!-- hi > -->\n"]))
    attributes = draw(st.sampled_from(["", ' target="DROP"', " version='1>0' "]))
    return f"{head}<zone{attributes}>{gap}{body}{gap}</zone>{draw(st.sampled_from(['', chr(10), '<!-- </zone> -->']))}"


@given(rules(), RULESETS)
def test_a_service_is_read_back(rule: Rule, ruleset: str) -> None:
    service = naming.service_of(rule, ruleset)
    read = xml.parse_service(emit.service_text(service))
    assert read == service and read.same(service)
    (name,) = naming.allocate([rule], ruleset, {}, frozenset()).values()
    owner = Owner(ruleset, rule.name, rule.direction, rule.interface, rule.out_interface)
    assert naming.owner_of_service(name, read.description) == owner
    assert naming.owner_of_service(name + "-7", emit.service_text(service)) == owner
    # A copy has the mark, too, and is somebody else's.
    for other in ("mine", name + "-copy", "x" + name, name + "-"):
        assert naming.owner_of_service(other, read.description) is None
    assert read.short == rule.name
    # ASCII only, one element a line, and nothing that would change the tree.
    text = emit.service_text(service)
    assert text.isascii() and text.count("\n") == 5 + len(rule.tcp) + len(rule.udp)
    assert {element.tag for element in ElementTree.fromstring(text)} == {"short", "description", "port"}


@given(attachments(), RULESETS, st.sampled_from(["HOST", "ANY", "internal"]), st.sampled_from(["ANY", "external"]))
def test_a_policy_is_read_back(wanted: list[Attachment], ruleset: str, ingress: str, egress: str) -> None:
    ((name, policy),) = [*naming.policies_of(ruleset, {(ingress, egress): wanted}, {}, frozenset()).items()]
    read = xml.parse_policy(emit.policy_text(policy))
    assert read.same(policy) and naming.ruleset_of_policy(name, read.description) == ruleset
    assert naming.ruleset_of_policy("mine", read.description) == ""
    assert (read.target, read.ingress, read.egress) == ("CONTINUE", (ingress,), (egress,))


@given(zones(), attachments(), attachments())
def test_a_zone_keeps_what_is_not_ours(text: str, first: list[Attachment], second: list[Attachment]) -> None:
    owned = {one.service for one in first + second} | {"apple-x"}
    with_first = xml.edit_zone(text, owned, first)
    assert [one for one in xml.parse_zone(with_first).attachments if one.service in owned] == first
    assert xml.edit_zone(with_first, owned, first) == with_first
    with_second = xml.edit_zone(with_first, owned, second)
    assert {one for one in xml.parse_zone(with_second).attachments if one.service in owned} == set(second)
    assert xml.edit_zone(with_second, owned, []) == text


@given(attachments())
def test_runtime_rich_rules_are_read(wanted: list[Attachment]) -> None:
    for one in wanted:
        assert (rich.attachment_of(one.text()) or one) == one
        assert (rich.attachment_of(one.text()) is None) == one.plain


@pytest.mark.parametrize(
    "text",
    [
        'rule family="ipv4" source address="10.0.0.0/8" service name="apple-x" reject',
        'rule family="ipv4" source address="10.0.0.0/8" service name="apple-x" log prefix="x" accept',
        'rule priority="-5" family="ipv4" source address="10.0.0.0/8" service name="apple-x" accept',
        'rule family="ipv4" source NOT address="10.0.0.0/8" service name="apple-x" accept',
        'rule family="ipv6" source address="10.0.0.0/8" service name="apple-x" accept',
        'rule family="ipv4" source ipset="apple" service name="apple-x" accept',
        'rule family="ipv4" source address="ten" service name="apple-x" accept',
        'rule service name="apple-x" accept',
        'rule family="ipv4" source address="10.0.0.0/8" service name="apple-x" accept limit value="1/m"',
    ],
)
def test_rich_rules_of_others_are_left_alone(text: str) -> None:
    assert rich.attachment_of(text) is None


@pytest.mark.parametrize(
    "element",
    [
        '<rule family="ipv4"><source address="10.0.0.0/8" invert="true"/><service name="apple-x"/><accept/></rule>',
        '<rule family="ipv4"><source address="10.0.0.0/8"/><service name="apple-x"/><reject/></rule>',
        '<rule family="ipv4" priority="1"><source address="10.0.0.0/8"/><service name="apple-x"/><accept/></rule>',
        '<rule family="ipv4"><source mac="00:00:00:00:00:01"/><service name="apple-x"/><accept/></rule>',
        '<rule family="ipv4"><source address="10.0.0.0/8"/><service name="apple-x"/><log/><accept/></rule>',
        '<rule family="ipv4"><source address="10.0.0.0/8"/><service name="apple-x"/><accept><limit value="1/m"/></accept></rule>',
        '<rule family="ipv6"><source address="10.0.0.0/8"/><service name="apple-x"/><accept/></rule>',
        '<rule><service name="apple-x"/><accept/></rule>',
    ],
)
def test_a_rule_of_another_shape_is_somebody_elses(element: str) -> None:
    text = f"<zone>{element}</zone>"
    assert xml.parse_zone(text).attachments == ()
    assert xml.parse_zone(text).references == ("apple-x",)
    assert xml.edit_zone(text, {"apple-x"}, []) == text


def test_what_is_there_twice_is_left_once() -> None:
    text = '<zone>\n  <service name="apple-x"/>\n  <service name="apple-x"/>\n</zone>\n'
    assert xml.edit_zone(text, {"apple-x"}, [Attachment("apple-x")]) == (
        '<zone>\n  <service name="apple-x"/>\n</zone>\n'
    )


@pytest.mark.parametrize("text", ["<zone/>", '<zone target="DROP" />\n', "<?xml version='1.0'?>\n<zone/><!-- /> -->"])
def test_a_zone_without_a_place_gets_one(text: str) -> None:
    edited = xml.edit_zone(text, {"apple-x"}, [Attachment("apple-x")])
    assert xml.parse_zone(edited).attachments == (Attachment("apple-x"),)
    assert xml.parse_zone(edited).filter.target == xml.parse_zone(text).filter.target
    assert xml.parse_zone(xml.edit_zone(edited, {"apple-x"}, [])).attachments == ()


@pytest.mark.parametrize(
    "text", ["", "<zone>", "<service/>", "no", "<zone></zone><zone></zone>", "\0", "<zone>&x;</zone>"]
)
def test_what_is_no_zone_is_said(text: str) -> None:
    with pytest.raises(XmlError):
        xml.parse_zone(text)
    with pytest.raises(XmlError):
        xml.edit_zone(text, {"apple-x"}, [Attachment("apple-x")])


@pytest.mark.parametrize("text", ["", "<service>", "<zone/>", "<service></zone>"])
def test_what_is_no_service_or_policy_is_said(text: str) -> None:
    with pytest.raises(XmlError):
        xml.parse_service(text)
    with pytest.raises(XmlError):
        xml.parse_policy(text)


def test_a_file_in_another_encoding_is_not_harmed() -> None:
    latin = '<?xml version="1.0" encoding="iso-8859-1"?>\n<zone>\n  <short>Caf\udce9</short>\n</zone>\n'
    edited = xml.edit_zone(latin, {"apple-x"}, [Attachment("apple-x")])
    assert edited.encode("utf-8", "surrogateescape").count(b"Caf\xe9") == 1
    assert xml.edit_zone(edited, {"apple-x"}, []) == latin
    wide = '<?xml version="1.0" encoding="utf-16"?><zone><short>x</short></zone>'.encode("utf-16")
    with pytest.raises(XmlError):
        xml.edit_zone(wide.decode("utf-8", "surrogateescape"), {"apple-x"}, [Attachment("apple-x")])


@pytest.mark.parametrize(
    "description",
    [
        "Owned by ruleset Apple of netports.apple",
        "Owned by ruleset apple of netports.applesauce",
        "Owned by ruleset apple",
        "",
        "owned by ruleset apple of netports.apple",
    ],
)
def test_only_our_own_words_make_an_owner(description: str) -> None:
    assert naming.owner_of_service("apple-x", "What x needs, inbound. " + description) is None
    assert naming.ruleset_of_policy("apple-out", description) == ""


@pytest.mark.parametrize(
    ("text", "action", "priority", "source", "other_source", "kind", "value"),
    [
        ('rule family="ipv4" source address="10.0.0.0/8" port port="22" protocol="tcp" accept', "accept", 0, "10.0.0.0/8", False, "port", "22"),
        ('rule service name="ssh" accept limit value="1/m"', "accept", 0, "", False, "service", "ssh"),
        (
            'rule priority="-1" family="ipv6" port port="1-9" protocol="tcp" log prefix="x accept" reject type="icmp6-adm-prohibited"',
            "reject", -1, "", False, "port", "1-9",
        ),
        ('rule priority="32767" drop', "drop", 32767, "", False, "", ""),
        ('rule family="ipv4" source NOT address="10.0.0.0/8" service name="ssh" accept', "accept", 0, "", True, "service", "ssh"),
        ('rule source ipset="theirs" protocol value="tcp" accept', "accept", 0, "", True, "protocol", "tcp"),
        ('rule source mac="00:11:22:33:44:55" mark set="1"', "mark", 0, "", True, "", ""),
        ('rule forward-port port="80" protocol="tcp" to-port="8080"', "", 0, "", False, "forward-port", "80"),
        ('rule log prefix="\'', "", 0, "", False, "", ""),
    ],
)  # fmt: skip
def test_rich_rules_of_others_are_read(
    text: str, action: str, priority: int, source: str, other_source: bool, kind: str, value: str
) -> None:
    read = rich.parse(text)
    found = (read.action, read.priority, read.source, read.other_source, read.kind, read.value)
    assert found == (action, priority, source, other_source, kind, value) and read.text == text


@given(NAMES)
def test_a_slug_is_a_name_for_firewalld(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", naming.slug(name))


def test_slugs() -> None:
    assert naming.slug("Apple TV+") == "apple-tv-plus"
    assert naming.slug("Find My iPhone") == "find-my-iphone"


def test_a_copy_knows_itself() -> None:
    original = '<?xml version="1.0"?>\n<zone>\n  <service name="ssh"/>\n</zone>\n'
    copy = xml.copy_of(original, "/usr/lib/zone.xml")
    assert copy.startswith('<?xml version="1.0"?>\n<!-- ') and xml.is_copy(copy, "/usr/lib/zone.xml", original)
    assert xml.parse_zone(copy) == xml.parse_zone(original)
    assert not xml.is_copy(original, "/usr/lib/zone.xml", original)
    assert not xml.is_copy(copy, "/usr/lib/zone.xml", None)
    assert not xml.is_copy(copy, "/usr/lib/zone.xml", original.replace("ssh", "dns"))
