# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real packets between test hosts: a listener on many ports, and a probe of many ports at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from .host import Host
from .machine import HostsError
from .resident import Resident

State = Literal["open", "closed", "filtered"]


class Target(NamedTuple):
    """One port to try: family 4 or 6, protocol tcp or udp, port number."""

    family: int
    protocol: str
    port: int


# Runs on the host, so it is Python 3.9 with the standard library alone; and before all else on this machine, so that an
# answer that is late is not taken for silence. It takes a line of JSON of one of three kinds:
# {"listen": {"tcp": [...], "udp": [...]}} listens on each over v4 and v6 in a process of its own, whose number it answers;
# {"end": number} ends that process; {"targets": [[address, protocol, port], ...], "source": address or null, "timeout":
# seconds} answers with a list of states in the same order. What stays silent is tried once more before it is "filtered".
_PROGRAM = r"""
import errno, json, os, selectors, signal, socket, sys, time
os.nice(-20)
children = set()

def listen(wanted):
    selector, problems, ports = selectors.DefaultSelector(), [], []
    for protocol, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        for port in wanted[protocol]:
            for family, anywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                one = socket.socket(family, kind)
                ports.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    one.bind((anywhere, port))
                    if protocol == "tcp":
                        one.listen(16)
                except OSError as problem:
                    problems.append("%s/%d: %s" % (protocol, port, problem))
                    continue
                one.setblocking(False)
                selector.register(one, selectors.EVENT_READ, protocol)
    child = 0
    if not problems:
        child = os.fork()
        if child == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            try:
                serve(selector)
            finally:
                os._exit(1)
        children.add(child)
    selector.close()
    for one in ports:
        one.close()
    return {"child": child, "problems": problems}

def serve(selector):
    while True:
        for key, _ in selector.select():
            try:
                if key.data == "tcp":
                    key.fileobj.accept()[0].close()
                else:
                    data, sender = key.fileobj.recvfrom(64)
                    key.fileobj.sendto(data, sender)
            except OSError:
                pass

def end(child):
    # Another life of the host may have another process of that number.
    if child in children:
        children.remove(child)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

def attempt(asked, states, batch):
    selector, started = selectors.DefaultSelector(), time.monotonic()
    waiting = {}
    def settle(number, state):
        one = waiting.pop(number)
        selector.unregister(one)
        one.close()
        states[number] = state
    for number in batch:
        address, protocol, port = asked["targets"][number]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        one.setblocking(False)
        try:
            if asked["source"]:
                one.bind((asked["source"], 0))
            code = one.connect_ex((address, port))
        except OSError as problem:
            code = problem.errno
        if protocol == "udp" and code == 0:
            code = errno.EINPROGRESS
        if code == errno.EINPROGRESS:
            waiting[number] = one
            selector.register(one, selectors.EVENT_WRITE if protocol == "tcp" else selectors.EVENT_READ, number)
        else:
            one.close()
            states[number] = {0: "open", errno.ECONNREFUSED: "closed"}.get(code, "filtered")
    sends = [0.0, asked["timeout"] / 3, asked["timeout"] * 2 / 3]
    while waiting and time.monotonic() < started + asked["timeout"]:
        if sends and time.monotonic() >= started + sends[0]:
            sends.pop(0)
            for number in [n for n in waiting if asked["targets"][n][1] == "udp"]:
                try:
                    waiting[number].send(b"netports")
                except OSError as problem:
                    settle(number, "closed" if problem.errno == errno.ECONNREFUSED else "filtered")
        until = started + (sends[0] if sends else asked["timeout"])
        for key, _ in selector.select(max(0.0, until - time.monotonic())):
            number, one = key.data, key.fileobj
            if asked["targets"][number][1] == "tcp":
                code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            else:
                try:
                    one.recv(64)
                    code = 0
                except OSError as problem:
                    code = problem.errno
            settle(number, {0: "open", errno.ECONNREFUSED: "closed"}.get(code, "filtered"))
    for number in list(waiting):
        settle(number, "silent")
    selector.close()

def probe(asked):
    numbers, states = list(range(len(asked["targets"]))), {}
    for _ in range(2):
        left = [number for number in numbers if states.get(number, "silent") == "silent"]
        for first in range(0, len(left), 1000):
            attempt(asked, states, left[first:first + 1000])
    return ["filtered" if states[number] == "silent" else states[number] for number in numbers]

print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    answer = listen(asked["listen"]) if "listen" in asked else end(asked["end"]) if "end" in asked else probe(asked)
    print(json.dumps(answer), flush=True)
for child in list(children):
    end(child)
"""
_there = Resident(_PROGRAM)


@contextmanager
def listen(host: Host, tcp: Iterable[int] = (), udp: Iterable[int] = ()) -> Iterator[None]:
    """Answers on every port of `tcp` and `udp` on the host, v4 and v6, for the length of the block.

    UDP is echoed, TCP accepted. Raises HostsError when a port is taken, except 22/tcp, where sshd answers.
    """
    begun = _there.ask(host, {"listen": {"tcp": sorted(set(tcp) - {22}), "udp": sorted(set(udp))}})
    if begun["problems"]:
        raise HostsError(f"{host.name} cannot listen: {'; '.join(begun['problems'])}")
    try:
        yield
    finally:
        _there.ask(host, {"end": begun["child"]})


def reach(
    source: Host,
    host: Host,
    targets: Iterable[Target | tuple[int, str, int]],
    source_address: str | None = None,
    timeout: float = 0.6,
) -> dict[Target, State]:
    """Tries every target (family, protocol, port) of `host` from `source`, all at once.

    open: something answered. closed: the packet got through and nothing listens. filtered: dropped, or refused
    by a firewall as prohibited. A silent port costs twice `timeout` seconds, a thousand of them no more.
    """
    wanted = [Target(*target) for target in targets]
    asked = {
        "targets": [[host.address(target.family), target.protocol, target.port] for target in wanted],
        "source": source_address,
        "timeout": timeout,
    }
    return dict(zip(wanted, _there.ask(source, asked), strict=True))


def probe(source: Host, host: Host, ports: Iterable[int], protocol: str = "tcp", family: int = 4) -> dict[int, State]:
    """`reach` for the ports of one protocol and family: port -> state."""
    answers = reach(source, host, [Target(family, protocol, port) for port in ports])
    return {target.port: state for target, state in answers.items()}
