# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a host with pf: its files, and what pfctl tells of its kernel."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _connection, _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import (
    admission,
    anchor,
    kernel,
    main_ruleset,
    printed,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import (
    FOLDER,
    PREFIX,
    Expansion,
    Here,
    Kernel,
    Parsed,
    Power,
    Reading,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import System
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import replace

# A file that is included may include others; pfctl itself stops at some depth.
_DEEPEST = 16


def read(system: System, asked: Asked) -> Reading:
    """Read a host, in three processes where it has what the files say, and one more while pf is off (:func:`_coming`).

    :raises FirewallError: pf cannot be asked.
    """
    text = _files.read(system.path(system.anchor_file))
    parsed = anchor.parse(text or "", asked.ruleset)
    main = _files.read(system.path(system.main_file()))
    found = kernel.read(system, text, parsed) if system.loaded() else None
    power, here, wrong = _power(system, asked, parsed, found)
    coming, lost = _coming(system, asked, parsed, main, found, power)
    return Reading(
        system=system.name,
        main_file=system.main_file(),
        text=text,
        parsed=parsed,
        main=main,
        boots=system.boots(),
        power=power,
        kernel=replace(found, tables=(*found.tables, *wrong)) if found else None,
        coming=coming,
        lost=lost,
        here=here,
        files={file: _files.read(system.path(file)) for file in (*system.boot_files(False), *system.switch_files)},
        obstacles=tuple(_obstacles(system, asked.ruleset, main)),
        blind=_blind(),
        foreign=kernel.anchors(system, found.main) if found and asked.foreign else {},
        rulesets=_rulesets(system) if asked.foreign else {},
    )


def _power(system: System, asked: Asked, parsed: Parsed, found: Optional[Kernel]) -> Tuple[Power, Here, List[str]]:
    """Whether pf is on, what the host knows of itself, and which further table of the anchor is wrong.

    A table rides along with the question for the switch: one that decides whether the connection that manages this
    host is admitted, else the anchor's second.
    """
    connection = _connection.connection(system.host)
    here = Here(
        interfaces=_interfaces(),
        tables={},
        peer=connection.address if connection else "",
        address=connection.local if connection else "",
    )
    if found is None:
        return Power(on=False, held=False), here, []
    names: List[str] = []
    if connection and not admission.admits(found.main, connection.address, connection.port, False, here):
        names = printed.tables(found.main)
    tables: Dict[str, Tuple[str, ...]] = {}
    if names:
        power, out = system.power(*kernel.rider(names[0]))
        tables = {names[0]: tuple(printed.table(out))} if out is not None else {}
        for name in names[1:]:
            members = system.shown(*kernel.rider(name))
            if members is not None:
                tables[name] = tuple(printed.table(members))
        return power, replace(here, tables=tables), []
    power, wrong = kernel.power(system, parsed, found.same)
    return power, here, wrong


def _coming(
    system: System, asked: Asked, parsed: Parsed, main: Optional[str], found: Optional[Kernel], power: Power
) -> Tuple[Optional[Tuple[str, ...]], Tuple[str, ...]]:
    """The rules of the main ruleset's file, where they are to be loaded or pf is off, and what a load drops.

    While pf is off, somebody may switch it on with that file: the rules have to fit that moment.

    :returns: ``coming`` and ``lost`` of the reading.
    """
    wanted = bool(target(asked, parsed))
    loads = found is not None and bool(found.calls(system.anchor)) != wanted
    off = wanted and not power.on
    if main is None or not (loads or (off and (asked.enable or main_ruleset.may_refuse(main)))):
        return None, ()
    # The kernel's may have been loaded without the optimizer.
    expansion = kernel.expanded(system, main)
    if found is None or expansion is None or not loads:
        return (expansion.rules if expansion else None), ()
    lost = _lost(system, found, expansion)
    plain = kernel.expanded(system, main, "-o", "none") if lost else None
    if plain and not _lost(system, found, plain):
        return plain.rules, ()
    return expansion.rules, tuple(lost)


def _lost(system: System, found: Kernel, expansion: Expansion) -> List[str]:
    """What others have in the kernel's main ruleset and a load of its file drops."""
    rules = main_ruleset.lost(found.main, expansion.rules)
    return rules + main_ruleset.lost(kernel.translations(system), expansion.translations)


def target(asked: Asked, parsed: Parsed) -> Tuple[Rule, ...]:
    """The rules that the ruleset is to hold in the end, without guards."""
    if asked.state not in ("replaced", "merged", "deleted"):
        return parsed.rules
    return tuple(anchor.arrange(changes.target(asked.state, parsed.rules, asked.rules)))


def _interfaces() -> Dict[str, Tuple[str, ...]]:
    try:
        from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import addresses
    except ImportError:
        # A Python without ctypes.
        return {}
    return addresses.interfaces()


def _obstacles(system: System, ruleset: str, main: Optional[str]) -> List[str]:
    """Lines about our anchor that are not ours to change."""
    found = []
    name, main_file = system.anchor, system.main_file()
    if main_ruleset.taken(main, ruleset):
        found.append("%s has rules of its own, in braces, in an anchor %s" % (main_file, name))
    waiting, seen = main_ruleset.includes(main), {main_file}
    while waiting and len(seen) < _DEEPEST:
        file = waiting.pop(0)
        if file not in seen:
            seen.add(file)
            text = _files.read(system.path(file))
            if main_ruleset.own_part(text, ruleset):
                found.append("%s, which %s includes, has lines of anchor %s" % (file, main_file, name))
            waiting += main_ruleset.includes(text)
    return found


def _blind() -> bool:
    """Whether sudo or doas took out of the environment which connection this is.

    Without a /proc it cannot be found elsewhere.
    """
    return not os.environ.get("SSH_CONNECTION") and bool(os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER"))


def _rulesets(system: System) -> Dict[str, Tuple[Rule, ...]]:
    """The rules of every ruleset of this collection, by its name."""
    folder = system.path(FOLDER)
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        ruleset = name[len(PREFIX) :]
        if name.startswith(PREFIX) and ruleset:
            text = _files.read(os.path.join(folder, name))
            found[ruleset] = anchor.parse(text or "", ruleset).all
    return found
