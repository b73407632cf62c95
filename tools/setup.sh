#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/setup.sh run|test|lint: makes .venv in the project folder hold what requirements/LEVEL.txt
# locks, each file by its hash. A second run with nothing to do takes a few milliseconds. PYTHON= names an interpreter.
set -eu
cd "$(dirname "$0")/.."
level=${1:?run, test or lint}
unset PYTHONPATH PYTHONHOME

say() { printf '%s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# One at a time in this folder.
if command -v flock >/dev/null; then exec 9<Makefile; flock 9; fi

stamp=".venv/.stamp-$level"
wanted="$(pwd) $(cat requirements/*.txt tools/setup.sh | cksum) ${PYTHON-}"
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

place=.venv
[ -e .venv ] || place=.
if [ ! -w "$place" ]; then
    die "$(id -un) cannot write in $(pwd)/$place: run this as its owner, or in a clone of your own"
fi

# real INTERPRETER: prints its version and true path when it is one that serves. A version
# manager's shim answers with the interpreter behind it, or fails and is passed by.
real() {
    "$1" -I -c '
import os, sys
import ctypes, ssl, venv
assert (3, 10) <= sys.version_info[:2] <= (3, 14)
try:
    import ensurepip
    whole = 1
except ImportError:
    whole = 0
print("%d %d.%d %s" % (whole, *sys.version_info[:2], os.path.realpath(sys.executable)))' 2>/dev/null
}

# Newest cores run on 3.12 to 3.14; Debian 12 has 3.11, where ansible-core is 2.19.
candidates() {
    if [ -n "${PYTHON-}" ]; then say "$PYTHON"; return; fi
    for version in 3.13 3.12 3.14 3.11 3.10; do
        say "python$version"
        say "/usr/bin/python$version"
        for there in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python"$version"; do
            if [ -x "$there" ]; then say "$there"; fi
        done
    done
    say python3
    say /usr/bin/python3
}

pick() {
    candidates | while IFS= read -r candidate; do
        if found=$(real "$candidate"); then
            case $found in
                "1 "*) say "$found"; break ;;
                *) say "$found" ;;
            esac
        fi
    done | sort -rs -k1,1 | head -n 1
}

picked=$(pick)
if [ -z "$picked" ]; then
    die "no Python 3.10 to 3.14 was found${PYTHON:+ at $PYTHON}; install one (Debian: apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python3"
fi
if [ "${picked%% *}" = 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing python3-venv by apt-get"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        picked=$(pick)
    fi
    if [ "${picked%% *}" = 0 ]; then
        die "this Python cannot make a virtual environment; install it first: apt-get install python3-venv"
    fi
fi
python=${picked#* * }
version=${picked#* }
version=${version%% *}
if [ "$level" != run ] && [ "$version" = 3.10 ]; then
    die "the tests need Python 3.11 or newer, and only $version was found; name another: PYTHON=/path/to/python3"
fi

made="$(pwd) $python"
if [ ! -x .venv/bin/python ] || [ "$(cat .venv/.stamp-made 2>/dev/null)" != "$made" ]; then
    say "Making .venv with Python $version ($python)"
    rm -rf .venv
    "$python" -m venv .venv || die "could not make .venv with $python"
    say "$made" >.venv/.stamp-made
fi

say "Installing requirements/$level.txt into .venv"
quiet="--quiet --disable-pip-version-check --require-hashes"
# uv is some five times as quick; where it cannot be had or cannot reach the index, pip can.
# The options in $quiet are words of their own.
# shellcheck disable=SC2086
if ! { .venv/bin/python -m pip install $quiet -r requirements/uv.txt 2>/dev/null &&
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "requirements/$level.txt" 2>/dev/null; }; then
    .venv/bin/python -m pip install $quiet -r "requirements/$level.txt" ||
        die "could not install requirements/$level.txt from the package index"
fi

mkdir -p .venv/collections/ansible_collections/netports
ln -sfn ../../../.. .venv/collections/ansible_collections/netports/apple
say "$wanted" >"$stamp"
.venv/bin/python -c '
import sys
from ansible.release import __version__
print("Ready: ansible-core %s on Python %s in .venv" % (__version__, sys.version.split()[0]))'
