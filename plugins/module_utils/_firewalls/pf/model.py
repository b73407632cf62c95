# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes and names that pf's parts share."""

from __future__ import annotations

from typing import Dict, FrozenSet, Mapping, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# macOS has this folder for the files of anchors; the other systems get it too.
FOLDER = "/etc/pf.anchors"
# What the names of our anchors begin with; the name of the ruleset follows.
PREFIX = "netports."


def anchor(ruleset: str) -> str:
    """The name of a ruleset's anchor: one component.

    A path such as ``netports/apple`` prints as ``/apple`` on macOS and FreeBSD 12, and on those two the whole
    path has only the 63 bytes that a component has.
    """
    return PREFIX + ruleset


def anchor_file(ruleset: str) -> str:
    """The host's path of the anchor's file."""
    return "%s/%s" % (FOLDER, anchor(ruleset))


@dataclass(frozen=True)
class Power:
    """Whether pf filters now.

    :param on: it does.
    :param held: the ruleset itself keeps it so. macOS counts holds; elsewhere this is ``on``.
    """

    on: bool
    held: bool


@dataclass(frozen=True)
class Parsed:
    """What an anchor file holds.

    :param rules: its rules in their order, without the guards.
    :param guards: the rules that keep management connections admitted.
    :param early: those of the guards whose connection began while pf was off.
    :param whole: the file is, byte for byte, what ``anchor.emit`` writes for these rules.
    """

    rules: Tuple[Rule, ...]
    guards: Tuple[Rule, ...]
    early: FrozenSet[Rule]
    whole: bool

    @property
    def all(self) -> Tuple[Rule, ...]:
        """The guards and the rules."""
        return self.guards + self.rules


@dataclass(frozen=True)
class Kernel:
    """What the kernel has of the ruleset.

    :param rules: the anchor's rules, as pfctl prints them.
    :param same: they are what the anchor's file expands to.
    :param tables: names of the anchor's tables that are not as the file says.
    :param main: the main ruleset, as pfctl prints it.
    """

    rules: Tuple[str, ...]
    same: bool
    tables: Tuple[str, ...]
    main: Tuple[str, ...]

    def calls(self, name: str) -> int:
        """How often the main ruleset calls an anchor for every packet."""
        return self.main.count('anchor "%s" all' % name)


@dataclass(frozen=True)
class Expansion:
    """What pfctl makes of a main ruleset's file.

    :param rules: its filter rules.
    :param translations: its rules that translate addresses.
    """

    rules: Tuple[str, ...]
    translations: Tuple[str, ...]


@dataclass(frozen=True)
class Here:
    """What this host knows of itself, to decide conditions of rules.

    :param interfaces: the addresses of each interface that has any, with their prefix lengths.
    :param tables: the members of tables of the main ruleset, as far as they were read.
    :param peer: the other side of the connection that manages this host.
    :param address: this host's address in it.
    """

    interfaces: Mapping[str, Tuple[str, ...]]
    tables: Mapping[str, Tuple[str, ...]]
    peer: str = ""
    address: str = ""


@dataclass(frozen=True)
class Reading:
    """All that was read of a host.

    :param system: a key of ``systems.SYSTEMS``.
    :param main_file: the host's path of the main ruleset.
    :param text: the anchor's file.
    :param parsed: the same, read.
    :param main: the text of the main ruleset.
    :param boots: pf is on after the next boot.
    :param power: pf is on now.
    :param kernel: ``None`` where the kernel has no pf.
    :param coming: the rules of the main ruleset's file, as pfctl expands them, without what it loads into anchors.
        Read where they are to be loaded, or pf is to be switched on; else ``None``.
    :param lost: what the kernel's main ruleset has beside its file, where that is to be loaded.
    :param here: what the host knows of itself.
    :param files: the files of the switch at boot, by their path on the host.
    :param obstacles: what of others keeps the ruleset from being managed, in sentences.
    :param blind: the environment does not say over which connection this host is managed, and there may be one.
    :param foreign: the rules of anchors that the main ruleset calls, by the anchor's name. Read where asked for.
    :param rulesets: the rules of all rulesets by name. Read where asked for.
    """

    system: str
    main_file: str
    text: Optional[str]
    parsed: Parsed
    main: Optional[str]
    boots: bool
    power: Power
    kernel: Optional[Kernel]
    coming: Optional[Tuple[str, ...]]
    lost: Tuple[str, ...]
    here: Here
    files: Mapping[str, Optional[str]]
    obstacles: Tuple[str, ...]
    blind: bool
    foreign: Mapping[str, Tuple[str, ...]]
    rulesets: Dict[str, Tuple[Rule, ...]]


@dataclass(frozen=True)
class Steps:
    """What a plan does.

    :param reading: what was there.
    :param text: the anchor's new file; ``None`` for a removal.
    :param load: ``main``, ``anchor`` or empty: what is loaded.
    :param flush: the anchor's rules are taken out of the kernel.
    :param now: pf is switched on now.
    :param boot: pf is switched on at boot.
    """

    reading: Reading
    text: Optional[str]
    load: str
    flush: bool
    now: bool
    boot: bool
