# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Works out what leads from what was read to what is wanted. Pure."""

from __future__ import annotations

import os
import re
from typing import Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Asked,
    FirewallError,
    Host,
    Operation,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import (
    effect,
    kernel,
    profiles,
    start,
    tuples,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import (
    DEFAULTS,
    PROFILES,
    RULES_FILES,
    SWITCH,
    Load,
    Reading,
    Steps,
    settings,
)
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, pairs


def steps(host: Host, asked: Asked, found: Reading, want: Wanted) -> Steps:
    """What is to be done.

    :raises FirewallError: the wanted rules cannot be had on this host.
    """
    if asked.enable:
        _refuse_start(found)
    named = profiles.allocate(want.all, asked.ruleset)
    if not want.rules:
        _refuse_leftovers(asked.ruleset, found)
    _refuse_clash(asked.ruleset, named, found.foreign)
    owned = frozenset(found.rulesets.get(asked.ruleset, {})) | frozenset(named)
    path = host.path(PROFILES, profiles.file_name(asked.ruleset))
    texts = {path: profiles.profile_text(want.all, asked.ruleset) if named else None}
    loads: Dict[int, Load] = {}
    for family, blocks in found.blocks.items():
        path = host.path(RULES_FILES[family])
        rules = want.all if family == 4 or found.ipv6 else ()
        groups = tuples.wanted_groups(rules, named, family)
        first = _first(want, family) if rules else 0
        texts[path] = tuples.edit(found.texts[path] or "", blocks, owned, groups, first)
        load = None
        if family in found.kernel:
            load = kernel.bring(family, found.kernel[family], texts[path] or "", owned, first)
        if load:
            loads[family] = load
    files = [FileChange(path, found.texts[path], text) for path, text in texts.items() if text != found.texts[path]]
    switch = host.path(SWITCH)
    text = found.texts[switch] or ""
    if asked.enable and switched_on(text) != text:
        files.append(FileChange(switch, text, switched_on(text)))
    _refuse_blocked(files, found.blocked)
    return Steps(
        texts=texts,
        files=tuple(files),
        loads=loads,
        owned=owned,
        profiles=tuple(sorted(named)),
        loaded=tuple(found.kernel),
        start=found.idle,
        unit=bool(asked.enable) and found.unit == start.DISABLED,
    )


def _refuse_start(found: Reading) -> None:
    """Refuse to switch on what cannot be.

    :raises FirewallError: ufw could not be loaded, now or at boot.
    """
    if found.idle and found.idle.problem:
        raise FirewallError("ufw cannot be switched on: %s; nothing was changed" % found.idle.problem, "broken")
    if found.unit == start.MASKED:
        raise FirewallError(
            "ufw.service is masked, so that ufw stays off at boot: 'systemctl unmask ufw' first, or leave the switch "
            "(host_firewall_enable) alone; nothing was changed",
            "off-at-boot",
        )


def _first(want: Wanted, family: int) -> int:
    """How many of the rules have to stand before all others in an IP version: the guards."""
    return len([guard for guard in want.guards if pairs(guard, family)])


def _refuse_clash(ruleset: str, named: Collection[str], foreign: Mapping[str, str]) -> None:
    """Refuse names that another file defines, too: ufw takes the last file's.

    :raises FirewallError: there is such a name.
    """
    lower = {name.lower() for name in named}
    for name, path in foreign.items():
        if name.lower() in lower:
            raise FirewallError(
                "the application profile %r is defined in %s: rename or remove it there, or choose another ruleset "
                "name than %r" % (name, path, ruleset)
            )


def _refuse_leftovers(ruleset: str, found: Reading) -> None:
    """Refuse to take rules for gone that may be the ruleset's.

    :raises FirewallError: its file is gone, and there are rules of profiles that are named like its own and that no
        file defines.
    """
    prefix = profiles.prefix(ruleset)
    held = [block.profile for blocks in found.blocks.values() for block in blocks if block.profile.startswith(prefix)]
    left = sorted(set(held) - set(found.foreign))
    if left and ruleset not in found.rulesets:
        raise FirewallError(
            "ufw has rules of the profiles %s, which no file of /etc/ufw/applications.d lists any more, so that nothing "
            "tells whose they are: delete them (ufw delete allow '%s')" % (", ".join(map(repr, left)), left[0]),
            "left-over",
        )


def _refuse_blocked(files: Sequence[FileChange], blocked: Mapping[str, str]) -> None:
    """Refuse to write what cannot be written.

    :raises FirewallError: there is such a file.
    """
    for change in files:
        if change.path in blocked:
            raise FirewallError("%s %s; nothing was changed" % (change.path, blocked[change.path]), "blocked")


def switched_on(text: str) -> str:
    """The text of ``ufw.conf`` with ufw on at boot, as ufw's own set_default() writes it."""
    if re.search(r"^ENABLED=", text, re.MULTILINE):
        return re.sub(r"^ENABLED=.*$", "ENABLED=yes", text, flags=re.MULTILINE)
    return text + "ENABLED=yes\n"


def operations(
    host: Host, asked: Asked, found: Reading, work: Steps, have: Sequence[Rule], want: Wanted
) -> List[Operation]:
    """The steps for programs and people; empty when nothing is to be done."""
    switch = host.path(SWITCH)
    files = [change.path for change in work.files if change.path != switch]
    told: List[Operation] = []
    if files or work.loads:
        titles = found.rulesets.get(asked.ruleset, {})
        drift = [
            Operation(action="mend", what=item.what, rules=(titles[item.profile],) if item.profile in titles else ())
            for family, rules in found.kernel.items()
            for item in kernel.drift(family, rules, found.texts[host.path(RULES_FILES[family])] or "", work.owned)
        ]
        told = changes.operations(have, want.all) + drift
        told = told or changes.mends(*files) or changes.mends("the order of the rules in the kernel")
    if work.start or work.unit or len(files) < len(work.files):
        told.append(Operation(action="enable", what="ufw"))
    return told


def notices(host: Host, asked: Asked, found: Reading, work: Steps, want: Wanted) -> List[Notice]:
    """What people should know."""
    values = settings(found.texts[host.path(DEFAULTS)], found.texts[host.path(SWITCH)])
    told: List[Notice] = []
    if not found.ipv6:
        text = "this host's kernel does no IPv6: only IPv4 gets rules"
        if values.get("ipv6") != "yes":
            text = "IPv6 is off in ufw (IPV6 in /etc/default/ufw): only IPv4 gets rules"
        told.append(Notice(code="ipv6-off", text=text))
    active = 4 in found.kernel
    if active and found.ipv6 and 6 not in found.kernel:
        text = "ufw's IPv6 chains are not loaded: the IPv6 rules are stored and wait for ufw's next start"
        told.append(Notice(code="not-loaded", text=text))
    forward = tuple(rule.name for rule in want.rules if rule.direction == "forward")
    if forward and values.get("default_forward_policy") == "accept":
        text = (
            "ufw forwards everything by default (DEFAULT_FORWARD_POLICY in /etc/default/ufw), so that the forward "
            "rules add nothing: set it to DROP"
        )
        told.append(Notice(code="no-effect", text=text, rules=forward, direction="forward"))
    rules_files = {family: work.texts[host.path(RULES_FILES[family])] for family in found.blocks}
    after = {family: list(tuples.parse_blocks(text or "")) for family, text in rules_files.items() if text}
    titles = {name: rule.name for name, rule in profiles.allocate(want.rules, asked.ruleset).items()}
    told += effect.notices(after, found.inputs, titles)
    if not active and not asked.enable:
        text = (
            "ufw is inactive: the rules are stored and take effect when it is switched on "
            "(host_firewall_enable: true, or 'ufw enable')"
        )
        told.append(Notice(code="off", text=text))
    elif active and values.get("enabled") != "yes" and not asked.enable:
        text = "ufw is loaded but off at the next boot (ENABLED in /etc/ufw/ufw.conf)"
        told.append(Notice(code="off-at-boot", text=text))
    if not asked.enable and values.get("enabled") == "yes" and found.unit in (start.DISABLED, start.MASKED):
        text = "ufw.service is %s, so that ufw is off at the next boot (systemctl enable ufw)" % found.unit
        told.append(Notice(code="off-at-boot", text=text))
    return told


def show(
    host: Host, texts: Mapping[str, Optional[str]], chains: Mapping[int, Tuple[str, ...]], owned: Collection[str]
) -> str:
    """The ruleset's part of the host, for the diff."""
    parts: Dict[str, Optional[str]] = {}
    rules_files = {host.path(path) for path in RULES_FILES.values()}
    for path, text in texts.items():
        if path in rules_files:
            parts[path] = "".join(block.text for block in tuples.parse_blocks(text or "") if block.profile in owned)
        elif os.path.dirname(path) == host.path(PROFILES):
            parts[path] = text
    for family, lines in chains.items():
        ours = [line for line in lines if kernel.profile_of(line) in owned]
        parts["kernel, IPv%d" % family] = "".join("%s\n" % kernel.shown(line) for line in ours)
    return _files.diff_text(parts)


def chains_after(found: Reading, work: Steps) -> Dict[int, Tuple[str, ...]]:
    """The user chains as they are to be."""
    after = dict(found.kernel)
    after.update((family, load.after) for family, load in work.loads.items())
    return after
