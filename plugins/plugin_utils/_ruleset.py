# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From entries of the catalogue to rules for a host."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports, _rules
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue, _networks, _options, _sides
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue import Entry
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError

# Private (RFC 1918, RFC 4193) and link-local (RFC 3927, RFC 4291) networks.
LOCAL_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")

# Where another host takes its ports from: Linux by default (ip_local_port_range, 32768-60999), Apple's and other systems
# (RFC 6335, section 6, 49152-65535). No host and no gateway can read the range of another.
_OTHERS_EPHEMERAL: _ports.PortRange = (32768, 65535)
# A rule name takes 48 characters, and " local" may come behind it.
_NAME_LENGTH = 42
_NEEDED = ("name", "first", "last", "protocol", "direction", "scope")
# A scope that is misspelt must not pass for "internet".
_CHOICES = {
    "protocol": _catalogue.PROTOCOLS,
    "direction": (*_catalogue.DIRECTIONS, "both"),
    "scope": _catalogue.SCOPES,
}


@dataclasses.dataclass(frozen=True)
class _Reach:
    """Where packets of a set's rules may come from and go to.

    :param sources: networks that may reach the host; empty for anywhere, ``None`` where the scope decides.
    :param local: what counts as local.
    :param destinations: where packets may go; empty for anywhere.
    :param interface: the interface; empty for every one.
    :param out_interface: the interface that forwarded packets leave by; empty for every one.
    """

    sources: tuple[str, ...] | None
    local: tuple[str, ...]
    destinations: tuple[str, ...]
    interface: str
    out_interface: str

    @functools.cached_property
    def between(self) -> bool:
        """Whether sources and destinations name two networks that both count as local."""
        named = (*(self.sources or ()), *self.destinations)
        return self.named and (not self.local or all(_rules.within(network, self.local) for network in named))

    @property
    def named(self) -> bool:
        """Whether both sources and destinations name networks."""
        return bool(self.sources and self.destinations)

    def turned(self) -> _Reach:
        """The same for the way back."""
        return dataclasses.replace(
            self,
            sources=self.destinations,
            destinations=self.sources or (),
            interface=self.out_interface,
            out_interface=self.interface,
        )


def rules(
    entries: Any,
    directions: Any = None,
    sources: Any = None,
    local_networks: Any = None,
    destinations: Any = None,
    interface: Any = None,
    out_interface: Any = None,
    obsolete: Any = None,
    prefix: str = "",
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Turn entries into rules: a product's ports of one direction, merged to the fewest ranges.

    :param entries: what the lookup ``ports`` returns, not merged.
    :param directions: ``in``, ``out`` (both are the default) and ``forward``: on a gateway, what devices behind it
        use outward. An entry of local scope is forwarded to ``destinations`` alone, not to anywhere. Between two
        networks of ``local_networks``, what either side opens to the other: see :func:`between`.
    :param sources: networks that inbound and forward rules accept from. Unset, inbound entries of local scope and all
        that is forwarded accept from ``local_networks`` and the others from anywhere. ``["any"]``: from anywhere.
    :param local_networks: what counts as local; LOCAL_NETWORKS when unset.
    :param destinations: where packets may go; unset, anywhere. The words of ``_networks`` stand for Apple's networks.
    :param interface: the interface; unset, every one. What is forwarded comes in by it.
    :param out_interface: the interface that forwarded packets leave by, for forward rules alone; unset, every one.
    :param obsolete: whether to have rules for ports on which Apple no longer answers; no when unset.
    :param prefix: what stands before the names of these options where they were given, for messages.
    :returns: rules as plain dicts, and the names of what has no rule in the directions asked for, each with why:
        ``unused``, ``local`` (nothing local is forwarded), ``listens`` (nor what devices listen on) or ``obsolete``; and of
        what is forwarded ``one way`` at most, since a network that is named does not count as local.
    :raises RuleError: a value that no rule may have.
    :raises CatalogueError: ``entries`` are not entries, or Apple publishes no such networks for one of them.
    """
    wanted = check_directions(directions, f"{prefix}directions")
    dead = _options.check_bool(f"{prefix}obsolete", False if obsolete is None else obsolete)
    groups = _grouped(entries)
    users = [(entry.get("product"), str(entry["name"])) for own in groups.values() for entry in own]
    to = _networks.expand(destinations, users)
    reach = _Reach(
        sources=None if sources is None else _network_list(sources, f"{prefix}sources"),
        local=_network_list(LOCAL_NETWORKS if local_networks is None else local_networks, f"{prefix}local_networks"),
        destinations=() if to is None else _network_list(to, f"{prefix}destinations"),
        interface=_rules.check_interface(interface),
        out_interface=_rules.check_interface(out_interface),
    )
    made: list[Rule] = []
    silent: dict[str, str] = {}
    for name, group in groups.items():
        own = _sides.without_obsolete(group, dead)
        found = [rule for direction in wanted for rule in _of_product(name, own, direction, reach)]
        made += found
        if "forward" in wanted and reach.named and not reach.between and any(map(_needs_both_local, own)):
            silent[name] = "one way"
        elif not found:
            outward = "forward" in wanted and any(entry["direction"] != "in" for entry in own)
            unused = "listens" if "forward" in wanted else "unused"
            silent[name] = "obsolete" if not own else "local" if outward else unused
    # The same checks as on the host, before anything travels.
    return [Rule.from_dict(rule.to_dict()).to_dict() for rule in _rules.normalise(made)], silent


def used(entry: Mapping[str, Any], rule: Rule) -> bool:
    """Say whether an entry may be in a rule of its product, by its direction and scope."""
    if rule.direction != "forward":
        return entry["direction"] in (rule.direction, "both")
    # Between two networks a rule has what either side opens to the other.
    return bool(rule.sources and rule.destinations) or _outward(entry, rule.destinations)


def between(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """What two networks with the two sides of a product open to each other.

    The first network has the side that the entries were asked for, else the client where the product has a client. Else
    it has who connects to the product, or what the product connects from.

    :param entries: those of a product.
    :returns: what goes from the first network to the second, and what comes back as connections of its own.
    """
    asked = any(entry.get("side") for entry in entries)
    own = list(entries) if asked else _sides.on(entries, "client")
    there = [entry for entry in own if entry["direction"] != "in" or not entry.get("side")]
    back = [
        entry for entry in own if entry["direction"] == "both" or (entry["direction"] == "in" and entry.get("side"))
    ]
    return there, back


def _needs_both_local(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is forwarded, or forwarded both ways, between local networks alone."""
    return bool(entry["scope"] == "local" and entry["direction"] != "out")


def _outward(entry: Mapping[str, Any], destinations: Sequence[str]) -> bool:
    """Whether a gateway lets an entry out: what devices use outward, and what is local to named networks alone."""
    return entry["direction"] != "in" and (bool(destinations) or entry["scope"] != "local")


def rule_name(name: str) -> str:
    """Bring a product's name to a form that every firewall takes as part of its own names.

    :returns: ASCII letters, digits, spaces and ``. _ + -``, at most 42 characters.
    :raises CatalogueError: nothing is left of it.
    """
    folded = unicodedata.normalize("NFKD", name.replace("&", " and ")).encode("ascii", "ignore").decode("ascii")
    if len(folded) > _NAME_LENGTH:
        folded = re.split(r"[,(;]", folded)[0]
    plain = re.sub(r"[^A-Za-z0-9._+-]+", " ", folded.replace("'", "")).strip(" ._+-")
    if len(plain) > _NAME_LENGTH:
        plain = plain[: _NAME_LENGTH + 1].rpartition(" ")[0] or plain[:_NAME_LENGTH]
    if not plain:
        raise CatalogueError(
            f"the name {name!r} has no letter or digit that a firewall takes: give the product another"
        )
    return plain


def silence(silent: Mapping[str, str]) -> list[str]:
    """The warnings for products that have no rule in the directions asked for.

    :param silent: what :func:`rules` returns.
    """
    warnings = []
    unused, local, listens, dead, one_way = (
        [name for name, why in silent.items() if why == reason]
        for reason in ("unused", "local", "listens", "obsolete", "one way")
    )
    if unused:
        warnings.append(
            f"no rule for {', '.join(unused)}: not used in the directions asked for, so that nothing is opened for "
            f"{'it' if len(unused) == 1 else 'them'}"
        )
    if local:
        warnings.append(
            f"no rule for {', '.join(local)}: connects to local networks alone, and what is local is forwarded only to "
            f"networks that destinations names, so that nothing is opened for {'it' if len(local) == 1 else 'them'}"
        )
    if listens:
        warnings.append(
            f"no rule for {', '.join(listens)}: devices connect to it, which is forwarded only where sources and destinations "
            f"both name networks, so that nothing is opened for {'it' if len(listens) == 1 else 'them'}"
        )
    if dead:
        warnings.append(
            f"no rule for {', '.join(dead)}: Apple no longer answers on the ports; obsolete: true opens them all the same"
        )
    if one_way:
        warnings.append(
            f"{', '.join(one_way)}: only what devices use outward is forwarded, if anything, and not what either side opens to "
            "the other, since local_networks does not have all networks of sources and destinations"
        )
    return warnings


def check_directions(value: Any, what: str = "directions") -> list[str]:
    """Check the directions that are asked for; unset, ``in`` and ``out``.

    :raises CatalogueError: one that is none, or no list.
    """
    if value is None:
        return list(_catalogue.DIRECTIONS)
    given = [value] if isinstance(value, str) else value
    asked = (
        [way.casefold() if isinstance(way, str) else way for way in given] if isinstance(given, (list, tuple)) else []
    )
    if not asked or not all(way in (*_rules.DIRECTIONS, "both") for way in asked):
        raise CatalogueError(f"{what} is {value!r}: give a list of 'in', 'out' and 'forward'")
    if "both" in asked:
        asked += _catalogue.DIRECTIONS
    return [direction for direction in _rules.DIRECTIONS if direction in asked]


def _network_list(value: Any, what: str) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)) and not value:
        # Left empty by mistake, it would open to everybody.
        raise RuleError(f"{what} is an empty list: leave it unset, or give ['any'] for anywhere")
    return _rules.networks(value, what)


def _grouped(entries: Any) -> dict[str, list[Entry]]:
    """Entries by the name that their rules get, in order of appearance."""
    if isinstance(entries, (str, Mapping)) or not isinstance(entries, Iterable):
        raise CatalogueError(
            f"{entries!r} is not a list of entries: give what query('netports.apple.ports', …) returns (not lookup())"
        )
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if not isinstance(entry, Mapping) or any(key not in entry for key in _NEEDED):
            merged = isinstance(entry, Mapping) and "products" in entry
            raise CatalogueError(
                f"{entry!r} is not an entry: give what query('netports.apple.ports', …) returns"
                + (", without merge=true: rules are merged by product" if merged else "")
            )
        for key, choices in _CHOICES.items():
            if entry[key] not in choices:
                raise CatalogueError(f"{key} {_ports.shown(entry[key])} of an entry is not one of {', '.join(choices)}")
        groups.setdefault(rule_name(str(entry["name"])), []).append(dict(entry))
    return groups


def _of_product(name: str, entries: Sequence[Entry], direction: str, reach: _Reach) -> list[Rule]:
    """The rules of a product in one direction."""
    if direction == "forward":
        return _forwarded(name, entries, reach)
    used = [entry for entry in entries if entry["direction"] in (direction, "both")]
    if direction == "out":
        return _rule(name, direction, used, (), reach)
    if reach.sources is not None:
        return _rule(name, direction, used, reach.sources, reach)
    near = [entry for entry in used if entry["scope"] == "local"]
    far = [entry for entry in used if entry["scope"] != "local"]
    # Two rules of one direction need two names in the firewall; ports decide which is which.
    local = _rule(f"{name} local" if far else name, direction, near, reach.local, reach)
    return [*_rule(name, direction, far, (), reach), *local]


def _forwarded(name: str, entries: Sequence[Entry], reach: _Reach) -> list[Rule]:
    """The rules by which a gateway lets a product through."""
    if not reach.between:
        passed = [entry for entry in entries if _outward(entry, reach.destinations)]
        return _rule(name, "forward", passed, reach.local if reach.sources is None else reach.sources, reach)
    there, back = between(entries)
    way_back = reach.turned()
    return [
        *_rule(name, "forward", there, reach.sources or (), reach),
        *_rule(name, "forward", back, way_back.sources or (), way_back),
    ]


def _rule(name: str, direction: str, entries: Sequence[Entry], sources: tuple[str, ...], reach: _Reach) -> list[Rule]:
    """One rule of some entries; none of no entries."""
    if not entries:
        return []
    ports = {
        protocol: tuple(
            _ports.merge(_port_range(entry, direction) for entry in entries if entry["protocol"] == protocol)
        )
        for protocol in _catalogue.PROTOCOLS
    }
    return [
        Rule(
            name=name,
            direction=direction,
            tcp=ports["tcp"],
            udp=ports["udp"],
            sources=sources,
            destinations=reach.destinations,
            interface=reach.interface,
            out_interface=reach.out_interface if direction == "forward" else "",
        )
    ]


def _port_range(entry: Entry, direction: str) -> _ports.PortRange:
    """The ports of an entry.

    :param direction: the rule's. A host's own range is for what comes in; elsewhere the range is another host's.
    :raises CatalogueError: a port that the site chooses, of which the number is missing.
    """
    if entry["first"] is not None:
        return _ports.parse(f"{entry['first']}-{entry['last']}")
    if entry.get("port") != _ports.HOST_EPHEMERAL_WORD:
        raise CatalogueError(
            f"first {_ports.shown(entry['first'])} and last {_ports.shown(entry['last'])} of {entry['name']!r} are no ports"
        )
    return _ports.HOST_EPHEMERAL if direction == "in" else _OTHERS_EPHEMERAL
