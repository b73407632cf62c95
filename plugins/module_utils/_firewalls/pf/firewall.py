# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pf on macOS, FreeBSD and OpenBSD: one anchor that the ruleset owns, loaded whole in one transaction.

The anchor's file comes first, then the two lines of the main ruleset that call and load it; removal goes the
other way round. Nothing is flushed, no state is killed, and pf is never switched off.
"""

from __future__ import annotations

import ipaddress
import os
import platform
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._files import FileChange
from ansible_collections.netports.apple.plugins.module_utils._firewalls import changes as _plan
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Run
from ansible_collections.netports.apple.plugins.module_utils._firewalls.legacy import Backend, Change, Have, Options
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import admission as _pf_main
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import anchor as _pf_text
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf import systems as _pf_system
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule


class Kernel(NamedTuple):
    """What the kernel has of the ruleset.

    ``rules``: the anchor's, as printed. ``same``: they are what the anchor's file expands to. ``tables``:
    names of tables that are not as the file says. ``main``: the rules of the main ruleset.
    """

    rules: List[str]
    same: bool
    tables: List[str]
    main: List[str]

    def anchors(self) -> List[str]:
        """The anchors that the main ruleset calls."""
        return [rule.split('"')[1] for rule in self.main if rule.startswith('anchor "')]


class Reading(NamedTuple):
    """What the host has.

    ``kernel`` is ``None`` where the kernel has no pf. ``coming``: the rules of the main ruleset's file, asked
    for where pf is to be switched on, since its rules may not be in the kernel yet.
    """

    text: Optional[str]
    parsed: _pf_text.Parsed
    main: Optional[str]
    boots: bool
    power: _pf_system.Power
    kernel: Optional[Kernel]
    coming: List[str]


class Steps(NamedTuple):
    """What an apply does. ``load`` is C(main), C(anchor) or empty; ``text`` is ``None`` for a removal.

    ``switches``: the files of the switch at boot, by path. ``stop``: a removal gives up what holds pf on.
    """

    reading: Reading
    text: Optional[str]
    files: List[FileChange]
    load: str
    flush: bool
    now: bool
    boot: bool
    switches: Dict[str, Optional[str]]
    stop: bool = True


class Pf(Backend):
    """The pf backend.

    :param system: C(macos), C(freebsd) or C(openbsd); by default what this host is.
    """

    name = "pf"
    confirms = True

    def __init__(
        self,
        run: Run,
        options: Options,
        root: str = "/",
        system: Optional[str] = None,
    ) -> None:
        super().__init__(run, options, root)
        name = system or _pf_system.PLATFORMS.get(platform.system(), "")
        kind = _pf_system.SYSTEMS.get(name)
        self._system = kind(run, self.path, options.ruleset) if kind else None
        self._anchor = _pf_text.anchor(options.ruleset)
        self._file = _pf_text.anchor_file(options.ruleset)

    @property
    def system(self) -> _pf_system.System:
        """The host's system.

        :raises FirewallError: it is none that has pf.
        """
        if self._system is None:
            raise FirewallError(
                "pf is there on macOS, FreeBSD and OpenBSD, and this host is %s: set another backend"
                % (platform.system() or "unknown")
            )
        return self._system

    def installed(self) -> bool:
        return self._system is not None and os.path.exists(self.path("sbin/pfctl"))

    def in_use(self) -> bool:
        return self.installed() and self.system.in_use()

    @classmethod
    def render(cls, rules: Sequence[Rule], ruleset: str) -> Dict[str, str]:
        """The anchor's file. The two lines that the main ruleset needs stand in its header."""
        return {_pf_text.anchor_file(ruleset): _pf_text.emit(rules, ruleset)} if rules else {}

    def read(self) -> Have:
        system = self.system
        text = _files.read(self._local(self._file))
        parsed = _pf_text.parse(text or "", self.options.ruleset)
        main = _files.read(self._local(system.main_file()))
        power = _pf_system.Power(False, False)
        kernel = None
        if system.loaded():
            kernel = self._read_kernel(text, parsed)
            # A second table rides along with the question for the switch. Tables are const and named after
            # their contents, so one beyond these two cannot change without the rules that name it.
            second = list(_pf_text.tables(parsed.rules).items())[1:2] if parsed.whole and kernel.same else []
            power, out = system.power(*self._rider(second))
            for name, networks in second:
                if not _holds(out, networks):
                    kernel.tables.append(name)
        coming: List[str] = []
        if self.options.enable and not power.on and main is not None:
            coming = self._expanded(system.main_file()) or []
        reading = Reading(text, parsed, main, system.boots(), power, kernel, coming)
        return Have(parsed.rules, power.on, reading.boots, reading)

    def denies_inbound(self, have: Have) -> bool:
        return any(_pf_main.blocks(rules) for rules in self._rulesets(have.native))

    def admits(self, have: Have, address: str, port: int) -> bool:
        """A rule of the ruleset for just this connection stays: pf's own cannot be told from it later on.

        What began while pf was off has no state, and rules for new connections do not fit it.
        """
        reading: Reading = have.native
        peer = ipaddress.ip_address(address)
        for rule in filter(_pf_text.is_guard, reading.parsed.rules):
            if peer in ipaddress.ip_network(rule.sources[0]) and rule.tcp[0][0] == port:
                return False
        begun = not reading.power.on
        return all(_pf_main.admits(rules, address, port, begun) for rules in self._rulesets(reading))

    def foreign(self, have: Have) -> str:
        """The rules of the main ruleset in the kernel, as pfctl prints them."""
        reading: Reading = have.native
        return "\n".join(reading.kernel.main) if reading.kernel else ""

    @staticmethod
    def _refuse_blindness() -> None:
        """Without a /proc, a connection that sudo or doas took out of the environment cannot be found.

        :raises FirewallError: pf would be switched on over a connection that nobody knows.
        """
        if not os.environ.get("SSH_CONNECTION") and (os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER")):
            raise FirewallError(
                "pf is off, its main ruleset refuses packets, and sudo or doas took SSH_CONNECTION away, which says"
                " what connection to keep: log in as root, let it through (sudoers: Defaults env_keep +="
                ' "SSH_CONNECTION"; doas.conf: setenv { SSH_CONNECTION }), or switch pf on yourself first'
            )

    @staticmethod
    def _rulesets(reading: Reading) -> List[List[str]]:
        return [reading.kernel.main if reading.kernel else [], reading.coming]

    def plan(self, have: Have, wanted: Sequence[Rule]) -> Change:
        system, reading = self.system, have.native
        enable = bool(self.options.enable and wanted)
        now = enable and not reading.power.held
        boot = enable and not reading.boots
        main_file = system.main_file()
        wanted = [_pf_text.canonical(rule) for rule in wanted]
        if now and not reading.power.on and self.denies_inbound(have) and not any(map(_pf_text.is_guard, wanted)):
            self._refuse_blindness()
        try:
            text: Optional[str] = _pf_text.emit(wanted, self.options.ruleset) if wanted else None
        except ValueError as error:
            raise FirewallError(str(error))
        main: Optional[str]
        if wanted:
            if reading.main is None and system.name != "freebsd":
                raise FirewallError(
                    "%s is missing, and %s ships one: put it back, since a new one would hold our lines alone"
                    % (main_file, system.title)
                )
            main = _pf_text.with_call(reading.main, self.options.ruleset)
        else:
            main = _pf_text.without_call(reading.main, self.options.ruleset)

        files = [
            FileChange(self._local(self._file), reading.text, text),
            FileChange(self._local(main_file), reading.main, main),
        ]
        for file, content in system.boot_files(bool(wanted)).items():
            if boot or not wanted:
                files.append(FileChange(self._local(file), _files.read(self._local(file)), content))
        files = [change for change in files if change.before != change.after]

        switches = {one: _files.read(self._local(one)) for one in system.switch_files} if boot else {}

        load, flush = "", False
        kernel = reading.kernel
        if kernel is None:
            load = "main" if now else ""
        elif main != reading.main or self._called(kernel) != bool(wanted):
            load = "main"
        elif wanted and (text != reading.text or not kernel.same or kernel.tables):
            load = "anchor"
        if kernel and not wanted:
            flush = bool(kernel.rules)

        operations = [step.to_dict() for step in _plan.operations(reading.parsed.rules, list(wanted))] + self._mends(
            reading, wanted, now, boot
        )
        return Change(
            operations=operations,
            before=self._view(
                reading.text,
                reading.main,
                bool(kernel and self._called(kernel) and kernel.rules and kernel.same and not kernel.tables),
                reading.power.on,
                reading.boots,
            ),
            after=self._view(text, main, bool(kernel) or now, reading.power.on or now, reading.boots or boot),
            warnings=self._warnings(reading, wanted, main, load),
            steps=Steps(reading, text, files, load, flush, now, boot, switches) if operations else None,
        )

    def apply(self, change: Change) -> None:
        steps: Optional[Steps] = change.steps
        if steps is None:
            return
        undo: _pf_system.Undo = []
        try:
            if steps.text is None:
                self._remove(steps, undo)
            else:
                self._install(steps, undo)
        except BaseException as error:
            left = []
            for step in reversed(undo):
                try:
                    step()
                except (FirewallError, OSError) as second:
                    left.append(str(second))
            if not isinstance(error, (FirewallError, OSError)):
                raise
            message = str(error)
            if left:
                message += ". Putting back what was there failed too: " + "; ".join(left)
            raise FirewallError(message)

    def live(self, change: Change) -> bool:
        steps: Steps = change.steps
        return bool(steps.load or steps.flush or steps.now)

    def engage(self, change: Change) -> Any:
        # What holds at the next boot, and what cannot be taken back, waits for the confirmation.
        self.apply(change._replace(steps=change.steps._replace(boot=False, stop=False)))
        _files.put_back(change.steps.files)
        return None

    def keep(self, change: Change, engaged: Any) -> None:
        steps: Steps = change.steps
        for item in steps.files:
            if _files.read(item.path) != item.before:
                raise FirewallError("%s was changed by somebody else before the change was confirmed" % item.path)
        kernel = self._read_kernel(None, _pf_text.parse(steps.text or "", self.options.ruleset))
        if self._called(kernel) != bool(steps.text) or bool(kernel.rules) != bool(steps.text):
            raise FirewallError("the rules of anchor %s are no longer loaded" % self._anchor)
        undo: _pf_system.Undo = []

        def settle() -> None:
            if steps.boot:
                self.system.start(False, True, undo)
            if steps.text is None:
                self.system.stop()

        folder = self._local(_pf_text.FOLDER)
        os.makedirs(folder, 0o755, exist_ok=True)
        try:
            _files.apply(steps.files, settle)
        except BaseException:
            for step in reversed(undo):
                step()
            raise
        self._tidy()

    def undo(self, change: Change) -> None:
        steps: Steps = change.steps
        folder = self._local(_pf_text.FOLDER)
        _files.sweep(folder)
        _files.put_back(steps.files)
        for file, text in steps.switches.items():
            if _files.read(self._local(file)) != text:
                _files.replace(self._local(file), text)
        if (steps.load or steps.flush) and self.system.loaded():
            before = steps.reading.kernel
            now = self._read_kernel(steps.reading.text, steps.reading.parsed)
            if before is None or (now.main, now.rules) != (before.main, before.rules):
                self._restore(steps)
        if steps.now or steps.boot:
            self.system.unstart(steps.reading.power)
        self._tidy()

    # Reading

    def _local(self, file: str) -> str:
        return self.path(file.lstrip("/"))

    def _rider(self, tables: Sequence[Tuple[str, Sequence[str]]]) -> Tuple[str, ...]:
        """Options that show a table in a process that shows something else first."""
        return ("-a", self._anchor, "-t", tables[0][0], "-T", "show") if tables else ()

    def _read_kernel(self, text: Optional[str], parsed: _pf_text.Parsed) -> Kernel:
        """Ask the kernel, in two processes where it has what the file says."""
        system = self.system
        question = system.numeric + ("-a", self._anchor, "-s", "rules")
        first = list(_pf_text.tables(parsed.rules).items())[:1] if parsed.whole else []
        code, out = system.pfctl(*(question + self._rider(first)[2:]))[:2]
        wrong = [name for name, networks in first if code or not _holds(out, networks)]
        if code and first:
            # The table is gone. What was printed before pfctl found that is not relied upon.
            out = system.pfctl(*question)[1]
        rules = _pf_text.printed_rules(out)
        same = not rules
        if text is not None:
            same = parsed.whole and rules == _pf_text.expand(parsed.rules, system.prints_state)
            # Where our own expansion and the kernel differ, pfctl's expansion of the file decides.
            same = same or (bool(rules) and rules == self._expanded(self._file, "-a", self._anchor))
        main = _pf_text.printed_rules(system.pfctl(*(system.numeric + ("-s", "rules")))[1])
        return Kernel(rules, same, wrong, main)

    def _called(self, kernel: Kernel) -> bool:
        return 'anchor "%s" all' % self._anchor in kernel.main

    def _expanded(self, file: str, *where: str) -> Optional[List[str]]:
        """What pfctl expands a file to; ``None`` where it does not parse."""
        words = self.system.numeric + ("-o", "none", "-n", "-v") + where + ("-f", file)
        code, out = self.system.pfctl(*words)[:2]
        return None if code else _pf_text.printed_rules(out)

    # Planning

    def _mends(self, reading: Reading, wanted: Sequence[Rule], now: bool, boot: bool) -> List[Dict[str, Any]]:
        """What is not as a run of the role left it, each by its name."""
        kernel = reading.kernel
        main_file = self.system.main_file()
        found: List[str] = []
        if reading.text is not None:
            if not reading.parsed.whole:
                found.append(
                    "%s is not as the role wrote it: it was edited by hand or comes from elsewhere" % self._file
                )
            mentions = _pf_text.look(reading.main, self.options.ruleset)
            if not mentions.called:
                found.append("%s does not call anchor %s" % (main_file, self._anchor))
            if not mentions.loaded:
                found.append("%s does not load anchor %s" % (main_file, self._anchor))
            if kernel:
                if not self._called(kernel):
                    found.append("the main ruleset in the kernel does not call anchor %s" % self._anchor)
                if not kernel.rules:
                    found.append("anchor %s is empty in the kernel" % self._anchor)
                elif not kernel.same:
                    found.append("the rules of anchor %s in the kernel are not those of its file" % self._anchor)
                for name in kernel.tables:
                    found.append("table %s of anchor %s in the kernel is not as its file says" % (name, self._anchor))
        elif not wanted:
            if _pf_text.own_part(reading.main, self.options.ruleset):
                found.append("%s still has lines of anchor %s" % (main_file, self._anchor))
            if kernel and (self._called(kernel) or kernel.rules):
                found.append("the kernel still has anchor %s" % self._anchor)
            for file in self.system.boot_files(False):
                if os.path.exists(self._local(file)):
                    found.append("%s is still there" % file)
        action = "enable" if reading.text is None else "mend"
        operations = [{"action": "mend", "what": what} for what in found]
        if now and not reading.power.on:
            operations.append({"action": action, "what": "pf is off"})
        elif now:
            operations.append({"action": action, "what": "pf is on, but not held on by the role"})
        if boot:
            operations.append({"action": action, "what": "pf is off after the next boot"})
        return operations

    def _warnings(self, reading: Reading, wanted: Sequence[Rule], main: Optional[str], load: str) -> List[str]:
        found: List[str] = []
        if wanted and not self.options.enable:
            if not reading.power.on:
                found.append(
                    "pf is off on this host: the rules are written%s, and nothing is filtered until it is switched on"
                    " (enable: true does)" % (" and loaded" if reading.kernel else "")
                )
            elif not reading.boots and self.system.name != "macos":
                found.append("pf is on now, but off after the next boot (enable: true switches it on for good)")
        if load == "main" and reading.kernel:
            # Reloading the main ruleset drops what others put into it at run time, and not into the file.
            lost = [name for name in reading.kernel.anchors() if name != self._anchor and name not in (main or "")]
            if lost and "include" not in (main or ""):
                found.append(
                    "%s has to be reloaded, which drops anchor calls that services put into the kernel alone: %s."
                    " Restart those services after it" % (self.system.main_file(), ", ".join(lost))
                )
        if not wanted and self.system.name == "macos" and reading.power.held:
            found.append("the role gives up its hold on pf: pf goes off unless something else holds it on")
        return found

    def _view(self, text: Optional[str], main: Optional[str], loaded: bool, on: bool, boots: bool) -> str:
        own = _pf_text.own_part(main, self.options.ruleset)
        if not text and not own:
            return ""
        state = "loaded: %s\non: %s\non at boot: %s\n"
        words = tuple("yes" if yes else "no" for yes in (loaded, on, boots))
        return _files.diff_text({self._file: text, self.system.main_file(): own, "pf": state % words})

    # Applying

    def _install(self, steps: Steps, undo: _pf_system.Undo) -> None:
        text = str(steps.text)
        if steps.load or text != steps.reading.text:
            self._check(text)
        folder = self._local(_pf_text.FOLDER)
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o755)
            undo.append(lambda: os.rmdir(folder))
        _files.sweep(folder)
        _files.apply(steps.files, then=lambda: self._start(steps, undo))

    def _start(self, steps: Steps, undo: _pf_system.Undo) -> None:
        """Everything behind the files: load, see that it took, switch on."""
        system = self.system
        if steps.load:
            if steps.now:
                system.prepare(undo)
            if steps.load == "main":
                self._load_main(lambda: undo.append(lambda: self._restore(steps)))
            else:
                undo.append(lambda: self._restore(steps))
                system.must([_pf_system.PFCTL, "-a", self._anchor, "-f", self._file], "Loading the anchor")
            kernel = self._read_kernel(steps.text, _pf_text.parse(str(steps.text), self.options.ruleset))
            if not (self._called(kernel) and kernel.same) or kernel.tables:
                raise FirewallError(
                    "pf took the rules of anchor %s without an error and yet has others (%d): see pfctl -a %s -sr"
                    % (self._anchor, len(kernel.rules), self._anchor)
                )
        if steps.now or steps.boot:
            system.start(steps.now, steps.boot, undo)

    def _remove(self, steps: Steps, undo: _pf_system.Undo) -> None:
        system = self.system
        main = self._local(system.main_file())

        def unload() -> None:
            if steps.load and os.path.exists(main):
                self._load_main(lambda: undo.append(lambda: self._restore(steps)))
            else:
                undo.append(lambda: self._restore(steps))
                if steps.load:
                    self._load_nothing()
            if steps.flush:
                self._load_nothing("-a", self._anchor)
            if steps.load or steps.flush:
                kernel = self._read_kernel(None, _pf_text.parse("", self.options.ruleset))
                if self._called(kernel) or kernel.rules:
                    raise FirewallError("anchor %s is still in the kernel after its removal" % self._anchor)
            then = system.stop if steps.stop else None
            _files.apply([change for change in steps.files if change.path != main], then)

        _files.apply([change for change in steps.files if change.path == main], then=unload)
        self._tidy()

    def _tidy(self) -> None:
        """Remove the folder of anchors where it is empty. macOS has it of its own; elsewhere it was made for them."""
        folder = self._local(_pf_text.FOLDER)
        if self.system.name != "macos" and os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)

    def _check(self, text: str) -> None:
        """Have pfctl parse the anchor's text before a file holds it."""
        self.system.must(
            [_pf_system.PFCTL, "-a", self._anchor, "-n", "-f", "-"], "Checking the rules of the anchor", text
        )

    def _load_main(self, between: Optional[Callable[[], None]] = None) -> None:
        """Check the main ruleset, then load it. On macOS and OpenBSD a failing load alone would do harm."""
        file = self.system.main_file()
        self.system.must([_pf_system.PFCTL, "-n", "-f", file], "Checking the main ruleset")
        if between:
            between()
        self.system.must([_pf_system.PFCTL, "-f", file], "Loading the main ruleset")

    def _load_nothing(self, *where: str) -> None:
        """Load an empty ruleset: one transaction, which touches no state and nothing beside that ruleset."""
        self.system.must([_pf_system.PFCTL] + list(where) + ["-f", "-"], "Emptying a ruleset", _pf_text.NOTHING)

    def _restore(self, steps: Steps) -> None:
        """Bring the kernel back: what had rules gets them from the files, which are as they were."""
        text, main, kernel = steps.reading.text, steps.reading.main, steps.reading.kernel
        if steps.load == "main":
            if main is None or kernel is None or not kernel.main:
                self._load_nothing()
            else:
                self._load_main()
        if text is None or kernel is None or not kernel.rules:
            self._load_nothing("-a", self._anchor)
        elif steps.load != "main" or not _pf_text.look(main, self.options.ruleset).loaded:
            self._check(text)
            self.system.must([_pf_system.PFCTL, "-a", self._anchor, "-f", self._file], "Loading the anchor as it was")


def _holds(printed: str, networks: Sequence[str]) -> bool:
    """Say whether a printed table holds exactly these networks."""
    members = _pf_text.printed_table(printed)
    try:
        return {ipaddress.ip_network(one) for one in members} == {ipaddress.ip_network(one) for one in networks}
    except ValueError:
        return False
