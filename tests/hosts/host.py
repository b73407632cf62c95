# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test host: Debian under a real systemd in a container, with addresses, sshd and firewalls of its own."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from .images import check as built
from .machine import BRIDGE, CACHE, KEY, NETWORK, RUN, SHORT, HostsError, podman, prefix4, prefix6, settings

# The beginning of the hosts' and the bridge's own addresses on the network.
_MAC = f"02:{SHORT[0:2]}:{SHORT[2:4]}:{SHORT[4:6]}"
FIREWALLS = ("none", "ufw", "firewalld", "nftables")
# An administrator's file as guides teach it: it refuses by default, by policy and by a last rule.
NFTABLES = """#!/usr/sbin/nft -f

flush ruleset

table inet filter {
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\tct state invalid drop
\t\tiif lo accept
\t\tmeta l4proto { icmp, ipv6-icmp } accept
\t\ttcp dport 22 accept
\t\tcounter log prefix "refused: " drop
\t}
\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t\tct state established,related accept
\t}
\tchain output {
\t\ttype filter hook output priority filter;
\t}
}
"""
# The hosts' numbers, which are the last of their addresses: one host each at a time.
SLOTS = range(10, 250)
# What lets the Python of a host keep the compiled modules that Ansible sends.
_PYTHON = Path(__file__).resolve().parent / "python"
# What the file of a slot says whose host outlives the process that started it.
_KEPT = "kept"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}
# The one that ssh prefers is safe from quantum computers, and takes six times the processor of all the rest of a
# connection.
KEY_EXCHANGE = "KexAlgorithms=curve25519-sha256"
SYSCTLS = (
    # A closed UDP port answers by ICMP, and the kernel answers one a second unless told otherwise.
    "net.ipv4.icmp_ratelimit=0",
    "net.ipv6.icmp.ratelimit=0",
    # No second of waiting for duplicate addresses on a network where there are none.
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.all.disable_ipv6=0",
)


class Done(NamedTuple):
    """What a command on a host left: its exit code and what it printed."""

    rc: int
    out: str
    err: str


class Process(NamedTuple):
    """A process that was started on a host while `Host.processes` counted."""

    name: str  # of its last program, the first 15 characters
    pid: int
    parent: int
    execed: bool  # False: a fork that never ran a program of its own
    ended: bool  # False: still running when the counting ended


class Processes:
    """The processes that `Host.processes` saw; filled when its block ends."""

    def __init__(self) -> None:
        self.all: list[Process] = []

    def __len__(self) -> int:
        return len(self.all)

    def names(self) -> Counter[str]:
        """How often each program's name was there."""
        return Counter(process.name for process in self.all)

    def below(self, name: str) -> list[Process]:
        """The processes that the outermost ones named `name` started, at any depth: below("python3") are a module's."""
        by_pid = {process.pid: process for process in self.all}

        def under(process: Process) -> bool:
            parent = by_pid.get(process.parent)
            return parent is not None and (parent.name == name or under(parent))

        return [process for process in self.all if under(process)]


# acct(2) is the kernel's own process accounting, for the host's PID namespace alone. It costs nothing
# that a measured time would show, and misses no process that ended, however short. Argument: start, stop.
_COUNTER = r"""
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
log, before = "/run/netports-acct", "/run/netports-acct.before"
def running():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = open("/proc/%s/stat" % pid, errors="replace").read()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
        found[pid + " " + rest[19]] = [name, int(pid), int(rest[1])]
    return found
if sys.argv[1] == "start":
    json.dump(running(), open(before, "w"))
    open(log, "w").close()
    if libc.acct(log.encode()):
        sys.exit("acct: " + os.strerror(ctypes.get_errno()))
else:
    libc.acct(None)
    old = json.load(open(before))
    me = [os.getpid(), os.getppid()]
    print(json.dumps([one for key, one in running().items() if key not in old and one[1] not in me]))
print(os.getpid())
"""
# struct acct_v3 of linux/acct.h: flag, version, tty, exit code, uid, gid, pid, ppid, begin, times …, command.
_ACCOUNT = struct.Struct("<BBHIIIIII20x16s")
_AFORK = 1


class Host:
    """One running test host. Made by `Lab.start`."""

    def __init__(self, number: int, suite: str, firewall: str, slot: IO[str]) -> None:
        self.number = number
        self.suite = suite
        self.firewall = firewall
        self.name = f"{suite}-{number}"
        self.container = f"{NETWORK}-{number}"
        self.address4 = f"{prefix4()}.{number}"
        self.address6 = f"{prefix6()}::{number:x}"
        self._mac = f"{_MAC}:00:{number:02x}"
        self._slot = slot
        self._pidfile = RUN / f"{number}.pid"
        self._pid = 0
        self._companions: list[subprocess.Popen[str]] = []

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.firewall} {self.address4}>"

    def address(self, family: int) -> str:
        """The address of family 4 or 6."""
        return {4: self.address4, 6: self.address6}[family]

    # Life

    def _start(self, share: Sequence[Path], compiled: bool) -> None:
        image = built(self.suite)
        volumes = [f"{path}:{path}:ro" for path in share]
        if compiled:
            (CACHE / "compiled").mkdir(exist_ok=True)
            volumes.append(f"{CACHE / 'compiled'}:/var/cache/netports-compiled")
            volumes += [f"{path}:/usr/lib/python3/dist-packages/{path.name}:ro" for path in _PYTHON.glob("*.p*")]
        podman(
            *("run", "--detach", "--replace", "--name", self.container, "--hostname", self.name),
            *("--pidfile", str(self._pidfile)),
            *("--privileged", "--systemd=always", "--log-driver=none", "--pids-limit=-1"),
            *("--network", NETWORK, "--ip", self.address4, "--ip6", self.address6, "--mac-address", self._mac),
            *(f"--sysctl={setting}" for setting in SYSCTLS),
            *(f"--volume={volume}" for volume in volumes),
            *(image, "/sbin/init"),
        )
        self._steady()
        self._wait()
        if self.firewall == "ufw":
            self.run(["ufw", "allow", "22/tcp"])
            self.run(["ufw", "--force", "enable"])
        elif self.firewall == "firewalld":
            self.run(["systemctl", "enable", "--now", "firewalld"])
            self.settle()
        elif self.firewall == "nftables":
            self.write("/etc/nftables.conf", NFTABLES, "0755")
            self.run(["systemctl", "enable", "--now", "nftables"])

    @staticmethod
    def _steady() -> None:
        """Give the bridge an address of its own, where it has none yet.

        It would have the lowest of its ports' (net/bridge/br_stp_if.c), so another one with hosts that come and go; and
        the others would answer the one before until their neighbour tables are too old, for up to a minute.
        """
        if Path(f"/sys/class/net/{BRIDGE}/addr_assign_type").read_text().strip() != "3":
            subprocess.run(["ip", "link", "set", BRIDGE, "address", f"{_MAC}:ff:ff"], check=True)

    def _wait(self, degraded: bool = False) -> None:
        self._pid = int(self._pidfile.read_text())
        end = time.monotonic() + 600
        state = "not started"
        # The socket at which systemctl can ask systemd, and so wait for it.
        socket_of_systemd = Path(f"/proc/{self._pid}/root/run/systemd/private")
        while time.monotonic() < end:
            if socket_of_systemd.exists():
                done = self.run(
                    ["timeout", "600", "systemctl", "is-system-running", "--wait"], check=False, timeout=900
                )
                state = done.out.strip() or done.err.strip()
                if state == "running" or (degraded and state == "degraded"):
                    return
                if state == "degraded":
                    break
            time.sleep(0.02)
        units = self.run(["systemctl", "list-units", "--failed", "--no-legend"], check=False).out
        raise HostsError(f"{self.name} did not come up: systemd is {state!r}; failed units: {units.strip() or 'none'}")

    def accompany(self, process: subprocess.Popen[str]) -> None:
        """Keeps a process on the host, which ends with its standard input, until the host stops or restarts.

        systemd stops every process before it kills them (SIGSTOP), and nsenter would wait for its own for ever.
        """
        self._companions.append(process)

    @property
    def companions(self) -> int:
        """How many processes that `accompany` the host still run."""
        return sum(process.poll() is None for process in self._companions)

    def _part(self) -> None:
        while self._companions:
            self._companions.pop().communicate()

    def stop(self, *others: Host) -> None:
        """Removes the host, and others with it, and everything on them."""
        for host in (self, *others):
            host._part()
        podman("rm", "--force", "--time", "0", "--ignore", *(host.container for host in (self, *others)))
        for host in (self, *others):
            host._slot.close()

    def keep(self) -> None:
        """Leaves the host to itself, beyond this process: its slot says so."""
        self._slot.write(_KEPT)
        self._slot.close()

    def reboot(self, hard: bool = False) -> None:
        """Restarts the host; files and addresses stay, kernel tables, /run and /tmp do not. hard: as by a power cut.

        Units that fail at this start do not raise here: they are a test's own matter.
        """
        self._part()
        if hard:
            podman("kill", "--signal", "KILL", self.container)
            podman("wait", self.container)
            podman("start", self.container)
        else:
            podman("restart", "--time", "20", self.container)
        self._wait(degraded=True)
        self.settle()

    def settle(self) -> None:
        """Waits until a firewalld that runs has loaded its rules: it is "active" on D-Bus a moment before."""
        asked = "org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 org.fedoraproject.FirewallD1 state"
        state = f"systemctl --quiet is-active firewalld && busctl --timeout=600 get-property {asked}"
        self.run(["sh", "-c", state], check=False)

    @property
    def public(self) -> tuple[str, str]:
        """Addresses for `alias` that no local network has (RFC 5737, RFC 3849), and no other host."""
        return f"203.0.113.{self.number}", f"2001:db8::{self.number:x}"

    def alias(self, address: str, *neighbours: Host) -> None:
        """Gives the host a further address until its next reboot, for example of `public`, that `neighbours` can
        answer: a source for `reach`, or a destination. All hosts share a network, so no other may have it."""
        version = "-6" if ":" in address else "-4"
        length = "128" if ":" in address else "32"
        self.run(["ip", version, "address", "replace", f"{address}/{length}", "dev", "eth0"])
        for neighbour in neighbours:
            neighbour.run(["ip", version, "route", "replace", f"{address}/{length}", "dev", "eth0"])

    def inner(self, family: int) -> tuple[str, str, str]:
        """The network behind this host when it is a gateway, its own address there, and that of the one host in it."""
        number = self.number
        if family == 4:
            return f"172.31.{number}.0/24", f"172.31.{number}.1", f"172.31.{number}.2"
        return f"fd00:0:0:{number:x}::/64", f"fd00:0:0:{number:x}::1", f"fd00:0:0:{number:x}::2"

    def behind(self, gateway: Host, *servers: Host) -> None:
        """Moves this host into a network of its own behind `gateway`, which forwards IPv4 and IPv6 from then on.

        All that this host has left is a cable to the gateway, eth1 at both ends, with default routes; its addresses
        are those of `inner` from then on, and `servers` answer by way of the gateway. A reboot of either of the two
        pulls the cable out: call it again.
        """
        self.run(["ip", "link", "delete", "eth1"], check=False)
        self.run(["ip", "link", "set", "eth0", "down"])
        subprocess.run(
            [
                *("ip", "link", "add", "eth1", "netns", str(self._pid), "type", "veth"),
                *("peer", "name", "eth1", "netns", str(gateway._pid)),
            ],
            check=True,
        )
        for family in (4, 6):
            network, *addresses = gateway.inner(family)
            for host, address in zip((gateway, self), addresses, strict=True):
                length = network.rpartition("/")[2]
                host.run(["ip", f"-{family}", "address", "add", f"{address}/{length}", "dev", "eth1"])
                host.run(["ip", "link", "set", "eth1", "up"])
            self.run(["ip", f"-{family}", "route", "replace", "default", "via", addresses[0]])
            for server in servers:
                route = ["ip", f"-{family}", "route", "replace", network, "via", gateway.address(family)]
                server.run(route)
        self.address4, self.address6 = gateway.inner(4)[2], gateway.inner(6)[2]
        gateway.run(["sysctl", "-q", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])

    # Commands and files

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The command of this machine that runs `argv` as root on the host, past ssh and firewall."""
        return [shutil.which("nsenter") or "nsenter", "--target", str(self._pid), "--all", "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        check: bool = True,
        stdin: str | bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600,
    ) -> Done:
        """Runs `argv` as root on the host. Raises HostsError when check is set and it fails."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            self.argv(argv),
            input=data,
            capture_output=True,
            env={**ENVIRONMENT, **(env or {})},
            timeout=timeout,
            check=False,
        )
        result = Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        if check and result.rc:
            raise HostsError(f"{self.name}: {argv!r} failed ({result.rc}):\n{result.out}{result.err}")
        return result

    def sh(self, script: str, check: bool = True) -> Done:
        """Runs a shell script (sh -e) as root on the host."""
        return self.run(["sh", "-ec", script], check=check)

    def install(self, *packages: str) -> None:
        """Installs packages of the distribution, without what they only recommend. Needs the network, as the images do."""
        apt = "apt-get -qq -o Acquire::Retries=3"
        self.sh(
            f"{apt} update; DEBIAN_FRONTEND=noninteractive {apt} install --no-install-recommends {' '.join(packages)}"
        )

    def read(self, path: str) -> str:
        """The text of a file on the host."""
        return self.run(["cat", "--", path]).out

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Writes a file on the host, and the folders above it."""
        self.run(["install", "-D", "-m", mode, "/dev/stdin", path], stdin=text)

    def files(self, *paths: str) -> dict[str, tuple[str, bytes]]:
        """Every file below `paths`: path -> (type, mode and owner in words, content or link target).

        Two such dicts are equal exactly when no file was made, removed or changed between them.
        """
        root = f"/proc/{self._pid}/root"
        if not os.path.exists(f"{root}/etc"):
            raise HostsError(f"{self.name} does not run")
        found: dict[str, tuple[str, bytes]] = {}
        for path in paths:
            # The host's links would lead to files of this machine.
            for above in (Path(path), *Path(path).parents):
                if os.path.islink(f"{root}{above}") and os.readlink(f"{root}{above}").startswith("/"):
                    raise HostsError(f"{self.name} has {path} elsewhere: {above} is a link")
            names = [f"{root}{path}"]
            for folder, folders, files in os.walk(names[0]):
                names += [os.path.join(folder, name) for name in (*folders, *files)]
            for name in names:
                try:
                    one = os.lstat(name)
                    what = os.readlink(name).encode() if stat.S_ISLNK(one.st_mode) else b""
                    what = Path(name).read_bytes() if stat.S_ISREG(one.st_mode) else what
                except (FileNotFoundError, NotADirectoryError):
                    continue
                kind = f"{stat.filemode(one.st_mode)[0]} {stat.S_IMODE(one.st_mode):04o} {one.st_uid}:{one.st_gid}"
                found[name[len(root) :]] = (kind, what)
        return found

    def written(self) -> dict[str, tuple[int | str, ...]]:
        """Every file that is other than in the image: path -> (mode, owner, group, size, time in ns or target of a link).

        That is the upper layer of the host's overlay; what was removed is a device there. Compiled Python is left out.
        """
        mounts = Path(f"/proc/{self._pid}/mounts").read_text()
        upper = re.search(r"^overlay / overlay \S*\bupperdir=([^, ]+)", mounts, re.MULTILINE)
        if upper is None:
            raise HostsError(f"{self.name} has no overlay: {mounts.splitlines()[0]}")
        found: dict[str, tuple[int | str, ...]] = {}
        for folder, folders, names in os.walk(upper[1]):
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in (*names, *links):
                path = os.path.join(folder, name)
                if not name.endswith(".pyc"):
                    one = os.lstat(path)
                    what = os.readlink(path) if stat.S_ISLNK(one.st_mode) else one.st_mtime_ns
                    found[path[len(upper[1]) :]] = (one.st_mode, one.st_uid, one.st_gid, one.st_size, what)
        return found

    def kernel(self) -> str:
        """What the kernel filters now, as text of iptables, ip6tables and nft, without counters and comments."""
        text = self.run(["sh", "-c", "iptables-save; ip6tables-save; nft --stateless list ruleset"]).out
        lines = (re.sub(r" \[\d+:\d+\]$", "", line) for line in text.splitlines())
        lines = (re.sub(r"counter packets \d+ bytes \d+", "counter", line) for line in lines)
        return "\n".join(line for line in lines if line and not line.startswith("#")) + "\n"

    def journal(self, since: float, lines: int = 60) -> str:
        """The last lines of the host's journal, with their times in microseconds.

        since: in seconds of the epoch.
        """
        argv = ["journalctl", "--no-pager", "-o", "short-iso-precise", "-n", str(lines), f"--since=@{int(since)}"]
        return self.run(argv, check=False).out

    # ssh

    def ssh_argv(self, user: str = "root", family: int = 4, port: int = 22) -> list[str]:
        """The start of an ssh command line to the host, over a new connection."""
        return [
            *("ssh", "-F", "/dev/null", "-i", str(KEY), "-p", str(port), "-o", "BatchMode=yes"),
            *("-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", KEY_EXCHANGE, "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=120"),
            f"{user}@{self.address(family)}",
        ]

    def ssh(self, command: str, user: str = "root", family: int = 4, port: int = 22) -> Done:
        """Runs a shell command over a new ssh connection; rc 255 when none can be made.

        Whether the firewall lets it in is asked of the kernel first, which answers at once: ssh itself may be slow.
        """
        try:
            socket.create_connection((self.address(family), port), timeout=5).close()
        except OSError as problem:
            return Done(255, "", str(problem))
        done = subprocess.run(
            [*self.ssh_argv(user, family, port), command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
            timeout=600, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    # Counting

    @contextmanager
    def processes(self) -> Iterator[Processes]:
        """Counts the processes that start on the host in the block, by the kernel's process accounting.

        A process counts once, however many programs it runs in turn (exec). What ran before the block and ends
        in it does not count; what starts in it and runs on does. `Host.run` in the block counts too.
        """
        seen = Processes()
        starter = int(self.run(["python3", "-c", _COUNTER, "start"]).out)
        try:
            yield seen
        finally:
            running, stopper = self.run(["python3", "-c", _COUNTER, "stop"]).out.splitlines()
            log = self.run(["base64", "/run/netports-acct"]).out
            for flags, *_before, pid, parent, _between, name in _ACCOUNT.iter_unpack(base64.b64decode(log)):
                if pid not in (starter, int(stopper)):
                    program = name.rstrip(b"\0").decode(errors="replace")
                    seen.all.append(Process(program, pid, parent, not flags & _AFORK, True))
            seen.all += [Process(name, pid, parent, True, False) for name, pid, parent in json.loads(running)]


class Lab:
    """Starts hosts and, at the end, removes those that are left: `hosts`."""

    def __init__(self, compiled: bool = False) -> None:
        """
        :param compiled: whether the Python of hosts keeps the modules that Ansible sends, compiled, for all hosts.
        """
        self.hosts: list[Host] = []
        self._compiled = compiled
        settings()
        self._sweep()

    @staticmethod
    def _slot(number: int, kept: bool = False) -> IO[str] | None:
        """The slot's file, locked for this process until it is closed or the process dies; None when taken.

        kept: also the slot of a host that `keep` left.
        """
        folder = CACHE / "slots"
        folder.mkdir(exist_ok=True)
        # Open beyond this function: the lock is the file's that is open.
        handle = open(folder / str(number), "a+")  # noqa: SIM115
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        handle.seek(0)
        if handle.read() == _KEPT and not kept:
            handle.close()
            return None
        return handle

    def _sweep(self, kept: Container[int] = ()) -> int:
        """Removes hosts whose process died without doing so, and those of the numbers `kept` that `keep` left.

        Returns how many.
        """
        found = 0
        for name in podman("ps", "--all", "--format", "{{.Names}}").split():
            number = name.rpartition("-")[2]
            if not name.startswith(f"{NETWORK}-") or not number.isdigit():
                continue
            if slot := self._slot(int(number), kept=int(number) in kept):
                podman("rm", "--force", "--time", "0", "--ignore", name)
                slot.truncate(0)
                slot.close()
                found += 1
        return found

    def keep(self, host: Host) -> None:
        """Leaves a host to itself: it outlives this process, until `remove_kept`."""
        host.keep()
        self.hosts.remove(host)

    def remove_kept(self, numbers: Container[int] = SLOTS) -> int:
        """Removes the hosts that `keep` left, in this process or in others before. Returns how many."""
        return self._sweep(kept=numbers)

    def start(self, suite: str = "bookworm", firewall: str = "none", share: Sequence[Path] = ()) -> Host:
        """A fresh host of a Debian suite. firewall: none (all are installed and off), ufw or firewalld (on, with
        the distribution's defaults, and ssh admitted), or nftables (on, with a file that refuses by default).

        share: folders of this machine that the host has as well, at the same paths, to read.
        """
        if firewall not in FIREWALLS:
            raise HostsError(f"no firewall {firewall!r} on test hosts: there are {', '.join(FIREWALLS)}")
        for number in SLOTS:
            slot = self._slot(number)
            if slot is not None:
                break
        else:
            raise HostsError("all 240 addresses for test hosts are in use: run `make clean-hosts`")
        host = Host(number, suite, firewall, slot)
        self.hosts.append(host)
        host._start(share, self._compiled)
        return host

    def stop(self, host: Host) -> None:
        """Removes one host."""
        host.stop()
        self.hosts.remove(host)

    def close(self) -> None:
        """Removes every host that is left."""
        if self.hosts:
            Host.stop(*self.hosts)
            self.hosts.clear()


__all__ = ["FIREWALLS", "Done", "Host", "Lab", "Process", "Processes"]
