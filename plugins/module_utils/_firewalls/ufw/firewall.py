# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ufw backend.

A ruleset is a file of application profiles, ``/etc/ufw/applications.d/netports-<ruleset>``, and the rules
that name them. ufw keeps its rules as ``### tuple ###`` blocks in ``user.rules`` and ``user6.rules`` and
reads nothing else, so the blocks are edited in place and everything around them stays byte for byte; the
kernel gets the difference alone, in one transaction an IP version. ``ufw reload``, ``ufw default`` and
``ufw app update`` are never called: the first two open the host for moments, the third does half its work
under ssh.
"""

from __future__ import annotations

import fcntl
import glob
import ipaddress
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import replace
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files, _ports
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes as _plan
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._firewalls.legacy import Backend, Change, Have
from ansible_collections.netports.apple.plugins.module_utils._rules import (
    Rule,
    check_ruleset,
    normalise,
    pairs,
    version,
)

# iptables' multiport match holds 15 ports, a range counts two: ufw's UFWRule.set_port().
_SLOTS = 15
# ufw's applications.get_profiles() skips longer names and values.
_NAME_LENGTH = 64
_VALUE_LENGTH = 1024
_ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
_CHAINS = {"in": "user-input", "out": "user-output", "forward": "user-forward"}
# What parts the profiles of rules of one name.
_ENDINGS = {"in": "", "out": " out", "forward": " forward"}
_WORDS = {"in": "Inbound", "out": "Outbound", "forward": "Forwarded"}
_RULES_FILES = {4: "etc/ufw/user.rules", 6: "etc/ufw/user6.rules"}
_TUPLE = "### tuple ###"
_BEGIN = "### RULES ###\n"
_END = "### END RULES ###"
_TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'|(\S+)')
_SETTING = re.compile(r'^(\w+)="?(\w+)"?', re.MULTILINE)
# The lines that belong to a tuple; the rate-limit section that follows in an untouched file does not.
_RULE_LINE = re.compile(r"-A ufw6?-user-(?:input|output|forward|logging-(?:input|output|forward)) ")
_SWITCH = "etc/ufw/ufw.conf"
# Below /run, for ufw's own parser.
_STAGE = "netports-ufw-"
_LOCK_WAIT = 30.0
_XTABLES_WAIT = "10"


class Block(NamedTuple):
    """One tuple of a rules file: its fields, its text, and the numbers of its first line and the one behind.

    A route rule has the direction C(forward), and no C(route:) in its action.
    """

    text: str
    start: int
    end: int
    action: str
    protocol: str
    ports: str
    destination: str
    source: str
    profile: str
    direction: str
    interface: str
    out_interface: str


class Native(NamedTuple):
    """What was read: texts by path, blocks and kernel rules by IP version, the switches."""

    texts: Dict[str, Optional[str]]
    blocks: Dict[int, List[Block]]
    kernel: Dict[int, List[str]]
    tables: Dict[int, str]
    foreign: Set[str]
    ipv6: bool
    denies: bool
    forwards: bool
    warnings: List[str]


class Steps(NamedTuple):
    """What is to be done: files in order, restore input by IP version, and whether to start ufw.

    ``undo`` takes ``restore`` back. ``before`` and ``kernel`` are the user chains before and after, ``tables``
    the whole filter tables before; ``nft`` the tables of nftables and ``sysctls`` the kernel's parameters (by path)
    before, where ufw is to start.
    """

    files: List[FileChange]
    restore: Dict[int, str]
    undo: Dict[int, str]
    before: Dict[int, List[str]]
    kernel: Dict[int, List[str]]
    tables: Dict[int, str]
    foreign: Set[str]
    profiles: List[str]
    start: bool
    nft: Set[str]
    sysctls: Dict[str, str]


class Ufw(Backend):
    """ufw 0.35 and newer on Linux, over iptables-nft or iptables-legacy."""

    name = "ufw"
    confirms = True

    def installed(self) -> bool:
        return os.path.isfile(self.path("usr/sbin/ufw")) and os.path.isfile(self.path("etc/ufw/ufw.conf"))

    def in_use(self) -> bool:
        return self.installed() and self._settings().get("enabled") == "yes"

    def read(self) -> Have:
        settings = self._settings()
        prefix = profile_prefix(self.options.ruleset)
        ipv6 = settings.get("ipv6") == "yes" and os.path.exists(self.path("proc/sys/net/ipv6"))
        warnings: List[str] = []
        if not ipv6:
            warnings.append("IPv6 is off in ufw (IPV6 in /etc/default/ufw): only IPv4 gets rules")
        texts: Dict[str, Optional[str]] = {self._profile_path: _files.read(self._profile_path)}
        blocks: Dict[int, List[Block]] = {}
        kernel: Dict[int, List[str]] = {}
        tables: Dict[int, str] = {}
        for family in (4, 6):
            path = self.path(_RULES_FILES[family])
            text = _files.read(path)
            if text is None or _BEGIN not in text:
                raise FirewallError(
                    "%s %s: ufw cannot work with it either; see 'ufw reset' and 'dpkg-reconfigure ufw'"
                    % (path, "does not exist" if text is None else "has no line '### RULES ###'")
                )
            texts[path] = text
            blocks[family] = list(parse_blocks(text))
            if family == 4 or ipv6:
                tables[family] = self._table(family)
                kernel_rules = user_chains(tables[family], family)
                if kernel_rules is not None:
                    kernel[family] = kernel_rules
        active = 4 in kernel
        if active and ipv6 and 6 not in kernel:
            warnings.append("ufw's IPv6 chains are not loaded: the IPv6 rules are stored and wait for ufw's next start")
        foreign = self._foreign_profiles(prefix)
        denies = settings.get("default_input_policy") != "accept"
        forwards = settings.get("default_forward_policy") == "accept"
        native = Native(texts, blocks, kernel, tables, foreign, ipv6, denies, forwards, warnings)
        titles = profile_titles(texts[self._profile_path] or "")
        owned = {family: [block for block in blocks[family] if self._owns(block.profile, foreign)] for family in (4, 6)}
        return Have(rules_of(owned, titles, prefix, ipv6), active, settings.get("enabled") == "yes", native)

    def plan(self, have: Have, wanted: Sequence[Rule]) -> Change:
        native: Native = have.native
        guard = [self.options.guard] if self.options.guard else []
        wanted = guard + [rule for rule in wanted if rule not in guard]
        profiles = allocate(wanted, self.options.ruleset)
        for name in profiles:
            clash = [other for other in native.foreign if other.lower() == name.lower()]
            if clash:
                raise FirewallError(
                    "the application profile %r is defined in another file of /etc/ufw/applications.d: rename that "
                    "one or choose another ruleset name than %r" % (clash[0], self.options.ruleset)
                )
        texts_after = {self._profile_path: profile_text(wanted, self.options.ruleset) if wanted else None}
        kernel_after: Dict[int, List[str]] = {}
        restore: Dict[int, str] = {}
        undo: Dict[int, str] = {}
        drift: List[Dict[str, Any]] = []
        for family in (4, 6):
            path = self.path(_RULES_FILES[family])
            families = wanted if family == 4 or native.ipv6 else []
            text = native.texts[path] or ""
            owned = [block for block in native.blocks[family] if self._owns(block.profile, native.foreign)]
            first = wanted_blocks(guard if families else [], profiles, family)
            texts_after[path] = edit(text, owned, wanted_blocks(families, profiles, family), first)
            if family not in native.kernel:
                continue
            kernel = native.kernel[family]
            after = self._kernel_after(family, kernel, str(texts_after[path]), native.foreign, len(first))
            kernel_after[family] = after
            if after != kernel:
                restore[family] = transaction(family, kernel, after)
                undo[family] = transaction(family, after, kernel)
            drift.extend(self._drift(family, kernel, text, native.foreign))
        files = [
            FileChange(path, native.texts[path], texts_after[path])
            for path in texts_after
            if texts_after[path] != native.texts[path]
        ]
        enable = bool(self.options.enable) and not (have.active and have.enabled)
        operations: List[Dict[str, Any]] = []
        if files or restore:
            operations = [step.to_dict() for step in _plan.operations(have.rules, wanted)] + drift
            if not operations:
                operations = [{"action": "mend", "what": change.path} for change in files]
        if enable:
            operations.append({"action": "enable", "what": "ufw"})
            path = self.path(_SWITCH)
            text = _files.read(path) or ""
            if switched_on(text) != text:
                files.append(FileChange(path, text, switched_on(text)))
        warnings = list(native.warnings)
        if native.forwards and any(rule.direction == "forward" for rule in wanted):
            warnings.append(
                "ufw forwards everything by default (DEFAULT_FORWARD_POLICY in /etc/default/ufw), so that the forward "
                "rules add nothing: set it to DROP"
            )
        if not have.active and not enable:
            warnings.append(
                "ufw is inactive: the rules are stored and take effect when it is switched on "
                "(host_firewall_enable: true, or 'ufw enable')"
            )
        elif have.active and not have.enabled and not enable:
            warnings.append("ufw is loaded but off at the next boot (ENABLED in /etc/ufw/ufw.conf)")
        return Change(
            operations,
            self._show(native.texts, native.kernel, native.foreign),
            self._show(texts_after, kernel_after, native.foreign),
            warnings,
            Steps(
                files,
                restore,
                undo,
                native.kernel,
                kernel_after,
                native.tables,
                native.foreign,
                sorted(profiles),
                enable and not have.active,
                self._nft_tables() if enable and not have.active else set(),
                self._sysctls() if enable and not have.active else {},
            ),
        )

    def apply(self, change: Change) -> None:
        steps: Steps = change.steps
        with self._lock():
            self._prepare(steps)
            _files.apply(steps.files, lambda: self._load(steps))
        if steps.start:
            self._start(steps)

    def live(self, change: Change) -> bool:
        return bool(change.steps.restore or change.steps.start)

    def engage(self, change: Change) -> Any:
        steps: Steps = change.steps
        if steps.start:
            # ufw reads its rules from the files alone, and writes its logging into them when it starts.
            self.apply(change)
            with self._lock():
                written = [_files.read(item.path) for item in steps.files]
                self._put_back(steps)
            return written
        with self._lock():
            self._prepare(steps)
            self._load(steps)
        return [item.after for item in steps.files]

    def keep(self, change: Change, engaged: Any) -> None:
        steps: Steps = change.steps
        with self._lock():
            self._unchanged(steps)
            for family in steps.restore:
                self._check_kernel(family, steps)
            if steps.start and self._kernel(4) is None:
                raise FirewallError("ufw was stopped before the change was confirmed")
            _files.apply([replace(item, after=text) for item, text in zip(steps.files, engaged)])

    def undo(self, change: Change) -> None:
        steps: Steps = change.steps
        with self._lock():
            self._sweep()
            self._put_back(steps)
            for family in steps.restore:
                self._unload(family, steps)
        if steps.start:
            self._stop(steps)

    def denies_inbound(self, have: Have) -> bool:
        """Say whether what comes in is refused unless a rule allows it."""
        return bool(have.native.denies)

    def admits(self, have: Have, address: str, port: int) -> bool:
        """Say whether a rule that is not the ruleset's lets an address reach a TCP port.

        The first rule that matches decides, as in the kernel.

        :raises FirewallError: the address is IPv6 and ufw drops IPv6 altogether.
        """
        native: Native = have.native
        family = version(address)
        if family == 6 and not native.ipv6:
            raise FirewallError(
                "you are connected from %s over IPv6 and ufw drops IPv6 altogether (IPV6=no in /etc/default/ufw): "
                "set IPV6=yes or connect over IPv4 first" % address
            )
        for block in native.blocks[family]:
            if self._owns(block.profile, native.foreign) or block.direction != "in":
                continue
            if block.protocol not in ("tcp", "any") or not _holds(block.source, address):
                continue
            if block.ports != "any" and not _ports.covers(_block_ports(block), (port, port)):
                continue
            allows = block.action.split("_")[0] in ("allow", "limit")
            # Which of the host's addresses and interfaces the connection uses is not asked: a narrower rule
            # that allows is not counted, a narrower one that refuses is.
            if allows and (block.interface or block.destination != _ANYWHERE[family]):
                continue
            return allows
        return False

    def foreign(self, have: Have) -> str:
        """The defaults, and the rules of both IP versions, as ufw keeps them; the ruleset's own are among them."""
        files = ["etc/default/ufw", *_RULES_FILES.values()]
        return "\n".join(_files.read(self.path(file)) or "" for file in files)

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str) -> Dict[str, str]:
        return {"/etc/ufw/applications.d/netports-%s" % ruleset: profile_text(rules, ruleset)}

    @property
    def _profile_path(self) -> str:
        return self.path("etc/ufw/applications.d/netports-%s" % self.options.ruleset)

    def _settings(self) -> Dict[str, str]:
        found: Dict[str, str] = {}
        for path in ("etc/default/ufw", "etc/ufw/ufw.conf"):
            for key, value in _SETTING.findall(_files.read(self.path(path)) or ""):
                found[key.lower()] = value.lower()
        return found

    def _owns(self, profile: str, foreign: Set[str]) -> bool:
        return profile.startswith(profile_prefix(self.options.ruleset)) and profile not in foreign

    def _foreign_profiles(self, prefix: str) -> Set[str]:
        """Profiles with the ruleset's prefix that somebody else's files define."""
        folder = os.path.dirname(self._profile_path)
        found: Set[str] = set()
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            if path == self._profile_path or name.startswith(".") or not os.path.isfile(path):
                continue
            for section in re.findall(r"^\[([^\]\n]+)\]", _files.read(path) or "", re.MULTILINE):
                if section.lower().startswith(prefix.lower()):
                    found.add(section)
        return found

    def _table(self, family: int) -> str:
        """The filter table of an IP version as ``iptables-save`` writes it."""
        program = "iptables-save" if family == 4 else "ip6tables-save"
        code, out, err = self.run([program, "-t", "filter"], None)
        if code != 0:
            raise FirewallError("%s failed: %s" % (program, err.strip() or out.strip()))
        return out

    def _kernel(self, family: int) -> Optional[List[str]]:
        return user_chains(self._table(family), family)

    def _kernel_after(self, family: int, kernel: List[str], text: str, foreign: Set[str], first: int) -> List[str]:
        """The user chains as they are to be: ours as in the file, everybody else's untouched.

        A missing rule goes before the rule that follows it in the file, or to the end when none that is
        loaded does, as with ``ufw allow``: so a refusal that somebody put to the top of the kernel's list in
        an emergency stays before it. The ``first`` rules of the file go to the top.
        """
        after: List[str] = []
        stored = _stored(family, text)
        for chain in _chains(family):
            start = "-A %s " % chain
            want = [(canonical(line), line, self._owns(profile_of(line), foreign)) for line in stored]
            want = [item for item in want if item[1].startswith(start)]
            missing = Counter(shape for shape, _line, ours in want if ours)
            top = {shape for shape, _line, _ours in want[:first]} if chain.endswith(_CHAINS["in"]) else set()
            kept: List[Tuple[Tuple[str, ...], str]] = []
            for number, line in enumerate(one for one in kernel if one.startswith(start)):
                shape = canonical(line)
                if self._owns(profile_of(line), foreign):
                    if not missing[shape] or (shape in top and number >= first):
                        continue
                    missing[shape] -= 1
                kept.append((shape, line))
            places: Dict[Tuple[str, ...], List[int]] = {}
            for number, (shape, _line) in enumerate(kept):
                places.setdefault(shape, []).append(number)
            anchors = [places[shape].pop(0) if places.get(shape) else None for shape, _line, _ours in want]
            ahead: Dict[int, List[str]] = {}
            following = len(kept)
            for number in range(len(want) - 1, -1, -1):
                shape, line, ours = want[number]
                anchor = anchors[number]
                if anchor is not None:
                    following = anchor
                elif ours and missing[shape]:
                    missing[shape] -= 1
                    ahead.setdefault(0 if shape in top else following, []).insert(0, line)
            for number in range(len(kept) + 1):
                after.extend(ahead.get(number, []))
                after.extend(line for _shape, line in kept[number : number + 1])
        return after

    def _drift(self, family: int, kernel: List[str], text: str, foreign: Set[str]) -> List[Dict[str, Any]]:
        """What the kernel has otherwise than the file that it was loaded from."""
        loaded = Counter(canonical(line) for line in kernel if self._owns(profile_of(line), foreign))
        stored = Counter(canonical(line) for line in _stored(family, text) if self._owns(profile_of(line), foreign))
        program = "iptables" if family == 4 else "ip6tables"
        return [
            {"action": "mend", "what": "%s: rule %s in the kernel" % (program, how), "rule": " ".join(shape)}
            for how, difference in (("missing", stored - loaded), ("left over", loaded - stored))
            for shape in sorted(difference.elements())
        ]

    def _show(self, texts: Dict[str, Optional[str]], kernel: Dict[int, List[str]], foreign: Set[str]) -> str:
        """The ruleset's part of the host, for the diff."""
        parts: Dict[str, Optional[str]] = {}
        for path, text in texts.items():
            if path == self._profile_path:
                parts[path] = text
            else:
                blocks = [block for block in parse_blocks(text or "") if self._owns(block.profile, foreign)]
                parts[path] = "".join(block.text for block in blocks)
        for family, lines in kernel.items():
            owned = [line for line in lines if self._owns(profile_of(line), foreign)]
            parts["kernel, IPv%d" % family] = "".join("%s\n" % " ".join(canonical(line)) for line in owned)
        return _files.diff_text(parts)

    def _lock(self) -> _Lock:
        return _Lock(self.path("run/ufw.lock"))

    def _sweep(self) -> None:
        """Remove what a killed run left. The lock says that none is at work."""
        for folder in (self.path("etc/ufw"), os.path.dirname(self._profile_path)):
            _files.sweep(folder)
        for folder in glob.glob(os.path.join(glob.escape(self.path("run")), _STAGE + "*")):
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _unchanged(steps: Steps) -> None:
        for item in steps.files:
            if _files.read(item.path) != item.before:
                raise FirewallError(
                    "%s was changed by somebody else during this run: nothing was changed; run it again" % item.path
                )

    def _prepare(self, steps: Steps) -> None:
        """Make sure that the steps can be taken, before the first."""
        self._sweep()
        self._unchanged(steps)
        self._validate(steps)

    def _validate(self, steps: Steps) -> None:
        """Let ufw's own parser read the new files, in a folder apart, before they take the old ones' place."""
        changed = {item.path: item.after for item in steps.files}
        if not changed:
            return
        run_folder = self.path("run")
        stage = tempfile.mkdtemp(prefix=_STAGE, dir=run_folder if os.path.isdir(run_folder) else None)
        try:
            etc = os.path.join(stage, "etc")
            os.makedirs(os.path.join(etc, "ufw", "applications.d"))
            os.symlink(self.path("etc/default"), os.path.join(etc, "default"))
            # Older ufw looks for its own programs below the folder as well.
            for folder in ("lib", "usr"):
                os.symlink(self.path(folder), os.path.join(stage, folder))
            for folder in ("etc/ufw", "etc/ufw/applications.d"):
                for name in os.listdir(self.path(folder)):
                    source = self.path(folder, name)
                    if os.path.isfile(source) and source not in changed:
                        os.symlink(source, os.path.join(stage, folder, name))
            for path, text in changed.items():
                if text is not None:
                    _files.replace(os.path.join(stage, os.path.relpath(path, self.root)), text)
            code, out, err = self.run(["ufw", "--datadir=%s" % stage, "--dry-run", "show", "added"], None)
        finally:
            shutil.rmtree(stage)
        bad = [line for line in err.splitlines() if profile_prefix(self.options.ruleset) in line]
        missing = [name for name in steps.profiles if "'%s'" % name not in out and '"%s"' % name not in out]
        if code != 0 or bad or missing:
            raise FirewallError(
                "ufw's own parser refuses the new rules (%s): nothing was changed"
                % ("; ".join(bad) or err.strip() or "not listed: %s" % ", ".join(missing))
            )

    def _load(self, steps: Steps) -> None:
        """Bring the kernel to the planned rules, or back to what it had."""
        done: List[int] = []
        try:
            for family in steps.restore:
                self._restore(family, steps.restore[family], ["--test"])
            for family in steps.restore:
                done.append(family)
                self._restore(family, steps.restore[family], [])
            for family in done:
                self._check_kernel(family, steps)
        except FirewallError:
            for family in done:
                lines = self._kernel(family)
                if lines is not None and [canonical(x) for x in lines] == [canonical(x) for x in steps.kernel[family]]:
                    self._restore(family, steps.undo[family], [])
            raise

    def _restore(self, family: int, text: str, extra: List[str]) -> None:
        program = "iptables-restore" if family == 4 else "ip6tables-restore"
        code, out, err = self.run([program, "-w", _XTABLES_WAIT, "-n"] + extra, text)
        if code != 0:
            raise FirewallError("%s refused the rules: %s" % (program, err.strip() or out.strip()))

    def _check_kernel(self, family: int, steps: Steps) -> None:
        lines = self._kernel(family)
        if lines is None or [canonical(x) for x in lines] != [canonical(x) for x in steps.kernel[family]]:
            raise FirewallError(
                "the kernel's rules are not what was loaded (IPv%d): somebody else changed them at the same time; "
                "run it again" % family
            )

    @staticmethod
    def _put_back(steps: Steps) -> None:
        """Put the files back that are as the steps left them, or as ufw wrote them anew with the same rules."""
        changes = []
        for item in steps.files:
            text = _files.read(item.path)
            if (
                steps.start
                and text
                and item.after
                and [one.text for one in parse_blocks(text)] == [one.text for one in parse_blocks(item.after)]
            ):
                item = replace(item, after=text)
            changes.append(item)
        _files.put_back(changes)

    def _unload(self, family: int, steps: Steps) -> None:
        """Bring the user chains back to what they were before the steps."""
        lines = self._kernel(family)
        if lines is None:
            # ufw was stopped meanwhile; it starts with what the files say.
            return
        shapes = [canonical(line) for line in lines]
        if shapes == [canonical(line) for line in steps.before[family]]:
            return
        if shapes == [canonical(line) for line in steps.kernel[family]]:
            self._restore(family, steps.undo[family], [])
            return
        # Somebody else's rules came or went: only the ruleset's own are brought to what the file says.
        text = _files.read(self.path(_RULES_FILES[family])) or ""
        after = self._kernel_after(family, lines, text, steps.foreign, 0)
        if after != lines:
            self._restore(family, transaction(family, lines, after), [])

    def _start(self, steps: Steps) -> None:
        code, out, err = self.run(["ufw", "--force", "enable"], None)
        if code != 0 or self._kernel(4) is None:
            with self._lock():
                self._put_back(steps)
            self._stop(steps)
            raise FirewallError("'ufw enable' failed: %s" % (err.strip() or out.strip()))

    def _stop(self, steps: Steps) -> None:
        """Unload ufw, and take away what it leaves of itself in the kernel."""
        code, out, err = self.run(["ufw", "disable"], None)
        if code != 0:
            raise FirewallError("'ufw disable' failed: %s" % (err.strip() or out.strip()))
        for path, value in steps.sysctls.items():
            if _files.read(path) != value:
                with open(path, "w") as stream:
                    stream.write(value)
        for family, before in steps.tables.items():
            now = self._table(family)
            text = cleared(before, now)
            if text:
                self._restore(family, text, [])
            mine = "table %s filter" % ("ip" if family == 4 else "ip6")
            if mine in self._nft_tables() - steps.nft:
                # iptables shows the table's own chains whether it is there or not.
                rest = [line for line in self._table(family).splitlines() if line.startswith((":", "-"))]
                if all(re.match(r":(INPUT|FORWARD|OUTPUT) ACCEPT ", line) for line in rest):
                    self.run(["nft", "delete"] + mine.split(), None)

    def _sysctls(self) -> Dict[str, str]:
        """The kernel's parameters that ufw sets when it starts (IPT_SYSCTL in /etc/default/ufw), by their path."""
        named = re.search(r'^IPT_SYSCTL="?/?([^"\s]+)', _files.read(self.path("etc/default/ufw")) or "", re.MULTILINE)
        text = (_files.read(self.path(named.group(1))) if named else None) or ""
        keys = re.findall(r"^\s*-?([a-z][\w./-]*)\s*=", text, re.MULTILINE)
        paths = [self.path("proc/sys", key if "/" in key else key.replace(".", "/")) for key in keys]
        values = ((path, _files.read(path)) for path in paths if os.path.isfile(path))
        return {path: value for path, value in values if value is not None}

    def _nft_tables(self) -> Set[str]:
        """The tables of nftables, which those of iptables are where it is built on it. Empty without ``nft``."""
        program = next((path for path in ("usr/sbin/nft", "sbin/nft") if os.path.exists(self.path(path))), "")
        if not program:
            return set()
        return set(self.run([self.path(program), "list", "tables"], None)[1].splitlines())


class _Lock:
    """ufw's own lock (ufw.util.create_lock), so that ufw and this never write at the same time."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        # Held by the file's description: it goes with the process, however that ends.
        self.stream = open(self.path, "a")
        deadline = time.monotonic() + _LOCK_WAIT
        while True:
            try:
                fcntl.lockf(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.stream.close()
                    raise FirewallError(
                        "another ufw or netports run has held %s for %d seconds: nothing was changed; "
                        "run it again when that one is done" % (self.path, _LOCK_WAIT)
                    )
                time.sleep(0.1)

    def __exit__(self, *unused: object) -> None:
        self.stream.close()


def user_chains(table: str, family: int) -> Optional[List[str]]:
    """The rules of ufw's user chains in the output of ``iptables-save``, or None when ufw is not loaded."""
    chains = _chains(family)
    lines = table.splitlines()
    if not any(line.startswith(":%s " % chains[0]) for line in lines):
        return None
    # Chain by chain: iptables-nft and iptables-legacy print chains in different orders.
    return [line for chain in chains for line in lines if line.startswith("-A %s " % chain)]


def cleared(before: str, now: str) -> str:
    """The input for ``iptables-restore -n`` that removes the chains of ufw's that were not there before.

    :param before: a table as ``iptables-save`` writes it.
    :param now: the same table after ``ufw disable``, which leaves chains and the calls of them.
    :returns: empty when there is nothing to remove.
    """
    had = set(re.findall(r"^:(\S+)", before, re.MULTILINE))
    left = [name for name in re.findall(r"^:(ufw6?-\S+)", now, re.MULTILINE) if name not in had]
    if not left:
        return ""
    calls = [
        "-D" + line[2:]
        for line in now.splitlines()
        if line.startswith("-A ") and line.split()[1] not in left and line.split()[-1] in left
    ]
    lines = calls + ["-F %s" % name for name in left] + ["-X %s" % name for name in left]
    return "\n".join(["*filter"] + lines + ["COMMIT", ""])


def switched_on(text: str) -> str:
    """The text of ``ufw.conf`` with ufw on at boot, as ufw's own set_default() writes it."""
    if re.search(r"^ENABLED=", text, re.MULTILINE):
        return re.sub(r"^ENABLED=.*$", "ENABLED=yes", text, flags=re.MULTILINE)
    return text + "ENABLED=yes\n"


def profile_prefix(ruleset: str) -> str:
    """How the names of a ruleset's profiles begin: ``"Apple "`` for the ruleset ``apple``."""
    return check_ruleset(ruleset).capitalize() + " "


def allocate(rules: Sequence[Rule], ruleset: str) -> Dict[str, Rule]:
    """Give each rule its profile: rules of one identity share one.

    :returns: a rule by profile name, in the order of the rules.
    :raises FirewallError: a name would be longer than ufw takes.
    """
    profiles: Dict[str, Rule] = {}
    for rule in rules:
        base = "%s%s%s" % (profile_prefix(ruleset), rule.name, _ENDINGS[rule.direction])
        name = base
        number = 1
        while name in profiles and _identity(profiles[name]) != _identity(rule):
            number += 1
            name = "%s %d" % (base, number)
        if len(name) > _NAME_LENGTH:
            raise FirewallError(
                "the profile name %r has %d characters and ufw takes %d: choose a shorter ruleset name"
                % (name, len(name), _NAME_LENGTH)
            )
        profiles.setdefault(name, rule)
    return profiles


def port_groups(rule: Rule) -> List[Tuple[str, str]]:
    """A rule's ports as ufw takes them: (protocol, ports) with at most 15 slots each.

    :returns: such as ``[("tcp", "80,443"), ("udp", "3478:3497")]``.
    """
    groups: List[Tuple[str, str]] = []
    for protocol, ranges in (("tcp", rule.tcp), ("udp", rule.udp)):
        group: List[str] = []
        slots = 0
        for port_range in ranges:
            cost = 1 if port_range[0] == port_range[1] else 2
            if slots + cost > _SLOTS:
                groups.append((protocol, ",".join(group)))
                group, slots = [], 0
            group.append(_ports.text(port_range, ":"))
            slots += cost
        if group:
            groups.append((protocol, ",".join(group)))
    return groups


def profile_text(rules: Sequence[Rule], ruleset: str) -> str:
    """The file of application profiles, with the commands that would allow them as comments.

    :raises FirewallError: a rule has more ports than a profile holds.
    """
    lines = [
        "# Managed by the Ansible collection netports.apple, ruleset '%s': edits are undone by its next run." % ruleset,
        "# 'state: deleted' of netports.apple.host_firewall removes this file and its rules.",
    ]
    profiles = allocate(rules, ruleset)
    names = {_identity(rule): name for name, rule in profiles.items()}
    lines.extend("# %s" % command for rule in rules for command in commands(rule, names[_identity(rule)]))
    for name, rule in profiles.items():
        ports = "|".join("%s/%s" % (group, protocol) for protocol, group in port_groups(rule))
        if len(ports) > _VALUE_LENGTH:
            raise FirewallError(
                "rule %r has more port ranges than a ufw profile holds (%d characters of %d): split it"
                % (rule.name, len(ports), _VALUE_LENGTH)
            )
        lines += [
            "",
            "[%s]" % name,
            "title=%s" % rule.name,
            "description=%s ports of %s" % (_WORDS[rule.direction], rule.name),
            "ports=%s" % ports,
        ]
    return "\n".join(lines) + "\n"


def commands(rule: Rule, profile: str) -> List[str]:
    """The ufw commands that allow a profile as its rule says."""
    interface = " on %s" % rule.interface if rule.interface else ""
    way = "allow %s%s" % (rule.direction, interface)
    if rule.direction == "forward":
        way = "route allow%s" % (" in" + interface if interface else "")
        way += " out on %s" % rule.out_interface if rule.out_interface else ""
    plain = not rule.sources and not rule.destinations
    return [
        "ufw %s from %s to %s app '%s'" % (way, source or "any", destination or "any", profile)
        for family in ((4,) if plain else (4, 6))
        for source, destination in pairs(rule, family)
    ]


def wanted_blocks(rules: Sequence[Rule], profiles: Dict[str, Rule], family: int) -> List[str]:
    """The texts of all blocks that the rules need in one IP version, each once, in the rules' order."""
    names = {_identity(rule): name for name, rule in profiles.items()}
    blocks: Dict[str, None] = {}
    for rule in rules:
        profile = names[_identity(rule)]
        for source, destination in pairs(rule, family):
            for protocol, ports in port_groups(rule):
                blocks[block_text(rule, profile, family, source, destination, protocol, ports)] = None
    return list(blocks)


def block_text(rule: Rule, profile: str, family: int, source: str, destination: str, protocol: str, ports: str) -> str:
    """One block to the letter as ufw writes it: UFWBackendIptables._write_rules() and UFWRule.format_rule()."""
    anywhere = _ANYWHERE[family]
    escaped = profile.replace(" ", "%20")
    multi = "," in ports or ":" in ports
    line = ["-A ufw%s-%s" % ("6" if family == 6 else "", _CHAINS[rule.direction])]
    ways = [("out" if rule.direction == "out" else "in", rule.interface), ("out", rule.out_interface)]
    ways = [(way, interface) for way, interface in ways if interface]
    line.extend("-%s %s" % (way[0], interface) for way, interface in ways)
    line.append("-p %s%s" % (protocol, " -m multiport --dports %s" % ports if multi else ""))
    if destination and destination != anywhere:
        line.append("-d %s" % destination)
    if not multi:
        line.append("--dport %s" % ports)
    if source and source != anywhere:
        line.append("-s %s" % source)
    line.append("-j ACCEPT -m comment --comment 'dapp_%s'" % escaped)
    return "%s %sallow %s %s %s any %s %s - %s\n%s\n" % (
        _TUPLE,
        "route:" if rule.direction == "forward" else "",
        protocol,
        ports,
        destination or anywhere,
        source or anywhere,
        escaped,
        "!".join("%s_%s" % way for way in ways) or ("out" if rule.direction == "out" else "in"),
        " ".join(line),
    )


def parse_blocks(text: str) -> Iterable[Block]:
    """Read the tuple blocks of a rules file, as UFWBackendIptables._read_rules() does.

    Lines that are no tuple that ufw would take are passed over, as ufw passes them over.
    """
    lines = text.splitlines(True)
    number = 0
    while number < len(lines):
        start = number
        number += 1
        if not lines[start].startswith(_TUPLE):
            continue
        while number < len(lines) and _RULE_LINE.match(lines[number]):
            number += 1
        fields = lines[start][len(_TUPLE) :].split(" comment=")[0].split()
        if not 6 <= len(fields) <= 9:
            continue
        way = fields[-1] if len(fields) in (7, 9) else "in"
        profile = fields[6] if len(fields) >= 8 and fields[6] != "-" else ""
        ways = [one.partition("_")[::2] for one in way.split("!")]
        direction, interface = ways[0]
        out_interface = ""
        if fields[0].startswith("route:"):
            direction, interface, out_interface = "forward", dict(ways).get("in", ""), dict(ways).get("out", "")
        yield Block(
            text="".join(lines[start:number]),
            start=start,
            end=number,
            action=fields[0].split(":")[-1],
            protocol=fields[1],
            ports=fields[2],
            destination=fields[3],
            source=fields[5],
            profile=profile.replace("%20", " "),
            direction=direction,
            interface=interface,
            out_interface=out_interface,
        )


def edit(text: str, owned: Sequence[Block], blocks: Sequence[str], first: Sequence[str] = ()) -> str:
    """Put the wanted blocks into a rules file in the place of the owned ones.

    A block that is wanted and there stays where it is, or is replaced there when only its ports differ; the
    others of the owned ones go; what is missing comes behind the last rule, where ``ufw allow`` would put it.
    Everything else stays byte for byte.

    :param owned: blocks of this text, as L(parse_blocks) gave them.
    :param blocks: the texts of the wanted blocks.
    :param first: those of the wanted blocks that have to stand before all other rules.
    """
    lines = text.splitlines(True)
    begin = lines.index(_BEGIN) + 1
    top = [number for number in range(begin, len(lines)) if lines[number].startswith(_TUPLE)][: len(first)]
    present = {block.text for block in owned}
    missing = Counter(blocks)
    # A block with other ports takes the place of the one that it follows upon, as with 'ufw app update'.
    heirs = {_place(block): text for text in blocks if text not in present for block in parse_blocks(text)}
    for block in sorted(owned, key=lambda one: one.start, reverse=True):
        if missing[block.text] and (block.text not in first or block.start in top):
            missing[block.text] -= 1
            continue
        heir = heirs.pop(_place(block), "")
        if missing[heir] and heir not in first:
            missing[heir] -= 1
            lines[block.start : block.end] = [heir]
            continue
        # ufw parts blocks by an empty line before each.
        start = block.start - 1 if lines[block.start - 1] == "\n" else block.start
        del lines[start : block.end]
    closed = [number for number, line in enumerate(lines) if line.startswith(_END)]
    # As ufw ships the file, its rules section is not closed yet.
    end = closed[0] if closed else begin
    if closed and lines[end - 1] == "\n":
        end -= 1
    lines[end:end] = ["\n" + block for block in blocks if missing[block] and block not in first]
    lines[begin:begin] = ["\n" + block for block in first if missing[block]]
    return "".join(lines)


def profile_titles(text: str) -> Dict[str, str]:
    """The title of each profile in a profile file."""
    titles: Dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line.startswith("title=") and section:
            titles[section] = line[len("title=") :]
    return titles


def rules_of(owned: Dict[int, List[Block]], titles: Dict[str, str], prefix: str, ipv6: bool) -> List[Rule]:
    """The rules that a host's blocks amount to.

    :param owned: the ruleset's blocks by IP version.
    :param titles: rule names by profile.
    :param ipv6: whether ufw does IPv6; where it does not, an IPv4 block alone is the whole of a rule.
    """
    ports: Dict[Tuple[str, str, str, str], Dict[Tuple[str, str], Dict[str, List[_ports.PortRange]]]] = {}
    for family in (4, 6):
        for block in owned[family]:
            if block.action != "allow" or block.direction not in _CHAINS or block.protocol not in ("tcp", "udp"):
                continue
            ends = ports.setdefault((block.profile, block.direction, block.interface, block.out_interface), {})
            held = ends.setdefault((block.source, block.destination), {"tcp": [], "udp": []})
            held[block.protocol].extend(_block_ports(block))
    rules: List[Rule] = []
    for (profile, direction, interface, out_interface), ends in ports.items():
        name = titles.get(profile) or re.sub(_ENDINGS[direction] + r"\Z", "", profile[len(prefix) :])
        alike: Dict[Any, List[Tuple[str, str]]] = {}
        for end, held in ends.items():
            shape = (tuple(_ports.merge(held["tcp"])), tuple(_ports.merge(held["udp"])))
            alike.setdefault(shape, []).append(end)
        for (tcp, udp), members in alike.items():
            for sources, destinations in _sides(members, ipv6):
                rules.append(Rule(name, direction, tcp, udp, sources, destinations, interface, out_interface))
    return normalise(rules)


def _sides(ends: List[Tuple[str, str]], ipv6: bool) -> List[Tuple[Tuple[str, ...], Tuple[str, ...]]]:
    """Fold (source, destination) pairs back into lists of sources and destinations."""
    for sources in _candidates([source for source, _unused in ends]):
        for destinations in _candidates([destination for _unused, destination in ends]):
            folded = Rule("fold", "in", (), (), sources, destinations)
            expected = {
                (source or _ANYWHERE[family], destination or _ANYWHERE[family])
                for family in ((4, 6) if ipv6 else (4,))
                for source, destination in pairs(folded, family)
            }
            if expected == set(ends):
                return [(sources, destinations)]
    # Not every source with every destination: edited by hand. One rule a pair says what is there.
    return [side for end in ends for side in (_sides([end], ipv6) if len(ends) > 1 else [((end[0],), (end[1],))])]


def _candidates(addresses: List[str]) -> List[Tuple[str, ...]]:
    """The lists that may have led to these addresses: anywhere, the networks alone, all of them."""
    found = sorted(set(addresses), key=lambda one: (version(one), ipaddress.ip_network(one, strict=False)))
    return [(), tuple(one for one in found if one not in _ANYWHERE.values()), tuple(found)]


def _place(block: Block) -> Tuple[str, ...]:
    """What a block is for, whatever its ports."""
    ends = (block.interface, block.out_interface, block.source, block.destination)
    return (block.profile, block.direction, *ends, block.protocol)


def _identity(rule: Rule) -> Tuple[Any, ...]:
    """What a profile says of a rule."""
    return rule.name, rule.direction, rule.tcp, rule.udp


def _block_ports(block: Block) -> List[_ports.PortRange]:
    return [_ports.parse(one.replace(":", "-")) for one in block.ports.split(",")]


def _holds(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


def _chains(family: int) -> List[str]:
    return ["ufw%s-%s" % ("6" if family == 6 else "", chain) for chain in sorted(_CHAINS.values())]


def _stored(family: int, text: str) -> List[str]:
    """The rule lines of a rules file that go to the user chains."""
    starts = tuple("-A %s " % chain for chain in _chains(family))
    return [line for line in text.splitlines() if line.startswith(starts)]


def canonical(line: str) -> Tuple[str, ...]:
    """A rule line in one spelling, whether ufw's file or ``iptables-save`` wrote it.

    The two differ in the order of options, in ``-m tcp``, in ``/32`` and in the quotes of a comment, which
    ufw leaves inside the kernel's comment when it adds a rule by hand.
    """
    tokens = _tokens(line)
    options: List[Tuple[str, ...]] = []
    number = 2
    while number < len(tokens):
        token = tokens[number]
        if token == "-m":
            number += 2
            continue
        values = []
        number += 1
        while number < len(tokens) and (not tokens[number].startswith("-") or tokens[number] == "-"):
            values.append(tokens[number])
            number += 1
        if token in ("-s", "-d"):
            values = [re.sub(r"/(32|128)\Z", "", value) for value in values]
        elif token == "--comment":
            values = [" ".join(values).replace("\\'", "").strip("'")]
        elif token == "--dports":
            token = "--dport"
        options.append((token,) + tuple(values))
    return tuple(tokens[:2]) + tuple(" ".join(option) for option in sorted(options))


def profile_of(line: str) -> str:
    """The application profile that a rule line's comment names as its destination, or the empty string."""
    found = re.search(r"dapp_([^'\"\\\s,]+)", line)
    return found.group(1).replace("%20", " ") if found else ""


def transaction(family: int, before: Sequence[str], after: Sequence[str]) -> str:
    """The input for ``iptables-restore -n`` that turns one list of rules into another.

    Lines that are in both stay untouched in the kernel, with their counters; removals come first, so that
    the numbers of the insertions hold.
    """
    lines = ["*filter"]
    for chain in _chains(family):
        old = [line for line in before if line.startswith("-A %s " % chain)]
        new = [line for line in after if line.startswith("-A %s " % chain)]
        kept = Counter(new)
        current: List[str] = []
        for line in old:
            if kept[line]:
                kept[line] -= 1
                current.append(line)
            else:
                lines.append("-D" + line[2:])
        for number, line in enumerate(new):
            if number < len(current) and current[number] == line:
                continue
            if number == len(current):
                lines.append(line)
            else:
                lines.append("-I %s %d%s" % (chain, number + 1, line[len("-A %s" % chain) :]))
            current.insert(number, line)
    return "\n".join(lines + ["COMMIT", ""])


def _tokens(line: str) -> List[str]:
    return [found.group(1) or found.group(2) or found.group(3) or "" for found in _TOKEN.finditer(line)]
