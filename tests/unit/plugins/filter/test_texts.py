# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters ``to_ufw``, ``to_firewalld``, ``to_nftables`` and ``to_pf``: thin ones, over what the backends' own tests prove."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.netports.apple.plugins.filter.rules import FilterModule
from ansible_collections.netports.apple.plugins.module_utils._firewalls import registry
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

Ask = Callable[..., list[dict[str, Any]]]

FILTERS = FilterModule().filters()


def written(name: str, rules: Any, **more: Any) -> str:
    """What a filter writes, as one text."""
    found = FILTERS[name](rules, **more)
    assert type(found) is (dict if name == "to_firewalld" else str)
    return "".join(f"{path}\n{text}" for path, text in found.items()) if isinstance(found, dict) else found


TEXTS = ["to_ufw", "to_firewalld", "to_nftables", "to_pf"]

RULE: dict[str, Any] = {"name": "Mine", "direction": "in", "tcp": ["8080"], "udp": []}


def test_these_are_the_filters() -> None:
    assert sorted(FILTERS) == sorted(["rules", *TEXTS])


@pytest.mark.parametrize("name", TEXTS)
def test_the_whole_catalogue_as_text(ask: Ask, name: str) -> None:
    rules = FILTERS["rules"](ask("ports"))
    text = written(name, rules)
    assert len(text) > 1000
    assert text == written(name, rules), "the same for the same rules"
    assert text == written(name, iter(rules)) and text != written(name, rules, ruleset="other")
    for rule in rules:
        assert rule["name"] in text


@pytest.mark.parametrize("name", TEXTS)
def test_rules_of_ones_own(name: str) -> None:
    text = written(name, [RULE])
    assert "8080" in text and "Mine" in text


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_says_that_the_role_owns_it(name: str) -> None:
    """Who takes a text keeps it: no run of the role writes it anew, reads it or takes it away."""
    text = written(name, [RULE])
    said = [words for words in ("next run", "owns", "removes", "state: ", "#: ") if words in text]
    assert said == []
    # What a run writes says so.
    if name != "to_firewalld":
        (file,) = registry.load(name.removeprefix("to_")).render([Rule.from_dict(RULE)], "apple").values()
        assert "next run" in file and file.endswith(text.partition("\n")[2].strip("\n") + "\n")


FORWARD = {"name": "Mine", "direction": "forward", "tcp": ["8080"], "interface": "eth1", "out_interface": "eth0"}


def test_forward_rules_of_ones_own() -> None:
    text = FILTERS["to_ufw"]([FORWARD])
    assert "# ufw route allow in on eth1 out on eth0 from any to any app 'Apple Mine forward'" in text
    assert "[Apple Mine forward]" in text and "Forwarded ports of Mine" in text
    with pytest.raises(AnsibleFilterError, match=r"rule 'Mine' is for interface eth1.* zones=\{'eth1': \.\.\.\}"):
        FILTERS["to_firewalld"]([FORWARD])
    with pytest.raises(AnsibleFilterError, match="is not a zone name"):
        FILTERS["to_firewalld"]([FORWARD], zones={"eth1": "a b"})
    text = written("to_firewalld", [FORWARD], zones={"eth1": "internal", "eth0": "external"})
    assert "forwarded from interface eth1 to interface eth0." in text and "apple-mine-forward" in text
    assert '<ingress-zone name="internal"/>\n  <egress-zone name="external"/>' in text


def test_files_of_firewalld_are_whole_documents_and_nobodys() -> None:
    rules = [RULE, {**RULE, "direction": "out", "sources": []}, {**RULE, "name": "Near", "sources": ["10.0.0.0/8"]}]
    found = FILTERS["to_firewalld"](rules)
    roots = {path.rpartition("/")[2]: ElementTree.fromstring(text).tag for path, text in found.items()}
    services = dict.fromkeys(["apple-mine.xml", "apple-mine-out.xml", "apple-near.xml"], "service")
    assert roots == {**services, "apple-in.xml": "policy", "apple-out.xml": "policy"}
    assert not any("Owned by" in text for text in found.values())
    assert found["/etc/firewalld/policies/apple-in.xml"].count("apple-") == 2


def test_pf_refuses_forward_rules_and_says_what_would_do() -> None:
    with pytest.raises(
        AnsibleFilterError, match="netports.apple.to_pf: rule 'Mine' is a forward rule, which pf cannot"
    ):
        FILTERS["to_pf"]([RULE, FORWARD])


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("rules", [None, 5, "x", {"name": "x"}, [None], ["x"], [{}], [[RULE]]], ids=str)
def test_what_are_no_rules(name: str, rules: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"netports.apple.{name}: .* is not a (rule|list of rules|rule name)"):
        FILTERS[name](rules)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 'a"b'), ("name", "a\nb"), ("name", "a;b"), ("name", "$(id)"), ("name", "{{ x }}"), ("name", "<x>"),
        ("name", None), ("direction", "both"), ("tcp", ["80; id"]), ("tcp", ["0"]), ("tcp", "80"), ("udp", ["65536"]),
        ("sources", ["x\ny"]), ("sources", "any"), ("destinations", ["10.0.0.1/8"]), ("interface", "eth0; id"),
        ("interface", "e{f}"), ("comment", "x"),
    ],
)  # fmt: skip
def test_hostile_rules(name: str, key: str, value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^netports.apple.{name}: "):
        FILTERS[name]([{**RULE, key: value}])


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("ruleset", ["", "Apple", "a b", "a\nb", "../x", "a" * 25, None, 5, ["apple"]], ids=str)
def test_hostile_rulesets(name: str, ruleset: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="is not a ruleset name"):
        FILTERS[name]([RULE], ruleset=ruleset)


@pytest.mark.parametrize("name", TEXTS)
def test_in_a_template(template: Callable[..., Any], name: str) -> None:
    text = template(
        "{{ query('netports.apple.ports', 'Screen Sharing') | netports.apple.rules(directions=['in'])"
        f" | netports.apple.{name}(ruleset='site') }}}}"
    )
    assert "5900" in str(text) and "site" in str(text).lower()
