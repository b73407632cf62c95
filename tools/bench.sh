#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What make bench runs: tests/benchmark/bench.py in a virtual environment of its own, which has the
# peers' collections from the package "ansible". After tools/setup.sh test and tools/hosts.sh install.
set -eu
cd "$(dirname "$0")/.."
venv=.test/bench
wanted=$(cat requirements/bench.txt .venv/.stamp-made | cksum)
if [ "$(cat $venv/.stamp 2>/dev/null)" != "$wanted" ]; then
    echo "Installing the package ansible for the peers"
    .venv/bin/python -m venv --clear $venv
    .venv/bin/uv pip install --quiet --python $venv/bin/python --require-hashes -r requirements/bench.txt
    echo "$wanted" >$venv/.stamp
fi
roles=.test/bench-roles
if [ ! -d $roles/linux-system-roles.firewall ]; then
    timeout 60 $venv/bin/ansible-galaxy role install -p $roles linux-system-roles.firewall,1.9.1 ||
        echo "bench: linux-system-roles.firewall cannot be installed here and is left out" >&2
fi
PYTHONPATH=tests exec $venv/bin/python tests/benchmark/bench.py
