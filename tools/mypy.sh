#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/mypy.sh: the plugins under the name that Ansible gives them, and tools and tests.
set -u
cd "$(dirname "$0")/.." || exit 1
project=$(pwd)
failed=0
(cd .venv/collections &&
    "$project/.venv/bin/mypy" --config-file "$project/pyproject.toml" -p ansible_collections.netports.apple.plugins) || failed=1
MYPYPATH=tests:tools:.venv/collections .venv/bin/mypy tests tools docs/docsite || failed=1
exit $failed
