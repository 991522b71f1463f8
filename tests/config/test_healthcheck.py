"""`manage.py healthcheck`, which containers ask: the web server answers, and an engine of this host is alive."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from deliveries.runtime.registry import register

pytestmark = pytest.mark.django_db


@pytest.fixture
def serve() -> Iterator[Callable[[int], int]]:
    """A web server that answers with this status; returns its port."""
    servers: list[HTTPServer] = []

    def start(status: int) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/healthz" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def check(*options: str) -> str:
    out = StringIO()
    call_command("healthcheck", *options, stdout=out)
    return out.getvalue()


def test_both_work(serve):
    register(timezone.now())
    assert check("--port", str(serve(200))) == "ok\n"


def test_a_web_server_that_answers_otherwise_or_not_at_all_is_named(serve):
    register(timezone.now())
    port = serve(503)
    with pytest.raises(CommandError, match=f"The web server at 127.0.0.1:{port} answers 503"):
        check("--port", str(port))
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        with pytest.raises(CommandError, match=f"The web server at 127.0.0.1:{port} does not answer"):
            check("--port", str(port))


def test_a_host_without_an_engine_is_named(serve, monkeypatch):
    monkeypatch.setenv("HOOKDESK_HOST", "elsewhere")
    register(timezone.now())
    monkeypatch.setenv("HOOKDESK_HOST", "here")
    with pytest.raises(CommandError, match="No engine of the host here is alive"):
        check("--port", str(serve(200)))


def test_each_can_be_asked_alone(serve):
    assert check("--only", "web", "--port", str(serve(200))) == "ok\n"
    register(timezone.now())
    assert check("--only", "worker") == "ok\n"
