# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's playbooks on a small fleet: preview, apply, audit and remove, with a host that is down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hosts import Host, listen, play, probe
from hosts.plays import inventory

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "data" / "audit.schema.json").read_text())
PRODUCTS = ["FaceTime", "Screen Sharing"]


def run(name: str, hosts: list[Host], fails: bool = False, **variables: Any) -> Any:
    """Play one of the collection's playbooks."""
    extra = {"netports_become": False, "ansible_ssh_timeout": 60, **variables}
    playbook = json.dumps([{"import_playbook": f"netports.apple.{name}"}])
    return play(hosts, playbook=playbook, extra_vars=extra, variables={"host_firewall_products": PRODUCTS}, fails=fails)


def audit(hosts: list[Host], folder: Path, fails: bool = False, **variables: Any) -> dict[str, dict[str, Any]]:
    """Audit in one call a host, hold the report to its schema, and return its hosts by name."""
    done = run("audit", hosts, fails, netports_audit_dir=str(folder), **variables)
    assert {done.remote_calls(host) for host in hosts} == {1}
    report = json.loads((folder / "audit.json").read_text())
    jsonschema.validate(report, SCHEMA)
    for name in ("audit.csv", "audit.xml", "audit.html"):
        assert all(host.name in (folder / name).read_text() for host in hosts)
    return {one["host"]: {**one, "cells": {cell["id"]: cell for cell in one["products"]}} for one in report["hosts"]}


def state(host: Host) -> Any:
    return host.files("/etc/ufw", "/etc/firewalld"), host.kernel()


def test_a_fleet(make_host: Any, tmp_path: Path) -> None:
    ufw, firewalld = make_host("bookworm", "ufw"), make_host("trixie", "firewalld")
    down, off = make_host("bookworm", "none"), make_host("bookworm", "none")
    down.run(["systemctl", "stop", "ssh.socket", "ssh.service"], check=False)
    up = [ufw, firewalld]
    pristine = [state(host) for host in up]

    found = audit([*up, down, off], tmp_path)
    assert {name: one["status"] for name, one in found.items()} == {
        ufw.name: "missing",
        firewalld.name: "missing",
        down.name: "unreachable",
        off.name: "off",
    }
    assert {cell["status"] for cell in found[down.name]["products"]} == {"unreachable"}
    assert found[ufw.name]["backend"] == "ufw" and found[firewalld.name]["backend"] == "firewalld"

    shown = run("preview", up)
    assert f'"{ufw.name}": [' in shown.text and "+ Screen Sharing, inbound 5900/tcp and 5900/udp from" in shown.text
    assert [state(host) for host in up] == pristine, "audit or preview changed a host"

    # One host at a time, each reached anew before the next.
    applied = run("apply", up, netports_serial=1, netports_health_ports=[22])
    assert applied.text.count("Make the firewall allow exactly this ruleset") == 2
    assert [one.result["confirmed"] for one in applied.of(task="Make the firewall allow")] == [True, True]
    found = audit(up, tmp_path, fail_on_drift=True)
    assert {one["status"] for one in found.values()} == {"compliant"}
    assert {rule["state"] for one in found.values() for rule in one["rules"]} == {"present"}
    assert not any(one["exposures"] or one["drift"] for one in found.values())

    # By hand: a rule out of the kernel, others that open remote control and file sharing to anywhere. And another policy.
    chain = [one for one in ufw.kernel().splitlines() if one.startswith("-A ufw-user-output")]
    number = next(number for number, one in enumerate(chain, 1) if "FaceTime" in one)
    ufw.run(["iptables", "-D", "ufw-user-output", str(number)])
    ufw.run(["ufw", "allow", "5900/tcp"])
    firewalld.run(["firewall-cmd", "--permanent", "--add-service=samba"])
    firewalld.run(["firewall-cmd", "--add-service=samba"])
    firewalld.run(["firewall-cmd", "--remove-service=apple-facetime"])
    by_hand = [state(host) for host in up]
    found = audit(up, tmp_path, fails=True, fail_on_drift=True, host_firewall_products=["FaceTime", "Classroom"])
    assert [state(host) for host in up] == by_hand, "audit changed a host"
    for one in found.values():
        cells = one["cells"]
        assert {name: cell["status"] for name, cell in cells.items()} == {
            "facetime": "drifted",
            "classroom": "missing",
            "screen-sharing": "stale",
        }, one
        assert cells["screen-sharing"]["declared_as"] == [] and one["status"] == "missing"
    assert [(one["kind"], one["owner"], one["rule"]) for one in found[ufw.name]["exposures"]] == [
        ("remote control", "foreign", "allow 5900/tcp")
    ]
    assert [(one["kind"], one["rule"]) for one in found[firewalld.name]["exposures"]] == [
        ("file sharing", "zone public: service samba")
    ]

    run("remove", up, netports_serial=1)
    for host in up:
        assert not [path for path, item in state(host)[0].items() if "Apple" in str(item) or "apple" in path]


def test_a_failure_in_a_batch_stops_the_next(make_host: Any) -> None:
    bad, good, following = make_host("bookworm", "none"), make_host("bookworm", "ufw"), make_host("bookworm", "ufw")
    before = state(following)
    stopped = run("apply", [bad, good, following], fails=True, netports_serial=2)
    assert [one.status for one in stopped.of(bad, task="Make the firewall allow")] == ["failed"]
    assert stopped.of(good, task="Make the firewall allow")[0].changed
    assert not stopped.of(following) and state(following) == before
    # A host that fails its check goes back to its old rules, as often as that is tried; and nothing follows it.
    asked = {"netports_serial": 1, "netports_health_timeout": 1, "host_firewall_confirm_seconds": 5}
    for _run in range(2):
        stopped = run("apply", [following, good], fails=True, netports_health_ports=[4], **asked)
        (one,) = stopped.of(following, task="Make the firewall allow")
        assert "does not pass its health check (port 4 of " in one.result["msg"] and "restored" in one.result["msg"]
        assert not stopped.of(good) and state(following) == before
    # A host that has its rules already is checked as well, and a number given as a text is taken.
    stopped = run("apply", [good, following], fails=True, netports_health_ports="4", **asked)
    (one,) = stopped.of(good, task="Make the firewall allow")
    assert not one.changed and "port 4 of " in one.result["msg"]
    assert not stopped.of(following)
    refused = run("apply", [following], fails=True, netports_health_ports="ssh", **asked)
    (one,) = refused.of(following, task="Make the firewall allow")
    assert one.result["msg"].count("health_ports (netports_health_ports): 'ssh' is not a port") == 1
    assert state(following) == before
    went_on = run("apply", [bad, good, following], fails=True, netports_serial=2, netports_max_fail_percentage=50)
    assert went_on.of(following, task="Make the firewall allow")


@pytest.mark.hosts("ufw", "bookworm")
@pytest.mark.hosts("firewalld", "bookworm")
@pytest.mark.hosts("nftables", "trixie")
def test_without_root_each_firewall_says_what_would_do(host: Host) -> None:
    before = state(host)
    for wanted in ({"rules": [{"name": "Web", "direction": "in", "tcp": [8080]}]}, {"state": "gathered"}):
        tasks = [{"name": "Run", "netports.apple.host_firewall": wanted}]
        done = play(host, tasks, user="admin", extra_vars={"ansible_become": False}, fails=True)
        result = done.result(host, task="Run")
        assert result["notices"][0]["code"] == "not-root" and "become root (become: true)" in result["msg"].lower()
        assert result["msg"].endswith("nothing was changed.")
    assert state(host) == before


def test_the_example_fleet(make_host: Any, peer: Host, tmp_path: Path) -> None:
    """examples/fleet as it stands: its playbook, its groups and what they declare, on hosts that have its hosts' names."""
    fleet = {
        "gate-01.example.org": make_host("bookworm", "ufw"),
        # A Mac that also serves files.
        "mac-02.example.org": make_host("trixie", "firewalld"),
        "print-01.example.org": make_host("bookworm", "nftables"),
        "client-01.example.org": make_host("bullseye", "ufw"),
    }
    places = inventory(list(fleet.values()))["all"]
    names = {name: places["hosts"][host.name] for name, host in fleet.items()}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": names, "vars": places["vars"]}}))
    example = ROOT / "examples" / "fleet"

    def played() -> dict[str, Any]:
        done = play(
            list(fleet.values()),
            playbook=json.dumps([{"import_playbook": str(example / "firewall.yml")}]),
            extra_vars={"netports_serial": 2, "netports_become": False, "netports_audit_dir": str(tmp_path)},
            argv=["-i", str(tmp_path / "hosts.yml"), "-i", str(example / "inventory.yml"), "--limit", ",".join(fleet)],
        )
        # The first of each is what applied, the second what audited.
        return {
            name: next(one for one in done.results if one.host == name and "Make the" in one.task) for name in fleet
        }

    applied = played()
    assert all(one.changed and one.result["confirmed"] for one in applied.values())
    opened = {
        name: {rule["name"] for rule in one.result["after"] if rule["direction"] == "in"} - {"management"}
        for name, one in applied.items()
    }
    assert opened["print-01.example.org"] == {"AirPrint server"}
    assert opened["mac-02.example.org"] >= {"SMB file sharing", "Time Machine server", "AirPlay", "Screen Sharing"}
    assert opened["client-01.example.org"] == opened["gate-01.example.org"] == set()
    gate = [rule for rule in applied["gate-01.example.org"].result["after"] if rule["direction"] == "forward"]
    assert {rule["out_interface"] for rule in gate} == {"eth0"} and "FaceTime" in {rule["name"] for rule in gate}

    def reached(name: str, *ports: int) -> list[str]:
        with listen(fleet[name], tcp=ports):
            return [str(state) for state in probe(peer, fleet[name], ports).values()]

    assert reached("print-01.example.org", 631, 632) == ["open", "filtered"]
    # The screen is for the administrators' network alone.
    assert reached("mac-02.example.org", 445, 5900, 446) == ["open", "filtered", "filtered"]
    assert reached("client-01.example.org", 443) == ["filtered"]
    for _run in range(2):
        report = json.loads((tmp_path / "audit.json").read_text())
        jsonschema.validate(report, SCHEMA)
        assert {one["host"]: one["status"] for one in report["hosts"]} == dict.fromkeys(fleet, "compliant")
        assert not any(one.changed for one in played().values())


def test_pages_that_hosts_have_to_show(make_host: Any) -> None:
    """A real web server, which the new rules themselves let the controller reach; and pages that are not there."""
    host = make_host("bookworm", "ufw")
    before = state(host)
    host.run(["mkdir", "/srv/page"])
    host.run(["sh", "-c", "echo here > /srv/page/health"])
    server = "http://{{ ansible_host }}:8080"
    host.run(["systemd-run", "--unit=page", "python3", "-m", "http.server", "--directory", "/srv/page", "8080"])
    asked: dict[str, Any] = {
        "host_firewall_rules": [{"products": ["MDM server"], "ports": [8080], "directions": ["in"]}],
        "netports_health_timeout": 2,
        "host_firewall_confirm_seconds": 8,
    }

    def applied(*pages: str, fails: bool = False) -> Any:
        done = run("apply", [host], fails=fails, netports_health_urls=[f"{server}{page}" for page in pages], **asked)
        (one,) = done.of(host, task="Make the firewall allow")
        return one

    ill = applied("/health", "/gone", fails=True)
    assert f"http://{host.address4}:8080/gone cannot be read: HTTP Error 404" in ill.result["msg"]
    assert "does not pass its health check" in ill.result["msg"] and "restored its old rules" in ill.result["msg"]
    assert not ill.changed and state(host) == before
    well = applied("/health")
    assert well.changed and well.result["confirmed"] is True and state(host) != before
    settled = state(host)
    # Nothing to change, and looked at all the same.
    assert not applied("/health").changed
    host.run(["systemctl", "stop", "page"])
    ill = applied("/health", fails=True)
    assert ill.result["msg"].startswith(f"The host does not pass its health check: http://{host.address4}:8080/health ")
    assert not ill.changed and state(host) == settled


def test_rulesets_that_roles_bring(make_host: Any, tmp_path: Path) -> None:
    host = make_host("bookworm", "ufw")
    roles = [
        {"role": "netports.apple.host_firewall", "host_firewall_products": [product], **more}
        for product, more in (
            ("FaceTime", {}),
            ("Maps", {"host_firewall_state": "merged"}),
            # A ruleset of its own, between those that undo each other.
            ("Classroom", {"host_firewall_ruleset": "web"}),
            ("AirPlay", {}),
        )
    ]
    done = play(host, playbook=json.dumps([{"hosts": "all", "gather_facts": False, "roles": roles}]))
    results = [one.result for one in done.of(task="Make the firewall allow")]
    assert [{rule["name"] for rule in one["after"]} - {"management"} for one in results] == [
        {"FaceTime"},
        {"FaceTime", "Maps"},
        {"Classroom"},
        {"AirPlay"},
    ]
    warned = [[text for text in one.get("warnings", []) if "takes away" in text] for one in results]
    assert warned[:3] == [[], [], []] and "takes away FaceTime, Maps now" in warned[3][0]

    found = audit([host], tmp_path, host_firewall_products=["AirPlay"])[host.name]
    assert found["status"] == "stale" and [(one["ruleset"], one["status"]) for one in found["rulesets"]] == [
        ("web", "stale")
    ]
    found = audit([host], tmp_path, host_firewall_products=["AirPlay"], netports_rulesets="nowhere, web")[host.name]
    assert found["status"] == "compliant" and found["rulesets"][0]["status"] == "declared"

    # The audit of another ruleset attributes drift and exposures in the same way.
    chain = [one for one in host.kernel().splitlines() if one.startswith("-A ufw-user-output")]
    number = next(number for number, one in enumerate(chain, 1) if "Classroom" in one)
    host.run(["iptables", "-D", "ufw-user-output", str(number)])
    found = audit([host], tmp_path, host_firewall_products=["Classroom"], host_firewall_ruleset="web")[host.name]
    assert found["cells"]["classroom"]["status"] == "drifted" and found["rulesets"][0]["ruleset"] == "apple"

    run("remove", [host], netports_rulesets="web, nowhere")
    left = {path for path, item in state(host)[0].items() if "AirPlay" in str(item)}
    assert left and not [path for path, item in state(host)[0].items() if "Classroom" in str(item)]
    run("remove", [host], netports_rulesets=["all"])
    assert not [path for path, item in state(host)[0].items() if "Classroom" in str(item) or "AirPlay" in str(item)]
