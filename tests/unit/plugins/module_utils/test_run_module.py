# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the module ends where the host refuses: with a message that says what would do, and a code."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import pytest

from ansible_collections.netports.apple.plugins.module_utils import _notices, _run
from ansible_collections.netports.apple.plugins.module_utils._firewalls.base import FirewallError
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError


class Ended(Exception):
    """The module's end."""


class Module:
    """As much of an AnsibleModule as a failing run needs."""

    params: ClassVar[dict[str, Any]] = {"state": "replaced"}
    check_mode = False

    def fail_json(self, **result: Any) -> NoReturn:
        raise Ended(result)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FirewallError("nft cannot list the ruleset: Operation not permitted"), "not-root",
         "nft cannot list the ruleset: Operation not permitted. Become root (become: true); nothing was changed."),
        (FirewallError("two are in use", code="several-firewalls"), "several-firewalls", "two are in use."),
        (RuleError("port 0 is out of range"), "other", "port 0 is out of range."),
        (PermissionError(13, "Permission denied", "/etc/ufw/user.rules"), "not-root",
         "/etc/ufw/user.rules is closed to this user: become root (become: true); nothing was changed."),
        (OSError(28, "No space left on device"), "other", "[Errno 28] No space left on device: nothing was changed."),
    ],
)  # fmt: skip
def test_what_the_host_refuses(monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, said: str) -> None:
    """To a user that is not root."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    def fails(*_arguments: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(_run, "execute", fails)
    with pytest.raises(Ended) as caught:
        _run.run_module(Module())
    result = caught.value.args[0]
    assert result["msg"] == said and result["notices"] == [{"code": code, "text": said, "rules": [], "direction": ""}]


@pytest.mark.parametrize(
    ("direction", "sources", "said"),
    [("in", (), True), ("forward", (), True), ("out", (), False), ("forward", ("192.0.2.0/24",), False)],
)
def test_many_ports_from_anywhere_are_said(direction: str, sources: tuple[str, ...], said: bool) -> None:
    """Forwarded ones, too: such as those on which AirPlay receivers connect back, with sources: [any]."""
    rule = Rule(name="AirPlay receiver", direction=direction, tcp=((32768, 65535),), udp=(), sources=sources)
    assert [(one.code, one.direction) for one in _notices.wide([rule])] == [("wide", direction)] * said
