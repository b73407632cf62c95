# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host still does its work: ports and pages that the controller has to reach on it."""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.common.validation import check_type_float, check_type_list
from ansible.module_utils.urls import ConnectionError as FailedToConnect
from ansible.module_utils.urls import open_url

from ansible_collections.netports.apple.plugins.module_utils import _ports

# Options of the module that the controller alone reads.
OPTIONS = ("health_ports", "health_urls", "health_timeout")
# The time in seconds between two tries.
_PAUSE = 1.0
# What a try takes at most, in seconds, so that a silent host is asked more than once.
_TRY = 5.0


@dataclass(frozen=True)
class Checks:
    """What a host has to answer.

    :param ports: TCP ports.
    :param urls: pages, which have to be there (HTTP status 200 to 299, after redirections).
    :param timeout: how long each may take, in seconds.
    """

    ports: tuple[int, ...]
    urls: tuple[str, ...]
    timeout: float


def asked(options: Mapping[str, Any]) -> Checks:
    """Read the options of a task.

    :raises ValueError: an option's value; the message names the option, and the playbooks' variable for it.
    """
    try:
        ports = [_port(value) for value in _list(options.get("health_ports"))]
    except (TypeError, ValueError) as error:
        raise ValueError(f"health_ports (netports_health_ports): {error}") from error
    try:
        urls = [_url(value) for value in _list(options.get("health_urls"))]
    except (TypeError, ValueError) as error:
        raise ValueError(f"health_urls (netports_health_urls): {error}") from error
    given = options.get("health_timeout") or 30
    try:
        timeout = check_type_float(given)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"health_timeout (netports_health_timeout): {_ports.shown(given)} is not a number of seconds"
        ) from error
    return Checks(ports=tuple(ports), urls=tuple(urls), timeout=timeout)


def problem(checks: Checks, address: str, until: float | None = None) -> str:
    """Ask a host, each port and page again and again until it answers.

    :param address: the host's address, as the connection to it uses it.
    :param until: when the answers are no longer of use, by ``time.monotonic()``; ``None`` for never.
    :returns: the first that does not answer and why; empty when all do.
    """
    for port in checks.ports:
        why = _answers(functools.partial(_reach, address, port), checks.timeout, until)
        if why:
            return f"port {port} of {address} cannot be reached: {why}"
    for url in checks.urls:
        why = _answers(functools.partial(_get, url), checks.timeout, until)
        if why:
            return f"{url} cannot be read: {why}"
    return ""


def _answers(attempt: Callable[[float], None], timeout: float, until: float | None) -> str:
    end = time.monotonic() + timeout
    end = end if until is None else min(end, until)
    while True:
        left = end - time.monotonic()
        try:
            attempt(max(0.1, min(left, _TRY)))
        except (FailedToConnect, HTTPException, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
        else:
            return ""
        if time.monotonic() + _PAUSE >= end:
            return why
        time.sleep(_PAUSE)


def _reach(address: str, port: int, seconds: float) -> None:
    socket.create_connection((address, port), timeout=seconds).close()


def _get(url: str, seconds: float) -> None:
    open_url(url, timeout=seconds).close()


def _list(value: Any) -> list[Any]:
    """Several values: a list, a single number, or a text with commas."""
    found: list[Any] = [] if value is None or value == "" else check_type_list(value)
    return found


def _port(value: Any) -> int:
    first, last = _ports.parse(value.strip() if isinstance(value, str) else value)
    if first != last:
        raise ValueError(f"{_ports.shown(value)} is a range: give the ports one by one")
    return first


def _url(value: Any) -> str:
    text = str(value).strip()
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).netloc:
        raise ValueError(f"{_ports.shown(value)} is not a page: give http:// or https:// and a host")
    return text
