#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# run.sh [word...]: play the life of a ruleset on the pf of this very machine, as root. It switches pf on.
# Further words go to ansible-playbook, such as -c ssh -i host, .
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
collection=$(cd "$folder/../../../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/ansible_collections/netports"
ln -s "$collection" "$tree/ansible_collections/netports/apple"
ANSIBLE_COLLECTIONS_PATH=$tree
export ANSIBLE_COLLECTIONS_PATH
[ $# -gt 0 ] || set -- -c local -i localhost,
ansible-playbook "$@" "$folder/play.yml"
