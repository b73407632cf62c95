# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures of the tests on real hosts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "netports_hosts_fixtures", Path(__file__).resolve().parent.parent / "integration" / "conftest.py"
)
assert _spec and _spec.loader
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
pytest_configure = _fixtures.pytest_configure
pytest_generate_tests = _fixtures.pytest_generate_tests
lab, make_host, host, peer = _fixtures.lab, _fixtures.make_host, _fixtures.host, _fixtures.peer
pool = _fixtures.pool
