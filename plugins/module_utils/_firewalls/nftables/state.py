# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host with nftables has, and the plan that leads to what is wanted. No input or output."""

from __future__ import annotations

import posixpath
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files, _ports
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import (
    Exposure,
    FirewallError,
    Operation,
    Plan,
    State,
    Wanted,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables import (
    checks,
    effect,
    kernel,
    text,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.model import (
    FOLDER,
    HOOKS,
    OWN_FILE,
    OWN_TABLE,
    PREFIX,
    Chain,
    Files,
    Id,
    KernelRule,
    Listing,
    Part,
    Target,
    ruleset_file,
)
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.plan import NftablesPlan
from ansible_collections.netports.apple.plugins.module_utils._firewalls.nftables.words import words
from ansible_collections.netports.apple.plugins.module_utils._notices import Notice
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

_OPENRC = "rc-update add nftables boot"


@dataclass(frozen=True)
class NftablesState(State):
    """What was read: the kernel's ruleset, and the files.

    :param everywhere: the base chains that refuse what none of their rules picks out.
    :param somewhere: the same with those that may do so, be it on some interfaces, for an IP version or a protocol alone.
    """

    listing: Listing
    files: Files
    everywhere: FrozenSet[Id]
    somewhere: FrozenSet[Id]

    def refuses_inbound(self) -> bool:
        return bool(self._refusing("input", False)) or self.files.own is not None or bool(self.asked.enable)

    def goes_with_rules(self) -> bool:
        return bool(self.files.own is not None and not self.files.others and not self._refusing_others())

    def admits(self, address: Optional[str], port: int) -> bool:
        if not checks.admits(self.listing, address, port, self._own_names()):
            return False
        if not self._makes_own(True) or any(chain.id[:2] == OWN_TABLE for chain in self._refusing("input")):
            return True
        # The own table is not loaded yet: only the other rulesets' rules will be in it.
        return any(checks.rule_admits(rule, address, port) for rules in self.files.others.values() for rule in rules)

    def exposed(self) -> List[Exposure]:
        if not self.asked.foreign:
            return []
        found: List[Exposure] = []
        # A rule that accepts is an exposure of its own.
        met = effect.met(self.listing)
        half_open = [sentence for sentence, accepts in effect.half_open(met).items() if not accepts]
        for sentence in [*effect.open_places(met), *half_open]:
            everything = "%d-%d" % (_ports.LOWEST, _ports.HIGHEST)
            found.append(
                Exposure(kind="default", ruleset="", name="input", protocol="any", ports=(everything,), text=sentence)
            )
        for base in self._refusing("input", False):
            for chain, rule in checks.open_rules(self.listing, base):
                found += _exposures(chain, rule, list(self.rulesets()))
        return found

    def foreign(self) -> str:
        if not self.asked.foreign:
            return ""
        lines = []
        for chain in self.listing.chains.values():
            if chain.hook and not chain.name.startswith(PREFIX):
                lines.append("%s %s %s: hook %s, policy %s" % (*chain.id, chain.hook, chain.policy))
                lines += ["  " + words(rule) for rule in chain.rules]
        return "\n".join(lines)

    def rulesets(self) -> Dict[str, Tuple[Rule, ...]]:
        found = dict(self.files.others)
        if self.files.text is not None:
            found[self.asked.ruleset] = self.rules
        return found

    def plan(self, want: Wanted) -> Plan:
        if want.all and self.files.main_text is None:
            raise FirewallError(
                "/%s is missing, which nftables.service loads at boot: put the package's own file back"
                % self.files.main
            )
        own = self._makes_own(bool(want.all))
        if want.all:
            self._check_includes(own)
        forwards = any(rule.direction == "forward" for rule in self._all_rules(want))
        targets = self._joined() + (text.own_targets(forwards) if own else [])
        goal = self._goal(want, targets, text.own_chains(forwards) if own else {})
        boot = bool(self.asked.enable and want.all and not self.enabled)
        if boot and self.files.openrc:
            raise FirewallError(
                "nftables does not start at boot, and only systemd is told to start it: run '%s', and this again"
                % _OPENRC
            )
        unboot = not own and text.was_switched(self.files.own) and self.enabled
        switched = boot if self.files.own is None else text.was_switched(self.files.own)
        files = self._file_changes(
            text.emit(want.all, self.asked.ruleset, targets) if want.all else None,
            text.own_text(forwards, switched) if own else None,
        )
        drift = kernel.differs(self.listing, self.asked.ruleset, goal)
        operations = self._operations(want, files, drift, boot, own)
        return NftablesPlan(
            host=self.host,
            ruleset=self.asked.ruleset,
            operations=tuple(operations),
            notices=tuple(self._notices(want, targets, boot)),
            before=self._view({change.path: change.before for change in files}, not drift and bool(self.rules)),
            after=self._view({change.path: change.after for change in files}, bool(goal.chains)),
            files=tuple(files) if operations else (),
            goal=goal,
            was=kernel.part(self.listing, self.asked.ruleset),
            refusing=self.somewhere,
            changes_kernel=bool(drift),
            main=self.files.main,
            boot=True if boot else False if unboot else None,
            keeps_folder=self.files.folder and (bool(want.all) or bool(text.included(self.files.whole))),
        )

    def _goal(self, want: Wanted, targets: Sequence[Target], own: Dict[Id, Chain]) -> Part:
        """What the kernel is to have.

        Who loads the own table loads all rulesets into it, since it refuses what they allow. A removal does not load it.

        :param own: the base chains of the own table, where it is to be there.
        """
        chains, jumps = text.expected(want.all, self.asked.ruleset, targets)
        loaded = any(key[:2] == OWN_TABLE for key in self.listing.chains)
        if own and not loaded and want.all:
            for name, rules in self.files.others.items():
                more, to_them = text.expected(rules, name, [target for target in targets if target.id in own])
                chains, jumps = {**chains, **more}, jumps + to_them
        return Part(chains=chains, jumps=jumps, own=own if loaded or want.all else {})

    def _check_includes(self, own: bool) -> None:
        """See that what the administrator includes by himself loads all of the rulesets, behind what they join.

        :raises FirewallError: it does not.
        """
        undone = text.undone_behind(self.files.whole, self._joined())
        if undone:
            raise FirewallError(
                "/%s includes /%s before %s: move the include to the end of the file"
                % (self.files.main, FOLDER, undone)
            )
        found = text.included(self.files.whole)
        needed = {
            posixpath.basename(path)
            for path in (ruleset_file(name) for name in (self.asked.ruleset, *self.files.others))
        }
        needed |= {posixpath.basename(OWN_FILE)} if own else set()
        if found and (needed - set(found) or len(found) > len(set(found))):
            raise FirewallError(
                "/%s includes %s by itself, and each of %s has to be included once: remove that include, or include "
                "/%s/%s*.nft in its place"
                % (self.files.main, ", ".join(found), ", ".join(sorted(needed)), FOLDER, PREFIX)
            )

    def _refusing(self, hook: str, everywhere: bool = True) -> List[Chain]:
        refusing = self.everywhere if everywhere else self.somewhere
        return [chain for chain in checks.bases(self.listing, hook) if chain.id in refusing]

    def _refusing_others(self) -> List[Chain]:
        """What refuses inbound packets beside the own table, be it on some interfaces alone."""
        return [chain for chain in self._refusing("input", False) if chain.id[:2] != OWN_TABLE]

    def _joined(self) -> List[Target]:
        """The administrators' base chains that refuse, be it on some interfaces alone, and that may be edited."""
        return [
            Target(family=chain.family, table=chain.table, chain=chain.name, hook=chain.hook, prio=chain.prio)
            for hook in HOOKS.values()
            for chain in self._refusing(hook, False)
            if checks.editable(self.listing, chain)
        ]

    def _makes_own(self, wanted: bool) -> bool:
        """Whether the own table is to be there: it stays with the last ruleset, and comes where nothing refuses."""
        if not wanted and not self.files.others:
            return False
        if self.files.own is not None:
            return True
        return bool(self.asked.enable and wanted and not self._refusing_others())

    def _all_rules(self, want: Wanted) -> List[Rule]:
        return [*want.all, *(rule for rules in self.files.others.values() for rule in rules)]

    def _own_names(self) -> FrozenSet[str]:
        return frozenset(text.chain_name(self.asked.ruleset, direction) for direction in HOOKS)

    def _file_changes(self, ruleset: Optional[str], own: Optional[str]) -> List[FileChange]:
        """The files, in an order in which the administrator's file never includes what is not there."""
        main = self.files.main_text
        stays = ruleset is not None or bool(self.files.others)
        included = main
        if main is not None:
            ours = stays and not text.included(self.files.whole)
            included = text.with_include(main) if ours else text.without_include(main)
        changed = [
            FileChange(path=self.host.path(OWN_FILE), before=self.files.own, after=own),
            FileChange(path=self.host.path(ruleset_file(self.asked.ruleset)), before=self.files.text, after=ruleset),
            FileChange(path=self.host.path(self.files.main), before=main, after=included),
        ]
        found = [change for change in changed if change.before != change.after]
        return found if ruleset is not None else found[::-1]

    def _operations(
        self, want: Wanted, files: Sequence[FileChange], drift: Sequence[str], boot: bool, own: bool
    ) -> List[Operation]:
        operations = changes.operations(self.rules, want.all)
        enables = own and self.files.own is None
        if enables:
            operations.append(Operation(action="enable", what="a table of nftables that refuses by default"))
        if boot:
            operations.append(Operation(action="enable", what="nftables.service at boot"))
        if not operations or (self.files.text is not None and want.all and not enables):
            # Where a rule changes, so do its chain and the files of this collection, which is no drift.
            main = self.host.path(self.files.main)
            mended = [change.path for change in files if change.path == main or not operations]
            mended += [sentence for sentence in drift if not operations]
            operations += changes.mends(*mended)
        return operations

    def _notices(self, want: Wanted, targets: Sequence[Target], boot: bool) -> List[Notice]:
        if not want.all:
            return []
        found = []
        inbound = any(rule.direction == "in" for rule in want.rules)
        switch = "'%s'" % _OPENRC if self.files.openrc else "host_firewall_enable: true, or 'systemctl enable nftables'"
        joins = any(target.hook == "input" for target in targets)
        if inbound and not self._refusing("input") and not joins:
            found.append(Notice(code="off", text=effect.off(self._refusing_others())))
        elif not self.enabled and not boot:
            found.append(
                Notice(
                    code="off-at-boot",
                    text="nftables.service does not start at boot: the rules are gone then (%s)" % switch,
                )
            )
        if inbound and joins and not any(target.id[:2] == OWN_TABLE for target in targets):
            found += effect.partly(self.listing, bool(self.asked.enable))
        for direction in HOOKS:
            asked = [rule for rule in want.rules if rule.direction == direction]
            found += effect.without(self.listing, self.asked.ruleset, direction, asked, targets) if asked else []
        return found

    def _view(self, texts: Dict[str, Optional[str]], loaded: bool) -> str:
        """The ruleset's part of the host as text."""
        own = self.host.path(self.files.main)
        shown = {path: body for path, body in texts.items() if path != own}
        if own in texts:
            shown[own] = "".join(line + "\n" for line in (texts[own] or "").splitlines() if "# netports.apple" in line)
        state = "loaded: %s\n" % ("yes" if loaded else "no")
        return _files.diff_text(dict(shown, nftables=state))


def _exposures(chain: Chain, rule: KernelRule, rulesets: Sequence[str]) -> List[Exposure]:
    owner = ""
    for ruleset in rulesets:
        if chain.name in [text.chain_name(ruleset, direction) for direction in HOOKS]:
            owner = ruleset
    found = []
    for protocol in ("tcp", "udp"):
        ports = checks.ports_of(rule, protocol)
        if ports:
            name = rule.comment[len("Apple ") :] if owner and rule.comment.startswith("Apple ") else chain.name
            found.append(
                Exposure(
                    kind="rule",
                    ruleset=owner,
                    name=name,
                    protocol=protocol,
                    ports=tuple(_ports.text(port) for port in ports),
                    text="%s %s %s: %s" % (*chain.id, words(rule)),
                )
            )
    return found
