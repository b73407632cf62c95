# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs share that write a page of docs/ from data."""

from __future__ import annotations

import sys
from pathlib import Path


def keep(page: Path, text: str, program: str, check: bool) -> int:
    """Write a generated page, or only look whether it is current.

    :param program: what writes it, a path below the project's folder, for the message.
    :returns: an exit status: 0, or 1 when ``check`` and the page is not current.
    """
    if not check:
        page.write_text(text, encoding="utf-8")
    elif not page.is_file() or page.read_text(encoding="utf-8") != text:
        print(f"docs/{page.name} is not current: run python {program}", file=sys.stderr)
        return 1
    return 0
