# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults for real hosts: a module that is killed at a chosen system call, an ssh that fails, a sampler of the kernel's
tables. The short tests of it are in tests/integration, the long ones beside this."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hosts import Host
from hosts.code import install, module

# The system calls at which a run is killed: each that makes, moves, removes or settles something, and each that starts
# a process or talks to one. One kill a call.
CALLS = (
    *("rename", "unlink", "fsync", "fchmod", "mkdir", "rmdir", "symlink", "flock", "ftruncate"),
    *("clone", "clone3", "vfork", "fork", "wait4", "pipe2", "socketpair", "sendto", "recvfrom", "connect"),
)
WATCHED = ("/etc/ufw", "/etc/default/ufw", "/etc/firewalld", "/etc/nftables.conf", "/etc/nftables.d")


class State(NamedTuple):
    """Everything that a firewall keeps: files byte for byte, the kernel's tables, and whether it starts at boot."""

    files: dict[str, tuple[str, bytes]]
    kernel: str
    enabled: str


def state(host: Host) -> State:
    """What there is now."""
    kernel = host.kernel().replace("\\'", "")
    if "table inet firewalld" in kernel:
        # A reload makes the same sets and rules in another order.
        kernel = "\n".join(sorted(re.sub(r"\s+", " ", kernel).split(";")))
    enabled = host.run(["systemctl", "is-enabled", "firewalld", "ufw", "nftables"], check=False).out
    return State(host.files(*WATCHED), kernel, enabled)


def settle(host: Host, seconds: float = 300) -> None:
    """Wait until nobody holds a change any more. The limit is below PATIENT: a change that waits is seen."""
    done = host.run(["flock", "-w", str(seconds), "/var/lib/netports-apple/lock", "true"], check=False)
    assert done.rc == 0, "a change is still kept: " + host.sh("ps axf; cat /var/lib/netports-apple/*", check=False).out


def give_up(host: Host) -> None:
    """Tell who keeps a change that waits to put the old rules back now: the time of the change is not waited for."""
    host.sh(f"kill -TERM {json.loads(host.read('/var/lib/netports-apple/pending.json'))['keeper']}")


def give_up_in_vain(host: Host) -> None:
    """The same where the old rules cannot be loaded, until who keeps the change has said so, and tries again later."""
    tries = "journalctl --no-pager -o cat | grep -c 'cannot restore the old rules yet' || true"
    # Other tests may have had the host before.
    told = int(host.sh(tries).out)
    give_up(host)
    host.sh(f"until test $({tries}) -gt {told}; do sleep 0.2; done")


def counted(host: Host, **arguments: Any) -> list[tuple[str, int]]:
    """Every point at which such a run can be killed: (system call, its number), in no order.

    Makes the run. The points before the first change to the host are among them.
    """
    log = "/run/netports-strace"
    code, _result = module(host, ["strace", "-o", log, "-e", f"trace=/^({'|'.join(CALLS)})$"], **arguments)
    assert code == 0
    names = re.findall(r"^(\w+)\(", host.read(log), re.MULTILINE)
    return [(name, number + 1) for name in sorted(set(names)) for number in range(names.count(name))]


def killed_at(host: Host, call: str, number: int, **arguments: Any) -> int:
    """Run the module and have it killed when it makes a system call for the n-th time; returns its exit code."""
    under = ["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"]
    return module(host, under, **arguments)[0]


# In the place of ssh; the working directory is the play's own.
_SSH = """#!/bin/sh
case " $* " in *" -O "*) %s;; esac
echo >> used
%s
exec ssh "$@"
"""
# Finds nobody at its second connection, as a controller that the new rules shut out until the old ones are back.
BLIND = _SSH % ('exec ssh "$@"', """[ "$(wc -l < used)" != 2 ] || { echo 'ssh: No route to host' >&2; exit 255; }""")
# Kills the controller in the place of the second connection.
DEADLY = _SSH % ('exec ssh "$@"', """[ "$(wc -l < used)" != 2 ] || kill -KILL "$(ps -o ppid= -p "$PPID")" "$PPID" $$""")
# Drops no connection: all goes over the first.
LASTING = _SSH % ("exit 0", ":")


def ssh_in_place(folder: Path, text: str) -> dict[str, str]:
    """An ssh of one's own; returns the variables of a play that uses it."""
    path = folder / "ssh"
    path.write_text(text)
    path.chmod(0o755)
    return {"ansible_ssh_executable": str(path)}


# Asks the kernel by nftables' own library, without a process a sample, until its file is gone.
SAMPLER = r"""
import ctypes, json, os, re, time
nft = ctypes.CDLL("libnftables.so.1")
nft.nft_ctx_new.restype = ctypes.c_void_p
nft.nft_ctx_new.argtypes = [ctypes.c_uint32]
nft.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
nft.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
nft.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
nft.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
nft.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
nft.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
nft.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
nft.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
context = nft.nft_ctx_new(0)
nft.nft_ctx_buffer_output(context)
nft.nft_ctx_buffer_error(context)
# NFT_CTX_OUTPUT_STATELESS: no counters.
nft.nft_ctx_output_set_flags(context, 1 << 2)
stop = "/run/netports-sampler"
open(stop, "w").close()
order, samples = [], 0
start = time.monotonic()
print("ready", flush=True)
while os.path.exists(stop):
    # All of it by one command, which the kernel answers from one generation of its rules.
    bad = nft.nft_run_cmd_from_buffer(context, b"list ruleset")
    text = nft.nft_ctx_get_output_buffer(context) or b""
    assert not bad, nft.nft_ctx_get_error_buffer(context)
    text = re.sub(rb" expires \w+", b"", text)
    samples += 1
    if not order or text != order[-1]:
        order.append(text)
print(json.dumps({"samples": samples, "seconds": time.monotonic() - start,
                  "states": [one.decode() for one in order]}))
"""


class Sampled(NamedTuple):
    """What the sampler saw: how often it looked, for how long, and the states of the tables, one after the other."""

    samples: int
    seconds: float
    states: list[str]


@contextmanager
def sampler(host: Host) -> Iterator[list[Sampled]]:
    """Look at all tables of the kernel as fast as it answers, for the length of the block."""
    found: list[Sampled] = []
    with subprocess.Popen(
        host.argv(["python3", "-c", SAMPLER]), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield found
        finally:
            host.run(["rm", "/run/netports-sampler"])
            found.append(Sampled(**json.loads(process.stdout.read())))


def rule(name: str, direction: str = "in", **ports: Any) -> dict[str, Any]:
    """A rule as the module takes it."""
    return {"name": name, "direction": direction, **ports}


WANTED = [
    rule("FaceTime", udp=["3478-3497", "16384-16387"], sources=["10.0.0.0/8", "fd00::/8"]),
    rule("FaceTime", "out", tcp=["80", "443", "5223"], udp=["3478-3497"]),
    rule("Classroom", tcp=["3284", "3285"]),
]

STEP = {"step": "apply", "id": ""}
# How long a change waits that a test confirms: longer than any machine takes for what the test does in between.
PATIENT = 900


def kill_at_points(host: Host, stride: int = 1) -> dict[str, int]:
    """Kill runs that make a ruleset, make it and wait, and remove it, at every stride-th of their points.

    Returns how many were killed, how often the host was as before and as wanted then, and how often out of reach. Raises
    AssertionError where it was neither, where something was left lying about, and where the next run did not converge.
    """
    install(host)
    ends = {"killed": 0, "before": 0, "wanted": 0, "locked out": 0}
    makes: list[tuple[dict[str, Any], bool]] = [
        ({"rules": WANTED}, True),
        ({"rules": WANTED, "confirm_seconds": 1, "_confirm": STEP}, False),
        ({"state": "deleted"}, True),
    ]
    for arguments, kept in makes:
        other: dict[str, Any] = {"state": "deleted"} if "rules" in arguments else {"rules": WANTED}
        module(host, **other)
        before = state(host)
        points = counted(host, **arguments)
        settle(host)
        wanted = state(host) if kept else before
        assert (wanted == before) != kept
        for call, number in points[::stride]:
            if state(host) != before:
                assert module(host, **other)[0] == 0
                assert state(host) == before, f"{call} {number}: the next run did not come back from it"
            # A call that this run happened not to make kills nobody: the run went through.
            ends["killed"] += killed_at(host, call, number, **arguments) not in (0, 1)
            settle(host)
            now = state(host)
            assert now in (before, wanted), f"killed at {call} {number} of {arguments}: between"
            try:
                socket.create_connection((host.address4, 22), 10).close()
            except OSError:
                ends["locked out"] += 1
            ends["before" if now == before else "wanted"] += 1
            assert host.run(
                ["sh", "-c", "ls -A /run/netports-* /etc/ufw/.netports-* /etc/nftables.d/.netports-* 2>/dev/null"],
                check=False,
            ).out in (
                "",
                "/run/netports-strace\n",
            )
    return ends


def waiting(host: Host, **arguments: Any) -> tuple[str, int, int]:
    """Make a change that waits: its id, its keeper and the keeper's watcher."""
    code, result = module(host, confirm_seconds=PATIENT, _confirm=STEP, **arguments)
    assert code == 0, result
    keeper = json.loads(host.read("/var/lib/netports-apple/pending.json"))["keeper"]
    return result["confirm"]["id"], keeper, int(host.sh(f"ps -o ppid= -p {keeper}").out)


def status(host: Host, identity: str) -> str:
    """How a change stands, as the host says."""
    return str(module(host, _confirm={"step": "status", "id": identity})[1]["confirm"]["state"])


def _traced(host: Host, pid: int, *words: str) -> None:
    """Attach strace to a process, and wait until it holds it, or has killed it at the call that it was waiting in."""
    host.sh(
        f"systemd-run --quiet --unit=tracer --collect strace -f {' '.join(words)} -p {pid};"
        f"while systemctl --quiet is-active tracer && ! grep -qs 'TracerPid:.[1-9]' /proc/{pid}/status; do sleep 0.05; done"
    )


def _settled(host: Host) -> None:
    settle(host)
    host.sh("while systemctl --quiet is-active tracer; do sleep 0.05; done")


def kill_keepers_at_points(host: Host, stride: int = 1) -> dict[str, int]:
    """Kill the keeper while it confirms and while it restores, and the watcher in the keeper's place.

    Raises AssertionError where the host is not as the outcome says, or where the next run does not bring it there.
    """
    install(host)
    ends = {"killed": 0, "confirmed": 0, "restored": 0, "gone": 0}
    module(host, state="deleted")
    before = state(host)
    assert module(host, rules=WANTED)[0] == 0
    wanted = state(host)

    def confirm(identity: str, _keeper: int) -> None:
        module(host, _confirm={"step": "confirm", "id": identity})

    def end(_identity: str, keeper: int) -> None:
        host.sh(f"kill -TERM {keeper}")

    def kill(_identity: str, keeper: int) -> None:
        host.sh(f"kill -KILL {keeper}")

    for event, watched in ((confirm, "keeper"), (end, "keeper"), (kill, "watcher")):
        module(host, state="deleted")
        identity, keeper, watcher = waiting(host, rules=WANTED)
        log = "/run/netports-strace"
        pid = keeper if watched == "keeper" else watcher
        _traced(host, pid, "-o", log, "-e", f"'trace=/^({'|'.join(CALLS)})$'")
        event(identity, keeper)
        _settled(host)
        names = re.findall(rf"^{pid} +(\w+)\(", host.read(log), re.MULTILINE)
        points = [(name, number + 1) for name in sorted(set(names)) for number in range(names.count(name))]
        # The last unlink is always among them: behind the outcome, before the record goes.
        last = max(point for point in points if point[0] == "unlink")
        for call, number in sorted({*points[::stride], last}):
            if state(host) != before:
                assert module(host, state="deleted")[0] == 0
                assert state(host) == before, f"{call} {number}: the next run did not come back from it"
            identity, keeper, watcher = waiting(host, rules=WANTED)
            pid = keeper if watched == "keeper" else watcher
            _traced(
                host, pid, "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"
            )
            event(identity, keeper)
            _settled(host)
            answer, now = status(host, identity), state(host)
            ends["killed"] += 1
            ends[answer] += 1
            place = f"{event.__name__}, {watched} killed at {call} {number}: {answer}"
            if answer == "gone":
                # Both are dead. A run of another ruleset, too, brings what is loaded to the files.
                assert watched == "watcher", place
                code, result = module(host, ruleset="kiosk", state="deleted")
                assert code == 0 and "recovered" in {notice["code"] for notice in result["notices"]}, place
                assert state(host) == before, place
            else:
                assert now == (wanted if answer == "confirmed" else before), place
    return ends
