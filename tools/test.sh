#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/test.sh [WORD...]: what `make test` runs. The unit tests, the collection on every supported ansible-core, and
# real hosts, by one pytest with these words. Where this machine has no real hosts it runs the rest, says why, and
# fails unless PARTIAL=yes.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh test
mkdir -p .test
log=.test/hosts.log
folders="tests/unit tests/matrix"
left_out=
if { tools/hosts.sh install && PYTHONPATH=tests .venv/bin/python -m hosts build check; } 2>$log; then
    folders="$folders tests/integration"
else
    cat $log >&2
    left_out=$(sed -n 's/^hosts: //p' $log | tail -n 1)
    left_out="tests/integration, on real hosts: ${left_out:-$(tail -n 1 $log)}"
fi
failed=0
# The folders are words of their own.
# shellcheck disable=SC2086
.venv/bin/python -m pytest $folders --dist worksteal --durations 20 --durations-min 1 "$@" || failed=$?
if [ -n "$left_out" ]; then
    echo "Not run: $left_out"
    if [ "${PARTIAL-}" != yes ]; then
        echo "make test: that was not all of it. PARTIAL=yes takes it for enough." >&2
        [ $failed != 0 ] || failed=1
    fi
fi
exit $failed
