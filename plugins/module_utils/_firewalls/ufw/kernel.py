# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw's chains in the kernel, by way of ``iptables-save`` and ``iptables-restore``."""

from __future__ import annotations

import re
from typing import Collection, Dict, List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError, Host
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw import order
from ansible_collections.netports.apple.plugins.module_utils._firewalls.ufw.model import CHAINS, Drift, Load

# Seconds to wait for the lock of iptables-legacy.
_XTABLES_WAIT = "10"
_TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'|(\S+)')
_PROFILE = re.compile(r"dapp_([^'\"\\\s,]+)")
# By these options somebody else's rule is found again: iptables prints others than ufw writes for the rest.
_TELLING = ("-s ", "-d ", "-i ", "-o ", "-p ", "--dport ", "--sport ", "-j ")


def program(family: int, name: str) -> str:
    """The name of a program of iptables: ``save``, ``restore`` or empty for the tool itself."""
    return "%s%s" % ("ip6tables" if family == 6 else "iptables", "-%s" % name if name else "")


def chains(family: int) -> List[str]:
    """The names of ufw's user chains."""
    return ["ufw%s-%s" % ("6" if family == 6 else "", chain) for chain in sorted(CHAINS.values())]


def user_chains(table: str, family: int) -> Optional[Tuple[str, ...]]:
    """The rules of ufw's user chains in the output of ``iptables-save``; ``None`` when ufw is not loaded."""
    lines = table.splitlines()
    if not any(line.startswith(":%s " % chains(family)[0]) for line in lines):
        return None
    # Chain by chain: iptables-nft and iptables-legacy print chains in different orders.
    return tuple(line for chain in chains(family) for line in lines if line.startswith("-A %s " % chain))


def table(host: Host, family: int) -> str:
    """The filter table of an IP version as ``iptables-save`` writes it.

    :raises FirewallError: it failed.
    """
    name = program(family, "save")
    code, out, err = host.run([name, "-t", "filter"], None)
    if code != 0:
        raise FirewallError("%s failed: %s" % (name, err.strip() or out.strip()))
    return out


def loaded(host: Host, family: int) -> Optional[Tuple[str, ...]]:
    """The rules of ufw's user chains; ``None`` when ufw is not loaded.

    :raises FirewallError: they cannot be read.
    """
    return user_chains(table(host, family), family)


def restore(host: Host, family: int, text: str, test: bool = False) -> None:
    """Change the kernel's rules in one transaction.

    :param text: the input for ``iptables-restore -n``.
    :param test: only see whether iptables would.
    :raises FirewallError: it refuses, and nothing was changed.
    """
    name = program(family, "restore")
    code, out, err = host.run([name, "-w", _XTABLES_WAIT, "-n"] + (["--test"] if test else []), text)
    if code != 0:
        raise FirewallError("%s refused the rules: %s" % (name, err.strip() or out.strip()))


def stored(family: int, text: str) -> List[str]:
    """The rule lines of a rules file that go to the user chains."""
    starts = tuple("-A %s " % chain for chain in chains(family))
    return [line for line in text.splitlines() if line.startswith(starts)]


def profile_of(line: str) -> str:
    """The application profile that a rule line's comment names as its destination, or the empty string."""
    found = _PROFILE.search(line)
    return found.group(1).replace("%20", " ") if found else ""


def canonical(line: str) -> Tuple[str, ...]:
    """A rule line in one spelling, whether ufw's file or ``iptables-save`` wrote it.

    The two differ in the order of options, in ``-m tcp``, in ``/32`` and in the quotes of a comment, which
    ufw leaves inside the kernel's comment when it adds a rule by hand.
    """
    tokens = [found.group(1) or found.group(2) or found.group(3) or "" for found in _TOKEN.finditer(line)]
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
        elif token in ("--dports", "--sports"):
            token = token[:-1]
        options.append((token,) + tuple(values))
    return tuple(tokens[:2]) + tuple(" ".join(option) for option in sorted(options))


def shown(line: str) -> str:
    """A rule line in one spelling, for people."""
    return " ".join(canonical(line))


def same(left: Optional[Sequence[str]], right: Sequence[str]) -> bool:
    """Whether two lists of rules say the same in the same order."""
    return left is not None and [canonical(line) for line in left] == [canonical(line) for line in right]


def bring(family: int, before: Sequence[str], text: str, owned: Collection[str], first: int = 0) -> Optional[Load]:
    """Bring the ruleset's rules in the user chains to what a rules file has, each in its place among the others.

    :param before: the rules of the user chains.
    :param text: the rules file.
    :param owned: the names of the ruleset's profiles.
    :param first: so many rules of the file's input chain have to stand before all others.
    :returns: ``None`` when they are there and in order.
    """
    after: List[str] = []
    forward: List[str] = []
    backward: List[str] = []
    wanted = stored(family, text)
    for chain in chains(family):
        start = "-A %s " % chain
        have = [line for line in before if line.startswith(start)]
        want = [line for line in wanted if line.startswith(start)]
        leading = first if chain.endswith(CHAINS["in"]) else 0
        places = order.arrange([_item(line, owned) for line in have], [_item(line, owned) for line in want], leading)
        result = [have[number] if how == order.KEPT else want[number] for how, number in places]
        kept = {number: place for place, (how, number) in enumerate(places) if how == order.KEPT}
        forward += _commands(chain, have, result, kept)
        backward += _commands(chain, result, have, {place: number for number, place in kept.items()})
        after += result
    if not forward:
        return None
    load = (["*filter", *commands, "COMMIT", ""] for commands in (forward, backward))
    return Load(before=tuple(before), after=tuple(after), forward="\n".join(next(load)), backward="\n".join(next(load)))


def _item(line: str, owned: Collection[str]) -> order.Item:
    ours = profile_of(line) in owned
    options = canonical(line)
    return (options if ours else tuple(part for part in options[2:] if part.startswith(_TELLING)), ours)


def _commands(chain: str, have: Sequence[str], want: Sequence[str], kept: Dict[int, int]) -> List[str]:
    """The commands for ``iptables-restore -n`` that turn one list of rules of a chain into another.

    Rules that stay are not touched and keep their counters. The numbers of rules are used, since iptables does not
    find every rule again by the text that it prints.

    :param kept: the places in the new list by the number in the old one, of the rules that stay.
    """
    commands = ["-D %s %d" % (chain, number + 1) for number in reversed(range(len(have))) if number not in kept]
    places = set(kept.values())
    last = max(places, default=-1)
    for place, line in enumerate(want):
        if place in places:
            continue
        rule = line[len("-A %s" % chain) :]
        commands.append("-A %s%s" % (chain, rule) if place > last else "-I %s %d%s" % (chain, place + 1, rule))
    return commands


def drift(family: int, kernel: Sequence[str], text: str, owned: Collection[str], first: int = 0) -> List[Drift]:
    """How the kernel differs from the file that it was loaded from, as far as the ruleset is concerned."""
    load = bring(family, kernel, text, owned, first)
    if load is None:
        return []
    profiles = {canonical(line): profile_of(line) for line in [*kernel, *load.after] if profile_of(line) in owned}
    loaded, wanted = (
        [canonical(line) for line in lines if profile_of(line) in owned] for lines in (kernel, load.after)
    )
    found = []
    for shape, profile in sorted(profiles.items()):
        more = wanted.count(shape) - loaded.count(shape)
        if more:
            how = "missing" if more > 0 else "left over"
            what = "%s: rule %s in the kernel: %s" % (program(family, ""), how, " ".join(shape))
            found.append(Drift(what=what, profile=profile))
    return found or [Drift(what="%s: rules out of order in the kernel" % program(family, ""), profile="")]


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
