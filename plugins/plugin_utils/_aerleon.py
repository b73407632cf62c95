# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as the configuration of a network device, by the library aerleon on the controller.

What aerleon only logs, or leaves out without a word, is an error here: a term that another one shades, and a network that
a target has no form for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError

_ZONES = ("from-zone {from_zone} to-zone {to_zone} mixed",)
_LIST = ("{ruleset} mixed",)
# By target, the options of its header, for each text that makes up the answer. `mixed` is IPv4 and IPv6.
TARGETS: dict[str, tuple[str, ...]] = {
    "arista": _LIST,
    "arista_tp": _LIST,
    "aruba": ("{ruleset}", "{ruleset} inet6"),
    "brocade": _LIST,
    "cisco": _LIST,
    "ciscoasa": ("{ruleset}",),
    "cisconx": _LIST,
    "ciscoxr": _LIST,
    "fortigate": _ZONES,
    "juniper": _LIST,
    "nokiasrl": _LIST,
    "nsxt": _LIST,
    "openconfig": _LIST,
    "paloalto": _ZONES,
    "sonic": _LIST,
    "srx": _ZONES,
    "srxlo": _LIST,
}
# Targets of aerleon's that write a host's whole firewall, which the collection does better.
_OF_HOSTS = ("ipset", "iptables", "nftables", "packetfilter", "speedway", "windows_advfirewall")

_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}\Z")
_SHADED = re.compile(r"(\S+) is shaded by (\S+)")
# No rule names a network as wide.
_EVERYWHERE = 2**129


@dataclasses.dataclass(frozen=True)
class Term:
    """What one term of a policy allows: ports of one protocol between networks; empty networks are anywhere."""

    names: tuple[str, ...]
    protocol: str
    ports: tuple[_ports.PortRange, ...]
    sources: tuple[str, ...]
    destinations: tuple[str, ...]

    @property
    def breadth(self) -> tuple[int, int, int]:
        """How much the term allows: of two terms, one that contains the other is the broader one."""
        ports = sum(last - first + 1 for first, last in self.ports)
        return ports, _breadth(self.sources), _breadth(self.destinations)


def render(
    rules: Sequence[Rule], target: object, ruleset: str, from_zone: object = None, to_zone: object = None
) -> str:
    """Write rules as a device's configuration.

    :param target: one of TARGETS, aerleon's name of a platform.
    :param ruleset: what the access list, and the objects in it, are called after.
    :param from_zone: the zone or interface that packets come in by, for targets that have zones.
    :param to_zone: the zone or interface that they leave by.
    :raises CatalogueError: no such target, a zone that is missing or not wanted, a rule for an interface, no library, a
        shaded term, or networks that the target cannot have.
    """
    headers = _headers(target, ruleset, from_zone, to_zone)
    for rule in rules:
        if rule.interface or rule.out_interface:
            raise CatalogueError(
                f"rule {rule.name!r} is for interface {rule.interface or rule.out_interface}, which aerleon has no form "
                "for: leave the interface out, and bind the configuration to it on the device"
            )
    if not rules:
        raise CatalogueError("there is no rule to write: give what the filter rules returns")
    texts = _generate(terms(rules), str(target), headers, ruleset)
    _check_loss(rules, str(target), "".join(texts))
    return "".join(texts)


def terms(rules: Iterable[Rule]) -> list[Term]:
    """Make terms of rules, so that none shades another.

    Rules that allow the same are one term with several names. A narrower term stands before a broader one that contains
    it; as all of them accept, their order changes nothing.
    """
    made: dict[tuple[Any, ...], Term] = {}
    for rule in rules:
        for protocol, ports in (("tcp", rule.tcp), ("udp", rule.udp)):
            if ports:
                key = (protocol, ports, rule.sources, rule.destinations)
                names = made[key].names if key in made else ()
                made[key] = Term(tuple(dict.fromkeys([*names, rule.name])), *key)
    return sorted(made.values(), key=lambda term: term.breadth)


def _headers(target: object, ruleset: str, from_zone: object, to_zone: object) -> list[str]:
    if target in _OF_HOSTS:
        raise CatalogueError(
            f"target {target!r} is the firewall of a host: use the role, or the filters that write its text"
        )
    if not isinstance(target, str) or target not in TARGETS:
        raise CatalogueError(f"target {_ports.shown(target)} is not one of {', '.join(TARGETS)}")
    zones = {"from_zone": from_zone, "to_zone": to_zone}
    for name, zone in zones.items():
        if TARGETS[target] is not _ZONES and zone is not None:
            raise CatalogueError(f"{name} is given, and {target} has no zones: leave it out")
        if TARGETS[target] is _ZONES and (not isinstance(zone, str) or not _ZONE.match(zone)):
            raise CatalogueError(
                f"{name} is {_ports.shown(zone)}: {target} needs the name of a zone, up to 31 letters, digits and . _ -"
            )
    return [header.format(ruleset=ruleset, **zones) for header in TARGETS[target]]


def _generate(made: Sequence[Term], target: str, headers: Sequence[str], ruleset: str) -> list[str]:
    try:
        from aerleon import api
        from aerleon.lib import naming
    except ImportError as error:
        raise CatalogueError(
            "to_aerleon needs the Python library aerleon, 1.18 or newer, on the controller: install it for the Python "
            f"that runs Ansible ({sys.executable} -m pip install aerleon)"
        ) from error
    policy, networks, services = _policy(made, ruleset)
    texts = []
    for header in headers:
        definitions = naming.Naming()
        definitions.ParseDefinitionsObject({"networks": networks, "services": services}, "")
        filter_ = {"header": {"targets": {target: header}, "comment": f"netports.apple, {ruleset}"}, "terms": policy}
        with _logged() as messages:
            try:
                written = api.Generate([{"filename": ruleset, "filters": [filter_]}], definitions, shade_check=True)
            except Exception as error:
                raise CatalogueError(
                    f"aerleon cannot write this for {target}: {' '.join(str(error).split())}"
                ) from error
        for message in messages:
            shaded = _SHADED.search(message)
            if shaded:
                raise CatalogueError(
                    f"term {shaded[1]} is shaded by {shaded[2]}, which allows all of it: leave out one of the two"
                )
        texts += list((written or {}).values())
    return texts


def _policy(made: Sequence[Term], ruleset: str) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """The terms of a policy as aerleon takes them, and the networks and services that they name."""
    policy: list[dict[str, Any]] = []
    tokens: dict[tuple[str, ...], str] = {}
    services: dict[str, Any] = {}
    taken: set[str] = set()
    for term in made:
        stem = f"{_slug(term.names[0])}-{term.protocol}"
        name = next(one for one in (stem, *(f"{stem}-{n}" for n in range(2, len(made) + 2))) if one not in taken)
        taken.add(name)
        services[name.upper()] = [{"protocol": term.protocol, "port": _ports.text(ports)} for ports in term.ports]
        entry: dict[str, Any] = {"name": name, "protocol": term.protocol, "action": "accept"}
        entry["destination-port"] = name.upper()
        if len(term.names) > 1:
            entry["comment"] = ", ".join(term.names)
        for key, side in (("source-address", term.sources), ("destination-address", term.destinations)):
            if side:
                entry[key] = tokens.setdefault(side, f"{ruleset.upper()}-NETWORKS-{len(tokens) + 1}")
        policy.append(entry)
    networks = {token: {"values": [{"address": one} for one in side]} for side, token in tokens.items()}
    return policy, networks, services


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect what aerleon logs, which would otherwise go to the terminal."""
    messages: list[str] = []
    handler = logging.Handler()
    # A class for this one method would say no more.
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("absl")
    before = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.WARNING)
    try:
        yield messages
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])


def _check_loss(rules: Iterable[Rule], target: str, text: str) -> None:
    """Make sure that every network of the rules is in the text, as far as it can match in its rule.

    :raises CatalogueError: one is not.
    """
    written = set(re.findall(r"[0-9A-Fa-f:.]+", text.lower()))
    for rule in rules:
        for network in (*rule.sources, *rule.destinations):
            address = network.partition("/")[0]
            if _rules.version(network) in _rules.families(rule) and address not in written:
                raise CatalogueError(
                    f"aerleon has no form for network {network} of rule {rule.name!r} on {target}, and would leave it out "
                    f"without a word: give networks of IPv{10 - _rules.version(network)} alone, or another target"
                )


def _breadth(networks: Iterable[str]) -> int:
    return sum(ipaddress.ip_network(network).num_addresses for network in networks) or _EVERYWHERE


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
