# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that is read of a host with nftables, in one place."""

from __future__ import annotations

import os
import re
from typing import Dict, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import Asked, FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import fate, kernel, text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    FOLDER,
    MAIN_FILES,
    OWN_FILE,
    Files,
    ruleset_file,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.state import NftablesState
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule

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
    return NftablesState(
        host=host,
        asked=asked,
        rules=text.parse(files.text or ""),
        active=any(
            fate.refuses(listing, chain, everywhere=False) for chain in listing.chains.values() if chain.hook == "input"
        ),
        enabled=boot,
        listing=listing,
        files=files,
    )


def _read(host: Host, ruleset: str, boot: bool) -> Files:
    main = next((path for path in MAIN_FILES if os.path.exists(host.path(path))), MAIN_FILES[0])
    others: Dict[str, Tuple[Rule, ...]] = {}
    folder = host.path(FOLDER)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        found = _RULESET_FILE.match(name)
        if found and found.group(1) != ruleset:
            others[found.group(1)] = text.parse(_files.read(os.path.join(folder, name)) or "")
    return Files(
        main=main,
        main_text=_files.read(host.path(main)),
        text=_files.read(host.path(ruleset_file(ruleset))),
        own=_files.read(host.path(OWN_FILE)),
        others=others,
        folder=os.path.isdir(folder),
        boot=boot,
    )
