# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the confirmation share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    """Sets the umask until the end of the test."""
    before = os.umask(0)
    os.umask(before)

    def change(value: int) -> None:
        os.umask(value)

    yield change
    os.umask(before)
