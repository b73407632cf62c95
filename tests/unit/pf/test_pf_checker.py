# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strict checker against 220 fragments with the verdicts and expansions of four dialects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.pf import checker

FRAGMENTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "dialects.json").read_text(encoding="utf-8"))


def accepted(text: str) -> checker.Text | None:
    try:
        return checker.parse(text)
    except checker.CheckError:
        return None


ACCEPTED = [fragment for fragment in FRAGMENTS if accepted(fragment["text"]) is not None]


def test_what_one_dialect_refuses_is_refused() -> None:
    wrong = [one["name"] for one in ACCEPTED if set(one["accepted_by"]) != set(checker.DIALECTS)]
    assert wrong == []


def test_enough_is_accepted_to_mean_something() -> None:
    assert len(FRAGMENTS) == 220
    refused_by_all = [one for one in FRAGMENTS if not one["accepted_by"]]
    assert len(refused_by_all) > 50
    assert len(ACCEPTED) >= 30


@pytest.mark.parametrize("fragment", ACCEPTED, ids=lambda one: str(one["name"]))
def test_expansion_is_that_of_every_dialect(fragment: dict[str, Any]) -> None:
    text = checker.parse(fragment["text"])
    for dialect, lines in fragment["expanded"].items():
        printed = [line for line in lines if line.startswith("pass ")]
        assert checker.expand(text, dialect, numeric=False) == printed, dialect


@pytest.mark.parametrize(
    "text",
    [
        "pass in all\r\n",
        "\ufeffpass in all\n",
        "pass in all",
        "# a \\\npass in all\n",
        "pass in proto tcp to port 0\n",
        "pass in proto tcp to port 443:80\n",
        "pass in proto tcp to port { 80, 443 }\n",
        "pass in proto tcp to port { }\n",
        "pass in proto tcp to port https\n",
        "pass in on egress-of-the-firm proto tcp to port 80\n",
        "pass in on any all\n",
        "pass in from example.org to any\n",
        "pass in from <t> to any\n",
        "table <t> const { }\n",
        "table <t> const { 10.0.0.1 !10.0.0.2 }\n",
        "table <t> const { 10.0.0.1 }\ntable <t> const { 10.0.0.1 }\n",
        'pass in all label "$nr"\n',
        'pass in all label ""\n',
        f'pass in all label "{"a" * 64}"\n',
        'anchor "x"\n',
        "set skip on lo0\n",
        "block in all\n",
        "match in all\n",
    ],
)
def test_traps_are_refused(text: str) -> None:
    with pytest.raises(checker.CheckError):
        checker.parse(text)
