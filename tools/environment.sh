#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/environment.sh: has ansible-builder write the build context of the execution environment, and looks
# whether it finds in this collection what meta/execution-environment.yml asks for. Builds no image.
set -eu
cd "$(dirname "$0")/.."
context=.test/execution_environment
rm -rf "$context"
.venv/bin/ansible-builder create --file extensions/execution_environment/execution-environment.yml --context "$context"
test -s "$context/Containerfile"
grep -q 'name: netports.apple' "$context/_build/requirements.yml"
grep -q aerleon "$context/_build/requirements.txt"
# It follows no link: a folder of its own, with the two files in question.
collection=$context/introspected/ansible_collections/netports/apple
mkdir -p "$collection"
cp -R meta "$collection/"
printf '{"collection_info": {"namespace": "netports", "name": "apple", "version": "2.0.0"}}\n' >"$collection/MANIFEST.json"
.venv/bin/ansible-builder introspect "$context/introspected" >"$context/found"
if ! grep -q '^ *- *.*jsonschema' "$context/found"; then
    echo "ansible-builder does not find the collection's requirements:" >&2
    cat "$context/found" >&2
    exit 1
fi
