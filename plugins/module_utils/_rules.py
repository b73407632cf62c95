# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rule: what travels from the controller to a host, checked on both sides.

Nothing that reaches a backend has not passed through :meth:`Rule.from_dict` here, so no backend meets a
quote, a newline or a shell character: names, interfaces and rulesets are held to patterns, addresses are
re-written by the ``ipaddress`` module, ports are numbers.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _ports

_shown = _ports.shown

# Host to another, another to host, one through the host to another.
DIRECTIONS = ("in", "out", "forward")
ANY = "any"

# 48 leaves room for a ruleset of 24 characters and a suffix in ufw's 64 and in pf's labels of 63.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,47}\Z")
_RULESET = re.compile(r"[a-z][a-z0-9-]{0,23}\Z")
# Linux: dev_valid_name() and IFNAMSIZ (15 characters); narrowed to what ufw, firewalld and pf all take.
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}\Z")

# Python before 3.9.5 reads 010.0.0.1 as 10.0.0.1, other tools as 8.0.0.1; and so with a prefix of 010.
_LEADING_ZERO = re.compile(r"(?=[0-9A-Fa-f:./]+\Z).*?(?:(?:\A|:)0[0-9]+\.|\.0[0-9]|/0[0-9])")

_KEYS = ("name", "direction", "tcp", "udp", "sources", "destinations", "interface", "out_interface")


class RuleError(ValueError):
    """A value that no rule may have. The message names it, says why, and what would do."""


class Rule(NamedTuple):
    """Ports that one name needs in one direction.

    ``tcp`` and ``udp`` are merged ranges ``(first, last)``; ``sources`` and ``destinations`` are canonical
    networks or addresses, IPv4 first, empty for anywhere; ``interface`` is empty for every interface. Forwarded
    packets come in by ``interface`` and leave by ``out_interface``, which other rules do not have.
    """

    name: str
    direction: str
    tcp: Tuple[_ports.PortRange, ...]
    udp: Tuple[_ports.PortRange, ...]
    sources: Tuple[str, ...] = ()
    destinations: Tuple[str, ...] = ()
    interface: str = ""
    out_interface: str = ""

    @property
    def key(self) -> Tuple[str, str, Tuple[str, ...], Tuple[str, ...], str, str]:
        """What makes two rules the same rule with other ports."""
        return self.name, self.direction, self.sources, self.destinations, self.interface, self.out_interface

    @property
    def way_back(self) -> Tuple[str, str, Tuple[str, ...], Tuple[str, ...], str, str]:
        """The key of the rule for the other way between the two networks of a forward rule."""
        return self.name, self.direction, self.destinations, self.sources, self.out_interface, self.interface

    @classmethod
    def from_dict(cls, data: Any) -> Rule:
        """Check one rule and bring it to its canonical form.

        :param data: a mapping with ``name``, ``direction``, ``tcp`` and/or ``udp`` (lists of ports), and
            optionally ``sources``, ``destinations`` (lists of networks), ``interface`` and ``out_interface``.
        :raises RuleError: anything that is not a rule.
        """
        if not isinstance(data, dict):
            raise RuleError("%s is not a rule: a rule is a mapping with name, direction, and tcp or udp" % _shown(data))
        unknown = [_shown(key) for key in data if key not in _KEYS]
        if unknown:
            raise RuleError("a rule has no key %s: its keys are %s" % (", ".join(sorted(unknown)), ", ".join(_KEYS)))
        name = check_name(data.get("name"))
        direction = data.get("direction")
        if direction not in DIRECTIONS:
            raise RuleError("direction %s of rule %r: give 'in', 'out' or 'forward'" % (_shown(direction), name))
        tcp = _port_list(data.get("tcp"), "tcp", name)
        udp = _port_list(data.get("udp"), "udp", name)
        if not tcp and not udp:
            raise RuleError("rule %r names no port: give ports in tcp or udp" % name)
        rule = cls(
            name=name,
            direction=str(direction),
            tcp=tcp,
            udp=udp,
            sources=networks(data.get("sources"), "sources"),
            destinations=networks(data.get("destinations"), "destinations"),
            interface=check_interface(data.get("interface")),
            out_interface=check_interface(data.get("out_interface")),
        )
        if rule.out_interface and direction != "forward":
            raise RuleError(
                "rule %r has the out_interface %s and the direction %r: only what is forwarded leaves by another "
                "interface than it came in by; give the interface in interface" % (name, rule.out_interface, direction)
            )
        if not families(rule):
            raise RuleError(
                "rule %r can never match: its sources (%s) and destinations (%s) share no IP version"
                % (name, ", ".join(rule.sources), ", ".join(rule.destinations))
            )
        return rule

    def to_dict(self) -> Dict[str, Any]:
        """The plain form: ports as strings ``"443"`` and ``"3478-3497"``, lists for tuples."""
        return {
            "name": self.name,
            "direction": self.direction,
            "tcp": [_ports.text(ports) for ports in self.tcp],
            "udp": [_ports.text(ports) for ports in self.udp],
            "sources": list(self.sources),
            "destinations": list(self.destinations),
            "interface": self.interface,
            "out_interface": self.out_interface,
        }


def check_name(name: Any) -> str:
    """Check a rule's name against the pattern that every backend's own names allow."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise RuleError(
            "%s is not a rule name: up to 48 letters, digits, spaces and . _ + -, beginning with a letter or digit"
            % _shown(name)
        )
    return str(name)


def check_ruleset(name: Any) -> str:
    """Check the name of a ruleset: it becomes part of names in the firewall and of file names."""
    if not isinstance(name, str) or not _RULESET.match(name):
        raise RuleError(
            "%s is not a ruleset name: up to 24 lower-case letters, digits and hyphens, beginning with a letter"
            % _shown(name)
        )
    return str(name)


def check_interface(name: Any) -> str:
    """Check an interface name; ``None`` and the empty string mean every interface."""
    if name is None or name == "":
        return ""
    if not isinstance(name, str) or not _INTERFACE.match(name):
        raise RuleError(
            "%s is not an interface name: up to 15 letters, digits and . _ -, such as 'eth0' or 'br-lan'" % _shown(name)
        )
    return str(name)


def check_zone(name: Any) -> str:
    """Check the name of a zone of firewalld's; the empty string means its default zone."""
    # firewalld's own limits are narrower still; this keeps everything out that a command line could trip over.
    if not isinstance(name, str) or not re.match(r"[A-Za-z0-9_-]*\Z", name):
        raise RuleError("%s is not a zone name: letters, digits, _ and -" % _shown(name))
    return str(name)


def network(value: Any) -> str:
    """Bring one address or network to its canonical form.

    :param value: ``"10.0.0.0/8"``, ``"192.0.2.7"``, ``"fd00::/8"``.
    :returns: the network with its prefix length; a single address without one.
    :raises RuleError: not an address or a network, host bits set, a scope (``%eth0``), a host name.
    """
    if not isinstance(value, str) or "%" in value:
        raise RuleError("%s is not a network: give an address or a network such as '10.0.0.0/8'" % _shown(value))
    if _LEADING_ZERO.match(value):
        raise RuleError(
            "%s has a number with a leading zero, which tools read differently: leave it out" % _shown(value)
        )
    try:
        parsed = ipaddress.ip_network(value)
    except ValueError:
        try:
            fitting = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise RuleError(
                "%s is not a network: give an address or a network such as '10.0.0.0/8', no host names" % _shown(value)
            )
        raise RuleError(
            "%s has bits set beyond its prefix: write '%s' for the network or '%s' for the host"
            % (_shown(value), fitting, value.split("/")[0])
        )
    # The IPv4-compatible and IPv4-mapped blocks are written with dots by some tools and without by others.
    loopback = int(parsed.network_address) == 1
    if parsed.version == 6 and parsed.prefixlen >= 80 and int(parsed.network_address) >> 48 == 0 and not loopback:
        raise RuleError("%r is an IPv4 address in IPv6 clothes: write the IPv4 address" % value)
    return str(parsed.network_address) if parsed.prefixlen == parsed.max_prefixlen else str(parsed)


def networks(values: Any, what: str) -> Tuple[str, ...]:
    """Bring a list of networks to its canonical form.

    :param values: a list of networks, or ``None``; ``any`` in it stands for anywhere.
    :param what: the option's name, for the message.
    :returns: canonical networks without repetition, IPv4 first, ascending; empty for anywhere.
    :raises RuleError: not a list, or a value that is not a network.
    """
    if values is None:
        return ()
    if isinstance(values, str) or not isinstance(values, (list, tuple)):
        raise RuleError("%s is %s: give a list of networks, such as ['10.0.0.0/8']" % (what, _shown(values)))
    if ANY in values:
        if len(values) > 1:
            raise RuleError("%s names 'any' beside other networks: give ['any'] alone or the networks" % what)
        return ()
    if not all(isinstance(value, str) for value in values):
        # What has no hash is not remembered, and is refused anyhow.
        return tuple(map(network, values))
    return _sorted_networks(tuple(values))


# All rules of a ruleset have the same few lists, and there can be thousands of networks in each.
@functools.lru_cache(maxsize=32)
def _sorted_networks(values: Tuple[str, ...]) -> Tuple[str, ...]:
    found = {network(value) for value in values}
    return tuple(sorted(found, key=lambda one: (version(one), ipaddress.ip_network(one))))


def within(inner: str, outer: Iterable[str]) -> bool:
    """Say whether one of some networks holds all of another; all are canonical."""
    found = ipaddress.ip_network(inner)
    for other in map(ipaddress.ip_network, outer):
        # The two are of one IP version, which their types do not say.
        if other.version == found.version and other.supernet_of(found):  # type: ignore[arg-type]
            return True
    return False


def version(address: str) -> int:
    """The IP version, 4 or 6, of a canonical network."""
    return 6 if ":" in address else 4


def families(rule: Rule) -> Tuple[int, ...]:
    """The IP versions, out of ``(4, 6)``, in which a rule can match anything."""
    # IPv4 comes first, so the ends of a list say which versions it has.
    sides = [(version(side[0]), version(side[-1])) for side in (rule.sources, rule.destinations) if side]
    return tuple(family for family in (4, 6) if all(family in side for side in sides))


def pairs(rule: Rule, family: int) -> List[Tuple[str, str]]:
    """All (source, destination) pairs of a rule in one IP version, ``""`` for anywhere."""
    if family not in families(rule):
        return []
    sources = [one for one in rule.sources if version(one) == family] or [""]
    destinations = [one for one in rule.destinations if version(one) == family] or [""]
    return [(source, destination) for source in sources for destination in destinations]


def normalise(rules: Iterable[Rule]) -> List[Rule]:
    """Join rules that differ in nothing but their ports; the first one keeps its place."""
    joined: Dict[Any, Rule] = {}
    for rule in rules:
        seen = joined.get(rule.key)
        if seen:
            rule = rule._replace(
                tcp=tuple(_ports.merge(seen.tcp + rule.tcp)),
                udp=tuple(_ports.merge(seen.udp + rule.udp)),
            )
        joined[rule.key] = rule
    return list(joined.values())


def _port_list(values: Any, protocol: str, name: str) -> Tuple[_ports.PortRange, ...]:
    if values is None:
        return ()
    if isinstance(values, (str, int)) or not isinstance(values, (list, tuple)):
        raise RuleError(
            "%s of rule %r is %s: give a list of ports, such as ['80', '443']" % (protocol, name, _shown(values))
        )
    try:
        return tuple(_ports.merge(_ports.parse(value) for value in values))
    except ValueError as error:
        raise RuleError("%s of rule %r: %s" % (protocol, name, error))
