#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/molecule.sh [SCENARIO]: runs one of Molecule's scenarios (extensions/molecule), or "every" one in one, with what
# is in .venv, and shows what it printed when it failed. MOLECULE_IMAGE= runs them on containers of that image, by podman or docker.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .test/molecule
export PATH="$PWD/.venv/bin:$PATH" ANSIBLE_COLLECTIONS_PATH="$PWD/.venv/collections" ANSIBLE_HOME="$PWD/.test/ansible" NO_COLOR=1
if [ -n "${MOLECULE_IMAGE-}" ]; then
    # The connection to a container.
    collection=containers.podman version=1.21.0
    command -v podman >/dev/null || { collection=community.docker version=5.4.0; }
    [ -d ".venv/collections/ansible_collections/$(echo $collection | tr . /)" ] ||
        ansible-galaxy collection install "$collection:==$version" -p .venv/collections
fi
if molecule test --scenario-name "${1:-every}" >.test/molecule/log 2>&1; then
    sed -n '/^DETAILS/,$p' .test/molecule/log | grep -v '^$'
else
    cat .test/molecule/log
    exit 1
fi
