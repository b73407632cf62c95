# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make try` runs: the role on a throwaway host with a real firewall, with a second host that tries the ports.

Everything comes by the environment, so that no shell ever reads a user's words:

    PRODUCTS="FaceTime, AirPlay"   what to allow, separated by commas
    FIREWALL=ufw|firewalld|nftables the firewall of the throwaway host
    KEEP=yes                       leave the hosts

Words that only `make apply` knows are named, and count for nothing.

Exit status: 0 all was as expected; 1 something was not, or nothing could be tried; 2 not understood; 130 interrupted.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import apply
import trial_ports

from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue
from ansible_collections.netports.apple.plugins.plugin_utils._errors import CatalogueError
from hosts import Host, HostsError, Lab, Play, PlayFailed, State, Target, images, listen, play, reach
from hosts.machine import CACHE, KEY, PROJECT

FIREWALLS = ("ufw", "firewalld", "nftables")
PRODUCTS = "FaceTime, AirPlay"
SUITE = "trixie"
FOLDER = CACHE / "try"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NotUnderstood(Exception):
    """Something that was asked for does not exist; the message says what does."""


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    products: tuple[str, ...]
    firewall: str
    keep: bool

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the role."""
        return {"host_firewall_products": list(self.products), "host_firewall_backend": self.firewall}


def request(environment: Mapping[str, str]) -> Request:
    """Read what was asked for.

    :raises NotUnderstood: an unknown product or firewall.
    """
    products = [word.strip() for word in environment.get("PRODUCTS", "").split(",") if word.strip()]
    typed = environment.get("FIREWALL", "").strip()
    firewall = typed.lower() or FIREWALLS[0]
    if firewall not in FIREWALLS:
        raise NotUnderstood(
            f"FIREWALL: {typed!r} is not a firewall of the throwaway hosts: "
            f"give {', '.join(FIREWALLS[:-1])} or {FIREWALLS[-1]}"
        )
    catalogue = _catalogue.load()
    for product in products:
        try:
            catalogue.resolve(product)
        except CatalogueError as error:
            raise NotUnderstood(f"PRODUCTS: {error} (docs/products.md has all)") from error
    keep = environment.get("KEEP", "").strip().lower() in ("yes", "y", "true", "1")
    return Request(products=tuple(products or PRODUCTS.split(", ")), firewall=firewall, keep=keep)


def unknown(environment: Mapping[str, str]) -> list[str]:
    """The words of ``make apply`` that were given and mean nothing here."""
    words = (*apply.LISTS, *apply.WORDS, "HOSTS", "CHECK", "CONFIRM")
    return [word for word in words if word != "PRODUCTS" and environment.get(word, "").strip()]


class Progress:
    """Says what is being done, behind the seconds since the start; on a terminal the seconds go on."""

    def __init__(self, started: float) -> None:
        self._started = started

    def _line(self, text: str) -> str:
        return f"[{int(time.time() - self._started):4} s] {text}"

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show a step for the length of the block."""
        print(self._line(text), end="" if sys.stdout.isatty() else "\n", flush=True)
        if not sys.stdout.isatty():
            yield
            return
        ended = threading.Event()

        def count() -> None:
            while not ended.wait(0.5):
                print(f"\r{self._line(text)}", end="", flush=True)

        counter = threading.Thread(target=count, daemon=True)
        counter.start()
        try:
            yield
        finally:
            ended.set()
            counter.join()
            print(f"\r{self._line(text)}", flush=True)

    def say(self, text: str) -> None:
        """Say something that takes no time."""
        print(self._line(text), flush=True)


def tell(*lines: str) -> None:
    """Print what a step brought."""
    for line in lines:
        print(f"         {line}".rstrip(), flush=True)


def prepare(progress: Progress) -> None:
    """Install what the hosts need, and build their image, where that was not done before.

    :raises HostsError: that cannot be had here.
    """
    with progress.step("Installing podman and its like by apt-get, where they are missing"):
        done = subprocess.run(
            [str(PROJECT / "tools" / "hosts.sh"), "install-hosts"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    tell(*done.stdout.splitlines())
    if done.returncode:
        raise HostsError(done.stderr.strip() or "tools/hosts.sh failed")
    if images.missing((SUITE,)):
        with progress.step(f"Building {system()} from Debian's packages, once"):
            images.build((SUITE,), say=lambda line: None)


def system() -> str:
    """The name of the system of the throwaway hosts."""
    return f"Debian {images.VERSIONS[SUITE]['debian']}"


def start(lab: Lab, firewall: str) -> tuple[Host, Host]:
    """Start the host with the firewall, and the host that tries its ports, which can also be a stranger."""
    with ThreadPoolExecutor(2) as pool:
        host, peer = pool.map(lab.start, (SUITE, SUITE), (firewall, "none"))
    for address in peer.public:
        peer.alias(address, host)
    return host, peer


def run(host: Host, asked: Request, playbook: str) -> Play:
    """Run a playbook of the collection against the host over ssh.

    :raises PlayFailed: it failed.
    """
    text = json.dumps([{"import_playbook": f"netports.apple.{playbook}"}])
    settings = {"netports_become": False, "netports_audit_dir": str(FOLDER)}
    return play(host, playbook=text, extra_vars=apply.unsafe({**asked.variables, **settings}))


def trial(progress: Progress, asked: Request, host: Host, peer: Host) -> list[str]:
    """Plan, apply, try the ports, apply again and audit; return what was not as expected.

    :raises PlayFailed: a playbook failed.
    :raises HostsError: a host failed.
    """
    problems = []
    with progress.step("The plan (playbook netports.apple.preview):"):
        planned = run(host, asked, "preview")
    tell(*planned.result(action="debug")["msg"][host.name])
    tell(*(f"Note: {warning}" for warning in planned.result(host, action="host_firewall").get("warnings", [])))

    with progress.step("Applying it over ssh, with the role netports.apple.host_firewall"):
        applied = run(host, asked, "apply").result(host, action="host_firewall")
    count = len(applied["operations"])
    changes = f"{count} change{'' if count == 1 else 's'}"
    tell(f"{changes}, confirmed over a new connection" if applied.get("confirmed") else changes)

    with progress.step(f"Trying ports from {peer.name}:"):
        rules = [Rule.from_dict(rule) for rule in applied["after"]]
        done, places = try_ports(host, peer, rules)
    tell(*trial_ports.table(done, list(places)))
    tell("", *(f"{name}: {', '.join(addresses)}" for name, addresses in places.items()))
    problems += [f"{attempt.port}/{attempt.protocol}" for attempt in trial_ports.wrong(done)]

    with progress.step("Applying it again"):
        again = run(host, asked, "apply")
    if again.changed:
        problems.append("the second run")
    tell("changed something" if again.changed else "nothing to change")

    with progress.step("Auditing the host (playbook netports.apple.audit)"):
        summary = run(host, asked, "audit").result(action="audit_report")["summary"]
    if not summary["compliant"]:
        problems.append("the audit")
    tell("all is as declared" if summary["compliant"] else "not as declared", f"page: {FOLDER / 'audit.html'}")
    return problems


def try_ports(
    host: Host, peer: Host, rules: list[Rule]
) -> tuple[list[trial_ports.Attempt], dict[str, tuple[str, str]]]:
    """Try ports of the host, by IPv4 and IPv6, as a neighbour and as a stranger; return what was seen, and the places."""
    places = {"local network": (peer.address4, peer.address6), "outside": peer.public}
    wanted = trial_ports.attempts(rules, places)
    ports = {(attempt.protocol, attempt.port) for attempt in wanted}
    addresses = [address for own in places.values() for address in own]
    with listen(host, *([port for of, port in ports if of == protocol] for protocol in ("tcp", "udp"))):
        # A busy machine may answer late, which looks like a port that is shut.
        for patience in (0.6, 5.0):
            done = trial_ports.judged(wanted, places, knock(host, peer, ports, addresses, patience))
            if not trial_ports.wrong(done):
                break
    return done, places


def knock(
    host: Host, peer: Host, ports: Collection[tuple[str, int]], addresses: Sequence[str], patience: float
) -> dict[tuple[str, str, int], State]:
    """Try ports of the host from addresses of the other at once; return each state by address, protocol and port.

    :param patience: how long to wait for an answer, in seconds.
    """

    def knock_from(address: str) -> dict[tuple[str, str, int], State]:
        targets = [Target(6 if ":" in address else 4, *key) for key in ports]
        found = reach(peer, host, targets, source_address=address, timeout=patience)
        return {(address, target.protocol, target.port): state for target, state in found.items()}

    with ThreadPoolExecutor(len(addresses)) as pool:
        return {key: state for found in pool.map(knock_from, addresses) for key, state in found.items()}


def instead(asked: Request, problem: HostsError) -> int:
    """Say in a sentence why nothing was tried, and show the rules as the firewall would have them."""
    *details, reason = str(problem).strip().splitlines()
    print(*details, sep="\n", end="\n" if details else "", file=sys.stderr, flush=True)
    products = ", ".join(asked.products)
    print(f"Nothing was tried: {reason.rstrip('.')}. For {asked.firewall}, the rules of {products} are:", flush=True)
    apply.render(asked.variables, [asked.firewall])
    return 1


def enter(host: Host) -> str:
    """The command with which a person enters a host."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    words = ["ssh", "-i", os.path.relpath(KEY), *(word for option in options for word in ("-o", option))]
    return shlex.join([*words, f"root@{host.address4}"])


def ignore() -> None:
    """Ignore Ctrl-C and its like from now on, so that nothing stops the removal of the hosts."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """What the first of ``SIGNALS`` does."""
    ignore()
    raise KeyboardInterrupt


@contextmanager
def removing(progress: Progress, lab: Lab) -> Iterator[Lab]:
    """Remove the hosts behind the block, however it ends."""
    try:
        yield lab
    finally:
        ignore()
        if lab.hosts:
            # They go also where nobody reads any more what the step says.
            with closing(lab), progress.step("Removing the hosts"):
                lab.close()


def on_hosts(progress: Progress, asked: Request) -> int:
    """Start the hosts, try it on them, and remove them; return the exit status."""
    progress.say(f"{', '.join(asked.products)} on a throwaway host: {system()} with {asked.firewall}")
    if ignored := unknown(os.environ):
        tell(f"Note: only make apply knows {', '.join(ignored)}: make try takes PRODUCTS, FIREWALL and KEEP")
    with ExitStack() as stack:
        try:
            if os.geteuid() != 0:
                raise HostsError("the throwaway hosts are containers, which only root can start (sudo make try)")
            prepare(progress)
            lab = stack.enter_context(removing(progress, Lab()))
            with progress.step("Starting the host, and a second one to try its ports from"):
                host, peer = start(lab, asked.firewall)
            tell(f"{host.name} has {asked.firewall}, {peer.name} tries its ports")
        except HostsError as problem:
            stack.close()
            return instead(asked, problem)
        try:
            problems = trial(progress, asked, host, peer)
        except (HostsError, PlayFailed) as problem:
            print(problem, file=sys.stderr)
            problems = ["the trial ended early, as said above"]
        if asked.keep:
            for kept in (host, peer):
                lab.keep(kept)
    if asked.keep:
        print(f"\nThe hosts stay. Enter the one with {asked.firewall}, and the one that tried its ports:\n")
        print(f"  {enter(host)}\n  {enter(peer)}\n\nRemove them: make clean-try\n")
    progress.say("Not as expected: " + ", ".join(problems) if problems else "All is as expected")
    return 1 if problems else 0


def main() -> int:
    """Run the program."""
    # The paths of this program's own modules are no other program's business.
    os.environ.pop("PYTHONPATH", None)
    try:
        asked = request(os.environ)
    except NotUnderstood as problem:
        print(f"make try: {problem}", file=sys.stderr)
        return 2
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        return on_hosts(Progress(float(os.environ.get("STARTED", time.time()))), asked)
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # As of `make try | head`. Python would write what is left to it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
