# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit of everyday names, sides, ports of a site's own and the host's own range."""

from __future__ import annotations

from typing import Any

from unit.audit import samples

from ansible_collections.netports.apple.plugins.plugin_utils import _audit, _catalogue, _sets


def audited(found: list[dict[str, Any]], *sets: dict[str, Any]) -> dict[str, Any]:
    """The report on a host that declares these sets and has these rules."""
    record = samples.record("a", before=found)
    return _audit.Auditor().report([{**record, "declared": {**samples.declared(), "sets": list(sets)}}], samples.NOW)


def wanted(*sets: dict[str, Any]) -> list[dict[str, Any]]:
    return _sets.compile_sets(_catalogue.load(), sets).rules


def entries(report: dict[str, Any], name: str, direction: str) -> dict[str, dict[str, Any]]:
    """The entries of the catalogue that a rule is made of, by port."""
    rule = next(own for own in report["rules"].values() if (own["name"], own["direction"]) == (name, direction))
    return {f"{own['port']}/{own['protocol']}": own for own in (report["entries"][key] for key in rule["entries"])}


def test_the_hosts_own_range_is_shown_in_numbers_with_its_reason() -> None:
    given = {"products": ["AirPlay receiver"], "directions": ["in"]}
    (rule,) = wanted(given)
    for protocol in ("tcp", "udp"):
        rule[protocol] = [*(port for port in rule[protocol] if port != "host_ephemeral"), "32768-60999"]
    report = audited([rule], given)
    (host,) = report["hosts"]
    assert [(cell["id"], cell["status"]) for cell in host["products"]] == [("airplay-receiver", "compliant")]
    assert "32768-60999" in next(iter(report["rules"].values()))["tcp"]
    found = entries(report, "AirPlay receiver", "in")
    assert found.keys() >= {"7000/tcp", "319-320/udp", "host_ephemeral/tcp", "host_ephemeral/udp"}
    assert "its kernel choose ports" in found["host_ephemeral/tcp"]["reason"]


def test_a_side_and_a_port_of_the_sites_own_have_their_reasons() -> None:
    client = {"products": ["File Sharing"], "side": "client"}
    homekit = {"products": "HomeKit, Siri", "ports": [21064]}
    report = audited(wanted(client, homekit), client, homekit)
    (host,) = report["hosts"]
    assert {cell["id"]: cell["declared_as"] for cell in host["products"]} == {
        "file-sharing": ["File Sharing"],
        "homekit-accessory": ["HomeKit, Siri"],
        "siri": ["HomeKit, Siri"],
    }
    assert host["status"] == "compliant"
    assert "mounts folders of a server" in entries(report, "File Sharing", "out")["139/tcp"]["reason"]
    assert "TCP port that it was given" in entries(report, "HomeKit accessory", "in")["21064/tcp"]["reason"]


def test_an_everyday_name_that_is_no_longer_declared_keeps_its_column() -> None:
    (rule,) = wanted({"products": ["AirPrint"], "directions": ["in"]})
    record = samples.record("a", before=[rule], operations=[{"action": "remove", "rule": rule}])
    report = _audit.Auditor().report([record], samples.NOW)
    assert [(cell["id"], cell["status"]) for cell in report["hosts"][0]["products"]] == [("airprint-server", "stale")]
