# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health check, against a real server on this machine."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ansible_collections.netports.apple.plugins.plugin_utils import _health


class Pages(http.server.BaseHTTPRequestHandler):
    """A page that is there, and others that are not."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 503)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def problem(timeout: float = 30, until: float | None = None, **options: object) -> str:
    return _health.problem(_health.asked({"health_timeout": timeout, **options}), "127.0.0.1", until)


def test_what_answers_is_healthy(port: int) -> None:
    assert problem(health_ports=[port], health_urls=[f"http://127.0.0.1:{port}/"]) == ""
    assert problem(health_ports=f" {port} ") == problem() == ""


def test_what_does_not_answer_is_named(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than the checks may take, so each is asked once.
    monkeypatch.setattr(_health, "_PAUSE", 3600)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        number = closed.getsockname()[1]
        assert problem(60, health_ports=[port, number]).startswith(f"port {number} of 127.0.0.1 cannot be reached: ")
    url = f"http://127.0.0.1:{port}/gone"
    said = problem(60, health_urls=[url])
    assert said.startswith(f"{url} cannot be read: ") and "503" in said
    # Nobody waits that long.
    assert "503" in problem(36000, until=time.monotonic() + 60, health_urls=[url])


def test_what_answers_late_is_healthy(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_health, "_PAUSE", 0.01)
    asked: list[str] = []

    def late(self: Pages) -> None:
        asked.append(self.path)
        self.send_response(200 if len(asked) > 2 else 503)
        self.end_headers()

    monkeypatch.setattr(Pages, "do_GET", late)
    assert problem(60, health_urls=[f"http://127.0.0.1:{port}/"]) == "" and len(asked) == 3
