# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter ``to_aerleon``, with the real library."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from matrix.plays import ROOT

from ansible_collections.netports.apple.plugins.filter.rules import FilterModule
from ansible_collections.netports.apple.plugins.filter.to_aerleon import to_aerleon
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _aerleon, _catalogue

make_rules = FilterModule().filters()["rules"]

ZONES = {"from_zone": "trust", "to_zone": "untrust"}
ZONED = ("paloalto", "srx", "fortigate")
CLIENTS = ["10.20.0.0/16", "2001:db8:20::/48"]


def forward(*products: str, **options: Any) -> list[dict[str, Any]]:
    entries = _catalogue.select(_catalogue.load(), products or None, scope="internet")
    made: list[dict[str, Any]] = make_rules(entries, directions=["forward"], **{"sources": CLIENTS, **options})
    return made


def written(rules: list[dict[str, Any]], target: str, **options: Any) -> str:
    return to_aerleon(rules, target, **(ZONES if target in ZONED else {}), **options)


def test_documented_targets_are_those_that_there_are() -> None:
    text = (ROOT / "plugins" / "filter" / "to_aerleon.yml").read_text(encoding="utf-8")
    options = yaml.safe_load(text)["DOCUMENTATION"]["options"]
    assert options["target"]["choices"] == list(_aerleon.TARGETS)


@pytest.mark.parametrize("target", sorted(_aerleon.TARGETS.keys() - {"ciscoasa"}))
def test_every_target_has_both_families_and_the_same_text_each_time(target: str) -> None:
    rules = forward("FaceTime", "Software Update")
    rules += forward("Push Notifications", destinations=["apns"], sources=CLIENTS)
    text = written(rules, target)
    assert text == written(rules, target)
    for network in (*CLIENTS, "17.249.0.0/16", "2a01:b740:a42::/48"):
        assert network.partition("/")[0] in text
    assert "3478" in text and "16402" in text


@pytest.mark.parametrize("target", sorted(_aerleon.TARGETS))
def test_the_whole_catalogue_shades_nothing(target: str) -> None:
    text = written(forward(sources=["10.20.0.0/16"]), target)
    assert "10.20.0.0" in text and len(text) > 1000


@pytest.mark.parametrize(
    "target", ["cisco", "cisconx", "ciscoxr", "juniper", "arista", "nokiasrl", "openconfig", "aruba"]
)
def test_rules_for_anywhere_are_for_both_families(target: str) -> None:
    text = written([{"name": "Mine", "direction": "out", "tcp": ["8443"]}], target)
    assert text.count("8443") >= 2
    assert "v6" in text.lower() or "inet6" in text


def test_palo_alto() -> None:
    root = ElementTree.fromstring(written(forward("Software Update"), "paloalto"))
    (rule,) = root.iterfind(".//rules/entry")
    assert rule.attrib["name"] == "software-update-tcp"
    assert {name: rule.findtext(f"{name}/member") for name in ("from", "to", "source", "destination", "service")} == {
        "from": "trust",
        "to": "untrust",
        "source": "APPLE-NETWORKS-1",
        "destination": "any",
        "service": "service-software-update-tcp-tcp",
    }
    assert [entry.findtext("ip-netmask") for entry in root.iterfind(".//address/entry")] == CLIENTS
    assert root.findtext(".//service/entry/protocol/tcp/port") == "443"


def test_juniper() -> None:
    text = written(forward("Software Update"), "juniper", ruleset="site")
    assert "filter site4" in text and "filter site6" in text
    assert re.search(r"term software-update-tcp \{\s+from \{\s+source-address \{\s+10.20.0.0/16;", text)
    assert text.count("destination-port 443;") == 2


def test_cisco() -> None:
    lines = [line.strip() for line in written(forward("FaceTime"), "cisco").splitlines()]
    assert [line for line in lines if line.startswith("permit udp")] == [
        f"permit udp {source} any range {ports}"
        for source in ("10.20.0.0 0.0.255.255", "2001:db8:20::/48")
        for ports in ("3478 3497", "16384 16387", "16393 16402")
    ]
    assert "ip access-list extended apple" in lines and "ipv6 access-list ipv6-apple" in lines


def test_rules_that_allow_the_same_are_one_term_with_all_names() -> None:
    rules = forward("iCloud Backup", "iCloud Apps")
    assert [rule["name"] for rule in rules] == ["iCloud Backup", "iCloud Apps"]
    text = written(rules, "cisco")
    assert text.count("permit tcp 10.20.0.0") == 1
    assert "remark iCloud Backup, iCloud Apps" in text


def test_one_name_for_several_networks() -> None:
    rules = [
        {"name": "Mine", "direction": "forward", "tcp": ["8443"], "sources": [source]}
        for source in ("10.1.0.0/16", "10.2.0.0/16")
    ]
    assert re.findall(r"remark (mine\S*)", written(rules, "cisco")) == ["mine-tcp", "mine-tcp-2"]


def test_shaded_term_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        {"name": "Wide", "direction": "forward", "tcp": ["80", "443"]},
        {"name": "Narrow", "direction": "forward", "tcp": ["443"]},
    ]
    assert "narrow-tcp" in written(rules, "cisco")
    monkeypatch.setattr(_aerleon.Term, "breadth", 0)
    with pytest.raises(AnsibleFilterError, match="term narrow-tcp is shaded by wide-tcp, which allows all of it"):
        written(rules, "cisco")


def test_family_that_a_target_cannot_have_is_an_error() -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"no form for network 2001:db8:20::/48 of rule 'FaceTime' on ciscoasa"
    ):
        written(forward("FaceTime"), "ciscoasa")
    assert "2001:" not in written(forward("FaceTime", sources=["10.20.0.0/16"]), "ciscoasa")


def test_network_that_can_never_match_is_no_loss() -> None:
    rules = forward("Push Notifications", sources=["10.20.0.0/16"], destinations=["apns"])
    assert "17.249.0.0" in written(rules, "ciscoasa")


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    written(forward("FaceTime"), "nsxt")
    assert json.loads(written(forward("FaceTime"), "nsxt"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "cisko"}, "target 'cisko' is not one of arista, "),
        ({"target": None}, "target None is not one of"),
        ({"target": "nftables"}, "target 'nftables' is the firewall of a host: use the role"),
        ({"target": "paloalto"}, "from_zone is None: paloalto needs the name of a zone"),
        ({"target": "srx", "from_zone": "a b", "to_zone": "b"}, "from_zone is 'a b': srx needs"),
        ({"target": "cisco", "from_zone": "trust"}, "from_zone is given, and cisco has no zones"),
        ({"target": "cisco", "ruleset": "a b"}, "'a b' is not a ruleset name"),
        ({"target": "cisco", "rules": []}, "there is no rule to write"),
        ({"target": "cisco", "rules": "x"}, "'x' is not a list of rules"),
        (
            {"target": "cisco", "rules": [{"name": "Mine", "direction": "in", "tcp": ["1"], "interface": "eth0"}]},
            "eth0",
        ),
        ({"target": "cisco", "rules": [{"name": "a;b", "direction": "in", "tcp": ["1"]}]}, "is not a rule name"),
    ],
    ids=str,
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        to_aerleon(**{"rules": forward("FaceTime"), **options})
    assert message in str(caught.value) and str(caught.value).startswith("netports.apple.to_aerleon: ")


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aerleon", None)
    with pytest.raises(AnsibleFilterError, match=r"needs the Python library aerleon, .* -m pip install aerleon"):
        written(forward("FaceTime"), "cisco")


def test_the_library_is_loaded_by_this_filter_alone() -> None:
    program = "import sys; from ansible_collections.netports.apple.plugins.filter import rules, to_aerleon; "
    program += "sys.exit('aerleon' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / ".venv" / "collections")}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0


def test_terms_are_the_rules() -> None:
    rules = [Rule.from_dict(rule) for rule in forward("FaceTime", "Siri", "Spotlight Suggestions")]
    made = _aerleon.terms(rules)
    assert {(name, term.protocol, port) for term in made for name in term.names for port in term.ports} == {
        (rule.name, protocol, port)
        for rule in rules
        for protocol, ports in (("tcp", rule.tcp), ("udp", rule.udp))
        for port in ports
    }
