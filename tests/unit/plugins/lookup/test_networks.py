# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup ``networks``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., list[dict[str, Any]]]

APNS_IPV4 = ["17.57.144.0/22", "17.188.20.0/23", "17.188.128.0/18", "17.249.0.0/16", "17.252.0.0/16"]
APNS_IPV6 = ["2403:300:a42::/48", "2403:300:a51::/48", "2620:149:a44::/48", "2a01:b740:a42::/48"]


def cidrs(answer: list[dict[str, Any]]) -> list[str]:
    return [entry["cidr"] for entry in answer]


def test_words(ask: Ask, plain: Callable[[Any], bool]) -> None:
    answer = ask("networks", "apns")
    assert plain(answer) and cidrs(answer) == APNS_IPV4 + APNS_IPV6
    assert cidrs(ask("networks", "Apple", "APNS")) == ["17.0.0.0/8", *APNS_IPV4, *APNS_IPV6]
    assert cidrs(ask("networks")) == [*APNS_IPV4, *APNS_IPV6, "17.0.0.0/8"]
    assert ask("networks", "apple") == [
        {
            "network": "apple",
            "family": "ipv4",
            "cidr": "17.0.0.0/8",
            "products": ["push-notifications", "push-provider"],
            "source": "https://support.apple.com/102266",
            "edition": "networks-2026",
        }
    ]


def test_families(ask: Ask) -> None:
    assert cidrs(ask("networks", "apns", family="ipv4")) == APNS_IPV4
    assert cidrs(ask("networks", "apns", family="ipv6")) == APNS_IPV6
    assert ask("networks", "apple", family="ipv6") == []


def test_a_product_has_its_narrowest_networks_once(ask: Ask) -> None:
    assert (
        cidrs(ask("networks", "Push Notifications, Push provider", "Pushmeldingen", ["apns"])) == APNS_IPV4 + APNS_IPV6
    )


def test_an_answer_can_be_spoilt(ask: Ask) -> None:
    for entry in ask("networks"):
        entry["products"].append("spoilt")
        entry["cidr"] = "spoilt"
    assert "spoilt" not in str(ask("networks"))


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        (["Software Update"], {}, "Apple publishes no networks for Software Update: "),
        (["iCloud"], {}, "Apple publishes no networks for iCloud: "),
        (["apnss"], {}, "did you mean 'APNs'"),
        (["iTunes"], {}, "'iTunes' may be any of"),
        (["foo"], {}, "'foo' is not a product of the catalogue: "),
        (["foo"], {}, "; words for networks of Apple's are apns, apple"),
        ([""], {}, "an empty name"),
        ([[]], {}, "an empty list"),
        ([443], {}, "443 is not the name of a product"),
        ([], {"family": "inet"}, "family 'inet' is not one of ipv4, ipv6"),
        ([], {"protocol": "tcp"}, "'protocol' is not an option"),
    ],
    ids=str,
)
def test_bad_input(refusal: Callable[..., str], terms: list[Any], options: dict[str, Any], message: str) -> None:
    assert message in refusal("networks", *terms, **options)


def test_in_a_template(template: Callable[..., Any]) -> None:
    text = "{{ query('netports.apple.networks', 'apns', family='ipv6') | map(attribute='cidr') | first }}"
    assert template(text) == APNS_IPV6[0]
