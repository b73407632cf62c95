# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a product's name is compared.

Plain Python without Ansible, so that the program which generates the catalogue and the plugins which read it
use one and the same rule.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable

# The languages of the catalogue.
LANGUAGES = ("en", "nl")
_HYPHENS = "-\u00ad\u058a\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d"
_APOSTROPHES = "'`\u00b4\u02b9\u02bb\u02bc\u02bd\u2018\u2019\u201a\u201b\u2032\uff07"
_MARKS = "\u00a9\u00ae\u2117\u2120\u2122"  # copyright, registered, sound recording, service mark, trademark
# U+1160 and the Hangul fillers are letters by category, but are seen as white space.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_DROPPED = frozenset(_HYPHENS + _APOSTROPHES + _MARKS + _BLANKS)
# Cc and Cf: control and format characters (tab, zero-width space, byte order mark); Z*: every kind of space.
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def _reduce(text: str) -> str:
    """Drop what does not count, write "&" as "and", and fold width, composition and case."""
    kept = (
        "and" if char in "&\ufe60\uff06" else char
        for char in text
        if char not in _DROPPED and unicodedata.category(char) not in _DROPPED_CATEGORIES
    )
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", "".join(kept)).casefold())


@functools.lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Return the form of a name under which it is looked up.

    Case, white space, hyphens and apostrophes of any kind, invisible characters and trademark signs do not count,
    and "&" is "and": "Wi-Fi Calling", "wifi calling" and "WI\u2011FI\u00a0CALLING" are all "wificalling". Two names
    are the same name exactly when their normal forms are equal; a part of a name never matches.

    :param text: a name as somebody types it, of any length.
    :returns: its normal form, without white space. Empty when nothing that counts is left ("", "-").
    """
    if text.isascii() and text.isalnum():
        return text.lower()
    # Dropping and folding each make work for the other (a mark between a letter and its accent), so until it is stable.
    reduced = _reduce(text)
    while reduced != text:
        text, reduced = reduced, _reduce(reduced)
    return reduced


def nearest(word: str, words: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """The words most like another, the best first, for the message of an error.

    :param cutoff: how like they have to be, from 0 (anything) to 1 (the same).
    """
    # Only errors need it, and each of Ansible's workers imports anew.
    import difflib

    return difflib.get_close_matches(word, list(words), n=count, cutoff=cutoff)
