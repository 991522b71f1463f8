"""The API as the tools call it: in this process, or of a Hookdesk elsewhere. Either way a token says what is allowed.

Only three kinds of calls exist here: reading, previews that change nothing, and proposals. Nothing else can be asked
for, whatever the token may do.
"""

from __future__ import annotations

import http.client
import io
import json
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from integrations.wire_formats.base import USER_AGENT

PREFIX: Final = "/api/v1"
SECONDS: Final = 60.0
#: POSTs that change nothing, with what makes them so.
_PREVIEWS: Final[Mapping[str, Mapping[str, Any]]] = {
    "bulk": {"dry_run": True},
    "recipes/preview": {},
    "backfills/preview": {},
}


class APIFailure(Exception):
    """The call was refused, or Hookdesk does not answer; the message says why, for the assistant and its user."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class API(ABC):
    """A Hookdesk, called with one token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """`query` without what is None or empty. Raises APIFailure."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def preview(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a bulk action, a recipe or a backfill would do. Raises APIFailure."""
        return self._call("POST", path, {**body, **_PREVIEWS[path]})

    def simulate(self, subscription: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a change of this subscription would do to past events. Raises APIFailure."""
        return self._call("POST", f"subscriptions/{subscription}/simulate", body)

    def propose(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask a person for this: also a token that may do it by itself only proposes. Raises APIFailure."""
        return self._call("POST", path, {**body, "propose": True})

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        status, answer = self.send(method, f"{PREFIX}/{path}", raw)
        try:
            document = json.loads(answer)
        except ValueError:
            raise APIFailure(f"The answer ({status}) is not that of Hookdesk's API.", status) from None
        if status >= 400:
            raise APIFailure(_reasons(document, status), status)
        return document if isinstance(document, dict) else {"answer": document}

    @abstractmethod
    def send(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises APIFailure if there is none."""


def _reasons(document: Any, status: int) -> str:
    errors = document.get("errors", []) if isinstance(document, dict) else []
    words = [f"{error['field']}: {error['message']}" if error.get("field") else error["message"] for error in errors]
    return f"{status}: {' '.join(words) or 'refused'}"


class LocalAPI(API):
    """The API of this installation without a web server: its application, called in this process."""

    def __init__(self, token: str, public_url: str) -> None:
        from django.core.wsgi import get_wsgi_application

        super().__init__(token)
        self._application = get_wsgi_application()
        self._address = urlsplit(public_url)
        #: SQLite's writers queue anyway, and one connection to the database is enough for one assistant.
        self._turn = threading.Lock()

    def send(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        environ = {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
            "SERVER_NAME": self._address.hostname or "localhost", "SERVER_PORT": str(self._address.port or 80),
            "HTTP_HOST": self._address.netloc, "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "HTTP_USER_AGENT": USER_AGENT,
            "HTTP_AUTHORIZATION": f"Bearer {self._token}", "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(),
            "wsgi.version": (1, 0), "wsgi.url_scheme": self._address.scheme, "wsgi.multithread": True,
            "wsgi.multiprocess": True, "wsgi.run_once": False,
        }  # fmt: skip
        statuses: list[str] = []
        with self._turn:
            answer = self._application(environ, lambda status, headers, *_: statuses.append(status))  # type: ignore[arg-type]
            try:
                content = b"".join(answer)
            finally:
                answer.close()  # ends the request
        return int(statuses[0].partition(" ")[0]), content


class RemoteAPI(API):
    """The API of a running Hookdesk. Redirects are not followed: the token goes to this address only."""

    def __init__(self, token: str, url: str) -> None:
        super().__init__(token)
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("The URL must begin with http:// or https:// and name a host.")
        self._parts = parts

    def send(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        headers = {
            "Authorization": f"Bearer {self._token}", "Content-Type": "application/json", "User-Agent": USER_AGENT,
        }  # fmt: skip
        try:
            with closing(self._connection()) as connection:
                connection.request(method, f"{self._parts.path}{target}", body=body, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise APIFailure(f"Hookdesk at {self._parts.netloc} does not answer: {error}") from error

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=SECONDS)
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
