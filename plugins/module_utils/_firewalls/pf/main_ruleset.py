# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two lines of ours in the file of the main ruleset: they call the anchor and load it. Texts in, texts out."""

from __future__ import annotations

import re
from collections import Counter
from typing import List, Optional, Sequence, Tuple

from ansible_collections.netports.apple.plugins.module_utils._firewalls.pf.model import PREFIX, anchor, anchor_file
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass

# What the comment above the lines adds when more than the lines was written.
_NEW_FILE = ", and this file"
_NEW_LINE_END = ", and the line end before this one"


@dataclass(frozen=True)
class Mentions:
    """How often a main ruleset has exactly our lines.

    :param called: the line that calls the anchor.
    :param loaded: the line that loads the anchor's file.
    """

    called: int
    loaded: int


def call_line(ruleset: str) -> str:
    """The line of the main ruleset that calls the anchor."""
    return 'anchor "%s"' % anchor(ruleset)


def load_line(ruleset: str) -> str:
    """The line of the main ruleset that loads the anchor's file."""
    return 'load anchor "%s" from "%s"' % (anchor(ruleset), anchor_file(ruleset))


def look(text: Optional[str], ruleset: str) -> Mentions:
    """How often a main ruleset calls and loads the anchor, by exactly our lines."""
    kinds = [kind for _number, kind in _exact(text or "", ruleset)]
    return Mentions(called=kinds.count("call"), loaded=kinds.count("load"))


def with_call(text: Optional[str], ruleset: str) -> str:
    """Put the two lines into a main ruleset, unless they are there; of doubled lines the first stay.

    They go to the end: that is right in the order of macOS and FreeBSD (filter rules come last), and an
    administrator's ``quick`` rules keep deciding before the anchor does. Nothing else changes.

    :param text: the main ruleset; ``None`` where there is no such file.
    """
    mentions = look(text, ruleset)
    if text is not None and mentions.called and mentions.loaded:
        return _without_doubles(text, ruleset)
    rest = without_call(text, ruleset)
    addition = ""
    if rest is None or _NEW_FILE in _notes(text, ruleset):
        addition = _NEW_FILE
    rest = rest or ""
    if rest and not rest.endswith("\n"):
        rest += "\n"
        addition += _NEW_LINE_END
    # The comment also keeps a last line that ends in a backslash from swallowing the call.
    return rest + "\n".join([_comment_line(ruleset) + addition, call_line(ruleset), load_line(ruleset), ""])


def without_call(text: Optional[str], ruleset: str) -> Optional[str]:
    """Take the anchor's lines out of a main ruleset; all other bytes stay, and those that were added go.

    What was added for these lines and now serves another ruleset's goes with that one: its comment says so.

    :returns: the text; ``None`` where the file was made for these lines and holds nothing else.
    """
    if text is None:
        return None
    lines = text.split("\n")
    notes = _notes(text, ruleset)
    numbers = {number for number, _kind in _own_lines(text, ruleset)}
    last = max(numbers, default=0)
    rest = [line for number, line in enumerate(lines) if number not in numbers]
    kept = last + 1 - len(numbers)
    if _NEW_LINE_END in notes and numbers:
        if rest[kept:] == [""] and len(rest) > 1:
            # Nobody wrote behind it: our lines are still the last.
            rest.pop()
        elif rest[kept:] and rest[kept].startswith(_ANY_COMMENT):
            rest[kept] += _NEW_LINE_END if _NEW_LINE_END not in rest[kept] else ""
    if _NEW_FILE in notes:
        heirs = [number for number, line in enumerate(rest) if line.startswith(_ANY_COMMENT)]
        if not any(rest):
            return None
        if heirs and _NEW_FILE not in rest[heirs[0]]:
            start = rest[heirs[0]]
            end = start.index(_COMMENT_END) + len(_COMMENT_END)
            rest[heirs[0]] = start[:end] + _NEW_FILE + start[end:]
    return "\n".join(rest)


def own_part(text: Optional[str], ruleset: str) -> str:
    """The anchor's lines out of a main ruleset, for people to read."""
    lines = (text or "").split("\n")
    return "".join(lines[number] + "\n" for number, _kind in _own_lines(text or "", ruleset))


def taken(text: Optional[str], ruleset: str) -> bool:
    """Whether a main ruleset has rules of its own, in braces, in an anchor of our name."""
    return bool(re.search(r'^[ \t]*anchor[ \t]+"?%s"?[^\n#]*\{' % re.escape(anchor(ruleset)), text or "", re.MULTILINE))


def includes(text: Optional[str]) -> List[str]:
    """The files that a main ruleset includes."""
    return re.findall(r'^[ \t]*include[ \t]+"([^"\n]+)"', text or "", re.MULTILINE)


def may_refuse(text: str) -> bool:
    """Whether a main ruleset has a word that could make it refuse packets."""
    return any(re.search(r"\b(block|antispoof|include)\b", line.partition("#")[0]) for line in text.split("\n"))


def alone(text: str) -> str:
    """A main ruleset without what it loads into anchors: pfctl would print that among its own rules."""
    lines = text.split("\n")
    for number in _statements(lines):
        if re.match(r"[ \t]*load[ \t]+anchor\b", lines[number]):
            # The lines stay as empty ones: one before may end in a backslash.
            while lines[number].endswith("\\"):
                lines[number] = ""
                number += 1
            lines[number] = ""
    return "\n".join(lines)


def lost(loaded: Sequence[str], file: Sequence[str]) -> List[str]:
    """What a load of the main ruleset's file would take out of the kernel. Calls of our anchors are left out.

    :param loaded: the main ruleset in the kernel, as pfctl prints it.
    :param file: what the file expands to.
    :returns: rules; a word on the order where only that differs.
    """
    old, new = ([_comparable(rule) for rule in rules if not _is_ours(rule)] for rules in (loaded, file))
    gone = list((Counter(old) - Counter(new)).elements())
    rest = iter(new)
    if not gone and not all(rule in rest for rule in old):
        return ["the order of its rules"]
    return gone


def _comparable(rule: str) -> str:
    # pfctl's optimizer makes tables, and numbers their names anew at each load. macOS and FreeBSD 12 print the last
    # component of an anchor's path alone.
    rule = re.sub(r"<__automatic_[^>]*>", "<__automatic>", rule)
    return re.sub(r'anchor "[^"]*/([^"/*]+(?:/\*)?)"', r'anchor "/\1"', rule)


def _is_ours(rule: str) -> bool:
    return rule.startswith('anchor "%s' % PREFIX)


_ANY_COMMENT = '# netports.apple, ruleset "'
_COMMENT_END = "owns this and the next two lines"


def _comment_line(ruleset: str) -> str:
    return '%s%s": the role host_firewall %s' % (_ANY_COMMENT, ruleset, _COMMENT_END)


def _statements(lines: Sequence[str]) -> List[int]:
    """The numbers of lines that begin something. One behind a backslash belongs to the line before it."""
    return [number for number in range(len(lines)) if not number or not lines[number - 1].endswith("\\")]


def _own_lines(text: str, ruleset: str) -> List[Tuple[int, str]]:
    """Number and kind (comment, call, load) of the lines of a main ruleset that are about the anchor."""
    own = re.compile(r'[ \t]*(load[ \t]+)?anchor[ \t]+"?%s"?(?=[ \t\r{#]|$)' % re.escape(anchor(ruleset)))
    lines = text.split("\n")
    whole = set(_statements(lines))
    found = []
    for number, line in enumerate(lines):
        match = own.match(line)
        if line.startswith(_comment_line(ruleset)):
            found.append((number, "comment"))
        elif match and number in whole:
            found.append((number, "load" if match.group(1) else "call"))
    return found


def _exact(text: str, ruleset: str) -> List[Tuple[int, str]]:
    """Those of the lines that are exactly as we write them."""
    lines = text.split("\n")
    expected = {"call": call_line(ruleset), "load": load_line(ruleset)}
    return [
        (number, kind) for number, kind in _own_lines(text, ruleset) if lines[number].strip(" \t") == expected.get(kind)
    ]


def _without_doubles(text: str, ruleset: str) -> str:
    lines = text.split("\n")
    exact = _exact(text, ruleset)
    kept = {next(number for number, kind in exact if kind == wanted) for wanted in ("call", "load")}
    comments = [number for number, kind in _own_lines(text, ruleset) if kind == "comment"]
    drop = {number for number, _kind in exact if number not in kept} | set(comments[1:])
    return "\n".join(line for number, line in enumerate(lines) if number not in drop)


def _notes(text: Optional[str], ruleset: str) -> str:
    lines = (text or "").split("\n")
    return "".join(lines[number] for number, kind in _own_lines(text or "", ruleset) if kind == "comment")
