"""A small OpenID Connect server: discovery, PKCE, ID tokens that are signed with RS256, and every way to cheat."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "hookdesk", "client-secret"


@dataclass
class OidcServer:
    """`person`: the claims of whoever is logged in there. `forge` may change the ID token on its way."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    person: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[dict[str, Any]], str] | None = None
    url: str = ""
    #: What /authorize was asked, and what /token was sent.
    asked: dict[str, str] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def sign(self, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
        return jwt.encode(claims, key or self.key, algorithm="RS256", headers={"kid": "one", **header})

    def id_token(self) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, **self.person, **self.claims}

    def answer(self, path: str, query: dict[str, str], form: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        routes: dict[str, Callable[[], tuple[int, dict[str, str], Any]]] = {
            "/.well-known/openid-configuration": lambda: (200, {}, self._description()),
            "/keys": lambda: (200, {}, {"keys": [self._jwk()]}),
            "/authorize": lambda: self._authorize(query),
            "/token": lambda: self._token(form),
            "/userinfo": lambda: (200, {}, self.userinfo or self.person),
        }
        return routes.get(path, lambda: (404, {}, {}))()

    def _description(self) -> dict[str, Any]:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys",
                  "userinfo_endpoint": "userinfo"}  # fmt: skip
        return {"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in places.items()}, **self.config}

    def _jwk(self) -> dict[str, Any]:
        found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**found, "kid": "one", "alg": "RS256", "use": "sig"}

    def _authorize(self, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        self.asked = query
        code = secrets.token_urlsafe(8)
        self._codes[code] = query
        back = urlencode({"code": code, "state": query["state"]})
        return 302, {"Location": f"{query['redirect_uri']}?{back}"}, {}

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        self.sent = form
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_right = asked is not None and asked.get("code_challenge") == challenge
        if not is_right or form.get("client_secret") != SECRET or form["redirect_uri"] != asked["redirect_uri"]:  # type: ignore[index]
            return 400, {}, {"error": "invalid_grant"}
        claims = self.id_token()
        token = self.forge(claims) if self.forge else self.sign(claims)
        return 200, {}, {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token}


@contextmanager
def running(server: OidcServer) -> Iterator[OidcServer]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._serve({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._serve({name: values[0] for name, values in parse_qs(body).items()})

        def _serve(self, form: dict[str, str]) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, headers, document = server.answer(parts.path, query, form)
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
