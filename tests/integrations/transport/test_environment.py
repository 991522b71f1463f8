"""A hostile environment changes nothing: no proxies, no `.netrc`, no certificate files, no cookies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations.transport import AddressPolicy, make_transport
from integrations.transport.base import Transport
from tests.integrations.transport.conftest import exchange, post
from tests.receiver import Receiver

PROXY_VARIABLES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]


def test_requests_go_straight_to_their_receiver_without_foreign_credentials(
    build: Callable[..., Transport], receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login thief password taken\ndefault login thief password taken\n")
    netrc.chmod(0o600)
    nothing = tmp_path / "nothing.pem"
    with Receiver() as proxy:
        for name in PROXY_VARIABLES:
            monkeypatch.setenv(name, proxy.url(""))
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(nothing))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(nothing))
        transport = build()
        assert exchange(transport, post(receiver.url())).error is None
        exchange(transport, post("https://127.0.0.1:1/x"))
        exchange(transport, post("http://localhost:1/x"))
        assert (proxy.connections, proxy.bytes_received) == (0, 0)
    (received,) = receiver.requests
    names = {name.lower() for name, _ in received.headers}
    assert not names & {"authorization", "proxy-authorization", "proxy-connection", "cookie", "via"}
    assert received.target == "/hook"


def test_without_pycurl_the_curl_transport_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycurl", None)
    for name in ("transport", "handles", "sockets"):
        monkeypatch.delitem(sys.modules, f"integrations.transport.curl.{name}")
    with pytest.raises(RuntimeError, match=r"hookdesk\[curl\]"):
        make_transport("curl", AddressPolicy())
