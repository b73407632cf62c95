# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shapes and names of the nftables backend."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# The administrator's file that nftables.service loads: Debian and Arch, Fedora, Alpine.
MAIN_FILES = ("etc/nftables.conf", "etc/sysconfig/nftables.conf", "etc/nftables.nft")
FOLDER = "etc/nftables.d"
# The table that refuses by default. A digit sorts before the letter with which a ruleset's name begins, so that
# the table's file is included before the files of the rulesets.
OWN_FILE = FOLDER + "/netports-0-own.nft"
OWN_TABLE = ("inet", "netports")
HOOKS = {"in": "input", "out": "output", "forward": "forward"}
DIRECTIONS = {hook: direction for direction, hook in HOOKS.items()}
PREFIX = "netports-"
# Bridges of containers and virtual machines, by how the names begin that their programs give them: the program, and the
# ports of UDP at which its guests ask the host for names (53) and addresses (67, 547). Docker's guests ask nothing of it.
GUESTS = {
    "podman": ("podman", (53,)),
    "virbr": ("libvirt", (53, 67, 547)),
    "lxcbr": ("LXC", (53, 67, 547)),
    "lxdbr": ("LXD", (53, 67, 547)),
    "incusbr": ("Incus", (53, 67, 547)),
}


def ruleset_file(ruleset: str) -> str:
    """The file of a ruleset, relative to the root."""
    return "%s/%s%s.nft" % (FOLDER, PREFIX, ruleset)


# A chain: family, table, name.
Id = Tuple[str, str, str]


@dataclass(frozen=True)
class KernelRule:
    """A rule as ``nft -j list ruleset`` prints it."""

    expr: Tuple[Any, ...]
    comment: str = ""
    handle: int = 0


@dataclass(frozen=True)
class Chain:
    """A chain of the kernel. ``hook`` is empty for a regular chain; ``policy`` is ``accept`` or ``drop``."""

    family: str
    table: str
    name: str
    rules: Tuple[KernelRule, ...] = ()
    hook: str = ""
    kind: str = ""
    prio: int = 0
    policy: str = "accept"

    @property
    def id(self) -> Id:
        """What tells the chain from every other."""
        return self.family, self.table, self.name


@dataclass(frozen=True)
class Listing:
    """The kernel's ruleset: chains by id, the tables that another program holds as its owner, and the rules that set marks."""

    chains: Mapping[Id, Chain]
    held: Tuple[Tuple[str, str], ...] = ()
    marking: Tuple[KernelRule, ...] = ()


@dataclass(frozen=True)
class Target:
    """A base chain that refuses packets, which the rules have to join.

    ``prio`` is the priority as a number.
    """

    family: str
    table: str
    chain: str
    hook: str
    prio: int

    @property
    def id(self) -> Id:
        """The base chain."""
        return self.family, self.table, self.chain


@dataclass(frozen=True)
class Part:
    """What belongs to a ruleset in the kernel.

    :param chains: regular chains, by id.
    :param jumps: the chain that each base chain jumps to, by the base chain and the regular chain.
    :param own: the base chains of the own table with the rules that every host needs, by id.
    """

    chains: Mapping[Id, Tuple[KernelRule, ...]]
    jumps: Tuple[Tuple[Id, str], ...]
    own: Mapping[Id, Chain]


@dataclass(frozen=True)
class Files:
    """What the disk has.

    :param main: the path of the administrator's file, and ``main_text`` its text; ``None`` where it is missing.
    :param whole: the same without our line, with what it includes in the place of each include. Only a file of a ruleset's
        has an include of its own there, whether it exists or not.
    :param text: the ruleset's file.
    :param own: the file of the own table.
    :param others: rules of the other rulesets, by name.
    :param folder: whether the folder for the files exists.
    :param boot: nftables.service starts at boot.
    :param openrc: OpenRC starts it and not systemd.
    """

    main: str
    main_text: Optional[str]
    whole: str
    text: Optional[str]
    own: Optional[str]
    others: Dict[str, Tuple[Rule, ...]]
    folder: bool
    boot: bool
    openrc: bool
