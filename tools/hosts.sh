#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/hosts.sh install: what the test hosts need on this machine, from Debian's packages alone; and what
# the tests of the audit's page need. tools/hosts.sh install-hosts: the first alone.
# Nothing is installed when it is all there.
set -eu
case "${1-}" in
    install | install-hosts) ;;
    *) echo "usage: tools/hosts.sh install | install-hosts" >&2; exit 2 ;;
esac

missing=
need() { # need PACKAGE COMMAND-OR-FILE...
    package=$1
    shift
    for there in "$@"; do
        if [ -e "$there" ] || command -v "$there" >/dev/null; then return; fi
    done
    missing="$missing $package"
}
need podman podman
need runc runc
need netavark /usr/lib/podman/netavark /usr/libexec/podman/netavark
need iptables iptables
need nftables nft
need iproute2 ip
need mmdebstrap mmdebstrap
need debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
need openssh-client ssh
need util-linux nsenter
if [ "$1" = install ]; then
    need chromium chromium
    need fonts-dejavu-core /usr/share/fonts/truetype/dejavu
fi

if [ "$(id -u)" != 0 ]; then
    echo "The test hosts are containers with systemd and firewalls of their own, which only root can start:" \
        "run it by sudo; make unit needs no root." >&2
    exit 1
fi
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "Missing here:$missing. These are packages of Debian and Ubuntu; on another system install their like." >&2
        exit 1
    fi
    echo "Installing by apt-get:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # The names of packages are words of their own.
    # shellcheck disable=SC2086
    if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; }; then
        echo "apt-get could not install$missing" >&2
        exit 1
    fi
fi
