# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m hosts build|clean`: the images of the test hosts."""

from __future__ import annotations

import sys

from . import images, machine


def main(argv: list[str]) -> int:
    """Runs one of the words; returns the exit code."""
    words = {"build": images.build, "clean": machine.clean}
    if len(argv) != 1 or argv[0] not in words:
        print("usage: python -m hosts build|clean", file=sys.stderr)
        return 2
    try:
        words[argv[0]]()
    except machine.HostsError as problem:
        print(f"hosts: {problem}", file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
