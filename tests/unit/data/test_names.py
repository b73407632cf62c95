# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which spellings are one name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

_spec = importlib.util.spec_from_file_location(
    "names", Path(__file__).resolve().parents[3] / "plugins" / "plugin_utils" / "_names.py"
)
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
normalise: Callable[[str], str] = _module.normalise

SPACES = " \t\n\u00a0\u2002\u2009\u200b\u202f\u2060\u3000\ufeff"
HYPHENS = "-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"
APOSTROPHES = "'`\u00b4\u02bc\u2018\u2019\u2032\uff07"


@pytest.mark.parametrize(
    "text",
    [
        "Wi-Fi Calling",
        "wifi calling",
        "WI\u2011FI\u00a0CALLING",
        "Wi\u2013Fi\u202fCalling\u2122",
        "\uff37ifi-calling",
        " wi fi calling ",
    ],
)
def test_wifi_calling(text: str) -> None:
    assert normalise(text) == "wificalling"


@pytest.mark.parametrize("apostrophe", [*APOSTROPHES, ""])
def test_apostrophes(apostrophe: str) -> None:
    assert normalise(f"Agenda{apostrophe}s") == "agendas"


def test_ampersand_is_and() -> None:
    assert normalise("Date & Time") == normalise("date and time") == normalise("Date\uff06Time") == "dateandtime"


def test_accents_count_however_composed() -> None:
    assert normalise("Cafe\u0301") == normalise("CAF\u00c9") == "caf\u00e9" != normalise("cafe")


@pytest.mark.parametrize("text", ["", " ", "-", "\u2019", "\u2122", "\t\u00a0\u200b", "\u3164"])
def test_nothing_left(text: str) -> None:
    assert normalise(text) == ""


@pytest.mark.parametrize(
    ("one", "other"), [("Mail", "iCloud Mail"), ("Backup", "iCloud Backup"), ("Messages", "iMessage"), ("a,b", "ab")]
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text())
def test_normal_form_is_stable_and_without_space(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert not any(char.isspace() or char in HYPHENS + APOSTROPHES for char in once)


@given(st.text(), st.text(), st.text(alphabet=SPACES + HYPHENS + APOSTROPHES))
def test_what_does_not_count_may_stand_anywhere(left: str, right: str, between: str) -> None:
    assert normalise(left + between + right) == normalise(left + right)


# Without the Turkish dotless i, which is a letter of its own until it is written as the capital of another.
@given(st.text(alphabet=st.characters(max_codepoint=0x24F, exclude_characters="\u0131")))
def test_case_does_not_count(text: str) -> None:
    assert normalise(text.lower()) == normalise(text.upper().lower())
