"""Behind nginx with the configuration of the docs: slow clients, odd requests, and what must not pass."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from config.server.tcp_ports import free_port
from tests.e2e.installation import ROOT, Installation
from tests.processes import eventually
from tests.receiver import Receiver

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]
HOST = b"Host: 127.0.0.1\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
SLOW = [
    b"",
    b"GET / HTTP/1.1\r\nHo",
    b"POST /api/v1/push HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\nabc",
    b"GET /static/hookdesk/desk.css HTTP/1.1\r\n" + HOST + b"\r\n",
]


@pytest.fixture
def proxy(installation: Installation, tmp_path: Path) -> Iterator[int]:
    """The port of nginx in front of a running installation; without TLS, otherwise as in the docs."""
    installation.start()
    port = free_port("127.0.0.1", 18_900)
    text = (ROOT / "docs/deployment/nginx.conf").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{installation.port}")
    text = re.sub(r"server \{\s+listen 80;.*?\n\}\n", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"ssl_certificate.*|listen \[::\]:443 ssl;", "", text).replace("443 ssl", f"127.0.0.1:{port}")
    places = "".join(
        f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"pid {tmp_path}/pid; daemon off; error_log {tmp_path}/error; events {{ worker_connections 2048; }}"
    (tmp_path / "nginx.conf").write_text(f"{main} http {{ access_log off; {places}\n{text}\n}}")
    process = subprocess.Popen([str(NGINX), "-c", str(tmp_path / "nginx.conf")])
    try:
        eventually(lambda: _exchange(port, HEALTH).startswith(b"HTTP/1.1 200"), 20, "nginx did not start")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _exchange(port: int, raw: bytes) -> bytes:
    """All that comes back until the other side closes, or has nothing more to say for a while."""
    said = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(raw)
            while piece := connection.recv(65536):
                said += piece
    except OSError:
        pass
    return said


@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "nginx"])
def test_pushes_go_on_while_200_clients_are_slow(
    installation: Installation, proxy: int, receiver: Receiver, is_direct: bool
) -> None:
    headers = installation.make_store(receiver.url("/hook"))
    port = installation.port if is_direct else proxy
    with ExitStack() as slow:
        for number in range(200):
            connection = slow.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(SLOW[number % len(SLOW)])
        for number in range(50):
            client = HTTPConnection("127.0.0.1", port, timeout=5)
            body = json.dumps({"shipments": [{"id": str(number)}]})
            client.request("POST", "/api/v1/push", body, {**headers, "Host": "127.0.0.1"})
            assert client.getresponse().status == 202
            client.close()
        receiver.wait_for(50, 30)


SMUGGLED = [
    b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    b"POST /healthz HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST /healthz HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /healthz HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]
METRICS = [
    "/metrics",
    "//metrics",
    "/%6detrics",
    "/x/../metrics",
    "/./metrics",
    "/metrics/",
    "/metrics;x",
    "/metrics%00",
]


def test_nothing_is_smuggled_past_the_proxy_and_metrics_stay_behind_it(proxy: int) -> None:
    for raw in SMUGGLED:
        said = _exchange(proxy, raw + HEALTH)
        assert b" 200 " not in said, raw
        assert said.count(b"HTTP/1.1 ") == 1, raw
    for path in METRICS:
        said = _exchange(proxy, f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        assert said.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), path
        assert b"hookdesk_" not in said, path
