# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the test hosts: Debian with systemd, sshd, ufw and firewalld, from Debian's packages alone."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .machine import CACHE, KEY, HostsError, locked, podman, settings

SUITES = ("bullseye", "bookworm", "trixie")
# What a suite brings, as docs/compatibility.md says; tests/integration/test_hosts.py compares the hosts with it.
VERSIONS = {
    "bullseye": {"debian": "11", "ufw": "0.36", "firewalld": "0.9.3", "nftables": "0.9.8", "python3": "3.9"},
    "bookworm": {"debian": "12", "ufw": "0.36.2", "firewalld": "1.3.3", "nftables": "1.0.6", "python3": "3.11"},
    "trixie": {"debian": "13", "ufw": "0.36.2", "firewalld": "2.3.1", "nftables": "1.1.3", "python3": "3.13"},
}
MIRROR = "http://deb.debian.org/debian"
# Debian 11's security suite ended with its LTS; releases past their end move here, by the same layout.
ARCHIVE = "http://archive.debian.org/debian"

PACKAGES = (
    "conntrack,dbus,firewalld,iproute2,iptables,kmod,libpam-systemd,locales,nftables,openssh-server,procps,"
    "python3,strace,sudo,systemd,systemd-sysv,ufw"
)

# Runs in the image's root ($1) at the end of the build.
# Both firewalls are there and neither is on: a test switches on the one that it is about.
# Masked are the units that would reach through to this machine's kernel, or only cost time.
FINISH = r"""
set -eu
chroot "$1" systemctl disable firewalld.service
chroot "$1" systemctl mask systemd-sysctl.service systemd-binfmt.service systemd-modules-load.service \
    systemd-udevd.service systemd-udev-trigger.service kmod-static-nodes.service ldconfig.service \
    modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service \
    modprobe@fuse.service modprobe@loop.service e2scrub_reap.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
    systemd-journal-catalog-update.service systemd-update-done.service systemd-timesyncd.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    logrotate.timer man-db.timer getty.target console-getty.service systemd-firstboot.service
chroot "$1" localedef -i de_DE -f UTF-8 de_DE.UTF-8
chroot "$1" useradd --create-home --shell /bin/bash admin
printf 'admin ALL=(ALL) NOPASSWD: ALL\n' >"$1/etc/sudoers.d/admin"
chmod 0440 "$1/etc/sudoers.d/admin"
for home in root home/admin; do
    install -d -m 0700 "$1/$home/.ssh"
    printf '%s\n' "$PUBLIC_KEY" >"$1/$home/.ssh/authorized_keys"
    chmod 0600 "$1/$home/.ssh/authorized_keys"
done
chroot "$1" chown -R admin:admin /home/admin/.ssh
printf 'UseDNS no\nMaxStartups 100\n' >>"$1/etc/ssh/sshd_config"
: >"$1/etc/machine-id"
"""


def _recipe(suite: str, target: str) -> list[str]:
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={PACKAGES}",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--aptopt=Acquire::Retries 3",
        '--customize-hook=printf "%s" "$FINISH" | sh -s "$1"',
        suite,
        target,
    ]


def image(suite: str) -> str:
    """The name of the image of `suite`; another recipe or key is another name."""
    if suite not in SUITES:
        raise HostsError(f"no test host of suite {suite!r}: there are {', '.join(SUITES)}")
    settings()
    recipe = json.dumps([_recipe(suite, ""), FINISH, KEY.with_suffix(".pub").read_text()])
    return f"localhost/netports-{suite}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def _make(suite: str, tarball: Path) -> None:
    environment = {**os.environ, "FINISH": FINISH, "PUBLIC_KEY": KEY.with_suffix(".pub").read_text().strip()}
    environment.pop("PYTHONPATH", None)
    problems = []
    for mirror in (MIRROR, ARCHIVE):
        done = subprocess.run(
            [*_recipe(suite, str(tarball)), mirror], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        problems.append(f"{mirror}: {done.stderr.strip()[-1500:]}")
    raise HostsError(f"could not build the test host of {suite}:\n" + "\n".join(problems))


def missing(suites: tuple[str, ...] = SUITES) -> list[str]:
    """The suites whose image is not built yet."""
    present = set(podman("images", "--format", "{{.Repository}}:{{.Tag}}").split())
    return [suite for suite in suites if image(suite) not in present]


def build(suites: tuple[str, ...] = SUITES, say: Callable[[str], None] = print) -> None:
    """Builds the images that are not there yet, and removes those of older recipes.

    :param say: what a line of progress goes to.
    """
    with locked("build"):
        wanted = missing(suites)
        if wanted:
            say(f"Building test hosts from Debian's packages: {', '.join(wanted)}")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=CACHE) as folder, ThreadPoolExecutor(2) as pool:
            tarballs = {suite: Path(folder) / f"{suite}.tar" for suite in wanted}
            jobs = {suite: pool.submit(_make, suite, tarball) for suite, tarball in tarballs.items()}
            for suite, job in jobs.items():
                job.result()
                podman("import", "--quiet", str(tarballs[suite]), image(suite))
                tarballs[suite].unlink()
                say(f"  {suite} ready after {time.monotonic() - started:.0f} s")
        current = {image(suite) for suite in SUITES}
        for name in set(podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()) - current:
            podman("rmi", name, check=False)  # one that a host still runs on goes the next time


@functools.cache
def check(suite: str) -> str:
    """The image of `suite`; raises HostsError when it is not built."""
    name = image(suite)
    if subprocess.run(["podman", "image", "exists", name], env=settings(), check=False).returncode:
        raise HostsError(f"the test host of {suite} is not built: run `make hosts`")
    return name
