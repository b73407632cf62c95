# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn networks.yml and hosts.yml into what the lookups read: one entry for each answer, and an index of names."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

FAMILIES = {"ipv4": 4, "ipv6": 6}


def networks(data: Mapping[str, Any], products: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """Build networks.json.

    :param data: what networks.yml holds.
    :param products: ids of all products.
    :returns: ``{"edition", "names": {set: name}, "products": {set: [id]}, "entries"}`` and a sentence for each contradiction.
    """
    problems: list[str] = []
    known = set(products)
    entries: list[dict[str, Any]] = []
    for given in data["networks"]:
        place = f"networks.yml, {given['id']}"
        problems += [f"{place}: {name} is no product" for name in given["products"] if name not in known]
        for family, version in FAMILIES.items():
            problems += [f"{place}: {why}" for why in _cidr_problems(given[family], version)]
            entries += [
                {
                    "network": given["id"],
                    "family": family,
                    "cidr": cidr,
                    "products": given["products"],
                    "source": given["source"],
                    "edition": data["edition"]["id"],
                }
                for cidr in given[family]
            ]
    names = {given["id"]: given["name"] for given in data["networks"]}
    if len(names) < len(data["networks"]):
        problems.append("networks.yml: two sets have one id")
    users = {given["id"]: given["products"] for given in data["networks"]}
    return {"edition": data["edition"], "names": names, "products": users, "entries": entries}, problems


def hosts(
    data: Mapping[str, Any], products: Iterable[str], normalise: Callable[[str], str]
) -> tuple[dict[str, Any], list[str]]:
    """Build hosts.json.

    :param data: what hosts.yml holds.
    :param products: ids of all products.
    :param normalise: ``_names.normalise``.
    :returns: ``{"edition", "sections": {id: name}, "index": {normalised name: section}, "entries"}``, an entry for each
        section, host and protocol, and a sentence for each contradiction.
    """
    sections = {section["id"]: section for section in data["sections"]}
    problems = [] if len(sections) == len(data["sections"]) else ["hosts.yml: two sections have one id"]
    problems += _needs_problems(data, sections, set(products))
    index: dict[str, str] = {}
    entries: list[dict[str, Any]] = []
    for section in data["sections"]:
        names = {normalise(name) for name in (section["id"], section["name"], *section.get("names", ()))}
        problems += [
            f"hosts.yml, {section['id']}: {name} is a name of {index[name]} too"
            for name in sorted(names & index.keys())
        ]
        index.update(dict.fromkeys(sorted(names), section["id"]))
        rows = [row["host"] for row in section["hosts"]]
        problems += [
            f"hosts.yml, {section['id']}: {name} stands there twice"
            for name in dict.fromkeys(rows)
            if rows.count(name) > 1
        ]
        for row in section["hosts"]:
            entries += _host_entries(data, section["id"], row)
    headings = {name: section["name"] for name, section in sections.items()}
    return {"edition": data["edition"], "sections": headings, "index": index, "entries": entries}, problems


def _cidr_problems(cidrs: list[str], version: int) -> list[str]:
    parsed = []
    for cidr in cidrs:
        try:
            parsed.append(ipaddress.ip_network(cidr))
        except ValueError as error:
            return [str(error)]
    problems = [f"{one} is not of IPv{version}" for one in parsed if one.version != version]
    if parsed != sorted(parsed, key=lambda one: (int(one.network_address), one.prefixlen)):
        problems.append(f"its networks of IPv{version} do not ascend")
    return problems


def _needs_problems(data: Mapping[str, Any], sections: Mapping[str, Any], products: set[str]) -> list[str]:
    rows = {row["host"] for section in data["sections"] for row in section["hosts"]}
    problems = []
    for product, need in data["products"].items():
        place = f"hosts.yml, products.{product}"
        if product not in products:
            problems.append(f"{place}: it is no product")
        problems += [f"{place}: {name} is no section" for name in need.get("sections", ()) if name not in sections]
        problems += [f"{place}: {name} stands in no section" for name in need.get("hosts", ()) if name not in rows]
    return problems


def _host_entries(data: Mapping[str, Any], section: str, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    ports: dict[str, list[int]] = {}
    for pair in row["ports"]:
        port, _slash, protocol = pair.partition("/")
        ports.setdefault(protocol, []).append(int(port))
    users = [
        product
        for product, need in data["products"].items()
        if section in need.get("sections", ()) or row["host"] in need.get("hosts", ())
    ]
    return [
        {
            "host": row["host"],
            "ports": own,
            "protocol": protocol,
            "section": section,
            "products": users,
            "os": row.get("os"),
            "proxies": row.get("proxies"),
            "inspection_breaks": any(f"{port}/{protocol}" in data["tls_ports"] for port in own),
            "source": data["edition"]["source"],
            "edition": data["edition"]["id"],
        }
        for protocol, own in ports.items()
    ]
