# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the plugins share: ways to ask a lookup and to render a template as Ansible itself does."""

# A subclass of a plain type would not do.
# pylint: disable=unidiomatic-typecheck

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

# Imports of Ansible are inside: `ansible-test units` shows tests of host code ansible.module_utils alone.


@pytest.fixture(autouse=True)
def _no_site_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETPORTS_APPLE_CATALOGUES", raising=False)
    monkeypatch.delenv("NETPORTS_APPLE_SUPPLEMENT", raising=False)


@pytest.fixture
def ask() -> Callable[..., list[dict[str, Any]]]:
    """Ask a lookup of the collection, found by Ansible's own loader: ``ask("ports", "FaceTime", protocol="udp")``."""

    from ansible.plugins.loader import lookup_loader

    def asking(name: str, *terms: Any, **options: Any) -> list[dict[str, Any]]:
        plugin = lookup_loader.get(f"netports.apple.{name}")
        answer: list[dict[str, Any]] = plugin.run(list(terms), variables={}, **options)
        return answer

    return asking


@pytest.fixture
def refusal(ask: Callable[..., Any]) -> Callable[..., str]:
    """The message with which a lookup refuses: an AnsibleError and nothing else."""

    from ansible.errors import AnsibleError

    def refused(name: str, *terms: Any, **options: Any) -> str:
        with pytest.raises(AnsibleError) as caught:
            ask(name, *terms, **options)
        message = str(caught.value)
        assert len(message) < 1500
        return message

    return refused


@pytest.fixture
def template() -> Callable[..., Any]:
    """Render a template with variables, as in a play: ``template("{{ query(…) }}", wanted=…)``."""

    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    def rendered(text: str, **variables: Any) -> Any:
        try:
            from ansible.template import trust_as_template
        except ImportError:
            # Before ansible-core 2.19 every template is trusted.
            return Templar(loader=DataLoader(), variables=variables).template(text)
        return Templar(loader=DataLoader(), variables=variables).template(trust_as_template(text))

    return rendered


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The warnings that plugins give, as they come."""
    from ansible.utils.display import Display

    given: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda self, msg, *args, **kwargs: given.append(msg))
    yield given


def plain(value: Any) -> bool:
    """Whether a value is of plain types all through, and not of the subclasses that Ansible tags values with."""
    if isinstance(value, (list, tuple)):
        return type(value) is list and all(map(plain, value))
    if isinstance(value, dict):
        return type(value) is dict and all(plain(item) for pair in value.items() for item in pair)
    return type(value) in (str, int, bool, type(None))


@pytest.fixture(name="plain")
def plain_fixture() -> Callable[[Any], bool]:
    return plain
