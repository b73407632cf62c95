# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between the systems that have pf: how it is switched on, now and at boot, and how it prints.

Each switch puts what takes it back on a stack, and does nothing irrevocable before its last step.
``pfctl -d`` on macOS would void the holds of everybody, and elsewhere it opens the host: it is used there alone
where the run that is undone has switched pf on.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack
from typing import Dict, List, Optional, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import Power, anchor, anchor_file

PFCTL = "/sbin/pfctl"


class System:
    """The parts that are alike; one subclass for each system.

    :param host: the host.
    :param ruleset: the ruleset's name.
    """

    name = ""
    title = ""
    # Options for numeric ports in what pfctl prints: -P says so on FreeBSD, and the opposite on OpenBSD.
    numeric: Tuple[str, ...] = ()
    # Rules that translate addresses are a kind of their own. OpenBSD's filter rules do it.
    translates = True
    # OpenBSD leaves out "keep state", its default.
    prints_state = True
    # Files that hold the switch at boot, the last one that sets it wins.
    switch_files: Tuple[str, ...] = ()
    switch = ""
    switched_by_default = False

    def __init__(self, host: Host, ruleset: str) -> None:
        self.host = host
        self.ruleset = ruleset

    @property
    def anchor(self) -> str:
        """The name of the ruleset's anchor."""
        return anchor(self.ruleset)

    @property
    def anchor_file(self) -> str:
        """The host's path of the anchor's file."""
        return anchor_file(self.ruleset)

    def path(self, file: str) -> str:
        """Where a file of the host is: below its root."""
        return self.host.path(file.lstrip("/"))

    def pfctl(self, *words: str, **more: str) -> Tuple[int, str, str]:
        """Run pfctl. ``stdin`` is what ``-f -`` reads; it is never empty, or pfctl would read the caller's own.

        :raises FirewallError: the device is out of reach, whatever pfctl's exit code is.
        """
        code, out, err = self.host.run([PFCTL] + list(words), more.get("stdin"))
        if code and "/dev/pf" in err:
            raise FirewallError(
                "pf cannot be asked: %s. Run as root (become: true)." % " ".join(err.split()).replace("pfctl: ", "")
            )
        return code, out, err

    def shown(self, *words: str) -> Optional[str]:
        """What a listing prints. While others load rules, pfctl finds the device busy and has to be asked again.

        :returns: ``None`` where a table that is asked for along with it does not exist.
        :raises FirewallError: it cannot be had. Nothing printed is not taken for nothing there.
        """
        for pause in (0.1, 0.5, 2.0, None):
            code, out, err = self.pfctl(*words)
            if not code:
                return out
            if "Table does not exist" in err:
                return None
            if pause is None or "busy" not in err.lower():
                break
            time.sleep(pause)
        raise FirewallError(
            "pf cannot be asked for what it has (pfctl %s): %s"
            % (" ".join(words), _said(out + err) or "exit %d" % code)
        )

    def must(self, argv: List[str], purpose: str, stdin: Optional[str] = None) -> str:
        """Run a process that has to succeed; both its outputs as one text.

        :raises FirewallError: it did not, with what it said.
        """
        code, out, err = self.host.run(argv, stdin)
        if code:
            raise FirewallError("%s failed (%s): %s" % (purpose, " ".join(argv), _said(out + err) or "exit %d" % code))
        return out + err

    @property
    def defines(self) -> Tuple[str, ...]:
        """Options that define macros of the main ruleset for pfctl, as at boot."""
        return ()

    def main_file(self) -> str:
        """The host's path of the main ruleset."""
        return self.setting("pf_rules") or "/etc/pf.conf"

    def setting(self, name: str) -> Optional[str]:
        """A variable of the rc files, as the last of them that sets it says."""
        value = None
        for file in self.switch_files:
            text = _files.read(self.path(file)) or ""
            for found in re.finditer(
                r"^[ \t]*(?:export[ \t]+)?%s=(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s;#]*))" % name, text, re.MULTILINE
            ):
                value = found.group(1) or found.group(2) or found.group(3) or ""
        return value

    def loaded(self) -> bool:
        """Say whether the kernel has pf at all."""
        return os.path.exists(self.path("dev/pf"))

    def in_use(self) -> bool:
        """Say whether this is the firewall of this host: it is on, or comes on at boot."""
        return self.boots()

    def boots(self) -> bool:
        """Say whether pf is on after the next boot."""
        value = self.setting(self.switch)
        if value is None:
            return self.switched_by_default
        return value.lower() in ("yes", "true", "on", "1")

    def power(self, *rider: str) -> Tuple[Power, Optional[str]]:
        """Ask whether pf is on.

        :param rider: a table command for the same process.
        :returns: the answer, and what was printed; ``None`` where that table does not exist.
        """
        out = self.shown(*rider, "-s", "info")
        on = re.search(r"^Status: Enabled", out or self.shown("-s", "info") or "", re.MULTILINE) is not None
        return Power(on=on, held=on), out

    def prepare(self, undo: ExitStack) -> None:
        """See that the kernel has pf, without switching it on."""

    def boot_files(self, on: bool) -> Dict[str, Optional[str]]:
        """Files that the switch at boot consists of, path on the host to text; ``None``: no such file."""
        return {}

    def start(self, now: bool, boot: bool, undo: ExitStack) -> None:
        """Switch pf on: ``now``, and for each ``boot``. Loaded rules are in the kernel already."""
        raise NotImplementedError

    def stop(self) -> None:
        """Give up what the ruleset itself holds. Never switches off what others hold on."""

    def unstart(self, before: Power) -> None:
        """Take back what :func:`start` did, from wherever it got to."""
        if not before.on and self.loaded() and self.power()[0].on:
            self.must([PFCTL, "-d"], "Switching pf off again")

    def _switch_boot_on(self, argv: List[str], undo: ExitStack) -> None:
        before = {file: _files.read(self.path(file)) for file in self.switch_files}

        def put_back() -> None:
            for file, text in before.items():
                if _files.read(self.path(file)) != text:
                    _files.replace(self.path(file), text)

        undo.callback(put_back)
        self.must(argv, "Switching pf on at boot")
        if not self.boots():
            raise FirewallError(
                "pf still does not come on at boot after %s: look for another %s in %s"
                % (" ".join(argv), self.switch, ", ".join("/" + file for file in self.switch_files))
            )

    def _enable(self) -> None:
        self.must([PFCTL, "-e"], "Switching pf on")
        if not self.power()[0].on:
            raise FirewallError("pf is still off after pfctl -e")


class MacOS(System):
    """macOS: pf is on while somebody holds a token, rules and tokens are gone after a boot."""

    name = "macos"
    title = "macOS"

    # What launchd runs at boot: names and paths are its arguments, nothing is pasted into it. It loads the anchor
    # alone: the main ruleset in the kernel may be another program's, and a load of the file would replace it.
    SCRIPT = """\
umask 077
anchor=$1 file=$2 token=$3
[ -f "$file" ] || exit 0
pfctl -n -a "$anchor" -f "$file" && pfctl -a "$anchor" -f "$file"
pfctl -s rules 2>/dev/null | grep -q -F "anchor \\"$anchor\\" all" ||
  logger -t "$anchor" -p daemon.err "pf's main ruleset does not call anchor $anchor: its rules have no effect"
if [ ! -s "$token" ] || ! pfctl -s References 2>/dev/null | grep -q -w -F "$(cat "$token")"
then
  pfctl -E 2>&1 | sed -n 's/^Token : \\([0-9][0-9]*\\).*/\\1/p' >"$token"
fi
"""

    @property
    def plist(self) -> str:
        """The daemon's file. /Library survives updates of the system."""
        return "/Library/LaunchDaemons/%s.plist" % self.anchor

    @property
    def token_file(self) -> str:
        """Where the token is kept. The system empties this folder at boot, when tokens are void."""
        return self.path("var/run/%s.token" % self.anchor)

    def in_use(self) -> bool:
        return True

    def boots(self) -> bool:
        return _files.read(self.path(self.plist)) == self.boot_files(True)[self.plist]

    def boot_files(self, on: bool) -> Dict[str, Optional[str]]:
        if not on:
            return {self.plist: None}
        words = ["/bin/sh", "-c", self.SCRIPT, self.anchor, self.anchor, self.anchor_file]
        words += ["/var/run/%s.token" % self.anchor]
        return {
            self.plist: '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
            '<plist version="1.0">\n<dict>\n\t<key>Label</key>\n\t<string>%s</string>\n'
            "\t<key>ProgramArguments</key>\n\t<array>\n%s\t</array>\n"
            "\t<key>RunAtLoad</key>\n\t<true/>\n</dict>\n</plist>\n"
            % (
                _files.xml_text(self.anchor),
                "".join("\t\t<string>%s</string>\n" % _files.xml_text(word) for word in words),
            )
        }

    def main_file(self) -> str:
        return "/etc/pf.conf"

    def token(self) -> Optional[str]:
        """The token that the ruleset was given, valid or not."""
        found = re.match(r"([0-9]+)\s*\Z", _files.read(self.token_file) or "")
        return found.group(1) if found else None

    def power(self, *rider: str) -> Tuple[Power, Optional[str]]:
        token = self.token()
        if token:
            out = self.shown(*rider, "-s", "References")
            if token in re.findall(r"[0-9]+", out or self.shown("-s", "References") or ""):
                return Power(on=True, held=True), out
        answer, out = super().power(*rider)
        return Power(on=answer.on, held=False), out

    def start(self, now: bool, boot: bool, undo: ExitStack) -> None:
        # The hold comes first: the daemon runs as soon as it is made known, and finds that there is one.
        if now:
            said = self.must([PFCTL, "-E"], "Switching pf on")
            found = re.search(r"^\s*Token\s*:\s*([0-9]+)", said, re.MULTILINE)
            if not found:
                raise FirewallError("pfctl -E gave no token: %s" % _said(said))
            undo.callback(self._release, found.group(1))
            _files.replace(self.token_file, found.group(1) + "\n", 0o600)
            if not self.power()[0].held:
                raise FirewallError("pf does not list the token that pfctl -E gave: it is not held on")
        if boot:
            # One that launchd knows already keeps its old form until it is made known anew.
            self.host.run(["/bin/launchctl", "bootout", "system/%s" % self.anchor], None)
            self.must(["/bin/launchctl", "enable", "system/%s" % self.anchor], "Allowing the daemon")
            undo.callback(self._forget)
            self.must(["/bin/launchctl", "bootstrap", "system", self.plist], "Making the daemon known")

    def stop(self) -> None:
        self._forget()
        token = self.token()
        if token:
            self._release(token)

    def unstart(self, before: Power) -> None:
        if not before.held:
            self.stop()

    def _forget(self) -> None:
        # It fails where launchd does not know the daemon, which is what is wanted.
        self.host.run(["/bin/launchctl", "bootout", "system/%s" % self.anchor], None)

    def _release(self, token: str) -> None:
        # It fails where the token is void already.
        self.host.run([PFCTL, "-X", token], None)
        _files.replace(self.token_file, None)


class FreeBSD(System):
    """FreeBSD: a kernel module, off by default, switched by rc.conf."""

    name = "freebsd"
    title = "FreeBSD"
    numeric = ("-P",)
    switch_files = ("etc/rc.conf", "etc/rc.conf.local", "etc/rc.conf.d/pf", "usr/local/etc/rc.conf.d/pf")
    switch = "pf_enable"

    @property
    def defines(self) -> Tuple[str, ...]:
        # rc.d/pf leaves it to the shell to split them at blanks.
        words = (self.setting("pf_flags") or "").split()
        found = [word[2:] or after for word, after in zip(words, [*words[1:], ""]) if word.startswith("-D")]
        return tuple(word for definition in found if definition for word in ("-D", definition))

    def in_use(self) -> bool:
        return self.loaded() or self.boots()

    def prepare(self, undo: ExitStack) -> None:
        if not self.loaded():
            # The module alone filters nothing. It stays when the run fails: unloading could hit others' rules.
            self.must(["/sbin/kldload", "-n", "pf"], "Loading pf into the kernel")

    def start(self, now: bool, boot: bool, undo: ExitStack) -> None:
        # Not "service pf start": it flushes every state, and with it the connection that asked for it.
        if boot:
            self._switch_boot_on(["/usr/sbin/sysrc", "pf_enable=YES"], undo)
        if now:
            self._enable()


class OpenBSD(System):
    """OpenBSD: on by default; rcctl knows the switch at boot and nothing else."""

    name = "openbsd"
    title = "OpenBSD"
    translates = False
    prints_state = False
    switch_files = ("etc/rc.conf.local",)
    switch = "pf"
    switched_by_default = True

    def start(self, now: bool, boot: bool, undo: ExitStack) -> None:
        if boot:
            self._switch_boot_on(["/usr/sbin/rcctl", "enable", "pf"], undo)
        if now:
            self._enable()


SYSTEMS = {"macos": MacOS, "freebsd": FreeBSD, "openbsd": OpenBSD}


def _said(text: str) -> str:
    """What a process said, without what pfctl says of itself on every call on macOS and FreeBSD."""
    noise = (
        "No ALTQ support",
        "ALTQ related",
        "pfctl: Use of -f option",
        "present in the main ruleset",
        "See /etc/pf.conf for",
        "Loading anchor ",
    )
    return "; ".join(line.strip() for line in text.splitlines() if line.strip() and not line.startswith(noise))
