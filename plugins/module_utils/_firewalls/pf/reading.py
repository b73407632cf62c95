# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a host with pf: its files, and what pfctl tells of its kernel."""

from __future__ import annotations

import os
from typing import Dict, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor, kernel
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import (
    FOLDER,
    PREFIX,
    Kernel,
    Parsed,
    Power,
    Reading,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.systems import System
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule


def read(system: System, asked: Asked) -> Reading:
    """Read a host, in three processes where it has what the files say.

    :raises FirewallError: pf cannot be asked.
    """
    text = _files.read(system.path(system.anchor_file))
    parsed = anchor.parse(text or "", asked.ruleset)
    main = _files.read(system.path(system.main_file()))
    power = Power(on=False, held=False)
    found: Optional[Kernel] = None
    if system.loaded():
        found, power = _kernel(system, text, parsed)
    coming: Tuple[str, ...] = ()
    if asked.enable and not power.on and main is not None:
        coming = kernel.expanded(system, system.main_file()) or ()
    return Reading(
        system=system.name,
        main_file=system.main_file(),
        text=text,
        parsed=parsed,
        main=main,
        boots=system.boots(),
        power=power,
        kernel=found,
        coming=coming,
        files={file: _files.read(system.path(file)) for file in (*system.boot_files(False), *system.switch_files)},
        blind=_blind(),
        foreign=kernel.anchors(system, found.main) if found and asked.foreign else {},
        rulesets=_rulesets(system) if asked.foreign else {},
    )


def _kernel(system: System, text: Optional[str], parsed: Parsed) -> Tuple[Kernel, Power]:
    found = kernel.read(system, text, parsed)
    power, wrong = kernel.power(system, parsed, found.same)
    return Kernel(rules=found.rules, same=found.same, tables=(*found.tables, *wrong), main=found.main), power


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
