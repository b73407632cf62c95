# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios of extensions/molecule on the test hosts, as `make molecule` runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_scenario_from_prepare_to_cleanup() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MOLECULE_", "ANSIBLE_"))}
    done = subprocess.run(
        [ROOT / "tools" / "molecule.sh"],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    for name in ("firewalld", "nftables", "pf_rendering", "ufw"):
        assert f"{name} > verify: Executed: Successful" in done.stdout
    print(done.stdout)
