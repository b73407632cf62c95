# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile input: a clear error or a right answer, never another exception. FUZZ=5000 tries that many cases each."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.netports.apple.plugins.module_utils import _run as _host_firewall
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import xml as _firewalld_xml
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor as _pf_text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import main_ruleset, printed
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel, profiles, tuples
from ansible_collections.netports.apple.plugins.module_utils._rules import RuleError

CASES = settings(max_examples=int(os.environ.get("FUZZ", "150")))
HOSTILE = st.sampled_from(
    ["'", '"', "a\nb", "a;b", "$(id)", "`id`", "{{ 1 }}", "-j ACCEPT", "\x00", "\ud800", "é", "x" * 300, "", " ", "٣"]
    + ["0", "65536", "80-", "90-80", "010.0.0.1", "10.0.0.1/8", "::1%eth0", "any", "any\n", "../etc", "443", "1-65535"]
    + ["FaceTime", "iTunes", "mail", "443/tcp", "1e3", "0x50", "[x]", "<!DOCTYPE a>", "&a;", "]]>"]
)
TEXTS = HOSTILE | st.text(st.characters(codec=None), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
# Numbers alone reach no further than the first check: half of all cases are nearly right.
NEAR = st.fixed_dictionaries(
    {"name": TEXTS | st.just("FaceTime"), "direction": st.sampled_from(["in", "out", "forward"]) | TEXTS},
    optional={
        key: st.lists(TEXTS | st.sampled_from(["80", "443-445", "10.0.0.0/8", "fd00::/8"]), max_size=4) | VALUES
        for key in ("tcp", "udp", "sources", "destinations")
    }
    | {key: TEXTS | VALUES for key in ("interface", "out_interface")},
)


@CASES
@given(
    st.lists(NEAR | VALUES, max_size=4), TEXTS | st.just("apple"), TEXTS | st.just(""), st.sampled_from(["ufw", "firewalld", "nftables", "pf"])
)  # fmt: skip
def test_arguments_of_the_module(rules: list[Any], ruleset: str, zone: str, backend: str) -> None:
    params = {"rules": rules, "ruleset": ruleset, "zone": zone, "backend": backend, "state": "rendered", "enable": None}
    try:
        result = _host_firewall.execute(params, lambda _argv, _stdin: (127, "", ""), True)
    except (RuleError, FirewallError) as error:
        assert len(str(error)) > 20 and str(error).isprintable()
        return
    for path, text in result["rendered"].items():
        assert re.fullmatch(r"[A-Za-z0-9/._<> -]+", path) and ".." not in path
        # Nothing but what the patterns let through is in the text: no line is one's own to make.
        assert not set(text) & set("`$;\\\x00"), text


@CASES
@given(
    st.lists(SCALARS, max_size=3),
    st.fixed_dictionaries(
        {}, optional={key: VALUES for key in ("protocol", "port", "service", "direction", "scope", "members", "merge")}
    ),
)
def test_terms_and_options_of_the_lookup(terms: list[Any], options: dict[str, Any]) -> None:
    try:
        found = lookup_loader.get("netports.apple.ports").run(terms, variables={}, **options)
    except AnsibleError as error:
        assert len(str(error)) > 20
        return
    for entry in found:
        assert 1 <= entry["first"] <= entry["last"] <= 65535 and entry["protocol"] in ("tcp", "udp")


WORDS = st.sampled_from(
    [
        "### tuple ###",
        "allow",
        "deny",
        "tcp",
        "80,443",
        "0.0.0.0/0",
        "any",
        "in",
        "in_eth0",
        "Apple%20x",
        "-",
        "out",
        " ",
    ]
    + [
        "\n",
        "-A ufw-user-input -p tcp --dport 80 -j ACCEPT",
        "### RULES ###\n",
        "### END RULES ###",
        "route:allow",
        "'",
    ]
    + ["--comment", '"dapp_Apple%20x"', "-m", "multiport", "\\'"]
)


def as_read(text: str) -> str:
    """A text as it comes out of a file whose bytes may be anything."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")


SOUP = st.lists(WORDS | TEXTS, max_size=30).map(" ".join).map(as_read)


@CASES
@given(SOUP)
def test_ufws_files_and_the_kernels_rules(text: str) -> None:
    blocks = list(tuples.parse_blocks(text))
    assert all(block.text in text for block in blocks)
    for line in text.splitlines():
        kernel.canonical("-A ufw-user-input " + line)
        kernel.profile_of(line)
    kernel.user_chains(text, 4)
    kernel.cleared(text, text[::-1])
    profiles.titles(text)
    profiles.names(text)
    whole = "### RULES ###\n" + text.replace("### RULES ###\n", "") + "\n### END RULES ###\n"
    assert tuples.edit(whole, list(tuples.parse_blocks(whole)), [], {}) == whole, "what is not ours stays byte for byte"


XML = (
    st.lists(
        st.sampled_from(
            [
                "<zone>",
                "</zone>",
                "<service>",
                "</service>",
                '<port port="80" protocol="tcp"/>',
                '<service name="ssh"/>',
            ]
            + [
                "<rule>",
                "</rule>",
                "<!-- x -->",
                "<policy>",
                "</policy>",
                '<source address="10.0.0.0/8"/>',
                "<accept/>",
            ]
            + ['<!DOCTYPE a [<!ENTITY b "c">]>', "&b;", '<?xml version="1.0"?>', "<short>", "</short>", "<", "&amp;"]
        )
        | TEXTS,
        max_size=15,
    )
    .map("".join)
    .map(as_read)
)


@CASES
@given(XML)
@pytest.mark.parametrize("name", ["parse_zone", "parse_service", "parse_policy"])
def test_firewallds_files(name: str, text: str) -> None:
    try:
        getattr(_firewalld_xml, name)(text)
    except _firewalld_xml.XmlError as error:
        assert str(error)


@CASES
@given(SOUP)
def test_pfs_output_and_files(text: str) -> None:
    for rule in printed.rules(text):
        printed.parse(rule)
    printed.table(text)
    main_ruleset.look(text, "apple")
    main_ruleset.own_part(text, "apple")
    parsed = _pf_text.parse(text, "apple")
    assert json.dumps([rule.to_dict() for rule in parsed.all])
