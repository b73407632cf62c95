# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios of extensions/molecule on the test hosts, as `make molecule` runs them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "extensions" / "molecule"


def test_every_scenario_from_prepare_to_cleanup() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MOLECULE_", "ANSIBLE_"))}
    done = subprocess.run(
        [ROOT / "tools" / "molecule.sh"],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    # Every action was run: none without a playbook.
    sequence = ("prepare", "converge", "idempotence", "verify", "side_effect", "converge", "verify", "cleanup")
    assert re.findall(r"every > (\S+): Executed: (.+)", done.stdout) == [(name, "Successful") for name in sequence]
    log = (ROOT / ".test" / "molecule" / "log").read_text()
    for action in ("converge", "cleanup"):
        _before, _word, told = log.partition(f"[every > {action}] Executing")
        for host in ("bookworm-ufw", "here", "trixie-firewalld", "trixie-nftables"):
            assert re.search(rf"^{host} .*changed=[1-9]", told.partition("Executed:")[0], re.MULTILINE), told
    print(done.stdout)


def test_every_playbook_of_each_scenario_is_part_of_it() -> None:
    names = {"firewalld", "nftables", "pf_rendering", "ufw"}
    assert {path.parent.name for path in SCENARIOS.glob("*/molecule.yml")} == names | {"default", "every"}
    for name in names:
        for path in SCENARIOS.glob(f"{name}/*.yml"):
            if path.name != "molecule.yml":
                whole = (SCENARIOS / "every" / path.name).read_text(encoding="utf-8")
                assert f"import_playbook: ../{name}/{path.name}\n" in whole
