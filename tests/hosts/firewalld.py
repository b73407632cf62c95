# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks firewalld on a test host: its own firewall-cmd and its D-Bus, by one process that stays there.

A ``firewall-cmd`` of its own costs 0.2 s of the processor, most of it to import and to be told of firewalld's objects.
"""

from __future__ import annotations

from typing import Any

from .host import Host
from .machine import HostsError
from .resident import Resident

# Runs firewalld's own program for each list of arguments, with a client that stays connected for the life of firewalld;
# another process has to answer where firewalld is another one than before.
_SERVER = r"""
import contextlib, io, json, sys, traceback
import dbus
from dbus.mainloop.glib import DBusGMainLoop
import firewall.client

NAME, ROOT = "org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1"
DBusGMainLoop(set_as_default=True)
program = compile(open("/usr/bin/firewall-cmd").read(), "/usr/bin/firewall-cmd", "exec")
made, known = firewall.client.FirewallClient, {}

def owner():
    try:
        return str(dbus.SystemBus().get_name_owner(NAME))
    except dbus.DBusException:
        return ""

def client(*given, **more):
    life = owner()
    if not life:
        return made(*given, **more)
    if life not in known:
        known[life] = made(*given, **more)
    return known[life]

firewall.client.FirewallClient = client

def command(argv):
    sys.argv = ["firewall-cmd", *argv]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            exec(program, {"__name__": "__main__"})
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
    return [code, out.getvalue(), err.getvalue()]

def call(path, part, member, signature="", *given):
    return dbus.SystemBus().call_blocking(NAME, ROOT + path, NAME + part, member, signature, given, timeout=600)

def plain(value):
    # firewalld gives an empty list, or leaves its key out: the same. Its lists have no order, its tuples have.
    if isinstance(value, dict):
        items = {str(key): plain(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item != []}
    if isinstance(value, list):
        return sorted((plain(item) for item in value), key=json.dumps)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value)

def line(rule):
    return " ".join(" ".join(word) if isinstance(word, list) else str(word) for word in rule)

def named(kind, part=""):
    for name in filter(lambda name: part in name, call("/config", ".config", "get%sNames" % kind)):
        path = call("/config", ".config", "get%sByName" % kind, "s", name)
        yield str(name), str(path)[len(ROOT):]

def runtime(services):
    found = {"zones": {}, "policies": {}, "services": {}}
    for name in call("", ".zone", "getZones"):
        found["zones"][str(name)] = plain(call("", ".zone", "getZoneSettings2", "s", name))
    for name in call("", ".policy", "getPolicies"):
        found["policies"][str(name)] = plain(call("", ".policy", "getPolicySettings", "s", name))
    for name in call("", "", "listServices"):
        if services in name:
            found["services"][str(name)] = plain(call("", "", "getServiceSettings2", "s", name))
    direct = [call("", ".direct", "getAll" + what) for what in ("Chains", "Rules", "Passthroughs")]
    found["direct"] = sorted(line(rule) for part in direct for rule in part)
    return found

def permanent(services):
    found = {"zones": {}, "policies": {}, "services": {}}
    for name, path in named("Zone"):
        found["zones"][name] = plain(call(path, ".config.zone", "getSettings2"))
    for name, path in named("Policy"):
        found["policies"][name] = plain(call(path, ".config.policy", "getSettings"))
    for name, path in named("Service", services):
        found["services"][name] = plain(call(path, ".config.service", "getSettings2"))
    direct = call("/config", ".config.direct", "getSettings")
    found["direct"] = sorted(line(rule) for part in direct for rule in part)
    return found

print("ready", flush=True)
life = owner()
for text in sys.stdin:
    asked = json.loads(text)
    if owner() != life:
        print(json.dumps("anew"), flush=True)
        break
    if "argv" in asked:
        answer = command(asked["argv"])
    else:
        answer = {"runtime": runtime, "permanent": permanent}[asked["part"]](asked["services"])
    print(json.dumps(answer), flush=True)
"""

# What runs may be of before a restart of firewalld, or of the host.
_asked = Resident(_SERVER, attempts=2)


def cmd(host: Host, *words: str, check: bool = True) -> str:
    """What firewall-cmd prints for these arguments. Raises HostsError when check is set and it fails."""
    code, out, err = _asked.ask(host, {"argv": words})
    if check and code:
        raise HostsError(f"{host.name}: firewall-cmd {words} failed ({code}):\n{out}{err}")
    return str(out)


def runtime(host: Host, services: str = "apple-") -> dict[str, Any]:
    """All zones, policies and direct rules that firewalld has loaded, and the services of such a name."""
    found: dict[str, Any] = _asked.ask(host, {"part": "runtime", "services": services})
    return found


def permanent(host: Host, services: str = "apple-") -> dict[str, Any]:
    """The same of its permanent configuration."""
    found: dict[str, Any] = _asked.ask(host, {"part": "permanent", "services": services})
    return found
