# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a host: ufw's files, and its chains in the kernel."""

from __future__ import annotations

import os
import re
from typing import Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel, profiles, tuples
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    DEFAULTS,
    PROFILES,
    RULES_FILES,
    SWITCH,
    Block,
    Idle,
    Reading,
    settings,
)


def profile_path(host: Host, ruleset: str) -> str:
    """The path of a ruleset's profile file."""
    return host.path(PROFILES, profiles.file_name(ruleset))


def reading(host: Host, ruleset: str, enable: bool) -> Reading:
    """Read a host.

    :param enable: ufw is to be started where it is not loaded.
    :raises FirewallError: ufw cannot be read as it is.
    """
    paths = [host.path(path) for path in (DEFAULTS, SWITCH)]
    texts: Dict[str, Optional[str]] = {path: _files.read(path) for path in (profile_path(host, ruleset), *paths)}
    ipv6 = settings(*(texts[path] for path in paths)).get("ipv6") == "yes" and os.path.exists(
        host.path("proc/sys/net/ipv6")
    )
    blocks: Dict[int, Tuple[Block, ...]] = {}
    tables: Dict[int, str] = {}
    loaded: Dict[int, Tuple[str, ...]] = {}
    for family in (4, 6):
        path = host.path(RULES_FILES[family])
        text = _files.read(path)
        if not tuples.has_place(text):
            if family == 6 and not ipv6:
                continue
            raise FirewallError(
                "%s %s: ufw cannot work with it either; see 'ufw reset' and 'dpkg-reconfigure ufw'"
                % (path, "does not exist" if text is None else "has no line '### RULES ###'")
            )
        texts[path] = text
        blocks[family] = tuple(tuples.parse_blocks(text or ""))
        if family == 4 or ipv6:
            tables[family] = table(host, family)
            rules = kernel.user_chains(tables[family], family)
            if rules is not None:
                loaded[family] = rules
    rulesets, foreign = _profiles(host, ruleset)
    idle = None
    if enable and 4 not in loaded:
        idle = Idle(tables=tables, nft=nft_tables(host), sysctls=_sysctls(host, texts[paths[0]] or ""))
    return Reading(texts=texts, blocks=blocks, kernel=loaded, rulesets=rulesets, foreign=foreign, ipv6=ipv6, idle=idle)


def table(host: Host, family: int) -> str:
    """The filter table of an IP version as ``iptables-save`` writes it.

    :raises FirewallError: it failed.
    """
    program = kernel.program(family, "save")
    code, out, err = host.run([program, "-t", "filter"], None)
    if code != 0:
        raise FirewallError("%s failed: %s" % (program, err.strip() or out.strip()))
    return out


def chains(host: Host, family: int) -> Optional[Tuple[str, ...]]:
    """The rules of ufw's user chains; ``None`` when ufw is not loaded."""
    return kernel.user_chains(table(host, family), family)


def nft_tables(host: Host) -> FrozenSet[str]:
    """The tables of nftables, which those of iptables are where it is built on it. Empty without ``nft``."""
    program = next((path for path in ("usr/sbin/nft", "sbin/nft") if os.path.exists(host.path(path))), "")
    if not program:
        return frozenset()
    return frozenset(host.run([host.path(program), "list", "tables"], None)[1].splitlines())


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


def _sysctls(host: Host, defaults: str) -> Dict[str, str]:
    """The kernel's parameters that ufw sets when it starts (IPT_SYSCTL in ``/etc/default/ufw``), by their path."""
    named = re.search(r'^IPT_SYSCTL="?/?([^"\s]+)', defaults, re.MULTILINE)
    text = (_files.read(host.path(named.group(1))) if named else None) or ""
    keys: List[str] = re.findall(r"^\s*-?([a-z][\w./-]*)\s*=", text, re.MULTILINE)
    paths = [host.path("proc/sys", key if "/" in key else key.replace(".", "/")) for key in keys]
    values = ((path, _files.read(path)) for path in paths if os.path.isfile(path))
    return {path: value for path, value in values if value is not None}
