# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What products do not do though their names let one expect it: warnings that turn a surprise into a decision.

Each falls silent once somebody decided: for the supplement or against it, or for the product that is usually meant.
The texts name no host, so that a run says each once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _ruleset
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue_names import listed
from ansible_collections.netports.apple.plugins.plugin_utils._errors import Wording
from ansible_collections.netports.apple.plugins.plugin_utils._port_words import SITE_PORT

# Multicast DNS (RFC 6762) and SSDP.
_MULTICAST = (5353, 1900)


@dataclasses.dataclass(frozen=True)
class Wish:
    """What a set of products asks for.

    :param products: ids, with the members of families.
    :param services: names of services as they were given.
    :param directions: ``in``, ``out`` and ``forward``.
    :param site_ports: whether it gives ports of the site's own.
    :param connecting: ids of the products, as they were named, that only connect, though nobody chose a side of theirs.
    """

    products: Sequence[str]
    services: Sequence[str]
    directions: Sequence[str]
    site_ports: bool
    connecting: Sequence[str]


def warnings(catalogue: Catalogue, wishes: Sequence[Wish], wording: Wording, decided: bool) -> list[str]:
    """Say what the products of a run do not do.

    :param decided: whether somebody chose to have the supplement or to do without it.
    """
    found = [] if decided else _newer(catalogue, wishes, wording)
    return [*found, *_usually_meant(catalogue, wishes), *_inbound(catalogue, wishes, wording)]


def multicast(catalogue: Catalogue, rules: Sequence[Rule], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what finds its other side by multicast, which no router forwards, where rules go both ways between networks.

    :param entries: what the rules are made of, as :func:`_catalogue.answer` has them.
    """
    keys = {rule.key for rule in rules}
    found = {
        rule.name
        for rule in rules
        if rule.direction == "forward"
        and rule.way_back in keys
        and any(_ports.covers(rule.udp, (port, port)) for port in _MULTICAST)
    }
    users = {str(entry["name"]): entry["product"] for entry in entries if _ruleset.rule_name(entry["name"]) in found}
    if not users:
        return []
    dns_sd = catalogue.everyday()["dns_sd"]
    types = dict.fromkeys(f"{kind}.local" for product in users.values() for kind in dns_sd.get(product, ()))
    # A filter would keep back what is found by any type, as Bonjour's.
    filters = f", reflect-filters={','.join(types)}" if all(map(dns_sd.get, users.values())) else ""
    text = (
        f"no router forwards the multicast that finds the other side of {', '.join(users)}: a reflector on the gateway has "
        f"to repeat it between the networks (avahi-daemon.conf: enable-reflector=yes{filters})"
    )
    return [text]


def _name(catalogue: Catalogue, identifier: str) -> str:
    return str(catalogue.products[identifier]["name"]["en"])


def _newer(catalogue: Catalogue, wishes: Sequence[Wish], wording: Wording) -> list[str]:
    """Products that have ports in the supplement, which is off."""
    ports: dict[str, dict[str, None]] = {}
    for wish in wishes:
        for product in wish.products:
            newer = catalogue.newer.get(product, {})
            # Where the host only connects, an outbound port more or less is no surprise.
            for direction in wish.directions if "in" in newer else ():
                for port in newer.get("in" if direction == "in" else "out", ()):
                    ports.setdefault(product, {})[port] = None
    if not ports:
        return []
    names = ", ".join(f"{_name(catalogue, product)} ({', '.join(own)})" for product, own in ports.items())
    on, off = wording.give("supplement", True), wording.give("supplement", False)
    return [f"newer ports in the supplement are off: {names}; {on} opens them, {off} ends this warning"]


def _usually_meant(catalogue: Catalogue, wishes: Sequence[Wish]) -> list[str]:
    """Products in whose place another is usually meant, which nobody asked for beside it."""
    products = {product for wish in wishes for product in wish.products}
    services = {service.casefold() for wish in wishes for service in wish.services}
    found = []
    for hint in catalogue.usually_meant:
        ways = {way for wish in wishes if hint["product"] in wish.products for way in wish.directions}
        if ways.intersection(hint["directions"]) and not (
            products.intersection(hint["instead"]) or services.intersection(hint.get("services", ()))
        ):
            catalogue.everyday()
            instead = listed([_name(catalogue, product) for product in hint["instead"]], "or")
            found.append(f"{_name(catalogue, hint['product'])} {hint['text']}; usually meant is {instead}")
    return found


def _inbound(catalogue: Catalogue, wishes: Sequence[Wish], wording: Wording) -> list[str]:
    """What opens nothing inbound, though inbound rules were asked for beside others."""
    missing = _without_port(catalogue, wishes, wording)
    known = {*missing, *(hint["product"] for hint in catalogue.usually_meant)}
    quiet: dict[str, None] = {}
    for wish in wishes:
        # Who asks for inbound rules alone gets none, which is said of every product without a rule.
        if "in" in wish.directions and len(wish.directions) > 1:
            quiet.update(dict.fromkeys(product for product in wish.connecting if product not in known))
    if not quiet:
        return list(missing.values())
    names = ", ".join(_name(catalogue, product) for product in quiet)
    text = (
        f"nothing inbound is opened for what only connects: {names}; {wording.prefix}directions without 'in', in a set of its "
        "own, ends this warning"
    )
    return [*missing.values(), text]


def _without_port(catalogue: Catalogue, wishes: Sequence[Wish], wording: Wording) -> dict[str, str]:
    """What to say of products that listen on a port of the site's choice, which was not given and need not be."""
    found: dict[str, str] = {}
    for wish in wishes:
        for product in () if wish.site_ports or "in" not in wish.directions else wish.products:
            for entry in catalogue.of_product(product, members=False):
                if entry["port"] == SITE_PORT and entry.get("optional") and entry["direction"] != "out":
                    give = wording.give("ports", [entry["example"]])
                    found[product] = (
                        f"{_name(catalogue, product)} opens nothing inbound: its own port is the site's, give it with {give}"
                    )
    return found
