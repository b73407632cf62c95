#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/mypy.sh: the plugins under the name that Ansible gives them, then tools and tests.
set -eu
cd "$(dirname "$0")/.."
project=$(pwd)
cd .venv/collections
"$project/.venv/bin/mypy" --config-file "$project/pyproject.toml" -p ansible_collections.netports.apple.plugins
cd "$project"
MYPYPATH=tests:.venv/collections .venv/bin/mypy tests tools
