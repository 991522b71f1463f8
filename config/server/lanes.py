"""Lanes: a thread pool for each kind of request, so that slow requests only delay others of their kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from config.server.connections import Connections
from config.server.push_lane import PATHS as PUSH_PATHS
from config.server.push_lane import PushLane
from config.server.request import Request
from integrations.transport.daemon_pool import DaemonPool

#: Requests for which Hookdesk waits for a third-party server.
_WAITS_FOR_RECEIVERS = re.compile(
    rb"/api/v1/(?:integrations(?:/[^/]*)?|integrations/[^/]*/(?:ping|handshake|context|actions/[^/]*)"
    rb"|subscriptions(?:/[^/]*)?|subscriptions/[^/]*/ping)/?"
)
#: Webhooks from senders, which are handled like pushes.
_SOURCES = b"/in/"
_ALIVE = b'{"status": "ok"}'
_HEALTHZ = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n"
    % len(_ALIVE)
)


class Lanes:
    """`admit(request)` answers at once, passes the request to `PushLane`, or calls `respond` in a thread of its lane.

    Threads start on demand. Each lane serves requests in order of arrival, one per connection at a time, so that every
    client gets an equal share.
    """

    def __init__(
        self,
        respond: Callable[[Request], None],
        connections: Connections,
        *,
        threads: int,
        push_threads: int | None = None,
    ) -> None:
        self._respond = respond
        #: Requests being answered that may write to the database.
        self._writing: set[Request] = set()
        self._pushes = DaemonPool(push_threads or threads, "push")
        self._push_lane = PushLane(
            connections, self._answer, self._pushes, has_other_writers=lambda: bool(self._writing)
        )
        self._pages = DaemonPool(threads, "page")
        self._receivers = DaemonPool(max(2, threads // 2), "receiver")
        self._probes = DaemonPool(1, "probe")

    def admit(self, request: Request) -> None:
        path = request.path
        if path in PUSH_PATHS:
            self._push_lane.admit(request)
            return
        if path == b"/healthz" and request.method in ("GET", "HEAD"):
            # The process is up if this loop runs. Nothing else is checked, so nothing else can delay the response.
            request.connection.finish(request, _HEALTHZ if request.method == "HEAD" else _HEALTHZ + _ALIVE)
            return
        if path.startswith(_SOURCES):
            lane = self._pushes
        elif path in (b"/readyz", b"/metrics"):
            lane = self._probes
        elif request.method != "GET" and _WAITS_FOR_RECEIVERS.fullmatch(path):
            lane = self._receivers
        else:
            lane = self._pages
        lane.submit(partial(self._answer, request))

    def _answer(self, request: Request) -> None:
        """Answer in a thread of a lane."""
        if request.method in ("GET", "HEAD"):
            self._respond(request)
            return
        self._writing.add(request)
        try:
            self._respond(request)
        finally:
            self._writing.discard(request)

    def stop(self) -> None:
        self._push_lane.stop()
