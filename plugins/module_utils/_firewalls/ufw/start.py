# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw's switch: whether it can be started and comes on at boot, its start, and its way out of the kernel."""

from __future__ import annotations

import glob
import os
import re
from typing import Dict, FrozenSet, List, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils import _files
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import kernel
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import Idle

ENABLED, DISABLED, MASKED, NO_UNIT = "enabled", "disabled", "masked", ""
_UNIT = "ufw.service"
_UNIT_FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
# What ufw-init loads, in its order.
_FILES = {4: ("before.rules", "after.rules", "user.rules"), 6: ("before6.rules", "after6.rules", "user6.rules")}
_TARGET = re.compile(r" (?:-j|-g|--jump|--goto) (ufw6?-\S+)")


def unit(host: Host) -> str:
    """How ufw's unit of systemd stands; ``NO_UNIT`` where there is none or no systemd."""
    if not os.path.isdir(host.path("run/systemd/system")):
        return NO_UNIT
    files = [host.path(folder, _UNIT) for folder in _UNIT_FOLDERS if os.path.lexists(host.path(folder, _UNIT))]
    if not files:
        return NO_UNIT
    if os.path.realpath(files[0]) == os.devnull:
        return MASKED
    wanted = [glob.glob(os.path.join(glob.escape(host.path(folder)), "*.*", _UNIT)) for folder in _UNIT_FOLDERS]
    return ENABLED if any(wanted) else DISABLED


def set_unit(host: Host, enabled: bool) -> None:
    """Have systemd start ufw at boot, or not.

    :raises FirewallError: it cannot be had.
    """
    verb = "enable" if enabled else "disable"
    code, out, err = host.run(["systemctl", verb, "--quiet", _UNIT], None)
    if code != 0 or (unit(host) == ENABLED) != enabled:
        raise FirewallError("'systemctl %s %s' failed: %s" % (verb, _UNIT, err.strip() or out.strip()), "off-at-boot")


def idle(host: Host, tables: Dict[int, str], families: Sequence[int], defaults: str) -> Idle:
    """The kernel without ufw, and why ufw cannot be started, if so.

    :param tables: the filter tables by IP version.
    :param families: the IP versions that ufw does.
    :param defaults: the text of ``/etc/default/ufw``.
    """
    return Idle(tables=tables, nft=nft_tables(host), sysctls=sysctls(host, defaults), problem=_problem(host, families))


def _problem(host: Host, families: Sequence[int]) -> str:
    """What iptables says against ufw's own files, before any of them is loaded."""
    if os.access(host.path("etc/ufw/before.init"), os.X_OK):
        # It may make what the files need; what is loaded in the end is compared anyway.
        return ""
    for family in families:
        program = kernel.program(family, "restore")
        texts = _texts(host, family)
        parts = [_with_chains(text) for _name, text in texts]
        code, out, err = host.run([program, "-n", "--test"], "".join(parts))
        if code != 0:
            for name, text in texts:
                code, out, err = host.run([program, "-n", "--test"], _with_chains(text))
                if code != 0:
                    said = " ".join((err or out).split())
                    return "%s refuses /etc/ufw/%s: %s" % (program, name, said)
            return "%s refuses ufw's files: %s" % (program, " ".join((err or out).split()))
    return ""


def _texts(host: Host, family: int) -> List[Tuple[str, str]]:
    return [(name, _files.read(host.path("etc/ufw", name)) or "") for name in _FILES[family]]


def _with_chains(text: str) -> str:
    """A file with the chains of ufw's that it calls and that others make."""
    made = set(re.findall(r"^:(\S+)", text, re.MULTILINE))
    called = sorted(set(_TARGET.findall(text)) | set(re.findall(r"^-A (ufw6?-\S+)", text, re.MULTILINE)))
    lines = "".join(":%s - [0:0]\n" % name for name in called if name not in made)
    return re.sub(r"^\*filter[^\n]*\n", lambda found: found.group() + lines, text, count=1, flags=re.MULTILINE)


def start(host: Host, families: Sequence[int]) -> None:
    """Start ufw, and make sure that it loaded all of its files: it says that it did where it did not.

    :raises FirewallError: it failed, and what it loaded is there still.
    """
    # ufw loads its files, and then writes those of its rules anew with what its settings for logging ask for.
    files = {family: [text for _name, text in _texts(host, family)] for family in families}
    code, out, err = host.run(["ufw", "--force", "enable"], None)
    if code != 0:
        raise FirewallError("'ufw enable' failed: %s" % (err.strip() or out.strip()))
    for family in families:
        program = kernel.program(family, "save")
        code, table, err = host.run([program], None)
        loaded = _counted([table]) if code == 0 else {}
        wanted = _counted(files[family])
        short = [
            "chain %s of table %s has %d rules of %d" % (chain, name, loaded.get((name, chain), 0), number)
            for (name, chain), number in sorted(wanted.items())
            if "-logging-" not in chain and loaded.get((name, chain), 0) < number
        ]
        if short:
            raise FirewallError(
                "'ufw enable' did not load all of ufw's files (IPv%d: %s): look for the mistake with '%s -n --test' on "
                "each file of /etc/ufw that has these chains"
                % (family, "; ".join(short), kernel.program(family, "restore")),
                "broken",
            )


def _counted(texts: Sequence[str]) -> Dict[Tuple[str, str], int]:
    """The rules by table and chain that files load one after the other; a chain of one's own begins empty each time."""
    found: Dict[Tuple[str, str], int] = {}
    for text in texts:
        table = ""
        for line in text.splitlines():
            words = line.split()
            if line.startswith("*"):
                table = words[0][1:]
            elif line.startswith(":") and words[1:2] == ["-"]:
                found[(table, words[0][1:])] = 0
            elif len(words) > 1 and words[0] in ("-A", "-I"):
                found[(table, words[1])] = found.get((table, words[1]), 0) + 1
    return found


def stop(host: Host, before: Idle) -> None:
    """Unload ufw, and take away what it leaves of itself in the kernel."""
    code, out, err = host.run(["ufw", "disable"], None)
    if code != 0:
        raise FirewallError("'ufw disable' failed: %s" % (err.strip() or out.strip()))
    for path, value in before.sysctls.items():
        if _files.read(path) != value:
            try:
                with open(path, "w") as stream:
                    stream.write(value)
            except (OSError, ValueError) as error:
                raise FirewallError("%s cannot be set back to %r (%s)" % (path, value, error))
    for family, table in before.tables.items():
        text = kernel.cleared(table, kernel.table(host, family))
        if text:
            kernel.restore(host, family, text)
        mine = "table %s filter" % ("ip" if family == 4 else "ip6")
        if mine in nft_tables(host) - before.nft:
            # iptables shows the table's own chains whether it is there or not.
            rest = [line for line in kernel.table(host, family).splitlines() if line.startswith((":", "-"))]
            if all(re.match(r":(INPUT|FORWARD|OUTPUT) ACCEPT ", line) for line in rest):
                host.run(["nft", "delete"] + mine.split(), None)


def nft_tables(host: Host) -> FrozenSet[str]:
    """The tables of nftables, which those of iptables are where it is built on it. Empty without ``nft``."""
    program = next((path for path in ("usr/sbin/nft", "sbin/nft") if os.path.exists(host.path(path))), "")
    if not program:
        return frozenset()
    return frozenset(host.run([host.path(program), "list", "tables"], None)[1].splitlines())


def sysctls(host: Host, defaults: str) -> Dict[str, str]:
    """The kernel's parameters that ufw sets when it starts (IPT_SYSCTL in ``/etc/default/ufw``), by their path.

    :param defaults: the text of ``/etc/default/ufw``.
    """
    named = re.search(r'^IPT_SYSCTL="?/?([^"\s]+)', defaults, re.MULTILINE)
    text = (_files.read(host.path(named.group(1))) if named else None) or ""
    keys: List[str] = re.findall(r"^\s*-?([a-z][\w./-]*)\s*=", text, re.MULTILINE)
    paths = [host.path("proc/sys", key if "/" in key else key.replace(".", "/")) for key in keys]
    values = ((path, _files.read(path)) for path in paths if os.path.isfile(path))
    return {path: value for path, value in values if value is not None}
