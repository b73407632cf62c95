# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that is read of a host with nftables, in one place."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from typing import Dict, List, Match, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked, FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import checks, fate, kernel, text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    FOLDER,
    HOOKS,
    MAIN_FILES,
    OWN_FILE,
    Files,
    ruleset_file,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.state import NftablesState
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

# What nft puts before a relative path, and how deep it follows includes.
_BESIDE = "/etc"
_DEPTH = 16
_RULESET_FILE = re.compile(r"netports-([a-z][a-z0-9-]{0,23})\.nft\Z")


def state(host: Host, asked: Asked, listed: str, boot: bool) -> NftablesState:
    """The state of a host.

    :param listed: what ``nft -j list ruleset`` prints.
    :param boot: nftables.service starts at boot.
    :raises FirewallError: nft printed something else.
    """
    try:
        listing = kernel.parse(listed)
    except ValueError as error:
        raise FirewallError("nft -j list ruleset printed what is no ruleset (%s): see 'nft --version'" % error)
    files = _read(host, asked.ruleset, boot)
    # A chain may have thousands of rules, which are looked at once.
    chains = [chain for hook in HOOKS.values() for chain in checks.bases(listing, hook)]
    refusing = {chain.id: fate.refuses(listing, chain) for chain in chains}
    somewhere = {chain.id for chain in chains if refusing[chain.id] or fate.may_refuse(listing, chain)}
    return NftablesState(
        host=host,
        asked=asked,
        rules=text.parse(files.text or ""),
        active=any(chain.id in somewhere for chain in chains if chain.hook == "input"),
        enabled=boot,
        listing=listing,
        files=files,
        everywhere=frozenset(place for place, refuses in refusing.items() if refuses),
        somewhere=frozenset(somewhere),
    )


def _read(host: Host, ruleset: str, boot: bool) -> Files:
    main = next((path for path in MAIN_FILES if os.path.exists(host.path(path))), MAIN_FILES[0])
    others: Dict[str, Tuple[Rule, ...]] = {}
    folder = host.path(FOLDER)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        found = _RULESET_FILE.match(name)
        if found and found.group(1) != ruleset:
            others[found.group(1)] = text.parse(_files.read(os.path.join(folder, name)) or "")
    main_text = _files.read(host.path(main))
    ours = {posixpath.basename(path) for path in (OWN_FILE, *map(ruleset_file, (ruleset, *others)))}
    return Files(
        main=main,
        main_text=main_text,
        whole=_whole(host, text.without_include(main_text or ""), ours, _DEPTH),
        text=_files.read(host.path(ruleset_file(ruleset))),
        own=_files.read(host.path(OWN_FILE)),
        others=others,
        folder=os.path.isdir(folder),
        boot=boot,
        openrc=os.path.isdir(host.path("etc/runlevels")) and not os.path.isdir(host.path("run/systemd/system")),
    )


def _whole(host: Host, body: str, ours: Set[str], depth: int) -> str:
    """A text with what it includes in the place of each include; see ``Files.whole``.

    :param ours: the names of the rulesets' files that there are or may come.
    """

    def put(found: Match[str]) -> str:
        folder, _unused, pattern = posixpath.normpath(posixpath.join(_BESIDE, found.group(1))).rpartition("/")
        names = set(fnmatch.filter(_names(host, folder), pattern))
        names |= set(fnmatch.filter(ours, pattern)) if folder == "/" + FOLDER else set()
        parts = [_part(host, "%s/%s" % (folder, name), ours, depth) for name in sorted(names)]
        return "\n".join(["", *parts, ""])

    return text.INCLUDED.sub(put, body)


def _part(host: Host, path: str, ours: Set[str], depth: int) -> str:
    if posixpath.dirname(path) == "/" + FOLDER and posixpath.basename(path) in ours:
        return text.include_of(path)
    here = host.path(path.lstrip("/"))
    return _whole(host, _files.read(here) or "", ours, depth - 1) if depth and os.path.isfile(here) else ""


def _names(host: Host, folder: str) -> List[str]:
    """The names of a folder's files, as glob(3) matches them with an asterisk."""
    here = host.path(folder.lstrip("/"))
    return [name for name in os.listdir(here) if not name.startswith(".")] if os.path.isdir(here) else []
