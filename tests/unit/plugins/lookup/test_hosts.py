# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup ``hosts``."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., list[dict[str, Any]]]

KEYS = ["host", "ports", "protocol", "section", "products", "os", "proxies", "inspection_breaks", "source", "edition"]


def names(answer: list[dict[str, Any]]) -> list[str]:
    return [entry["host"] for entry in answer]


def sections(answer: list[dict[str, Any]]) -> set[str]:
    return {entry["section"] for entry in answer}


def test_every_row(ask: Ask, plain: Callable[[Any], bool]) -> None:
    answer = ask("hosts")
    assert plain(answer) and len(set(names(answer))) == 127
    assert all(list(entry) == KEYS for entry in answer)
    assert len({(entry["section"], entry["host"], entry["protocol"]) for entry in answer}) == len(answer)
    assert {entry["edition"] for entry in answer} == {"hosts-2025"}
    assert all(not entry["inspection_breaks"] for entry in answer if entry["ports"] in ([80], [123], [22]))
    assert all(entry["inspection_breaks"] for entry in answer if 443 in entry["ports"])


def test_one_host(ask: Ask) -> None:
    assert ask("hosts", "*.push.apple.com") == [
        {
            "host": "*.push.apple.com",
            "ports": [80, 443, 2197, 5223],
            "protocol": "tcp",
            "section": "device-management",
            "products": ["push-notifications", "push-provider", "mdm-server"],
            "os": ["iOS", "iPadOS", "tvOS", "macOS"],
            "proxies": None,
            "inspection_breaks": True,
            "source": "https://support.apple.com/101555",
            "edition": "hosts-2025",
        }
    ]


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("Push Notifications", {"device-management"}),
        ("APNs", {"device-management"}),
        ("software update", {"software-updates"}),
        ("Software Updates", {"software-updates"}),
        ("App Store", {"app-store"}),
        ("iCloud Backup", {"icloud"}),
        ("Private Relay", {"icloud"}),
        ("Push provider", {"device-management"}),
        ("MDM server", {"device-management", "software-updates"}),
        ("Activation", {"device-setup"}),
        ("Apple Account, Certificate validation", {"apple-account", "certificate-validation"}),
        ("Device management", {"device-management", "software-updates"}),
        ("MDM", {"device-management", "software-updates"}),
        ("ABM", {"business-and-school-manager", "managed-apple-accounts"}),
        ("Apple ID", {"apple-account"}),
        ("APPLE\u00a0ACCOUNT", {"apple-account"}),
        ("certificate-validation", {"certificate-validation"}),
        ("Apple Intelligence", {"apple-intelligence"}),
        ("Xcode", {"additional-content"}),
        ("gs.apple.com", {"device-setup", "software-updates"}),
        ("GS.Apple.com.", {"device-setup", "software-updates"}),
        ("3-courier.push.apple.com", {"device-management"}),
        ("setup.icloud.com", {"device-management", "icloud"}),
    ],
)
def test_terms(ask: Ask, term: str, found: set[str]) -> None:
    assert sections(ask("hosts", term)) == found


def test_a_product_alone_has_its_own_hosts(ask: Ask) -> None:
    assert names(ask("hosts", "iCloud Private Relay")) == [
        "mask.icloud.com",
        "mask-h2.icloud.com",
        "mask-api.icloud.com",
    ]
    assert names(ask("hosts", "Internet Recovery")) == ["oscdn.apple.com", "osrecovery.apple.com"]
    assert names(ask("hosts", "iCloud Mail")) == names(ask("hosts", "iCloud"))


def test_options(ask: Ask) -> None:
    macs, every = names(ask("hosts", "Software Update", os="macOS")), names(ask("hosts", "Software Update"))
    assert "swscan.apple.com" in macs and "appldnld.apple.com" not in macs and "appldnld.apple.com" in every
    assert "gsra.apple.com" in macs, "of which no copy says the systems"
    assert names(ask("hosts", protocol="udp", port=123)) == [
        "time-ios.apple.com",
        "time.apple.com",
        "time-macos.apple.com",
    ]
    assert names(ask("hosts", port=22)) == ["upload.appleschoolcontent.com"]
    with_proxy, without = ask("hosts", proxies=True), ask("hosts", proxies=False)
    assert {entry["proxies"] for entry in with_proxy} == {True}
    assert {entry["proxies"] for entry in without} == {False, None}
    assert len(with_proxy) + len(without) == len(ask("hosts"))


def test_order_of_the_terms_each_once(ask: Ask) -> None:
    answer = ask("hosts", "Certificate validation", ["certs.apple.com", "Apple diagnostics"])
    assert names(answer) == [*names(ask("hosts", "Certificate validation")), "diagassets.apple.com"]


def test_merged(ask: Ask, plain: Callable[[Any], bool]) -> None:
    answer = ask("hosts", merge=True)
    assert plain(answer) and len(set(names(answer))) == len(answer)
    by_name = {item["host"]: item for item in answer}
    assert by_name["*.icloud.com"] == {
        "host": "*.icloud.com",
        "domain": "icloud.com",
        "wildcard": True,
        "tcp": [443],
        "udp": [],
        "inspection_breaks": True,
        "sections": ["icloud"],
        "products": ["icloud"],
    }
    assert "setup.icloud.com" not in by_name and "vpp.itunes.apple.com" not in by_name
    assert by_name["mask.icloud.com"]["tcp"] == [443] == by_name["mask.icloud.com"]["udp"], "with those of *.icloud.com"
    assert by_name["gs.apple.com"]["tcp"] == [80, 443] and len(by_name["gs.apple.com"]["sections"]) == 2
    order = names(answer)
    assert order.index("*.itunes.apple.com") < order.index("itunes.apple.com") < order.index("*.mzstatic.com")


def test_merged_says_the_same_as_the_entries(ask: Ask) -> None:
    """Whatever name is asked: a port is allowed by the merged names exactly when an entry's pattern allows it."""

    def allowed(host: str) -> set[tuple[str, int]]:
        return {
            (entry["protocol"], port)
            for entry in ask("hosts")
            if fnmatch.fnmatch(host, entry["host"])
            for port in entry["ports"]
        }

    merged = ask("hosts", merge=True)
    for host in {name.replace("*", "x.y") for name in names(ask("hosts"))} | {"apple.com", "icloud.com"}:
        own = {
            (protocol, port)
            for item in merged
            if fnmatch.fnmatch(host, item["host"])
            for protocol in ("tcp", "udp")
            for port in item[protocol]
        }
        assert own == allowed(host), host


def test_merged_by_port(ask: Ask) -> None:
    answer = ask("hosts", port=80, protocol="tcp", merge=True)
    assert all((item["tcp"], item["udp"]) == ([80], []) for item in answer)
    assert "updates-http.cdn-apple.com" in names(answer) and "*.cdn-apple.com" not in names(answer)
    only = names(ask("hosts", port=443, protocol="tcp", merge=True))
    assert "*.cdn-apple.com" in only and not [name for name in only if name.endswith("x.cdn-apple.com")]


def test_an_answer_can_be_spoilt(ask: Ask) -> None:
    before = json.dumps(ask("hosts"))
    for entry in ask("hosts"):
        for key in ("ports", "products", "os"):
            if entry[key] is not None:
                entry[key].append("spoilt")
    assert json.dumps(ask("hosts")) == before


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        (["FaceTime"], {}, "Apple's article on enterprise networks names no hosts for FaceTime: allow it by port"),
        (
            ["gs.aple.com"],
            {},
            "'gs.aple.com' is not a host name of Apple's article on enterprise networks: did you mean gs.",
        ),
        (["www.example.org"], {}, "query('netports.apple.hosts') lists them all"),
        (["icloud.com"], {}, "'icloud.com' is not a host name"),
        (["Certificate validaton"], {}, "did you mean 'Certificate validation'?"),
        (["iTunes"], {}, "'iTunes' may be any of"),
        (["zzzz"], {}, "'zzzz' is not a product"),
        (["AirDrop"], {}, "'AirDrop' "),
        (["a" * 300], {}, "is not a product"),
        ([""], {}, "an empty name"),
        ([[]], {}, "an empty list"),
        ([None], {}, "None is not the name of a product"),
        ([443], {}, "use port=443"),
        ([], {"os": "android"}, "os 'android' is not one of iOS, iPadOS"),
        ([], {"protocol": "sctp"}, "protocol 'sctp' is not one of"),
        ([], {"port": 65536}, "port 65536 is out of range"),
        ([], {"proxies": "maybe"}, "proxies 'maybe' is neither true nor false"),
        ([], {"section": "icloud"}, "'section' is not an option: "),
    ],
    ids=str,
)
def test_bad_input(refusal: Callable[..., str], terms: list[Any], options: dict[str, Any], message: str) -> None:
    assert message in refusal("hosts", *terms, **options)


def test_in_a_template(template: Callable[..., Any]) -> None:
    text = "{{ query('netports.apple.hosts', 'Push Notifications', merge=true) | map(attribute='domain') | join }}"
    assert template(text) == "push.apple.com"
