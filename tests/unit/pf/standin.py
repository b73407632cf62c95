# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for pfctl, sysrc, rcctl, launchctl and kldload over a folder that plays the host's root.

It is no pf: it knows what a run of the backend can meet, and behaves there as the real ones are known to:

- a missing anchor is exit 0 with words on standard error, and a missing table is not;
- every `pfctl -E` gives a new token, on standard error; `-X` gives it back; a boot voids all;
- FreeBSD prints names for ports without -P, OpenBSD with it, and macOS does not know the option;
- `-f` on macOS and OpenBSD clears the skip flags before it parses; no load flushes a state;
- a main ruleset whose `load anchor` names a missing or broken file does not load at all;
- `-nv` of a main ruleset shows what its `load anchor` lines load flattened behind its own rules; `-s rules` does not;
- what a main ruleset loads inherits its `set state-policy`, what `-a` loads by itself does not;
- a table that one load defines twice, be it by a doubled `load anchor`, fails that load, and no check before it;
- unless told `-o none`, pfctl drops what the optimizer finds to be said twice;
- a table shows a negated member with its `!` in the place of the third blank;
- macOS says "No ALTQ support" and "Use of -f option" on standard error when nothing is wrong.

What must never be run (-d, -F all, service pf restart, a load without a check of the same text) is an error of
the test itself, not an exit code.
"""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unit.pf import checker

from ansible_collections.netports.apple.plugins.module_utils import _run as _host_firewall

# A pfctl and a logger for shell programs: it asks the stand-in, which lives in the process of the test.
SHIM = """\
#!/bin/sh
printf '%s\\n' "${{0##*/}}" "$@" >"{folder}/ask"
read -r code <"{folder}/answer"
cat "{folder}/out"
cat "{folder}/err" >&2
exit "$code"
"""

MACOS_PF_CONF = """\
#
# Default PF configuration file.
#
scrub-anchor "com.apple/*"
nat-anchor "com.apple/*"
rdr-anchor "com.apple/*"
dummynet-anchor "com.apple/*"
anchor "com.apple/*"
load anchor "com.apple" from "/etc/pf.anchors/com.apple"
"""

OPENBSD_PF_CONF = """\
# See pf.conf(5)
set skip on lo

block return	# block stateless traffic
pass		# establish keep-state
"""

FREEBSD_RC_CONF = """\
hostname="bsd.example.org"	# a comment
ifconfig_em0="DHCP"
sshd_enable="YES"
"""

# The order that macOS and FreeBSD want; sets and tables may stand anywhere.
ORDER = {"scrub": 1, "scrub-anchor": 1, "altq": 2, "nat": 3, "rdr": 3, "nat-anchor": 3, "rdr-anchor": 3}
FILTER = ("pass", "block", "anchor", "match")

Answer = tuple[int, str, str]


class PfError(Exception):
    """A text that pfctl refuses, with what it says."""


@dataclass
class Main:
    """A ruleset that is being read: its rules as they are printed, its `load anchor` lines and the rest."""

    rules: list[str] = field(default_factory=list)
    nat: list[str] = field(default_factory=list)
    loads: list[tuple[str, str]] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inline: dict[str, list[str]] = field(default_factory=dict)
    policy: str = "floating"
    place: int = 0


class Standin:
    """A host of a system: `macos`, `freebsd` or `openbsd`, as it is after its installation."""

    def __init__(self, root: Path, system: str) -> None:
        self.root = root
        self.system = system
        self.enabled = False
        self.main: list[str] = []
        self.anchors: dict[str, checker.Text] = {}
        # The `set state-policy` with which an anchor was loaded, and the rules of anchors that are not ours.
        self.policies: dict[str, str] = {}
        self.foreign: dict[str, list[str]] = {}
        # Tables of the main ruleset.
        self.tables: dict[str, tuple[str, ...]] = {}
        self.interfaces: dict[str, tuple[str, ...]] = {
            "em0": ("192.0.2.1/24", "2001:db8::1/64"),
            "lo0": ("127.0.0.1/8",),
        }
        # Rules of the main ruleset that translate addresses.
        self.nat: list[str] = []
        self.syslog: list[str] = []
        self.skipped: set[str] = set()
        self.tokens: list[str] = []
        self.last_token = 17179869184000000000
        self.daemons: set[str] = set()
        # What netstat says of the TCP sockets.
        self.sockets = ""
        # Loads of the main ruleset, and everything that was run.
        self.reloads = 0
        self.log: list[list[str]] = []
        self.faults: list[tuple[tuple[str, ...], Answer | BaseException]] = []
        self._checked: set[tuple[str, str]] = set()
        self._install()

    def _install(self) -> None:
        for folder in ("sbin", "dev", "etc", "var/run"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "sbin/pfctl").touch()
        if self.system == "macos":
            (self.root / "Library/LaunchDaemons").mkdir(parents=True)
            self.write("/etc/pf.anchors/com.apple", 'anchor "200.AirDrop/*"\n')
            self.write("/etc/pf.conf", MACOS_PF_CONF)
        elif self.system == "openbsd":
            self.write("/etc/pf.conf", OPENBSD_PF_CONF)
            self.write("/etc/rc.conf.local", "ntpd_flags=\n")
        else:
            self.write("/etc/rc.conf", FREEBSD_RC_CONF)
        self.boot()
        self.log.clear()

    # What a test does to the host

    def file(self, path: str) -> Path:
        """A file of the host; a path that is below the root already stays."""
        return Path(path) if path.startswith(str(self.root)) else self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_bytes(text.encode("utf-8", "surrogateescape"))

    def read(self, path: str) -> str:
        return self.file(path).read_bytes().decode("utf-8", "surrogateescape")

    def files(self) -> dict[str, bytes]:
        """Every file of the host, but for what the collection remembers of its last change."""
        found = {
            one: one.read_bytes()
            for one in self.root.rglob("*")
            if one.is_file() and "/netports-apple/" not in f"{one}"
        }
        return {str(one.relative_to(self.root)): data for one, data in found.items()}

    def fail(self, *words: str, code: int = 1, err: str | BaseException = "pfctl: injected") -> None:
        """Let the next process with these words fail, or raise `err`. A whole command line means just that one."""
        self.faults.append((words, err if isinstance(err, BaseException) else (code, "", err)))

    def boot(self) -> None:
        """Switch the host off and on: rules, tokens and /var/run are gone; then what the system itself does."""
        self.enabled, self.main, self.nat, self.anchors, self.foreign, self.tokens = False, [], [], {}, {}, []
        shutil.rmtree(self.root / "var/run")
        (self.root / "var/run").mkdir()
        if self.system == "macos":
            self.daemons = set()
            (self.root / "dev/pf").touch()
            self._load_silently()
            for plist in sorted((self.root / "Library/LaunchDaemons").glob("*.plist")):
                content = plistlib.loads(plist.read_bytes())
                self.daemons.add(content["Label"])
                self.run_daemon(content["ProgramArguments"])
        elif self.system == "openbsd":
            (self.root / "dev/pf").touch()
            if not re.search(r"^pf=NO", self.read("/etc/rc.conf.local"), re.MULTILINE):
                self._load_silently()
                self.enabled = True
        elif re.search(r'^pf_enable="?YES', self.read("/etc/rc.conf"), re.MULTILINE):
            (self.root / "dev/pf").touch()
            self._load_silently()
            self.enabled = True
        elif (self.root / "dev/pf").exists():
            (self.root / "dev/pf").unlink()

    def _load_silently(self) -> None:
        try:
            self.load("", self.read("/etc/pf.conf"), act=True)
        except (PfError, FileNotFoundError):
            self.main = []

    def run_daemon(self, words: list[str]) -> None:
        """Run a daemon's own shell program, with this host as its pfctl."""
        with tempfile.TemporaryDirectory(prefix="pf-") as name:
            folder = Path(name)
            for fifo in ("ask", "answer"):
                os.mkfifo(folder / fifo)
            for program in ("pfctl", "logger"):
                (folder / program).write_text(SHIM.format(folder=folder))
                (folder / program).chmod(0o755)
            server = threading.Thread(target=self._serve, args=(folder,), daemon=True)
            server.start()
            paths = [str(self.file(word)) if re.match(r"/(etc|var)/", word) else word for word in words]
            environment = {"PATH": f"{folder}:/usr/bin:/bin"}
            done = subprocess.run(paths, env=environment, capture_output=True, text=True, timeout=600, check=False)
            (folder / "ask").write_text("\n")
            server.join()
        assert done.returncode == 0, done.stderr

    def _serve(self, folder: Path) -> None:
        while True:
            program, *words = (folder / "ask").read_text().splitlines()
            if not program:
                return
            if program == "logger":
                self.syslog.append(" ".join(words))
            answer = (70, "", "the stand-in failed\n")
            try:
                answer = self._pfctl(words, None) if program == "pfctl" else (0, "", "")
            finally:
                (folder / "out").write_text(answer[1])
                (folder / "err").write_text(answer[2])
                (folder / "answer").write_text(f"{answer[0]}\n")

    # The processes

    def run(self, argv: list[str], stdin: str | None = None) -> Answer:
        """Start a process: what the backend is given."""
        assert all(isinstance(word, str) for word in argv)
        self.log.append(list(argv))
        for fault in self.faults:
            if set(fault[0]) <= set(argv) and (argv[0] not in fault[0] or list(fault[0]) == argv):
                self.faults.remove(fault)
                if isinstance(fault[1], BaseException):
                    raise fault[1]
                return fault[1]
        program = {
            "/sbin/pfctl": self._pfctl,
            "/sbin/kldload": self._kldload,
            "/usr/sbin/sysrc": self._sysrc,
            "/usr/sbin/rcctl": self._rcctl,
            "/bin/launchctl": self._launchctl,
            "netstat": self._netstat,
        }.get(argv[0])
        assert program, f"nobody may run {argv}"
        return program(argv[1:], stdin)

    def _pfctl(self, words: list[str], stdin: str | None) -> Answer:
        options = self._options(words)
        # Where holds are not counted, a run that switched pf on is undone by it.
        assert "d" not in options or (self.system != "macos" and words == ["-d"]), "pfctl -d"
        assert "F" not in options, "pfctl -F"
        if "P" in options and self.system == "macos":
            return 1, "", "pfctl: illegal option -- P\nusage: pfctl [-AdeghmNnOqRrvz] ..."
        if "n" not in options and not (self.root / "dev/pf").exists():
            return 1, "", "pfctl: /dev/pf: No such file or directory\n"
        out, err = (
            "",
            "No ALTQ support in kernel\nALTQ related functions disabled\n" if self.system != "openbsd" else "",
        )
        # pfctl does what it is told in this order, whatever the order of the words.
        for step in (self._listing, self._table, self._file_option, self._switch):
            code, said, wrong = step(options, stdin)
            out, err = out + said, err + wrong
            if code:
                return code, out, err
        return 0, out, err

    def _listing(self, options: dict[str, str], _stdin: str | None) -> Answer:
        if "s" not in options or "n" in options:
            return 0, "", ""
        return 0, *self._show(options["s"], options.get("a", ""), "P" in options)

    def _table(self, options: dict[str, str], _stdin: str | None) -> Answer:
        if "T" not in options:
            return 0, "", ""
        assert options["T"] == "show" and "n" not in options
        anchor = options.get("a", "")
        known = self.anchors.get(anchor, checker.Text()).tables if anchor else self.tables
        table = known.get(options["t"])
        if table is None:
            return 255, "", "pfctl: Table does not exist.\n"
        return 0, "".join(f"{'  ' if member[0] == '!' else '   '}{member}\n" for member in table), ""

    def _switch(self, options: dict[str, str], _stdin: str | None) -> Answer:
        if "d" in options:
            self.enabled = False
        if "E" in options:
            assert self.system == "macos"
            self.enabled = True
            self.last_token += 1
            self.tokens.append(str(self.last_token))
            return 0, "", f"pf enabled\nToken : {self.last_token}\n"
        if "e" in options:
            already, self.enabled = self.enabled, True
            return int(already), "", "pfctl: pf already enabled\n" if already else "pf enabled\n"
        if "X" in options:
            if options["X"] not in self.tokens:
                return 1, "", "pfctl: disable request: token is invalid\n"
            self.tokens.remove(options["X"])
            self.enabled = bool(self.tokens)
        return 0, "", ""

    @staticmethod
    def _options(words: list[str]) -> dict[str, str]:
        """What getopt makes of the words; nothing may be left over."""
        options: dict[str, str] = {}
        rest = iter(words)
        for word in rest:
            assert re.fullmatch(r"-[a-zA-Z]", word), words
            value = next(rest) if word[1] in "aDFfikKopstTxX" else ""
            options[word[1]] = f"{options['D']}\n{value}" if word == "-D" and "D" in options else value
        return options

    def _show(self, what: str, anchor: str, names: bool) -> tuple[str, str]:
        if what == "info":
            state = "Enabled for 0 days 00:12:03" if self.enabled else "Disabled"
            return f"Status: {state:<45} Debug: Urgent\n\nState Table   Total\n  current entries   0\n", ""
        if what == "References":
            assert self.system == "macos"
            rows = [f"{400 + row}  pfctl                {one}  0 days 00:01:00" for row, one in enumerate(self.tokens)]
            return "TOKENS:\nPID      Process Name                 TOKEN  TIMESTAMP\n" + "\n".join([*rows, ""]), ""
        if what == "Anchors":
            known = sorted({*self.anchors, *self.foreign})
            return "".join(f"  {name}\n" for name in known if name.rpartition("/")[0] == anchor), ""
        if what == "nat":
            assert self.system != "openbsd" and not anchor
            return "".join(f"{rule}\n" for rule in self.nat), ""
        assert what == "rules", what
        if not anchor:
            return "".join(f"{rule}\n" for rule in self.main), ""
        if anchor in self.foreign:
            return "".join(f"{rule}\n" for rule in self.foreign[anchor]), ""
        if anchor not in self.anchors:
            return "", f"pfctl: Anchor '{anchor}' not found.\n"
        rules = self._expanded(self.anchors[anchor], names, self.policies.get(anchor, "floating"))
        return "".join(f"{rule}\n" for rule in rules), ""

    def _expanded(self, text: checker.Text, option: bool, policy: str = "floating") -> list[str]:
        """The rules as this system prints them, with or without -P."""
        dialect = {"macos": "macos", "freebsd": "freebsd15", "openbsd": "openbsd"}[self.system]
        numeric = self.system == "macos" or option == (self.system == "freebsd")
        return checker.expand(text, dialect, numeric=numeric, policy=policy)

    def _file_option(self, options: dict[str, str], stdin: str | None) -> Answer:
        if "f" not in options:
            return 0, "", ""
        name, anchor = options["f"], options.get("a", "")
        if name == "-":
            assert stdin, "pfctl would read the caller's own standard input"
            text = stdin
        elif not self.file(name).exists():
            return 1, "", f"pfctl: {name}: No such file or directory\n"
        else:
            text = self.read(name)
        act = "n" not in options
        noise = ""
        if act and self.system == "macos":
            noise = "pfctl: Use of -f option, could result in flushing of rules\npresent in the main ruleset\n"
            noise += "added by the system at startup.\nSee /etc/pf.conf for further details.\n"
        try:
            if act:
                if not anchor and self.system != "freebsd":
                    self.skipped = set()
                empty = not re.sub(r"#.*|\s", "", text)
                assert empty or (anchor, text) in self._checked, f"loaded without a check: {options}"
                self.reloads += not anchor
            macros = dict(pair.split("=", 1) for pair in options.get("D", "").split("\n") if pair)
            printed = self.load(anchor, text, act, macros, options.get("o") != "none", "P" in options)
        except PfError as error:
            return 1, "", f"{noise}{name}:{error}\npfctl: Syntax error in config file: pf rules not loaded\n"
        if not act:
            self._checked.add((anchor, text))
        return 0, "".join(f"{line}\n" for line in printed) if "v" in options else "", noise

    def load(
        self,
        anchor: str,
        text: str,
        act: bool,
        macros: dict[str, str] | None = None,
        optimize: bool = True,
        names: bool = False,
    ) -> list[str]:
        """Parse a text whole, and only then put it into the kernel.

        :returns: what `-v` prints.
        """
        if anchor:
            found = self._anchor(anchor, text, "floating")
            if act:
                self._put(anchor, found, "floating")
            return self._lines(found, names, "floating")
        main = Main()
        self._read(text, main, dict(macros or {}))
        contents = []
        for name, path in main.loads:
            if not self.file(path).exists():
                raise PfError(f"1: Loading anchor {name} from {path}\npfctl: {path}: No such file or directory")
            contents.append((name, self._anchor(name, self.read(path), main.policy)))
        if optimize:
            main.rules = list(dict.fromkeys(main.rules))
        if act:
            known = [(name, table) for name, found in contents for table in getattr(found, "tables", ())]
            if len(known) != len(set(known)):
                raise PfError(f"1: cannot define table {known[-1][1]}: Resource busy")
            self.main, self.nat, self.skipped, self.tables = main.rules, main.nat, main.skipped, main.tables
            self.foreign.update(main.inline)
            for name, found in contents:
                self._put(name, found, main.policy)
        return [
            *(f"table <{name}> {{ {' '.join(members)} }}" for name, members in main.tables.items()),
            *main.nat,
            *main.rules,
            *(line for _name, found in contents for line in self._lines(found, names, main.policy)),
        ]

    def _anchor(self, name: str, text: str, policy: str) -> checker.Text | list[str]:
        """What an anchor's file holds: ours is held to what all dialects read alike."""
        if name.startswith("netports."):
            try:
                return checker.parse(text)
            except checker.CheckError as error:
                raise PfError(f"3: syntax error ({error})") from error
        main = Main(policy=policy)
        self._read(text, main, {})
        return main.rules

    def _lines(self, found: checker.Text | list[str], names: bool, policy: str) -> list[str]:
        if isinstance(found, list):
            return found
        tables = [f"table <{name}> const {{ {' '.join(members)} }}" for name, members in found.tables.items()]
        return tables + self._expanded(found, names, policy)

    def _put(self, anchor: str, found: checker.Text | list[str], policy: str) -> None:
        self.anchors.pop(anchor, None)
        self.foreign.pop(anchor, None)
        self.policies[anchor] = policy
        if isinstance(found, list):
            self.foreign[anchor] = found
        elif found.rules:
            self.anchors[anchor] = found

    def _read(self, text: str, main: Main, macros: dict[str, str]) -> None:
        """Read a ruleset: its filter rules as they are printed, and what else a load of it does."""
        if text and not text.endswith("\n") and self.system == "macos":
            raise PfError(f"{text.count(chr(10)) + 1}: syntax error")
        if "\r" in text:
            raise PfError("1: syntax error")
        inline: list[str] | None = None
        for number, line in enumerate(text.replace("\\\n", " ").split("\n"), 1):
            words = line.split("#")[0].split()
            macro = re.fullmatch(r'([a-z_]\w*) ?= ?"?([^"]*)"?', " ".join(words))
            if macro:
                macros.setdefault(macro.group(1), macro.group(2))
                continue
            unknown = [name for name in re.findall(r"\$(\w+)", " ".join(words)) if name not in macros]
            if unknown:
                raise PfError(f"{number}: macro '{unknown[0]}' not defined")
            said = re.sub(r"\$(\w+)", lambda found: macros[found.group(1)], " ".join(words))
            if said == "}" and inline is not None:
                inline = None
            elif inline is not None:
                inline += self._printed(said, main.policy) if said else []
            elif said.endswith("{") and said.startswith("anchor"):
                inline = self._inline(said, main)
            elif said:
                self._statement(number, said, main, macros)

    def _inline(self, said: str, main: Main) -> list[str]:
        """An anchor whose rules stand in the main ruleset: the list that gets them."""
        name = re.fullmatch(r'anchor "([^"]+)" \{', said)
        if name:
            main.rules.append(f'anchor "{name.group(1)}" all')
            return main.inline.setdefault(name.group(1), [])
        # Without a name of its own it is printed where it stands.
        main.rules += ["anchor all {", "}"]
        return main.inline.setdefault("_1", [])

    def _statement(self, number: int, said: str, main: Main, macros: dict[str, str]) -> None:
        kind = said.split()[0]
        call = re.fullmatch(r'anchor "?([^" ]+)"?( .*)?', said)
        translated = ORDER.get(kind)
        if kind in ("load", "set", "table") or (kind == "dummynet-anchor" and self.system == "macos"):
            self._option(said, main)
        elif kind == "include":
            self._read(self.read(said.split()[1].strip('"')), main, macros)
        elif translated and self.system != "openbsd":
            if main.place > translated:
                raise PfError(f"{number}: Rules must be in order: options, normalization, queueing, translation")
            main.place = translated
            if translated == ORDER["nat"]:
                main.nat.append(f"{said} all" if "anchor" in kind else said)
        elif kind == "match" and self.system == "openbsd":
            main.rules.append(said)
        elif call or kind in FILTER[:2]:
            main.place = 4
            main.rules += (
                [f'anchor "{call.group(1)}"{call.group(2) or ""} all'] if call else self._printed(said, main.policy)
            )
        else:
            raise PfError(f"{number}: syntax error")

    @staticmethod
    def _option(said: str, main: Main) -> None:
        """What may stand anywhere in a ruleset."""
        words = said.split()
        load = re.fullmatch(r'load anchor "?([^" ]+)"? from "([^"]+)"', said)
        table = re.fullmatch(r"table <(\S+)>(?: persist| const)*(?: \{(.*)\})?", said)
        if load:
            main.loads.append((load.group(1), load.group(2)))
        elif table:
            main.tables[table.group(1)] = tuple((table.group(2) or "").replace(",", " ").split())
        elif words[:3] == ["set", "skip", "on"]:
            main.skipped.add(words[3])
        elif words[:2] == ["set", "state-policy"]:
            main.policy = words[2]

    def _printed(self, rule: str, policy: str) -> list[str]:
        try:
            return self._expanded(checker.parse(rule + "\n"), self.system == "freebsd", policy)
        except checker.CheckError:
            shown = re.sub(r"^block(?! (?:drop|return))", "block drop", rule)
            if " from " in shown and " to " not in shown:
                shown = re.sub(r"( from (?:! )?\S+)", r"\1 to any", shown)
            if " to " in shown and " from " not in shown:
                shown = shown.replace(" to ", " from any to ", 1)
            shown = re.sub(r" port ([0-9]+)(?![0-9:])", r" port = \1", shown.replace(" to port ", " to any port "))
            shown = shown if re.search(r" (?:from|to|all)\b", shown) else f"{shown} all"
            if shown.startswith("pass") and " state" not in shown:
                shown += " flags S/SA" if " flags " not in shown and " proto udp" not in shown else ""
                shown += " keep state" if self.system != "openbsd" or policy == "if-bound" else ""
                shown += " (if-bound)" if policy == "if-bound" else ""
            return [shown]

    def _kldload(self, words: list[str], _stdin: str | None) -> Answer:
        assert self.system == "freebsd" and words == ["-n", "pf"]
        (self.root / "dev/pf").touch()
        return 0, "", ""

    def _sysrc(self, words: list[str], _stdin: str | None) -> Answer:
        assert self.system == "freebsd" and len(words) == 1
        name, value = words[0].split("=")
        text = self.read("/etc/rc.conf")
        changed, count = re.subn(rf"^{name}=.*$", f'{name}="{value}"', text, flags=re.MULTILINE)
        self.write("/etc/rc.conf", changed if count else f'{text}{name}="{value}"\n')
        return 0, f"{name}:  -> {value}\n", ""

    def _rcctl(self, words: list[str], _stdin: str | None) -> Answer:
        assert self.system == "openbsd" and words == ["enable", "pf"], words
        self.write("/etc/rc.conf.local", re.sub(r"^pf=NO\n", "", self.read("/etc/rc.conf.local"), flags=re.MULTILINE))
        return 0, "", ""

    def _netstat(self, words: list[str], _stdin: str | None) -> Answer:
        assert words == ["-an", "-p", "tcp"]
        return 0, self.sockets, ""

    def _launchctl(self, words: list[str], _stdin: str | None) -> Answer:
        assert self.system == "macos"
        if words[0] == "enable":
            return 0, "", ""
        if words[0] == "bootout":
            label = words[1].split("/")[1]
            if label not in self.daemons:
                return 3, "", "Boot-out failed: 3: No such process\n"
            self.daemons.remove(label)
            return 0, "", ""
        assert words[:2] == ["bootstrap", "system"]
        content = plistlib.loads(self.file(words[2]).read_bytes())
        if content["Label"] in self.daemons:
            return 5, "", "Bootstrap failed: 5: Input/output error\n"
        self.daemons.add(content["Label"])
        # launchd starts it at once: a second token here would be one that nobody gives back.
        self.run_daemon(content["ProgramArguments"])
        return 0, "", ""


class Host(Standin):
    """A stand-in that the module can be run on."""

    def module(self, check: bool = False, **params: Any) -> dict[str, Any]:
        """Run the module once."""
        defaults: dict[str, Any] = {
            "rules": [],
            "ruleset": "apple",
            "state": "replaced",
            "backend": "auto",
            "enable": None,
            "zone": "",
        }
        self.log.clear()
        return _host_firewall.execute({**defaults, **params}, self.run, check, str(self.root))

    def apply(self, *rules: dict[str, Any], **params: Any) -> dict[str, Any]:
        """Run the module: in check mode, for real, and again. The three have to fit each other and the bars."""
        before = self.files()
        foreseen = self.module(check=True, rules=list(rules), **params)
        assert self.files() == before, "check mode writes"
        result = self.module(rules=list(rules), **params)
        assert result == foreseen
        assert len(self.log) <= 40
        processes = len(self.log)
        done = self.files()
        again = self.module(rules=list(rules), **params)
        assert not again["changed"], again["operations"]
        # While pf is off, the file that may come on is asked too.
        assert len(self.log) <= (3 if self.enabled else 4), self.log
        assert self.files() == done
        assert again["diff"]["before"] == again["diff"]["after"] == result["diff"]["after"]
        result["processes"] = processes
        return result
