# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the test hosts need of this machine: the project's own podman store, network and ssh key.

Nothing here reads or writes the machine's own podman: storage, networks and settings are the
project's, in `.test`, and what must not outlive a boot is below /run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
CACHE = PROJECT / ".test"
KEY = CACHE / "id_ed25519"
# Apart from other clones on this machine: each has its own bridge and addresses.
IDENTITY = hashlib.sha256(os.fsencode(PROJECT)).hexdigest()
SHORT = IDENTITY[:6]
RUN = Path("/run") / f"netports-{SHORT}"
STORE = CACHE / f"store-{SHORT}"
NETWORK = f"netports-{SHORT}"
BRIDGE = f"np{SHORT}"


class HostsError(Exception):
    """The test hosts cannot be had; the message says why and what would do."""


def prefix4() -> str:
    """The first three numbers of the hosts' IPv4 network, a /24 in 10.128.0.0/9."""
    return f"10.{128 + int(IDENTITY[0:2], 16) % 128}.{int(IDENTITY[2:4], 16)}"


def prefix6() -> str:
    """The hosts' IPv6 network, a /64 of unique local addresses (RFC 4193), without its `::/64`."""
    return f"fd{IDENTITY[4:6]}:{IDENTITY[6:10]}:{IDENTITY[10:14]}:{IDENTITY[14:18]}"


def require() -> None:
    """Raises HostsError when this machine cannot run test hosts."""
    if os.geteuid() != 0:
        raise HostsError("only root can start the test hosts: run it by sudo; `make unit` needs no root")
    missing = [name for name in ("podman", "runc", "nsenter", "ssh", "ssh-keygen") if not shutil.which(name)]
    if missing:
        raise HostsError(f"the test hosts need {', '.join(missing)}: run `make hosts`")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds a lock among all processes that use this project's hosts."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _raise(limit: Path, least: int) -> None:
    """Raises one of the kernel's limits where it is lower: each host's systemd takes some six inotify instances of 128."""
    if int(limit.read_text()) < least and os.access(limit, os.W_OK):
        limit.write_text(str(least))


def _write(path: Path, text: str) -> None:
    """Writes a file that the podman of another process may be reading."""
    if not path.exists() or path.read_text() != text:
        part = path.with_name(f".{path.name}.part")
        part.write_text(text)
        part.replace(path)


@cache
def settings() -> dict[str, str]:
    """Writes podman's settings and the ssh key when they are not there; returns podman's environment."""
    require()
    containers, storage = CACHE / "containers.conf", CACHE / "storage.conf"
    networks = STORE / "networks"
    _raise(Path("/proc/sys/fs/inotify/max_user_instances"), 2048)
    with locked("settings"):
        networks.mkdir(parents=True, exist_ok=True)
        RUN.mkdir(exist_ok=True)
        # podman asks for more than a machine may allow when it is told no limits.
        files, processes = (
            min(16384, hard) if (hard := resource.getrlimit(which)[1]) != resource.RLIM_INFINITY else 16384
            for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
        )
        # JSON's strings and lists are TOML's too. runc: crun refuses a hybrid cgroup layout.
        _write(
            containers,
            f"""[containers]
default_ulimits = {json.dumps([f"nofile={files}:{files}", f"nproc={processes}:{processes}"])}
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = {json.dumps(str(RUN / "tmp"))}
[network]
network_backend = "netavark"
network_config_dir = {json.dumps(str(networks))}
""",
        )
        _write(
            storage,
            f"""[storage]
driver = "overlay"
graphroot = {json.dumps(str(STORE / "graph"))}
runroot = {json.dumps(str(RUN / "storage"))}
""",
        )
        # Written by hand: older podman cannot be told a bridge's name, and two clones must not share one.
        _write(
            networks / f"{NETWORK}.json",
            json.dumps(
                {
                    "name": NETWORK,
                    "id": IDENTITY,
                    "driver": "bridge",
                    "network_interface": BRIDGE,
                    "created": "2026-01-01T00:00:00Z",
                    "subnets": [
                        {"subnet": f"{prefix4()}.0/24", "gateway": f"{prefix4()}.1"},
                        {"subnet": f"{prefix6()}::/64", "gateway": f"{prefix6()}::1"},
                    ],
                    "ipv6_enabled": True,
                    "internal": False,
                    "dns_enabled": False,
                    "ipam_options": {"driver": "host-local"},
                }
            ),
        )
        if not KEY.exists():
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "netports.apple test hosts", "-f", str(KEY)],
                check=True,
            )
    return {**os.environ, "CONTAINERS_CONF": str(containers), "CONTAINERS_STORAGE_CONF": str(storage)}


def podman(*argv: str, check: bool = True) -> str:
    """Runs podman on the project's own store and returns what it prints, stripped."""
    # In a session of its own a Ctrl-C does not reach it: podman would leave a host half made, or half removed.
    done = subprocess.run(
        ["podman", *argv], env=settings(), capture_output=True, text=True, start_new_session=True, check=False
    )
    if check and done.returncode:
        raise HostsError(f"podman {argv[0]} failed ({done.returncode}): {done.stderr.strip()}")
    return done.stdout.strip()


def clean() -> None:
    """Removes the test hosts, their images and everything else that was made for them."""
    if not CACHE.exists():
        return
    podman("rm", "--all", "--force", "--time", "0")
    podman("rmi", "--all", "--force")
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted(mounts, reverse=True):
        path = mount.encode().decode("unicode_escape")
        if path.startswith((f"{STORE}/", f"{RUN}/")):
            subprocess.run(["umount", path], check=False)
    subprocess.run(["ip", "link", "delete", f"np{SHORT}"], capture_output=True, check=False)
    for folder in (RUN, CACHE):
        shutil.rmtree(folder, ignore_errors=True)
    settings.cache_clear()
