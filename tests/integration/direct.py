# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role does to a host, without a play: a sixth of the processor's time.

It is for tests that ask many things of a host. That the role itself comes to the same, each of them asks once by a play.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible.plugins.loader import lookup_loader

from hosts import Host
from hosts.code import module

# How long a change waits for its confirmation: longer than any machine takes.
SECONDS = 900


def rules(products: Iterable[str], **options: Any) -> list[dict[str, Any]]:
    """The rules that the role makes of products, by the lookup that it asks."""
    asked = {"products": list(products), **options}
    found: list[dict[str, Any]] = lookup_loader.get("netports.apple.rules").run([asked], variables={})
    return found


def run(host: Host, fails: bool = False, ssh: int = 0, port: int = 22, **arguments: Any) -> dict[str, Any]:
    """Run the module as its action plugin does: a change waits, and a second run confirms it. What the first returned.

    :param fails: whether the first has to fail.
    :param ssh: 4 or 6 for runs over connections of that family, which the module then finds and keeps admitted.
    :param port: the port of these connections.
    :param arguments: the module's; ``confirm_seconds=0`` for a change that does not wait.
    """
    waits = {"confirm_seconds": SECONDS, "_confirm": {"step": "apply", "id": ""}}
    code, result = module(host, ssh=ssh, port=port, **{**waits, **arguments})
    assert (code != 0) == fails, result
    waiting = result.pop("confirm", None)
    if waiting:
        answer = module(host, ssh=ssh, port=port, _confirm={"step": "confirm", "id": waiting["id"]})[1]["confirm"]
        assert answer["state"] == "confirmed", answer
    return result


def apply(host: Host, products: Iterable[str] = (), **options: Any) -> dict[str, Any]:
    """Apply products as the role does, and return what the module returned.

    :param options: `check`, and the role's variables that are about the rules, without ``host_firewall_``.
    """
    check = options.pop("check", False)
    return run(host, check=check, rules=rules(products, **options))


def remove(host: Host) -> dict[str, Any]:
    """Remove the ruleset as the role does with ``host_firewall_state: absent``."""
    return run(host, state="deleted")
