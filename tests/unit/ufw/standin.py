# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the kernel's tables and for ufw, for tests of thousands of cases; real ones are in tests/integration.

It keeps the rules of ufw's user chains, prints them as iptables-save does, chain by chain, and does to them what
iptables-restore -n does: append, insert and delete by number, all or nothing.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

HEADER = """*filter
:ufw{v}-user-input - [0:0]
:ufw{v}-user-output - [0:0]
:ufw{v}-user-forward - [0:0]
### RULES ###
"""
FOOTER = """
### END RULES ###

### LOGGING ###
-A ufw{v}-after-logging-input -j LOG --log-prefix "[UFW BLOCK] " -m limit --limit 3/min --limit-burst 10
### END LOGGING ###

### RATE LIMITING ###
-A ufw{v}-user-limit -j REJECT
### END RATE LIMITING ###
COMMIT
"""
PROGRAM = re.compile(r"ip(6?)tables-(save|restore)\Z")


def saved(line: str) -> str:
    """A rule line of ufw's file as iptables-save prints it."""
    words = shlex.split(line)
    chain, rest = words[1], words[2:]
    options: dict[str, list[str]] = {}
    name = ""
    for word in rest:
        if word.startswith("-"):
            name = word
            options.setdefault(name, [])
        else:
            options[name].append(word)
    protocol = options.get("-p", ["all"])[0]
    parts = [f"-A {chain}"]
    for flag in ("-s", "-d"):
        if flag in options:
            address = options[flag][0]
            parts.append(f"{flag} {address}" if "/" in address else f"{flag} {address}/{128 if ':' in address else 32}")
    parts += [f"{flag} {options[flag][0]}" for flag in ("-i", "-o") if flag in options]
    if "-p" in options:
        parts.append(f"-p {protocol}")
    if "--dports" in options:
        parts.append(f"-m multiport --dports {options['--dports'][0]}")
    if "--dport" in options:
        parts.append(f"-m {protocol} --dport {options['--dport'][0]}")
    if "--comment" in options:
        parts.append(f'-m comment --comment "{options["--comment"][0]}"')
    parts.append(f"-j {options['-j'][0]}")
    return " ".join(parts)


def chain_by_chain(lines: list[str]) -> list[str]:
    """Rules as the kernel has them: in order within their chain, while two chains have no order between them."""
    return sorted(lines, key=lambda line: line.split()[1])


class Host:
    """A host's root folder with ufw's files, its kernel, and the processes that were started on it.

    ``broken`` names a program whose next call fails, ``deaf`` a program whose next call says that it did what it did not.
    """

    def __init__(self, root: Path, blocks: dict[int, list[str]] | None = None, active: bool = True) -> None:
        self.root = root
        self.calls: list[list[str]] = []
        self.active = active
        self.broken = ""
        self.deaf = ""
        # The rules of IPv4's chain INPUT.
        self.input = ["-A INPUT -j ufw-before-input\n"]
        for folder in ("etc/ufw/applications.d", "etc/default", "usr/sbin", "proc/sys/net/ipv6", "run", "lib/ufw"):
            (root / folder).mkdir(parents=True)
        (root / "usr/sbin/ufw").touch()
        (root / "etc/default/ufw").write_text('IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\n')
        (root / "etc/ufw/ufw.conf").write_text(f"ENABLED={'yes' if active else 'no'}\nLOGLEVEL=low\n")
        self.chains: dict[int, list[str]] = {4: [], 6: []}
        for family, v in ((4, ""), (6, "6")):
            body = "".join("\n" + block for block in (blocks or {}).get(family, []))
            self.file(family).write_text(HEADER.format(v=v) + body + FOOTER.format(v=v))
        if active:
            self.reboot()

    def file(self, family: int) -> Path:
        """The rules file of an IP version."""
        return self.root / "etc/ufw" / ("user.rules" if family == 4 else "user6.rules")

    def reboot(self) -> None:
        """Load the kernel from the files, as ufw does at boot."""
        for family in (4, 6):
            lines = re.findall(
                r"^-A ufw6?-user-(?:input|output|forward) .*", self.file(family).read_text(), re.MULTILINE
            )
            self.chains[family] = chain_by_chain([saved(line) for line in lines])

    def run(self, argv: list[str], stdin: str | None = None) -> tuple[int, str, str]:
        """What `Backend.run` is."""
        self.calls.append(argv)
        if self.broken and self.broken == argv[0] and "--test" not in argv:
            self.broken = ""
            return 2, "", f"{argv[0]}: out of memory"
        if self.deaf and self.deaf == argv[0] and "--test" not in argv:
            self.deaf = ""
            return 0, "", ""
        found = PROGRAM.match(argv[0])
        if found and found.group(2) == "save":
            return 0, self._save(6 if found.group(1) else 4), ""
        if found:
            return self._restore(6 if found.group(1) else 4, str(stdin), "--test" in argv)
        assert argv[0] == "ufw" and argv[-2:] == ["show", "added"], argv
        stage = (Path(argv[1].partition("=")[2]) if "=" in argv[1] else self.root) / "etc/ufw"
        names = set(re.findall(r" (\S+) - (?:in|out)\S*$", (stage / "user.rules").read_text(), re.MULTILINE))
        names |= set(re.findall(r" (\S+) - (?:in|out)\S*$", (stage / "user6.rules").read_text(), re.MULTILINE))
        return 0, "".join(f"ufw allow '{name.replace('%20', ' ')}'\n" for name in sorted(names)), ""

    def _save(self, family: int) -> str:
        v = "6" if family == 6 else ""
        if not self.active:
            return "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
        chains = "".join(f":ufw{v}-user-{one} - [0:0]\n" for one in ("forward", "input", "output"))
        lines = [
            *(self.input if family == 4 else ["-A INPUT -j ufw6-before-input\n"]),
            *(f"{line}\n" for line in self.chains[family]),
        ]
        return f"*filter\n:INPUT DROP [0:0]\n{chains}" + "".join(lines) + "COMMIT\n"

    def _restore(self, family: int, text: str, test: bool) -> tuple[int, str, str]:
        lines = list(self.chains[family])
        for number, command in enumerate(text.splitlines(), 1):
            if command.startswith("-D "):
                _delete, chain, position = command.split(" ")
                own = [at for at, line in enumerate(lines) if line.startswith(f"-A {chain} ")]
                if int(position) > len(own):
                    return 1, "", f"iptables-restore: line {number} failed"
                del lines[own[int(position) - 1]]
            elif command.startswith("-A "):
                lines.append(saved(command))
            elif command.startswith("-I "):
                _insert, chain, position, rest = command.split(" ", 3)
                own = [at for at, line in enumerate(lines) if line.startswith(f"-A {chain} ")]
                at = own[int(position) - 1] if int(position) <= len(own) else len(lines)
                if int(position) > len(own) + 1:
                    return 1, "", f"iptables-restore: line {number} failed"
                lines.insert(at, saved(f"-A {chain} {rest}"))
        if not test:
            self.chains[family] = chain_by_chain(lines)
        return 0, "", ""
