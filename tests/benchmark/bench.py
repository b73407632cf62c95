# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench` runs: this collection beside its peers, in one run, on real test hosts; writes docs/benchmarks.md.

Counted on the host: processes that its kernel accounted for, and bytes that they made dirty in files. Counted on the
controller: calls of ssh. Seconds are those of the tasks alone, as the controller sees them; medians of several runs,
each on a fresh host.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from benchmark import fleet

from hosts import Host, Lab, play
from hosts.host import NFTABLES
from hosts.payload import payload
from hosts.plays import collections

ROOT = Path(__file__).resolve().parents[2]
REPEATS = int(os.environ.get("REPEATS", "3"))
REMOVED = "AirPlay"
# Where tools/bench.sh puts the peer that is a role, when it can be had.
ROLES = ROOT / ".test" / "bench-roles"
ENVIRONMENT = {"ANSIBLE_ROLES_PATH": str(ROLES)}
SYSTEM_ROLE = "linux-system-roles.firewall"
FLEET = (500, 20)
PHASES = ("first run", "second run", "one product removed")
Tasks = list[dict[str, Any]]


class Figures(NamedTuple):
    """What one phase cost."""

    calls: float
    processes: float
    seconds: float
    written: float


class Way(NamedTuple):
    """One way of opening ports: its tasks for all products, and those that take one product away."""

    name: str
    firewall: str
    full: Tasks
    less: Tasks


class Opening(NamedTuple):
    """One thing that a loop has to open: a port in a direction, inbound from one network or, "", from anywhere."""

    direction: str
    protocol: str
    port: str
    network: str


def openings(*, without: str = "") -> list[Opening]:
    """Everything that the catalogue's products need, each once, with the role's own defaults for who may come in.

    :param without: a product; what it alone needs is left out.
    """
    catalogue = json.loads((ROOT / "data" / "catalogue.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((ROOT / "roles/host_firewall/defaults/main.yml").read_text(encoding="utf-8"))
    name = {identifier: product["name"]["en"] for identifier, product in catalogue["products"].items()}
    return sorted(
        {
            Opening(direction, entry["protocol"], entry["port"], network)
            for entry in catalogue["entries"]
            if entry["product"] and name[entry["product"]] != without
            for direction in ("in", "out")
            if entry["direction"] in (direction, "both")
            for network in (
                defaults["host_firewall_local_networks"] if (direction, entry["scope"]) == ("in", "local") else ("",)
            )
        }
    )


def ours(name: str, firewall: str, products: str, directions: str = "['in', 'out']") -> Way:
    """The module, with all of the given products and then without one."""

    def task(expression: str) -> Tasks:
        rules = f"{{{{ query('netports.apple.ports', *({expression})) | netports.apple.rules({directions}) }}}}"
        return [{"name": "Rules", "netports.apple.host_firewall": {"rules": rules, "backend": firewall}}]

    return Way(name, firewall, task(products), task(f"{products} | difference(['{REMOVED}'])"))


def loop(module: str, firewall: str, full: list[dict[str, Any]], gone: list[dict[str, Any]]) -> Way:
    """A loop of a peer's module over single ports, and one that closes what is no longer wanted."""

    def task(name: str, items: list[dict[str, Any]]) -> Tasks:
        keys = {key: f"{{{{ item.{key} | default(omit) }}}}" for key in sorted({key for item in items for key in item})}
        return [{"name": name, module: keys, "loop": items, "loop_control": {"label": "port"}}]

    return Way(f"loop over {module}", firewall, task("Rules", full), task("Gone", gone))


def system_role(firewall: str, full: list[dict[str, Any]], gone: list[dict[str, Any]]) -> list[Way]:
    """The role of linux-system-roles, with all ports in one call, as its users write it; none where it is not there."""
    if not (ROLES / SYSTEM_ROLE).is_dir():
        return []

    def task(rows: list[dict[str, Any]]) -> Tasks:
        settings = [
            {key: found, "state": rows[0]["state"], "permanent": True, "runtime": True}
            for key in ("port", "rich_rule")
            if (found := [row[key] for row in rows if key in row])
        ]
        return [{"ansible.builtin.include_role": {"name": SYSTEM_ROLE}, "vars": {"firewall": settings}}]

    return [Way(SYSTEM_ROLE, firewall, task(full), task(gone))]


def _nft(one: Opening) -> tuple[str, str]:
    """The chain of an opening and its rule, as nft prints it."""
    source = f"{'ip6' if ':' in one.network else 'ip'} saddr {one.network} " if one.network else ""
    return {"in": "input", "out": "output"}[one.direction], f"{source}{one.protocol} dport {one.port} accept"


def nft_file(full: list[Opening], less: list[Opening]) -> Way:
    """The whole of the administrator's file from a template, checked and loaded by a reload, as most roles have it."""

    def tasks(items: list[Opening]) -> Tasks:
        text = NFTABLES
        for one in reversed(items):
            chain, rule = _nft(one)
            head, hook, rest = text.partition(f"hook {chain} priority filter;")
            policy, end, body = rest.partition("\n")
            text = f"{head}{hook}{policy}{end}\t\t{rule}\n{body}"
        copy = {"content": text, "dest": "/etc/nftables.conf", "mode": "0755", "validate": "nft -c -f %s"}
        reload = {"name": "nftables", "state": "reloaded"}
        return [
            {"name": "File", "ansible.builtin.copy": copy, "register": "written"},
            {"name": "Load", "ansible.builtin.systemd_service": reload, "when": "written is changed"},
        ]

    return Way("template of the whole file, and a reload", "nftables", tasks(full), tasks(less))


def nft_loop(full: list[Opening], gone: list[Opening]) -> Way:
    """A loop of nft's commands over what the chains do not have yet, saved to the file; and by handle what is to go."""
    where = "inet filter {{ item.chain }}"
    save = "{ echo '#!/usr/sbin/nft -f'; echo 'flush ruleset'; nft -s list ruleset; } >/etc/nftables.conf"

    def tasks(command: str, condition: str, items: list[Opening]) -> Tasks:
        rows = [dict(zip(("chain", "rule"), _nft(one), strict=True)) for one in items]
        rules = {"ansible.builtin.command": "nft -a list ruleset", "register": "rules", "changed_when": False}
        wanted = {"when": condition, "loop": rows, "loop_control": {"label": "{{ item.rule }}"}, "register": "made"}
        return [
            {"name": "What is there", **rules},
            {"name": "Rules", "ansible.builtin.command": command, **wanted},
            {"name": "Save", "ansible.builtin.shell": save, "when": "made is changed"},
        ]

    line = "rules.stdout is search('\\n\\s*' ~ (item.rule | regex_escape) ~ ' # handle')"
    handle = (
        "{{ rules.stdout | regex_search('\\n\\s*' ~ (item.rule | regex_escape) ~ ' # handle (\\d+)', '\\1') | first }}"
    )
    return Way(
        "loop over nft insert rule",
        "nftables",
        tasks(f"nft insert rule {where} {{{{ item.rule }}}}", f"not ({line})", full),
        tasks(f"nft delete rule {where} handle {handle}", line, gone),
    )


def ways() -> list[Way]:
    """Everything that is measured."""
    everything, less = openings(), openings(without=REMOVED)
    gone = [one for one in everything if one not in less]
    names = "query('netports.apple.products') | map(attribute='name') | list"

    def ufw(items: list[Opening], **more: Any) -> list[dict[str, Any]]:
        return [
            {
                "rule": "allow",
                "direction": one.direction,
                "proto": one.protocol,
                "to_port": one.port.replace("-", ":"),
                **({"from_ip": one.network} if one.network else {}),
                **more,
            }
            for one in items
        ]

    def firewalld(items: list[Opening], state: str) -> list[dict[str, Any]]:
        # Inbound alone: neither peer has outbound rules.
        return [
            {**({"rich_rule": _rich(one)} if one.network else {"port": f"{one.port}/{one.protocol}"}), "state": state}
            | {"permanent": True, "immediate": True}
            for one in items
            if one.direction == "in"
        ]

    return [
        ours("netports.apple, all products", "ufw", names),
        ours("netports.apple, two products", "ufw", "['FaceTime', 'AirPlay']"),
        loop("community.general.ufw", "ufw", ufw(everything), ufw(gone, delete=True)),
        ours("netports.apple, all products", "firewalld", names),
        ours("netports.apple, all products, inbound alone", "firewalld", names, "['in']"),
        loop("ansible.posix.firewalld", "firewalld", firewalld(everything, "enabled"), firewalld(gone, "disabled")),
        *system_role("firewalld", firewalld(everything, "enabled"), firewalld(gone, "disabled")),
        ours("netports.apple, all products", "nftables", names),
        nft_file(everything, less),
        nft_loop(everything, gone),
    ]


def _rich(one: Opening) -> str:
    family = "ipv6" if ":" in one.network else "ipv4"
    port = f'port port="{one.port}" protocol="{one.protocol}"'
    return f'rule family="{family}" source address="{one.network}" {port} accept'


@contextmanager
def written(host: Host) -> Iterator[list[int]]:
    """Count the bytes that ssh's sessions make dirty in files: sshd has its children's counts when they are gone."""
    count = "awk '/^write_bytes/ {print $2}' /proc/$(systemctl show --property MainPID --value ssh)/io"

    def settled() -> int:
        host.run(["sh", "-c", "pkill -f 'sshd: [a-z]+@' || true"])
        time.sleep(0.5)
        return int(host.run(["sh", "-c", count]).out)

    found: list[int] = []
    before = settled()
    yield found
    found.append(settled() - before)


def measure(host: Host, tasks: Tasks) -> Figures:
    """Run tasks once on a host and count."""
    # Facts and the connection are there beforehand, as in a play of some length.
    with written(host) as dirty, host.processes() as seen:
        started = time.monotonic()
        run = play(host, tasks, timeout=1200, env=ENVIRONMENT)
        total = time.monotonic() - started
    empty = time.monotonic()
    # With the same environment, which has Ansible start in a process of its own, too.
    play(host, [{"name": "Nothing", "ansible.builtin.meta": "noop"}], env=ENVIRONMENT)
    overhead = time.monotonic() - empty
    return Figures(
        run.remote_calls(host), len([one for one in seen.all if one.execed]), max(total - overhead, 0), dirty[0]
    )


def bench_firewalls() -> list[str]:
    """Measure every way; return the lines of a table."""
    lines = [
        "| firewall | way | phase | remote calls | processes on the host | seconds | bytes written |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    lab = Lab()
    try:
        for way in ways():
            found: dict[str, list[Figures]] = {phase: [] for phase in PHASES}
            for _time in range(REPEATS):
                host = lab.start("bookworm", way.firewall)
                for phase, tasks in zip(PHASES, (way.full, way.full, way.less), strict=True):
                    found[phase].append(measure(host, tasks))
                lab.stop(host)
            for phase in PHASES:
                one = Figures(*(statistics.median(column) for column in zip(*found[phase], strict=True)))
                lines.append(
                    f"| {way.firewall} | {way.name} | {phase} | {one.calls:.0f} | {one.processes:.0f} |"
                    f" {one.seconds:.2f} | {one.written:.0f} |"
                )
                print(lines[-1], flush=True)
    finally:
        lab.close()
    return lines


# The last version whose module loaded every firewall.
WHOLE = "3eaaeb6"
# As plugins/modules/host_firewall.py begins: with the importer of the archive.
START = """
import sys, time
sys.path.insert(0, sys.argv[1])
import ansible.module_utils.basic
start = time.process_time()
if sys.argv[2]:
    from ansible_collections.netports.apple.plugins.module_utils import _archive
    _archive.compile_once()
    from ansible_collections.netports.apple.plugins.module_utils import _run
    if sys.argv[4] == "changes":
        from ansible_collections.netports.apple.plugins.module_utils._confirm import change
    from ansible_collections.netports.apple.plugins.module_utils._firewalls import base, registry
    try:
        host = base.Host(run=lambda argv, stdin: (1, "", "not here"), root=sys.argv[3])
        registry.load(sys.argv[2])(host).read(base.Asked(ruleset="apple"))
    except (base.FirewallError, OSError):
        pass
else:
    from ansible_collections.netports.apple.plugins.module_utils import _host_firewall
print(time.process_time() - start)
"""


def bench_start() -> list[str]:
    """The collection's code that a run loads, from the archive that a host gets.

    It is on this machine, beside what it was when it loaded every firewall. As on a host, Python compiles the archive's
    code each time, and has its own from its cache.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = folder / "old/ansible_collections/netports/apple"
        for path in (old, folder / "before", folder / "now", folder / "root"):
            path.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", WHOLE], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
        sent = {"before": payload(folder / "old", folder / "before"), "now": payload(collections(), folder / "now")}
        for word, data in sent.items():
            (folder / f"{word}.zip").write_bytes(data)
        ways = {f"{WHOLE}, every firewall": ("before", "", "")}
        for firewall in ("ufw", "firewalld", "nftables", "pf"):
            ways[f"now, {firewall}, a run that changes nothing"] = ("now", firewall, "")
            ways[f"now, {firewall}, a run that changes something"] = ("now", firewall, "changes")
        found: dict[str, list[float]] = {title: [] for title in ways}
        for _number in range(15):
            for title, (word, firewall, changes) in ways.items():
                argv = [sys.executable, "-c", START, f"{folder}/{word}.zip", firewall, f"{folder}/root", changes]
                found[title].append(float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout))
    lines = [
        "| version | processor's seconds to load the module's code, median of 15 | of what it was | bytes sent |",
        "|---|---:|---:|---:|",
    ]
    before = statistics.median(found[f"{WHOLE}, every firewall"])
    for title, times in found.items():
        median = statistics.median(times)
        lines.append(f"| {title} | {median:.3f} | {100 * median / before:.0f} % | {len(sent[ways[title][0]])} |")
    return lines


def processor_seconds(tasks: Tasks, hosts: int) -> float:
    """The processor's seconds of a run of tasks over many hosts that exist in the inventory alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hosts").write_text("\n".join(f"h{number} ansible_connection=local" for number in range(hosts)))
        (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections()), "ANSIBLE_FORKS": "2"}
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(folder / "hosts"), str(folder / "play.yml")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bench_lookup() -> list[str]:
    """Measure the lookup in one template, and in a run over many hosts."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar

    init_plugin_loader([str(collections())])
    catalogue = json.loads((ROOT / "data" / "catalogue.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        rows = [(one["product"] or "", one["port"], one["protocol"]) for one in catalogue["entries"]]
        (Path(name) / "ports.csv").write_text("".join(",".join(row) + "\n" for row in rows))
        table = [dict(zip(("product", "port", "protocol"), row, strict=True)) for row in rows]
        (Path(name) / "ports.yml").write_text(json.dumps(table))
        asked = {
            "netports.apple.ports": "{{ query('netports.apple.ports', 'FaceTime') }}",
            "ansible.builtin.csvfile": f"{{{{ query('csvfile', 'facetime file={name}/ports.csv delimiter=,') }}}}",
            "file and from_yaml": f"{{{{ lookup('file', '{name}/ports.yml') | from_yaml"
            " | selectattr('product', 'eq', 'facetime') }}",
        }
        lines = ["| lookup | first, ms | then each, ms | 1,000 in one template, ms |", "|---|---:|---:|---:|"]
        for title, text in asked.items():
            templar = Templar(loader=DataLoader(), variables={})
            template = _trusted(text)
            many = _trusted(
                "{% for n in range(1000) %}"
                + text.replace("{{", "{{ (").replace("}}", ") | length }}")
                + "{% endfor %}"
            )
            cold = _seconds(templar.template, template)
            warm = statistics.median(_seconds(templar.template, template) for _time in range(30))
            thousand = _seconds(templar.template, many)
            lines.append(f"| {title} | {cold * 1e3:.1f} | {warm * 1e3:.2f} | {thousand * 1e3:.0f} |")
            print(lines[-1], flush=True)
    hosts = 50
    lines += [
        "",
        f"| run over {hosts} hosts, in seconds of processor | without | with 20 lookups a host | more |",
        "|---|---:|---:|---:|",
    ]
    for title, apart in (("20 tasks with a lookup each", True), ("one task with 20 lookups", False)):
        before, after = (
            statistics.median(processor_seconds(fleet.facts(expression, apart), hosts) for _time in range(REPEATS))
            for expression in fleet.EXPRESSIONS
        )
        lines.append(f"| {title} | {before:.1f} | {after:.1f} | {(after / before - 1) * 100:.0f} % |")
        print(lines[-1], flush=True)
    lines += fleet.lookups(hosts, REPEATS)
    print(lines[-1], flush=True)
    return lines


def _trusted(text: str) -> Any:
    try:
        from ansible.template import trust_as_template
    except ImportError:
        return text
    return trust_as_template(text)


def _seconds(call: Callable[[Any], object], argument: Any) -> float:
    started = time.perf_counter()
    call(argument)
    return time.perf_counter() - started


def introduction(measured: str) -> str:
    """What the page says before its tables.

    :param measured: the table of one host.
    """
    from ansible.release import __version__

    inbound = sum(one.direction == "in" for one in openings())
    left_out = "" if SYSTEM_ROLE in measured else f" {SYSTEM_ROLE} could not be installed and is left out."
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return textwrap.dedent(
        f"""\
        # Benchmarks

        Written by `make bench`, which measures the collection and its peers, those of a firewall in one run. Medians of
        {REPEATS} runs, those of one host each on a fresh Debian 12; ansible-core {__version__} on Python
        {platform.python_version()}, {os.cpu_count()} cores of {processor.group(1) if processor else platform.machine()}.

        One host: the same for all, what the role opens by default for all products, {len(openings())} openings of one port or
        range in one direction, inbound from one network or from anywhere. On firewalld the peers open the inbound ones
        alone, {inbound}, since they have no outbound rules; beside them stands what the collection takes for the same.
        On nftables there is no module to compare with: a template of the whole file with a reload owns the file, and its
        reload takes away the rules of everybody else, container engines' too; the loop runs nft for each rule that is missing.
        "One product removed" takes away {REMOVED}; for the peers, only what no other product needs, which a user of a
        loop has to work out beforehand. Seconds are the run's, less those of a run that does nothing; processes are all
        that were started on the host, the login's own among them.{left_out}

        """
    )


def main() -> int:
    """Measure what PARTS names (all, when it is empty), print it, and write it into docs/benchmarks.md."""
    parts: dict[str, Callable[[], list[str]]] = {
        "One host": bench_firewalls,
        "Start of the module": bench_start,
        "Lookup": bench_lookup,
        "A fleet": lambda: [*fleet.standin(FLEET[0]), "", *fleet.real(FLEET[1])],
    }
    page = ROOT / "docs" / "benchmarks.md"
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = {title: text.strip() for title, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", old, re.MULTILINE)}
    asked = [part.strip() for part in os.environ.get("PARTS", "").split(",") if part.strip()] or list(parts)
    for title in asked:
        sections[title] = "\n".join(parts[title]())
        print(sections[title])
    text = introduction(sections.get("One host", "")) + "".join(
        f"## {title}\n\n{sections[title]}\n\n" for title in parts if title in sections
    )
    page.write_text(text.rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
