# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes and names that every part of the ufw code shares."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
CHAINS = {"in": "user-input", "out": "user-output", "forward": "user-forward"}
DEFAULTS = "etc/default/ufw"
SWITCH = "etc/ufw/ufw.conf"
PROFILES = "etc/ufw/applications.d"
RULES_FILES = {4: "etc/ufw/user.rules", 6: "etc/ufw/user6.rules"}

# ufw.backend.UFWBackend._get_defaults(): lines that it takes for a setting.
_SETTING = re.compile(r'^\w+="?\w+"?')


def settings(*texts: Optional[str]) -> Dict[str, str]:
    """The settings in the texts of ``/etc/default/ufw`` and ``ufw.conf``, in lower case, as ufw's own code reads them."""
    found: Dict[str, str] = {}
    for text in texts:
        for line in (text or "").splitlines():
            if _SETTING.match(line):
                key, value = line.strip().split("=")[:2]
                found[key.lower()] = value.lower().strip("\"'")
    return found


@dataclass(frozen=True)
class Block:
    """A tuple of a rules file with its rule lines.

    :param text: the tuple line and its rule lines.
    :param start: the number of the tuple line in the file, from 0.
    :param end: the number of the line behind the last rule line.
    :param action: ``allow``, ``deny``, ``reject`` or ``limit``.
    :param protocol: ``tcp``, ``udp``, ``any`` or another one of ufw's.
    :param ports: ``any``, or numbers and ranges such as ``80,443,3478:3497``.
    :param destination: a network.
    :param source_ports: as ``ports``.
    :param source: a network.
    :param profile: the application profile of the destination, or empty.
    :param direction: ``in``, ``out`` or ``forward``.
    :param interface: of what comes in, or leaves for ``out``; empty for every interface.
    :param out_interface: of what leaves, for ``forward``.
    """

    text: str
    start: int
    end: int
    action: str
    protocol: str
    ports: str
    destination: str
    source_ports: str
    source: str
    profile: str
    direction: str
    interface: str
    out_interface: str

    @property
    def allows(self) -> bool:
        """Whether the block lets something through."""
        return self.action in ("allow", "limit")

    @property
    def group(self) -> Group:
        """The blocks of an application rule that ufw keeps together: UFWRule.get_app_tuple()."""
        ends = (self.source, self.destination)
        return (self.profile, self.direction, self.interface, self.out_interface, *ends)


# Profile, direction, interface, outgoing interface, source, destination.
Group = Tuple[str, str, str, str, str, str]
# The texts of a ruleset's blocks by group, in the order of the file.
Groups = Dict[Group, List[str]]


@dataclass(frozen=True)
class Idle:
    """The kernel without ufw, for when ufw has to go out of it again.

    :param tables: the filter tables as ``iptables-save`` writes them, by IP version.
    :param nft: the tables of nftables, as ``nft list tables`` prints them.
    :param sysctls: the parameters that ufw sets when it starts, by path.
    :param problem: why ufw cannot be started as its files are; empty when it can.
    """

    tables: Dict[int, str]
    nft: FrozenSet[str]
    sysctls: Dict[str, str]
    problem: str


@dataclass(frozen=True)
class Reading:
    """All that was read of a host.

    :param texts: of the ruleset's profile file, the rules files, the defaults and the switch, by path.
    :param blocks: the blocks of the rules files by IP version.
    :param kernel: the rules of ufw's user chains, by IP version, where ufw is loaded.
    :param inputs: the rules of the kernel's own input chain by IP version, where ufw is loaded.
    :param rulesets: the rule names by profile, by ruleset, as the ruleset's profile file lists them.
    :param foreign: the paths of other files by the names of the profiles that they define.
    :param blocked: why a file of the ruleset's or of ufw's cannot be written, by path.
    :param ipv6: ufw does IPv6.
    :param unit: how ufw's unit stands, as ``start.unit`` says it.
    :param idle: the kernel without ufw, where ufw is to be started.
    """

    texts: Dict[str, Optional[str]]
    blocks: Dict[int, Tuple[Block, ...]]
    kernel: Dict[int, Tuple[str, ...]]
    inputs: Dict[int, Tuple[str, ...]]
    rulesets: Dict[str, Dict[str, str]]
    foreign: Dict[str, str]
    blocked: Dict[str, str]
    ipv6: bool
    unit: str
    idle: Optional[Idle]


@dataclass(frozen=True)
class Drift:
    """A rule of the ruleset that the kernel has otherwise than ufw's file.

    :param what: a sentence.
    :param profile: the rule's profile; empty where it is about the order of several.
    """

    what: str
    profile: str


@dataclass(frozen=True)
class Load:
    """A change of the user chains of an IP version.

    :param before: the rules before.
    :param after: the rules after.
    :param forward: the input for ``iptables-restore -n`` that makes the change.
    :param backward: the same to take it back.
    """

    before: Tuple[str, ...]
    after: Tuple[str, ...]
    forward: str
    backward: str


@dataclass(frozen=True)
class Steps:
    """What is to be done.

    :param texts: the ruleset's profile file and the rules files as they are to be, by path.
    :param files: the files to write, in their order.
    :param loads: the changes of the kernel by IP version.
    :param owned: the names of all profiles that are the ruleset's, before or after.
    :param profiles: those of them that are wanted.
    :param loaded: the IP versions whose chains are loaded before the first step.
    :param start: where ufw is to be started, the kernel before that.
    :param unit: ufw's unit is to be enabled.
    """

    texts: Dict[str, Optional[str]]
    files: Tuple[FileChange, ...]
    loads: Dict[int, Load]
    owned: FrozenSet[str]
    profiles: Tuple[str, ...]
    loaded: Tuple[int, ...]
    start: Optional[Idle]
    unit: bool
