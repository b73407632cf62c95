# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit's judgement, on tables of hosts that are not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible.errors import AnsibleFilterError
from unit.audit import samples
from unit.audit.samples import declared, record, rules

from ansible_collections.netports.apple.plugins.filter import audit as filters
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _audit_exposure

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "data" / "audit.schema.json").read_text())
CLASSROOM, FACETIME_IN, FACETIME_OUT = rules("Classroom")[0], *rules("FaceTime")


def audited(*records: dict[str, Any]) -> dict[str, Any]:
    report = samples.report([*records])
    jsonschema.validate(report, SCHEMA)
    return report


def host(one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = audited(one)["hosts"][0]
    return found


def statuses(one: dict[str, Any]) -> dict[str, str]:
    return {cell["id"]: cell["status"] for cell in host(one)["products"]}


# --- Statuses ---------------------------------------------------------------------------------------------------------

FEWER = {**FACETIME_OUT, "tcp": ["80", "443"]}
MORE = {**FACETIME_OUT, "tcp": ["80", "443", "5223", "9999"]}
KERNEL = "-A ufw-user-output -p udp -m comment --comment dapp_Apple%20FaceTime%20out -j ACCEPT"


@pytest.mark.parametrize(
    ("result", "expected", "of_host"),
    [
        ({}, {"facetime": "compliant"}, "compliant"),
        ({"operations": [{"action": "add", "rule": FACETIME_OUT}]}, {"facetime": "missing"}, "missing"),
        (
            {"operations": [{"action": "remove", "rule": CLASSROOM}]},
            {"facetime": "compliant", "classroom": "stale"},
            "stale",
        ),
        (
            {"operations": [{"action": "change", "rule": FACETIME_OUT, "was": FEWER}]},
            {"facetime": "missing"},
            "missing",
        ),
        ({"operations": [{"action": "change", "rule": FACETIME_OUT, "was": MORE}]}, {"facetime": "stale"}, "stale"),
        (
            {"operations": [{"action": "mend", "what": "iptables: rule missing", "rule": KERNEL}]},
            {"facetime": "drifted"},
            "drifted",
        ),
        (
            {"operations": [{"action": "mend", "what": "service apple-facetime missing at runtime"}]},
            {"facetime": "drifted"},
            "drifted",
        ),
        ({"operations": [{"action": "mend", "what": "policy differs"}]}, {"facetime": "compliant"}, "drifted"),
        ({"operations": [{"action": "enable", "what": "ufw"}]}, {"facetime": "off"}, "off"),
        ({"warnings": ["ufw is inactive: the rules are stored and wait"]}, {"facetime": "off"}, "off"),
        ({"unreachable": True, "msg": "timed out"}, {"facetime": "unreachable"}, "unreachable"),
        (
            {"failed": True, "msg": "no firewall that this collection manages is"},
            {"facetime": "unsupported"},
            "unsupported",
        ),
        (
            {"failed": True, "msg": "rule 'FaceTime' is a forward rule, which pf cannot have without opening the host"},
            {"facetime": "unsupported"},
            "unsupported",
        ),
        (
            {
                "warnings": [
                    "…, so that it cannot filter forwarded connections: left out the forwarded rules of FaceTime"
                ]
            },
            {"facetime": "unsupported"},
            "unsupported",
        ),
        (
            {"failed": True, "msg": "ufw and pf are both in use on this host"},
            {"facetime": "unsupported"},
            "unsupported",
        ),
        (
            {"failed": True, "msg": "ufw and firewalld are both installed and neither is in use"},
            {"facetime": "off"},
            "off",
        ),
        ({"failed": True, "msg": "sudo: a password is required"}, {"facetime": "error"}, "error"),
        (
            {
                "warnings": [
                    "this firewalld is older than 0.9 and has no policies, so: left out the outbound rules of FaceTime"
                ]
            },
            {"facetime": "unsupported"},
            "unsupported",
        ),
    ],
)
def test_status(result: dict[str, Any], expected: dict[str, str], of_host: str) -> None:
    one = record("a", "FaceTime", **result)
    assert statuses(one) == expected
    assert host(one)["status"] == of_host


def test_the_words_that_are_read_are_the_words_that_are_said() -> None:
    utils = ROOT / "plugins" / "module_utils"
    said = {
        name: (utils / name).read_text()
        for name in (
            "_firewalls/ufw/plan.py",
            "_firewalls/firewalld/notices.py",
            "_firewalls/pf/notices.py",
            "_firewalls/registry.py",
        )
    }
    assert (
        "ufw is inactive" in said["_firewalls/ufw/plan.py"]
        and "firewalld is not running" in said["_firewalls/firewalld/notices.py"]
    )
    assert (
        "pf is off on this host" in said["_firewalls/pf/notices.py"]
        and "left out the %s rules of %s" in said["_firewalls/firewalld/notices.py"]
    )
    assert '("out", "outbound"), ("forward", "forwarded")' in said["_firewalls/firewalld/notices.py"]
    assert "is a forward rule, which pf cannot have" in (utils / "_firewalls/pf/anchor.py").read_text()
    for words in (
        "no firewall that this collection manages",
        "installed and neither is in use",
        "are both %s on this host",
    ):
        assert words in said["_firewalls/registry.py"]


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("comment dapp_Apple%20iCloud%20Mail%20out -j", ["iCloud Mail"]),
        ("comment dapp_Apple%20iCloud -j", ["iCloud"]),
        ("comment dapp_Apple%20iCloud%20forward -j", ["iCloud"]),
        ("service apple-icloud-mail missing", ["iCloud Mail"]),
        ("service apple-icloud-mail-forward missing", ["iCloud Mail"]),
        ("service apple-icloud-out differs at runtime", ["iCloud"]),
        ("zone public: service apple-icloud left over", ["iCloud"]),
        ("pineapple-icloud", []),
    ],
)
def test_drift_is_of_the_product_that_it_names(what: str, named: list[str]) -> None:
    assert [name for name in ("iCloud", "iCloud Mail", "Mail") if _audit._names(what, name)] == named


# --- What is behind a rule --------------------------------------------------------------------------------------------


def test_why_a_port_is_open() -> None:
    report = audited(record("a", "FaceTime", "Push Notifications"))
    rule = next(rule for rule in report["rules"].values() if rule["name"] == "FaceTime" and rule["direction"] == "out")
    assert rule["needed_by"] == ["FaceTime", "Push Notifications"]
    entries = [report["entries"][one] for one in rule["entries"]]
    assert {f"{one['port']}/{one['protocol']}" for one in entries} >= {"5223/tcp", "3478-3497/udp"}
    assert {one["product"] for one in entries} == {"facetime"} and {one["edition"] for one in entries} == {"nl-2026"}
    assert all(one["reason"] for one in entries)


def test_why_a_port_is_forwarded() -> None:
    """By the entries that devices use outward, and of local ones only where destinations are named."""
    for destinations, local in ((None, False), (["10.40.0.0/16"], True)):
        options = {"directions": ["forward"], "destinations": destinations, "out_interface": "eth0"}
        # Xcode Server uses 80 and 443 in local networks alone.
        products = ("FaceTime", "AirPlay", "Xcode Server")
        policy = {**declared(*products), "defaults": options}
        one = {**record("a", before=samples.rules(*products, **options)), "declared": policy}
        report = audited(one)
        assert report["hosts"][0]["status"] == "compliant" and report["hosts"][0]["exposures"] == []
        (rule,) = (rule for rule in report["rules"].values() if rule["name"] == "AirPlay")
        assert (rule["direction"], rule["out_interface"]) == ("forward", "eth0")
        assert rule["needed_by"] == ["FaceTime", "AirPlay", *["Xcode Server"] * local]
        entries = [report["entries"][one] for one in rule["entries"]]
        assert {one["product"] for one in entries} == {"airplay"}
        assert {"in"} & {one["direction"] for one in entries} == set()
        assert any(one["scope"] == "local" for one in entries) == local


def test_forward_rules_that_are_missing_stale_and_changed() -> None:
    (wanted,) = samples.rules("FaceTime", directions=["forward"], interface="eth1", out_interface="eth0")
    (other,) = samples.rules("Maps", directions=["forward"])
    for operation, status, finding in (
        ({"action": "add", "rule": wanted}, "missing", "missing: forwarded 80,443,5223/tcp and 3478-3497"),
        (
            {"action": "change", "rule": wanted, "was": {**wanted, "tcp": ["80"]}},
            "missing",
            "forwarded 443,5223/tcp is",
        ),
        ({"action": "remove", "rule": {**wanted, "tcp": ["1"]}}, "stale", "stale: forwarded 1/tcp"),
    ):
        policy = {**declared("FaceTime"), "defaults": {"directions": ["forward"]}}
        one = {**record("a", before=[other], operations=[operation]), "declared": policy}
        cells = {cell["id"]: cell for cell in audited(one)["hosts"][0]["products"]}
        assert cells["facetime"]["status"] == status and finding in cells["facetime"]["findings"][0]
    assert _audit.sentence({"action": "remove", "rule": wanted}).endswith(" on eth1 out on eth0")
    assert _audit.sentence({"action": "remove", "rule": wanted}).startswith("- FaceTime, forwarded 80,443")


def test_a_forward_rule_is_no_exposure() -> None:
    anywhere = {"name": "X", "direction": "forward", "tcp": ["1-65535"], "udp": [], "sources": []}
    assert _audit_exposure.own([Rule.from_dict(anywhere)]) == []
    assert _audit_exposure.own([Rule.from_dict({**anywhere, "direction": "in"})]) != []
    text = "### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_eth1!out_eth0\n"
    assert _audit_exposure.foreign("ufw", text, str) == []


def test_editions_of_supplement_and_site(tmp_path: Path) -> None:
    site = tmp_path / "site.yml"
    site.write_text(
        """
edition: {id: "example-2026", title: "Example"}
products: [{id: example-sync, name: {en: "Example Sync"}}]
rows: [{port: "8443", protocols: [tcp], label: "example-sync", used_by: [{product: example-sync}]}]
traffic:
  products:
    example-sync: [{ports: ["8443/tcp"], direction: in, scope: local, reason: "The Macs of the office synchronise with each other."}]
"""
    )
    policy = declared("AirPlay", "Example Sync", catalogues=["site.yml"], supplement=True)
    plan = _audit.Policy(policy, str(tmp_path))
    before = [rule.to_dict() for rule in plan.wanted.values()]
    one = {**record("a", before=before), "declared": policy}
    report = _audit.Auditor(str(tmp_path)).report([one], samples.NOW)
    found = {(entry["product"], entry["edition"]) for entry in report["entries"].values()}
    assert {("airplay", "nl-2026"), ("airplay", "supplement-2026"), ("example-sync", "example-2026")} <= found


def test_services_and_names_that_no_product_has() -> None:
    one = record("a", before=[{**CLASSROOM, "name": "Left by an older catalogue"}])
    one["declared"]["sets"] = [{"services": ["ldaps"]}]
    one["result"]["operations"] = [{"action": "remove", "rule": one["result"]["before"][0]}]
    assert statuses(one) == {"service:ldaps": "compliant", "rule:Left by an older catalogue": "stale"}


def test_a_rule_of_local_scope_belongs_to_its_product() -> None:
    two = {**CLASSROOM, "name": "FaceTime local"}
    assert statuses(record("a", "FaceTime", operations=[{"action": "remove", "rule": two}])) == {"facetime": "stale"}


def test_nothing_declared() -> None:
    assert host(record("a"))["status"] == "compliant"
    assert statuses(record("a", operations=[{"action": "remove", "rule": CLASSROOM}])) == {"classroom": "stale"}


def test_a_declaration_that_cannot_be_worked_out() -> None:
    found = host({**record("a", failed=True, msg="no"), "declared": declared("FaceTiem")})
    assert found["status"] == "error" and "did you mean 'FaceTime'" in found["message"]


def test_a_host_without_python_says_so() -> None:
    found = host(
        record("a", "FaceTime", failed=True, msg="MODULE FAILURE", module_stderr="/bin/sh: python3: not found\n")
    )
    assert found["status"] == "error" and found["message"] == "MODULE FAILURE: /bin/sh: python3: not found"


# --- Exposure ---------------------------------------------------------------------------------------------------------


def tuples(*lines: str) -> str:
    """Both rules files of ufw, one after the other."""
    return 2 * "".join(f"### tuple ### {line}\n-A ufw-user-input -j ACCEPT\n\n" for line in lines)


ANY = "0.0.0.0/0"
ZONES = """block
  target: %%REJECT%%
  services: samba

public (default, active)
  target: default
  interfaces: eth0
  sources:
  services: ssh vnc-server
  ports: 1000-3000/udp 8080/tcp
  rich rules:
\trule family="ipv4" source address="10.0.0.0/8" service name="samba" accept
\trule family="ipv4" port port="3389" protocol="tcp" accept
\trule family="ipv4" port port="548" protocol="tcp" drop

office (active)
  target: ACCEPT
  interfaces:
  sources: 10.0.0.0/8
"""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"allow tcp 5900 {ANY} any {ANY} in"], [("remote control", "5900/tcp")]),
        ([f"limit tcp 5900 {ANY} any {ANY} in"], [("remote control", "5900/tcp")]),
        (["allow tcp 5900 ::/0 any ::/0 in_eth0 comment=6d"], [("remote control", "5900/tcp")]),
        ([f"allow_log udp 137,138 {ANY} any {ANY} in"], [("file sharing", "137-138/udp")]),
        ([f"allow tcp 139,445 {ANY} any {ANY} Samba - in"], [("file sharing", "139/tcp, 445/tcp")]),
        ([f"allow udp 10000:20000 {ANY} any {ANY} in"], [("wide", "10001 ports")]),
        ([f"allow tcp 5900 {ANY} any 10.0.0.0/8 in"], []),
        ([f"deny tcp 5900 {ANY} any {ANY} in", f"allow tcp 5900 {ANY} any {ANY} out"], []),
        ([f"route:allow tcp 5900 {ANY} any {ANY} in"], []),
        ([f"allow tcp 22 {ANY} any {ANY} in", f"allow tcp 5900 {ANY} any {ANY} Apple%20Screen%20Sharing - in"], []),
        (["allow tcp nonsense"], []),
    ],
)
def test_foreign_rules_of_ufw(lines: list[str], expected: list[tuple[str, str]]) -> None:
    found = _audit_exposure.foreign("ufw", tuples(*lines), _audit.text)
    assert [(one["kind"], one["ports"]) for one in found] == expected


def test_foreign_rules_of_firewalld() -> None:
    found = _audit_exposure.foreign("firewalld", ZONES, _audit.text)
    assert [(one["kind"], one["rule"].split(": ", 1)[1]) for one in found] == [
        ("remote control", "service vnc-server"),
        ("file sharing", "port 1000-3000/udp"),
        ("wide", "port 1000-3000/udp"),
        ("remote control", 'rule family="ipv4" port port="3389" protocol="tcp" accept'),
    ]


def test_a_default_of_ufw_that_lets_everything_in() -> None:
    for policy, kinds in (("ACCEPT", {"remote control", "file sharing", "wide"}), ("DROP", set()), ("REJECT", set())):
        found = _audit_exposure.foreign("ufw", f'IPV6=yes\nDEFAULT_INPUT_POLICY="{policy}"\n', _audit.text)
        assert {one["kind"] for one in found} == kinds
        assert {one["rule"] for one in found} <= {"default: allow incoming"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pass in proto tcp from any to any port = 5900 flags S/SA keep state", [("remote control", "5900/tcp")]),
        ("pass in log (all) quick on en0 inet proto tcp from any to 192.0.2.1 port = rfb flags S/SA",
         [("remote control", "5900/tcp")]),
        ("pass inet6 proto udp from any to any port 136:140", [("file sharing", "137-138/udp")]),
        ("pass in proto udp from any to any port >= 60000", [("wide", "5536 ports")]),
        ("pass all flags S/SA", [("remote control", ...), ("file sharing", ...), ("wide", ...)]),
        ("pass in proto tcp from any to any port = 2300 flags S/SA", []),
        ("pass in proto tcp from 10.0.0.0/8 to any port = 5900 flags S/SA", []),
        ("pass in proto tcp from any port = 53 to any flags S/SA", []),
        ("pass out all flags S/SA\nblock drop in all\npass in proto esp all", []),
        ("pass in proto tcp from any to any port = nosuch", []),
        ("pass in proto tcp from any to any port = 99999", []),
    ],
)  # fmt: skip
def test_foreign_rules_of_pf(line: str, expected: list[tuple[str, Any]]) -> None:
    found = _audit_exposure.foreign("pf", f"scrub in all\n{line}\n", _audit.text)
    assert [one["kind"] for one in found] == [kind for kind, _ports in expected]
    assert all(ports in (..., one["ports"]) and one["rule"] in line for one, (_kind, ports) in zip(found, expected))


def test_own_rules() -> None:
    one = record("a", "Screen Sharing", before=rules("Screen Sharing", sources=["any"]))
    assert [(found["kind"], found["owner"]) for found in host(one)["exposures"]] == [("remote control", "own")]
    assert host(record("a", "Screen Sharing"))["exposures"] == []


# --- Hostile hosts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        {"before": "rules"},
        {"before": [7]},
        {"before": [{**CLASSROOM, "name": "<b>"}]},
        {"operations": {"action": "add"}},
        {"operations": [None]},
        {"operations": [{"action": "reboot"}]},
        {"operations": [{"action": "add", "rule": {"name": "a"}}]},
        {"operations": [{"action": "change", "rule": CLASSROOM}]},
    ],
)
def test_an_answer_that_is_none_is_an_error_of_that_host_alone(result: dict[str, Any]) -> None:
    report = audited(record("bad", "FaceTime", **result), record("good", "FaceTime"))
    assert [one["status"] for one in report["hosts"]] == ["error", "compliant"]


def test_texts_of_hosts_are_held_to_what_formats_can_hold() -> None:
    warning = "\ud800\x00\x1b[31m\x85" + "x" * 10_000
    found = host(record("a", "FaceTime", warnings=[warning] * 10_000, backend="\x00"))
    assert len(found["warnings"]) == 2000
    assert len(found["warnings"][0]) == 2000
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    assert not any(letter in found["warnings"][0] for letter in "\ud800\x00\x1b\x85")


# --- The filters ------------------------------------------------------------------------------------------------------


def test_from_the_variables_of_a_run() -> None:
    variables = {
        "up": {
            "group_names": ["macs"],
            "host_firewall_result": {
                **record("up", "FaceTime", foreign=tuples(f"allow tcp 548 {ANY} any {ANY} in"))["result"],
                "diff": {"before": "long"},
            },
            "netports_declared": {**declared("FaceTime"), "supplement": ""},
        },
        "down": {"host_firewall_result": {"unreachable": True, "msg": "no"}, "netports_declared": declared("FaceTime")},
        "unread": {"host_firewall_result": {"failed": True, "msg": "'offices' is undefined"}},
    }
    report = filters.audit(["up", "down", "unread"], variables, generated=samples.NOW)
    jsonschema.validate(report, SCHEMA)
    up, down, unread = report["hosts"]
    assert (up["status"], up["groups"], [one["kind"] for one in up["exposures"]]) == (
        "compliant",
        ["macs"],
        ["file sharing"],
    )
    assert down["status"] == "unreachable" and unread["message"] == "'offices' is undefined"
    assert report["generated"] == samples.NOW


def test_a_host_that_nobody_knows_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="nothing is known of down: give names of hosts"):
        filters.audit(["up", "down"], {"up": {}})


def test_changes_in_words() -> None:
    operations = [
        {"action": "add", "rule": CLASSROOM},
        {"action": "change", "rule": FACETIME_OUT, "was": FEWER},
        {"action": "mend", "what": "policy differs"},
        "nonsense",
    ]
    words = filters.audit_changes(operations)
    assert words[0].startswith("+ Classroom, inbound 3284-3285/tcp from 10.0.0.0/8")
    assert words[1].startswith("~ FaceTime, outbound 80,443,5223/tcp and") and "(was 80,443/tcp and" in words[1]
    assert words[2] == "! mend policy differs" and words[3].startswith("no operation")


def test_a_thousand_hosts_share_what_they_share() -> None:
    few, many = (audited(*samples.fleet(count)) for count in (100, 1000))
    assert few["rules"] == many["rules"] and few["entries"] == many["entries"]
    assert sum(many["summary"]["hosts"].values()) == 1000 == len(many["hosts"])
