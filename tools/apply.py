# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make apply` runs: show what would change, ask, change it.

Everything comes by the environment, so that no shell ever reads a user's words:

    PRODUCTS="FaceTime, AirPlay"  SERVICES=ldaps   what to allow, separated by commas
    SIDE=client  PORTS=21064                       which side the host is; ports of the site's own
    SOURCES= DESTINATIONS=                         networks, separated by commas
    DIRECTIONS="in, out"  INTERFACE=  ZONE=        as the role's variables of these names
    DIRECTIONS=forward  OUT_INTERFACE=             on a gateway
    STATE=absent                                   remove all of it again
    BACKEND=ufw|firewalld|nftables|pf  ENABLE=yes  which firewall; switch it on
    ACCEPT=no-way-in                               what would be refused otherwise
    HOSTS=inventory.yml                            other machines than this one
    CHECK=yes                                      only show
    CONFIRM=yes                                    do not ask

Exit status: 0 done, shown, or nothing to do; 1 refused, failed, or answered with no; 2 not understood.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LISTS = ("PRODUCTS", "SERVICES", "PORTS", "SOURCES", "DESTINATIONS", "DIRECTIONS", "ACCEPT")
WORDS = ("SIDE", "INTERFACE", "OUT_INTERFACE", "ZONE", "STATE", "BACKEND", "RULESET", "ENABLE")
BACKENDS = ("ufw", "firewalld", "nftables", "pf")
# The module's code for a host without a firewall that is in use: module_utils/_notices.py.
NO_FIREWALL = "no-firewall"

Result = dict[str, Any]


def switch(name: str) -> bool:
    """Read a yes-or-no variable of the environment."""
    return os.environ.get(name, "").strip().lower() in ("yes", "y", "true", "1")


def role_variables() -> dict[str, Any]:
    """Turn the environment into the role's variables; what is not set is left to the role."""
    variables: dict[str, Any] = {}
    for name in LISTS:
        words = [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]
        if words:
            variables[f"host_firewall_{name.lower()}"] = words
    for name in WORDS:
        if os.environ.get(name, "").strip():
            variables[f"host_firewall_{name.lower()}"] = os.environ[name].strip()
    return variables


def play(variables: dict[str, Any], playbook: str, become: bool = True) -> tuple[int, list[Result], str]:
    """Run a playbook; return its exit status, what the tasks returned, and what it printed.

    :param become: whether it has to become root on this machine.
    """
    hosts = os.environ.get("HOSTS", "").strip()
    with tempfile.TemporaryDirectory(prefix="netports-") as name:
        folder = Path(name)
        results = folder / "results"
        results.touch()
        inventory = {
            "all": {
                "hosts": {
                    "localhost": {
                        "ansible_connection": "local",
                        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    }
                }
            }
        }
        (folder / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
        (folder / "variables.json").write_text(json.dumps(unsafe(variables)), encoding="utf-8")
        words = ["-i", hosts or str(folder / "inventory.json"), "-e", f"@{folder / 'variables.json'}", playbook]
        if not hosts and os.geteuid() == 0:
            words += ["-e", "netports_become=false"]
        elif become and not hosts and asks_for_a_password():
            words.append("--ask-become-pass")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tools" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "netports_results",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "NETPORTS_RESULTS": str(results),
        }
        status, printed = ansible_playbook(words, environment)
        return status, [json.loads(line) for line in results.read_text().splitlines()], printed


def ansible_playbook(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run ansible-playbook; return its exit status, and what it printed."""
    command = [sys.executable, "-m", "ansible", "playbook", *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


def asks_for_a_password() -> bool:
    """Whether sudo wants one of this user."""
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode != 0


def no_way_to_root() -> str:
    """Why this user cannot become root on this machine, whose firewall is nobody else's; empty where that works."""
    if os.geteuid() == 0:
        return ""
    if not shutil.which("sudo"):
        return "only root can read and change this machine's firewall: run it as root, or install sudo"
    if asks_for_a_password() and not sys.stdin.isatty():
        return "only root can read and change this machine's firewall, and sudo has no terminal to ask for a password: run it as root"
    return ""


def unsafe(value: Any) -> Any:
    """Mark all texts as data, in which Ansible never looks for a template (its JSON form of a ``!unsafe`` string)."""
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    return {"__ansible_unsafe": value} if isinstance(value, str) else value


def codes(result: Result) -> list[str]:
    """The codes of what the module noticed."""
    return [notice["code"] for notice in result.get("notices", [])]


def sentences(results: list[Result]) -> dict[str, list[str]]:
    """The changes of each host in words, as the playbook ``netports.apple.preview`` shows them."""
    shown: dict[str, list[str]] = {}
    for result in results:
        if result["action"].endswith("debug") and isinstance(result["result"].get("msg"), dict):
            shown.update(result["result"]["msg"])
    return shown


def show(result: Result, words: list[str]) -> None:
    """Print what a run changes on one host, and what it warns of.

    :param words: the changes, a sentence each.
    """
    for sentence in words:
        print(f"  {sentence}")
    for warning in result.get("warnings", []):
        print(f"  Note: {warning}")


def render(variables: dict[str, Any], backends: Sequence[str] = BACKENDS) -> int:
    """Print the rules in the form of each firewall of `backends`; return the exit status."""
    tasks = [
        {
            "name": backend,
            "netports.apple.host_firewall": {
                "state": "rendered",
                "backend": backend,
                "rules": "{{ __host_firewall_wanted }}",
                "ruleset": "{{ host_firewall_ruleset }}",
            },
        }
        for backend in backends
        # pf has no forward rules.
        if backend != "pf" or "forward" not in variables.get("host_firewall_directions", [])
    ]
    text = [
        {
            "name": "Show the rules",
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": [str(ROOT / "roles/host_firewall" / part / "main.yml") for part in ("defaults", "vars")],
            "tasks": tasks,
        }
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="netports-", encoding="utf-8") as playbook:
        json.dump(text, playbook)
        playbook.flush()
        status, results, printed = play(variables, playbook.name, become=False)
    for result in results:
        for path, content in result["result"].get("rendered", {}).items():
            print(f"\n== {result['result']['backend']}: {path}\n{content}", end="")
    if status:
        print(printed, file=sys.stderr)
    return status


def main() -> int:
    """Run the program."""
    variables = role_variables()
    absent = variables.get("host_firewall_state") == "absent"
    if not absent and not any(f"host_firewall_{name}" in variables for name in ("products", "services")):
        print(
            'Name what to allow, for example: make apply PRODUCTS="FaceTime, AirPlay"\n'
            "All products: docs/products.md. To remove everything again: make apply STATE=absent",
            file=sys.stderr,
        )
        return 2
    if not os.environ.get("HOSTS", "").strip() and (why := no_way_to_root()):
        print(f"Nothing was changed: {why}.", file=sys.stderr)
        return 1
    status, results, printed = play(variables, "netports.apple.preview")
    firewalls = [one for one in results if one["action"] == "netports.apple.host_firewall"]
    if any(NO_FIREWALL in codes(one["result"]) for one in firewalls) and not os.environ.get("HOSTS"):
        print(
            f"This machine uses no firewall that netports.apple manages ({', '.join(BACKENDS)}), so nothing was changed.\n"
            "Install one (for example: apt-get install ufw), or switch nftables on (BACKEND=nftables ENABLE=yes), and run "
            "this again. The rules would be:"
        )
        return render(variables)
    if not planned(results, firewalls) or status:
        if not unsuccessful(results):
            print(printed, file=sys.stderr)
        return 1
    if not firewalls:
        print(f"Nothing was changed: {os.environ['HOSTS']!r} has no host (HOSTS).", file=sys.stderr)
        return 1
    if switch("CHECK") or not any(one["result"]["changed"] for one in firewalls):
        return 0
    if not switch("CONFIRM") and not agreed():
        return 1
    return carry_out(variables)


def unsuccessful(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of tasks that failed, and of hosts that cannot be reached."""
    return [one for one in results if one["status"] in ("failed", "unreachable")]


def planned(results: list[dict[str, Any]], firewalls: list[dict[str, Any]]) -> bool:
    """Show what would change, host by host, and what failed; say whether nothing did."""
    words = sentences(results)
    for one in firewalls:
        if one["status"] == "ok":
            state = "would change" if one["result"]["changed"] else "is as wanted already"
            print(f"{one['host']}: {one['result']['backend']} {state}")
            show(one["result"], words.get(one["host"], []))
    for one in unsuccessful(results):
        print(f"{one['host']}: {one['result'].get('msg')}", file=sys.stderr)
    return not unsuccessful(results)


def agreed() -> bool:
    """Ask whether to go on."""
    try:
        answer = input("\nMake these changes? [y/N] ")
    except EOFError:
        answer = ""
        print()
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("Nothing was changed. CONFIRM=yes asks nothing.")
    return False


def carry_out(variables: dict[str, Any]) -> int:
    """Make the changes; return the program's exit code."""
    status, results, printed = play(variables, "netports.apple.apply")
    for one in results:
        if one["action"] == "netports.apple.host_firewall":
            message = "done" if one["status"] == "ok" else one["result"].get("msg")
            print(f"{one['host']}: {message}")
    if status:
        print(printed, file=sys.stderr)
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
