#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/importer.sh: builds the tarball and gives it to Galaxy's own importer, with the checks that are
# asked of certified collections. Its own run of ansible-lint is left out: it has a time limit and leaves out
# rules, and tools/lint.py runs the same profile whole. The importer says success whatever its linters found,
# so its log is read: anything beyond the lines of a quiet run is a failure.
set -eu
cd "$(dirname "$0")/.."
project=$(pwd)
work=$project/.test/importer
venv=$work/venv

wanted="$(cat requirements/importer.txt) $(.venv/bin/python -c 'import sys; print(sys.version)')"
if [ "$(cat "$work/stamp" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$work"
    mkdir -p "$work"
    uv=.venv/bin/uv
    if ! { [ -x $uv ] && $uv venv --quiet --python .venv/bin/python "$venv" &&
        $uv pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements/importer.txt 2>/dev/null; }; then
        rm -rf "$venv"
        .venv/bin/python -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/importer.txt
    fi
    printf '%s\n' "$wanted" >"$work/stamp"
fi

rm -rf "${work:?}/home" "$work"/*.tar.gz
mkdir -p "$work/home"
.venv/bin/ansible-galaxy collection build --output-path "$work" "$project" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
tarball=$(cd "$work" && ls ./*.tar.gz)
if ! (cd "$work" && env -i HOME="$work/home" PATH="$venv/bin:/usr/bin:/bin" LC_ALL=C.UTF-8 \
    GALAXY_IMPORTER_RUN_ANSIBLE_LINT=false \
    GALAXY_IMPORTER_CHECK_REQUIRED_TAGS=true GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER=true \
    "$venv/bin/python" -m galaxy_importer.main "$tarball") >"$work/log" 2>&1; then
    cat "$work/log"
    exit 1
fi
if ! grep -q 'Importer processing completed successfully' "$work/log" ||
    grep -v -x -e '{.*' -e 'Importing with galaxy-importer .*' -e 'Getting doc strings via ansible-doc' \
        -e 'Finding content inside collection' -e 'Loading [a-z_]* [a-z0-9_.]*' -e 'Collection loading complete' \
        -e 'Importer processing completed successfully' "$work/log"; then
    echo "galaxy-importer: what it logged is in $work/log" >&2
    exit 1
fi
echo "galaxy-importer: ${tarball#./} would be imported, nothing to complain of"
