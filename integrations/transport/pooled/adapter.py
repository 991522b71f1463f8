"""A `requests` adapter that uses the guarded connections, and a sender that runs one attempt through it."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections import OrderedDict
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from integrations.transport.base import RESPONSE_BODY_LIMIT, Request, Response, TransportError
from integrations.transport.deadlines import Attempt
from integrations.transport.guard.addresses import AddressPolicy
from integrations.transport.guard.dns import Resolver, shared_resolver
from integrations.transport.http_message import INCOMPLETE, NO_RESPONSE, Prepared, prepare, printable
from integrations.transport.pooled.connections import (
    Guard,
    GuardedHTTPPool,
    GuardedHTTPSPool,
    OpenSockets,
    WireHeaders,
    use_for,
)

#: Maximum number of hosts whose connections are kept open; the least recently used is dropped.
HOST_LIMIT = 256

_HEAD_ERRORS = (http.client.BadStatusLine, http.client.LineTooLong, http.client.HTTPException)


class GuardedAdapter(HTTPAdapter):
    """Sends prepared requests through guarded pools, without proxies, cookies, redirects, retries or `.netrc`.

    Those come from `requests.Session` and the environment, and neither is used here.
    """

    def __init__(self, guard: Guard, *, capacity: int, ca_file: str | None = None) -> None:
        super().__init__(max_retries=0)
        self._guard = guard
        self._capacity = capacity
        self._tls = ssl.create_default_context(cafile=ca_file or certifi.where())
        self._tls.set_alpn_protocols(["http/1.1"])
        self._pools: OrderedDict[tuple[str, str, int], GuardedHTTPPool | GuardedHTTPSPool] = OrderedDict()
        self._lock = threading.Lock()

    def get_connection_with_tls_context(self, request: Any, *_: Any, **__: Any) -> Any:
        """Return the connection pool for the request's scheme, host and port."""
        target = request.target
        key = (target.scheme, target.host, target.port)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._new_pool(*key)
                unused = self._pools.popitem(last=False)[1] if len(self._pools) > HOST_LIMIT else None
            else:
                self._pools.move_to_end(key)
                unused = None
        if unused is not None:
            unused.close()
        return pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Do nothing: each pool has a TLS context that verifies certificates."""

    def request_url(self, request: Any, proxies: Any) -> str:
        """Return a placeholder: the connection takes the exact request target from the headers."""
        return "/"

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        """Return the raw response: cookies are not extracted and the body is not decoded."""
        response = requests.Response()
        response.status_code = resp.status
        response.raw = resp
        return response

    def close(self) -> None:
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()
        super().close()

    def _new_pool(self, scheme: str, host: str, port: int) -> GuardedHTTPPool | GuardedHTTPSPool:
        options: dict[str, Any] = {"maxsize": self._capacity, "guard": self._guard}
        if scheme == "http":
            return GuardedHTTPPool(host, port, **options)
        return GuardedHTTPSPool(host, port, ssl_context=self._tls, **options)


class Sender:
    """Sends requests over persistent connections. Thread-safe."""

    def __init__(
        self, policy: AddressPolicy, *, capacity: int, ca_file: str | None = None, resolver: Resolver | None = None
    ) -> None:
        self.policy = policy
        guard = Guard(policy, resolver or shared_resolver(), OpenSockets(max(2 * capacity, 64)))
        self._adapter = GuardedAdapter(guard, capacity=capacity, ca_file=ca_file)

    def send(self, request: Request, attempt: Attempt) -> Response:
        """Return the response to `request`; raises TransportError."""
        prepared = prepare(request, self.policy)
        use_for(prepared.target, attempt)
        raw = None
        try:
            raw = self._adapter.send(_wire_request(request, prepared), stream=True, timeout=attempt.remaining()).raw
            response = _read(raw)
            if not attempt.detach():  # the deadline cut off the body
                raise _timeout()
            return response
        except TransportError as error:
            raise (_timeout() if attempt.is_expired else error) from None
        except (requests.RequestException, HTTPError, OSError, http.client.HTTPException, ValueError) as error:
            raise (_timeout() if attempt.is_expired else _classify(error)) from None
        finally:
            if raw is not None:
                _finish(raw)
            attempt.detach()

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()


def _wire_request(request: Request, prepared: Prepared) -> requests.PreparedRequest:
    headers = (("Host", prepared.target.authority), *prepared.headers)
    if prepared.body is not None:
        headers += (("Content-Length", str(len(prepared.body))),)
    if not any(name.lower() == "user-agent" for name, _ in headers):
        headers += (("User-Agent", urllib3.util.SKIP_HEADER),)
    wire = requests.PreparedRequest()
    wire.method, wire.url, wire.body = prepared.method, request.url, prepared.body
    wire.headers = WireHeaders(headers, prepared.target.path)  # type: ignore[assignment]
    wire.target = prepared.target  # type: ignore[attr-defined]
    return wire


def _read(raw: Any) -> Response:
    headers = tuple((name, " ".join(value.split("\r\n")).strip()) for name, value in raw.headers.iteritems())
    if any("\x00" in value for _, value in headers):
        raise TransportError(TransportError.PROTOCOL, "The answer holds a NUL byte in its headers.")
    body = raw.read(RESPONSE_BODY_LIMIT + 1, decode_content=False)
    is_truncated = len(body) > RESPONSE_BODY_LIMIT
    if raw.length_remaining and not is_truncated:
        raise http.client.IncompleteRead(body, raw.length_remaining)
    return Response(raw.status, headers, body[:RESPONSE_BODY_LIMIT] if is_truncated else body, is_truncated)


def _finish(raw: Any) -> None:
    """Release the connection, or close it if the response was not read to its end."""
    connection = raw.connection
    if connection is not None:
        connection.close()
        raw.close()
        raw.release_conn()


def _timeout() -> TransportError:
    return TransportError(TransportError.TIMEOUT, INCOMPLETE)


def _classify(error: BaseException) -> TransportError:
    for cause in _causes(error):
        if isinstance(cause, TransportError):
            return cause
        if isinstance(cause, (ssl.SSLError, ssl.CertificateError)):
            reason = getattr(cause, "verify_message", "") or cause.reason or str(cause)
            return TransportError(TransportError.TLS, f"The TLS connection failed: {reason}.")
        if isinstance(cause, TimeoutError):
            return _timeout()
        if isinstance(cause, http.client.RemoteDisconnected):
            return TransportError(TransportError.CONNECTION, NO_RESPONSE)
        if isinstance(cause, http.client.IncompleteRead):
            return TransportError(TransportError.CONNECTION, "The response ended before its announced length.")
        if isinstance(cause, OSError) and cause.strerror:
            return TransportError(TransportError.CONNECTION, f"The connection failed: {cause.strerror}.")
        if isinstance(cause, (*_HEAD_ERRORS, ValueError)):
            return TransportError(TransportError.PROTOCOL, f"The response is not valid HTTP: {_short(cause)}.")
    return TransportError(TransportError.CONNECTION, f"The connection failed: {_short(error)}.")


def _causes(error: BaseException) -> list[BaseException]:
    """Return the errors wrapped in `error`, innermost first: urllib3 and requests put them into arguments."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(found) < 16:
        candidate = waiting.pop(0)
        if isinstance(candidate, BaseException) and candidate not in found:
            found.append(candidate)
            waiting += [*candidate.args, getattr(candidate, "reason", None), candidate.__cause__, candidate.__context__]
    return found[::-1]


def _short(error: BaseException) -> str:
    return printable(str(error)).strip() or type(error).__name__
