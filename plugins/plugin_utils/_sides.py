# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which side of a product a host is, and the ports that a site chooses for it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.plugin_utils._catalogue_names import listed
from ansible_collections.netports.apple.plugins.plugin_utils._errors import LOOKUP, CatalogueError, Wording
from ansible_collections.netports.apple.plugins.plugin_utils._names import normalise
from ansible_collections.netports.apple.plugins.plugin_utils._port_words import HOST_EPHEMERAL, SITE_PORT

Entry = dict[str, Any]


def of(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of all sides that entries have, each once."""
    return list(dict.fromkeys(side["id"] for entry in entries for side in entry.get("sides") or ()))


def check(side: str | None, sides: Sequence[str], names: Iterable[str]) -> None:
    """Refuse a side that no product has.

    :param sides: those that there are.
    :param names: the products that were asked for.
    :raises CatalogueError: with the sides that there are.
    """
    if side is None or side in sides:
        return
    asked = list(dict.fromkeys(names))
    whose = listed(asked) if 0 < len(asked) <= 5 else "the list of products"
    if not sides:
        raise CatalogueError(f"{whose} has no side {side!r}: leave it out")
    raise CatalogueError(f"{whose} has no side {side!r}: give {listed(sides, 'or')}")


def without_obsolete(entries: Iterable[Entry], obsolete: bool) -> list[Entry]:
    """The entries without those on which Apple no longer answers, unless these are wanted."""
    return [entry for entry in entries if obsolete or not entry.get("obsolete")]


def on(entries: Sequence[Entry], side: str | None) -> list[Entry]:
    """The entries of the products that have a side, as this side uses them; those of other products as they are.

    A port whose sides leave this one out is not used by it, and is left out here.
    """
    if side is None:
        return list(entries)
    whose = {_owner(entry) for entry in entries if side in of([entry])}
    found = []
    for entry in entries:
        if _owner(entry) not in whose or not entry.get("sides"):
            found.append(entry)
            continue
        for own in entry["sides"]:
            if own["id"] == side:
                judgement = {key: own[key] for key in ("direction", "scope", "reason")}
                found.append({**entry, **judgement, "side": side})
    return found


def with_ports(
    entries: Iterable[Entry], given: Any, wording: Wording = LOOKUP, called: Mapping[str, str] | None = None
) -> list[Entry]:
    """Put the ports that a site chose in the place of the word that stands for them.

    :param given: ports and ranges, with or without a protocol (``21064``, ``"8000-8010/udp"``), or None.
    :param called: the name by which each product was asked for, by its id, for messages.
    :raises CatalogueError: a product needs a port and there is none; there is a port and no product, or several,
        to take it; or it is no port.
    """
    entries = list(entries)
    takers = list(dict.fromkeys(_called(entry, called or {}) for entry in entries if entry["port"] == SITE_PORT))
    ports = _chosen(given, wording)
    if ports and len(takers) != 1:
        if not takers:
            raise CatalogueError(f"{wording.give('ports', given)}: no product takes them: leave them out")
        raise CatalogueError(
            f"{wording.give('ports', given)}: {' and '.join(takers)} take ports of their own: give each a set of its own"
        )
    made: list[Entry] = []
    for entry in entries:
        if entry["port"] != SITE_PORT:
            made.append(entry)
        elif ports:
            made += [{**entry, **port.to_dict(entry["protocol"])} for port in ports]
        elif not entry.get("optional"):
            raise CatalogueError(
                f"{_called(entry, called or {})} has no port of its own, since each site chooses one: give it with "
                f"{wording.give('ports', [entry['example']])}"
            )
    return made


@dataclasses.dataclass(frozen=True)
class _Port:
    """A port or a range that a site chose.

    :param ports: its numbers; ``None`` for the host's own range.
    :param protocol: the protocol, where one was given.
    """

    ports: _ports.PortRange | None
    protocol: str | None

    def to_dict(self, protocol: str) -> dict[str, Any]:
        """What an entry says of it.

        :param protocol: the product's own, where none was given.
        """
        first, last = self.ports or (None, None)
        text = _ports.text(self.ports) if self.ports else HOST_EPHEMERAL
        return {"port": text, "first": first, "last": last, "protocol": self.protocol or protocol}


def _called(entry: Mapping[str, Any], called: Mapping[str, str]) -> str:
    """A product by the name that it was asked for, and by its own where that is another."""
    name = str(entry["name"]["en"])
    asked = called.get(entry["product"], name)
    return repr(name) if normalise(asked) in (normalise(name), entry["product"]) else f"{asked!r} ({name})"


def _owner(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    """What shares sides: a product, or a row that has none."""
    return entry["product"], None if entry["product"] else entry["port"]


def _chosen(given: Any, wording: Wording) -> list[_Port]:
    """Check the ports of a site's own; a text may list several, separated by commas."""
    if given is None:
        return []
    values = given if isinstance(given, (list, tuple)) else [given]
    if isinstance(given, str):
        values = re.split(r"\s*,\s*", given.strip())
    if not values:
        raise CatalogueError(f"{wording.give('ports', given)} is an empty list: leave it out, or give the site's ports")
    return [_port(value, f"{wording.prefix}ports") for value in values]


def _port(value: Any, what: str) -> _Port:
    port, slash, protocol = value.partition("/") if isinstance(value, str) else (value, "", "")
    if slash and protocol not in ("tcp", "udp"):
        raise CatalogueError(
            f"{what}: {_ports.shown(value)} names no protocol that there is: write /tcp or /udp, or none"
        )
    try:
        found = _ports.parse(port)
    except ValueError as error:
        raise CatalogueError(f"{what}: {error}") from None
    return _Port(ports=None if found == _ports.HOST_EPHEMERAL else found, protocol=protocol or None)
