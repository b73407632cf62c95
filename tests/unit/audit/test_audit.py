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
from unit.audit.samples import declared, notice, record, rules

from ansible_collections.netports.apple.plugins.filter import audit as filters
from ansible_collections.netports.apple.plugins.module_utils._notices import CODES
from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _audit_answer, _audit_kinds, _audit_policy

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "data" / "audit.schema.json").read_text())
# Once: it takes longer to check the schema than a report.
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
SITE = """
edition: {id: "example-2026", title: "Example"}
products: [{id: example-sync, name: {en: "Example Sync"}}]
rows: [{port: "8443", protocols: [tcp], label: "example-sync", used_by: [{product: example-sync}]}]
traffic:
  products:
    example-sync: [{ports: ["8443/tcp"], direction: in, scope: local, reason: "The Macs of the office synchronise with each other."}]
"""
CLASSROOM, FACETIME_IN, FACETIME_OUT = rules("Classroom")[0], *rules("FaceTime")


def mend(*names: str) -> dict[str, Any]:
    return {"action": "mend", "what": "something is not as its file says", "rules": list(names)}


def audited(*records: dict[str, Any]) -> dict[str, Any]:
    report = samples.report([*records])
    VALIDATOR.validate(report)
    return report


def host(one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = audited(one)["hosts"][0]
    return found


def statuses(one: dict[str, Any]) -> dict[str, str]:
    return {cell["id"]: cell["status"] for cell in host(one)["products"]}


# --- Statuses ---------------------------------------------------------------------------------------------------------

FEWER = {**FACETIME_OUT, "tcp": ["80", "443"]}
MORE = {**FACETIME_OUT, "tcp": ["80", "443", "5223", "9999"]}
LEFT_OUT = notice("left-out", "this firewalld is older than 0.9", rules=("FaceTime",), direction="out")


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
        ({"operations": [mend("FaceTime")]}, {"facetime": "drifted"}, "drifted"),
        ({"operations": [mend("FaceTime local")]}, {"facetime": "drifted"}, "drifted"),
        ({"operations": [mend()]}, {"facetime": "compliant"}, "drifted"),
        ({"operations": [{"action": "enable", "what": "ufw"}]}, {"facetime": "off"}, "off"),
        ({"notices": [notice("off")]}, {"facetime": "off"}, "off"),
        ({"notices": [notice("off-at-boot")]}, {"facetime": "off"}, "off"),
        ({"notices": [LEFT_OUT]}, {"facetime": "unsupported"}, "unsupported"),
        ({"notices": [notice("no-effect", rules=("FaceTime",))]}, {"facetime": "off"}, "off"),
        ({"notices": [notice("refused", rules=("FaceTime",))]}, {"facetime": "missing"}, "missing"),
        # A zone without an interface: the host filters, and the port is not open.
        ({"notices": [notice("no-packets", rules=("FaceTime",))]}, {"facetime": "missing"}, "missing"),
        ({"notices": [notice("no-effect", rules=("Maps",)), notice("other")]}, {"facetime": "compliant"}, "compliant"),
        ({"unreachable": True, "msg": "timed out"}, {"facetime": "unreachable"}, "unreachable"),
        ({"failed": True, "msg": "sudo: a password is required"}, {"facetime": "error"}, "error"),
    ],
)
def test_status(result: dict[str, Any], expected: dict[str, str], of_host: str) -> None:
    one = record("a", "FaceTime", **result)
    assert statuses(one) == expected
    assert host(one)["status"] == of_host


@pytest.mark.parametrize("code", CODES)
def test_status_of_a_failure(code: str) -> None:
    expected = {"none-in-use": "off", "off": "off"}.get(code, "error")
    if code in ("no-firewall", "several-firewalls", "not-installed", "unsupported"):
        expected = "unsupported"
    assert host(record("a", "FaceTime", failed=True, msg="no", notices=[notice(code)]))["status"] == expected


def test_the_codes_that_are_read_are_the_codes_that_there_are() -> None:
    assert {*_audit_answer.FAILURES, *_audit.OFF, *_audit.OF_RULES} <= set(CODES)


def test_sentences_decide_nothing() -> None:
    """Whatever the words of a notice, its code says what it is."""
    said = "ufw is inactive; left out the outbound rules of FaceTime; pf is off on this host"
    one = record("a", "FaceTime", warnings=[said], notices=[notice("other", said)])
    assert host(one)["status"] == "compliant" and host(one)["warnings"] == [said]


@pytest.mark.parametrize("ruleset", ["apple", "office"])
def test_drift_and_own_rules_whatever_the_ruleset_is_called(ruleset: str) -> None:
    """Every firewall names its objects after the ruleset in its own way. The audit does not read these names."""
    what = f"service {ruleset}-facetime differs at runtime"
    one = record(
        "a",
        "FaceTime",
        "Screen Sharing",
        operations=[{"action": "mend", "what": what, "rules": ["FaceTime"]}],
        exposed=[samples.exposed("tcp", "5900", ruleset=ruleset, name="Screen Sharing")],
        rulesets={ruleset: rules("FaceTime", "Screen Sharing")},
    )
    one["declared"]["ruleset"] = ruleset
    found = host(one)
    assert {cell["id"]: cell["status"] for cell in found["products"]} == {
        "facetime": "drifted",
        "screen-sharing": "compliant",
    }
    exposure = found["exposures"][0]
    assert (exposure["owner"], exposure["ruleset"], exposure["rule"]) == ("own", ruleset, "Screen Sharing")
    assert found["rulesets"] == [] and found["status"] == "drifted"


def test_drift_of_a_product_whose_name_no_firewall_takes(tmp_path: Path) -> None:
    site = SITE.replace("Example Sync", "Apple TV+").replace("example-sync", "apple-tv-plus")
    (tmp_path / "site.yml").write_text(site)
    policy = declared("Apple TV+", catalogues=["site.yml"])
    (wanted,) = _audit_policy.Policy(policy, str(tmp_path)).wanted.values()
    one = record("a", before=[wanted.to_dict()], operations=[mend(wanted.name)])
    report = _audit.Auditor(str(tmp_path)).report([{**one, "declared": policy}], samples.NOW)
    (cell,) = report["hosts"][0]["products"]
    assert (cell["id"], cell["status"], wanted.name) == ("apple-tv-plus", "drifted", "Apple TV")


def test_products_that_share_their_rules_have_columns_of_their_own(tmp_path: Path) -> None:
    """'Apple TV+' and 'Apple TV' are the same letters to a firewall."""
    one_site, other = SITE.replace("Example Sync", "Apple TV+"), SITE.replace("Example Sync", "Apple TV")
    (tmp_path / "one.yml").write_text(one_site.replace("example-sync", "tv-plus"))
    (tmp_path / "other.yml").write_text(
        other.replace("example-sync", "tv").replace("8443", "8444").replace("2026", "2027")
    )
    policy = declared("Apple TV+", "Apple TV", catalogues=["one.yml", "other.yml"])
    before = [rule.to_dict() for rule in _audit_policy.Policy(policy, str(tmp_path)).wanted.values()]
    one = record("a", before=before, operations=[{"action": "add", "rule": before[0]}])
    report = _audit.Auditor(str(tmp_path)).report([{**one, "declared": policy}], samples.NOW)
    cells = {cell["id"]: (cell["status"], cell["declared_as"]) for cell in report["hosts"][0]["products"]}
    assert cells == {"tv-plus": ("missing", ["Apple TV+"]), "tv": ("missing", ["Apple TV"])}
    (rule,) = list(report["rules"].values())
    assert {report["entries"][entry]["product"] for entry in rule["entries"]} == {"tv-plus", "tv"}


# --- Other rulesets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "status", "of_host"),
    [([], "stale", "stale"), (["apple", "web"], "declared", "compliant"), (["all"], "declared", "compliant")],
)
def test_other_rulesets(expected: Any, status: str, of_host: str) -> None:
    one = record("a", "FaceTime", rulesets={"apple": rules("FaceTime"), "web": [CLASSROOM]})
    one["declared"]["rulesets"] = expected
    report = audited(one)
    (found,) = report["hosts"][0]["rulesets"]
    assert (found["ruleset"], found["status"]) == ("web", status) and report["hosts"][0]["status"] == of_host
    assert [report["rules"][rule]["name"] for rule in found["rules"]] == ["Classroom"]
    assert ("netports_rulesets" in report["hosts"][0]["message"]) == (status == "stale")


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


def test_why_a_port_is_forwarded_between_two_networks() -> None:
    """By the entries of either side, also those on which devices of the second network listen."""
    options = {"directions": ["forward"], "sources": ["10.1.0.0/16"], "destinations": ["10.2.0.0/16"]}
    policy = {**declared("AirPlay receiver"), "defaults": options}
    given = samples.rules("AirPlay receiver", **options)
    report = audited({**record("a", before=given), "declared": policy})
    assert report["hosts"][0]["status"] == "compliant"
    ways = {rule["sources"][0]: rule for rule in report["rules"].values()}
    there, back = (
        {f"{report['entries'][one]['port']}/{report['entries'][one]['protocol']}" for one in ways[network]["entries"]}
        for network in ("10.1.0.0/16", "10.2.0.0/16")
    )
    assert there >= {"7000/tcp", "host_ephemeral/tcp", "319-320/udp"} and back == there - {
        *("3689/tcp", "5000/tcp", "7000/tcp"),
    }
    operation = {"action": "add", "rule": given[1]}
    report = audited({**record("a", before=given[:1], operations=[operation]), "declared": policy})
    (cell,) = report["hosts"][0]["products"]
    ports = "32768-65535/tcp and 319-320,5353,6000-6009,32768-65535/udp"
    assert cell["status"] == "missing"
    assert cell["findings"] == [f"missing: forwarded {ports} from 10.2.0.0/16 to 10.1.0.0/16 is missing"]


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
    (words,) = filters.audit_changes([{"action": "remove", "rule": wanted}])
    assert words.startswith("- FaceTime, forwarded 80,443") and words.endswith(" on eth1 out on eth0")


def test_editions_of_supplement_and_site(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(SITE)
    policy = declared("AirPlay", "Example Sync", catalogues=["site.yml"], supplement=True)
    plan = _audit_policy.Policy(policy, str(tmp_path))
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


@pytest.mark.parametrize(
    ("exposed", "expected"),
    [
        ([samples.exposed("tcp", "5900")], [("remote control", "5900/tcp")]),
        ([samples.exposed("udp", "137-140")], [("file sharing", "137-138/udp")]),
        ([samples.exposed("any", "5900")], [("remote control", "5900/tcp, 5900/udp")]),
        ([samples.exposed("udp", "10000-20000")], [("wide", "10001 ports")]),
        ([samples.exposed("tcp", "22", "2300", "8080"), samples.exposed("udp", "5353")], []),
        # A rule of both protocols, or of both IP versions, is told once.
        (
            [samples.exposed("tcp", "139", "445", text="samba"), samples.exposed("udp", "137", text="samba")],
            [("file sharing", "139/tcp, 445/tcp, 137/udp")],
        ),
        ([samples.exposed("tcp", "5900"), samples.exposed("tcp", "5900")], [("remote control", "5900/tcp")]),
        (
            [samples.exposed("any", "0-65535", kind="default")],
            [("remote control", ...), ("file sharing", ...), ("wide", ...)],
        ),
    ],
)
def test_exposures(exposed: list[dict[str, Any]], expected: list[tuple[str, Any]]) -> None:
    found = host(record("a", exposed=exposed))["exposures"]
    assert [one["kind"] for one in found] == [kind for kind, _ports in expected]
    assert all(ports in (..., one["ports"]) for one, (_kind, ports) in zip(found, expected, strict=True))


def test_whose_exposure_it_is() -> None:
    own = samples.exposed("tcp", "5900", ruleset="apple", name="Screen Sharing", text="Apple Screen Sharing")
    foreign = samples.exposed("tcp", "5900", name="Apple Store", text="Apple Store")
    found = host(record("a", "Screen Sharing", exposed=[own, foreign]))["exposures"]
    assert [(one["owner"], one["ruleset"], one["rule"]) for one in found] == [
        ("own", "apple", "Screen Sharing"),
        ("foreign", "", "Apple Store"),
    ]


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
        {"notices": ["off"]},
        {"exposed": [{"protocol": "tcp", "ports": ["9" * 5000]}]},
        {"exposed": [{"protocol": "sctp", "ports": ["1"]}]},
        {"exposed": [7]},
        {"rulesets": {"apple": [7]}},
        {"backend": None, "before": [CLASSROOM], "operations": [{"action": "add", "rule": None}]},
    ],
)
def test_an_answer_that_is_none_is_an_error_of_that_host_alone(result: dict[str, Any]) -> None:
    report = audited(record("bad", "FaceTime", **result), record("good", "FaceTime"))
    assert [one["status"] for one in report["hosts"]] == ["error", "compliant"]


@pytest.mark.parametrize("missing", ["backend", "before", "operations"])
def test_an_answer_without_a_part_is_an_error_of_that_host_alone(missing: str) -> None:
    bad = record("bad", "FaceTime")
    del bad["result"][missing]
    report = audited(bad, record("good", "FaceTime"))
    assert [one["status"] for one in report["hosts"]] == ["error", "compliant"]


def test_what_nobody_thought_of_is_an_error_of_that_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = _audit_kinds.findings

    def fails(exposed: Any) -> Any:
        return judge(exposed) if not exposed else 1 / 0

    monkeypatch.setattr(_audit_kinds, "findings", fails)
    report = audited(record("bad", "FaceTime", exposed=[samples.exposed("tcp", "1")]), record("good", "FaceTime"))
    assert [one["status"] for one in report["hosts"]] == ["error", "compliant"]
    assert "ZeroDivisionError" in report["hosts"][0]["message"]


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
                **record("up", "FaceTime", exposed=[samples.exposed("tcp", "548")])["result"],
                "diff": {"before": "long"},
            },
            "netports_declared": {**declared("FaceTime"), "supplement": ""},
        },
        "down": {"host_firewall_result": {"unreachable": True, "msg": "no"}, "netports_declared": declared("FaceTime")},
        "unread": {"host_firewall_result": {"failed": True, "msg": "'offices' is undefined"}},
    }
    report = filters.audit(["up", "down", "unread"], variables, generated=samples.NOW)
    VALIDATOR.validate(report)
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
