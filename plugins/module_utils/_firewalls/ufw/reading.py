# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a host: ufw's files, and what is loaded."""

from __future__ import annotations

import os
import re
from typing import Dict, Iterable, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel, profiles, start, tuples
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    DEFAULTS,
    PROFILES,
    RULES_FILES,
    SWITCH,
    Block,
    Reading,
    settings,
)
from ansible_collections.netports.apple.plugins.module_utils._values import replace


def profile_path(host: Host, ruleset: str) -> str:
    """The path of a ruleset's profile file."""
    return host.path(PROFILES, profiles.file_name(ruleset))


def files(host: Host, ruleset: str) -> Reading:
    """Read ufw's files alone.

    :raises FirewallError: ufw cannot be read as it is.
    """
    defaults, switch = host.path(DEFAULTS), host.path(SWITCH)
    own = profile_path(host, ruleset)
    texts: Dict[str, Optional[str]] = {path: _files.read(path) for path in (own, defaults, switch)}
    on = settings(texts[defaults], texts[switch]).get("ipv6") == "yes"
    blocks: Dict[int, Tuple[Block, ...]] = {}
    for family in (4, 6):
        path = host.path(RULES_FILES[family])
        text = _files.read(path)
        if not tuples.has_place(text):
            if family == 6 and not on:
                continue
            raise FirewallError(
                "%s %s: ufw cannot work with it either; see 'ufw reset' and 'dpkg-reconfigure ufw'"
                % (path, "does not exist" if text is None else "has no line '### RULES ###'"),
                "broken",
            )
        texts[path] = text
        blocks[family] = tuple(tuples.parse_blocks(text or ""))
    rulesets, foreign = _profiles(host, ruleset)
    return Reading(
        texts=texts,
        blocks=blocks,
        kernel={},
        inputs={},
        rulesets=rulesets,
        foreign=foreign,
        blocked=_blocked(host, [*texts, *(host.path(path) for path in RULES_FILES.values())]),
        ipv6=on and os.path.exists(host.path("proc/sys/net/ipv6")),
        unit=start.unit(host),
        idle=None,
    )


def with_kernel(host: Host, found: Reading, enable: bool) -> Reading:
    """What was read of the files, with what is loaded.

    :param enable: ufw is to be started where it is not loaded.
    :raises FirewallError: it cannot be read.
    """
    families = (4, 6) if found.ipv6 else (4,)
    tables = {family: kernel.table(host, family) for family in families}
    chains = {family: kernel.user_chains(text, family) for family, text in tables.items()}
    loaded = {family: rules for family, rules in chains.items() if rules is not None}
    idle = None
    if enable and 4 not in loaded:
        idle = start.idle(host, tables, families, found.texts[host.path(DEFAULTS)] or "")
    inputs = {family: tuple(re.findall(r"^-A INPUT .*", tables[family], re.MULTILINE)) for family in loaded}
    return replace(found, kernel=loaded, inputs=inputs, idle=idle)


def _blocked(host: Host, paths: Iterable[str]) -> Dict[str, str]:
    """Why files cannot be written, by path."""
    mounts = {line.split()[4] for line in (_files.read(host.path("proc/self/mountinfo")) or "").splitlines()}
    found: Dict[str, str] = {}
    for path in paths:
        real = os.path.realpath(path)
        folder = os.path.dirname(real)
        if not os.path.isdir(folder):
            found[path] = (
                "cannot be written, since its folder is missing, without which ufw does not work either: make it"
            )
        elif real in mounts:
            found[path] = "is a mount of its own, so that it cannot be replaced: mount its folder instead"
        elif not os.access(folder, os.W_OK) or (os.path.exists(real) and not os.access(real, os.W_OK)):
            found[path] = (
                "cannot be written: see 'lsattr' for it and its folder ('chattr -i'), and whether it is mounted read-only"
            )
    return found


def _profiles(host: Host, ruleset: str) -> Tuple[Dict[str, Dict[str, str]], Dict[str, str]]:
    """The rule names of all rulesets by profile, and the files that define profiles with this ruleset's prefix."""
    folder = host.path(PROFILES)
    rulesets: Dict[str, Dict[str, str]] = {}
    foreign: Dict[str, str] = {}
    prefix = profiles.prefix(ruleset).lower()
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        if profiles.skipped(name) or not os.path.isfile(path):
            continue
        text = _files.read(path) or ""
        owner = profiles.ruleset_of(name)
        if owner:
            rulesets[owner] = profiles.titles(text)
        if owner != ruleset and prefix in text.lower():
            foreign.update((section, path) for section in profiles.names(text) if section.lower().startswith(prefix))
    return rulesets, foreign
