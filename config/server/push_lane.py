"""The fast path of pushes: planned and answered in the event loop, written in groups by one thread.

Django (the slow path) answers everything else, and the first push of each kind. Its response headers are then reused
for all pushes of that kind, so that the effects of middleware and settings (hosts, schemes, headers) are the same on
both paths.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from django.db import DatabaseError, InterfaceError
from rest_framework.response import Response

from config.server.answers import http_date
from config.server.connections import Connections
from config.server.request import Request
from deliveries.api import direct
from deliveries.ingest.direct import DirectPush
from deliveries.ingest.failed_handover import release
from deliveries.ingest.group_commit import GroupCommit
from deliveries.runtime.handover_client import HandoverClient
from deliveries.stats.pushes import count_push
from deliveries.storage.rows.pushes import DeliveryRow, RecordsExist
from integrations.api.errors import error_list_handler
from integrations.foundation.strict_json import dump_document
from integrations.transport.daemon_pool import DaemonPool

logger = logging.getLogger("hookdesk.web")

#: Paths of the push API (True: objects) and the event API (False: events).
PATHS = {b"/api/v1/push": True, b"/api/v1/push/": True, b"/api/v1/events": False, b"/api/v1/events/": False}
#: Headers that Django's middleware checks and may refuse.
_ENVELOPE = (b"host", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-ssl", b"x-scheme")
_READ = direct.READ.union(_ENVELOPE)
#: Headers that only the view understands.
_UNUSUAL = frozenset({b"x-hookdesk-hops", b"content-encoding"})
#: Most kinds of requests whose response headers are cached.
_MAX_HEADS = 500
#: Most seconds by which a push is delayed while the engine that would send it is overloaded: for itself, for each of
#: its deliveries, and in all.
DELAY_SECONDS, DELAY_PER_DELIVERY, MAX_DELAY_SECONDS = 0.1, 0.01, 0.3

_Envelope = tuple[bytes | None, ...]


class PushLane:
    """`admit` is called in the event loop. `respond(request)` lets Django answer, in one of the `threads`.

    `has_other_writers`: see `GroupCommit`.
    """

    def __init__(
        self,
        connections: Connections,
        respond: Callable[[Request], None],
        threads: DaemonPool,
        has_other_writers: Callable[[], bool],
    ) -> None:
        self._connections = connections
        self._threads = threads
        self._respond = respond
        self._commit = GroupCommit[DirectPush](self._on_written, self._on_committed, has_other_writers)
        self._engines = HandoverClient(connections.loop, release=self._release, on_offer=self._resume)
        #: Backpressure: pushes that wait for an overloaded engine, and when they continue without it.
        self._delayed: deque[tuple[float, DirectPush, Request]] = deque()
        self._release_timer: asyncio.TimerHandle | None = None
        self._requests: dict[DirectPush, Request] = {}
        self._heads: dict[_Envelope, bytes] = {}
        #: Pushes that wait until Django has answered the first of their kind.
        self._waiting_for_head: dict[_Envelope, list[Request]] = {}

    def admit(self, request: Request) -> None:
        headers = _headers_of(request)
        if headers is None:
            self._send_to_django(request)
            return
        envelope = (request.target, *map(headers.get, _ENVELOPE))
        if (head := self._heads.get(envelope)) is None:
            self._learn_head(envelope, request)
            return
        push = direct.accept(headers, request.body, is_objects=PATHS[request.target])
        if push is None:
            self._send_to_django(request)
            return
        request.head = head
        if self._engines.is_engine_busy(push.waiting.rows):
            self._delay(push, request)
        else:
            self._submit(push, request)

    def stop(self) -> None:
        self._commit.stop()
        self._engines.close()

    def _send_to_django(self, request: Request) -> None:
        self._threads.submit(partial(self._respond, request))

    def _learn_head(self, envelope: _Envelope, request: Request) -> None:
        """Let Django answer the first push of a kind; later ones wait. If they queued in Django's threads as well,
        pushes that arrive after the head is known would overtake them.
        """
        request.on_response_start = lambda status, fields: self._store_head(envelope, status, fields)
        if (waiting := self._waiting_for_head.get(envelope)) is not None:
            waiting.append(request)
            return
        self._waiting_for_head[envelope] = []
        self._threads.submit(partial(self._answer_first, envelope, request))

    def _admit_waiting(self, envelope: _Envelope) -> None:
        for request in self._waiting_for_head.pop(envelope):
            if envelope in self._heads:
                self.admit(request)
            else:  # the first one was refused, which says nothing about these
                self._send_to_django(request)

    def _delay(self, push: DirectPush, request: Request) -> None:
        """Delay the push: backpressure slows a sender down to what can be delivered, instead of building a backlog."""
        loop = self._connections.loop
        deliveries = len(push.waiting.rows.deliveries)
        delay = min(DELAY_SECONDS + DELAY_PER_DELIVERY * deliveries, MAX_DELAY_SECONDS)
        if self._release_timer is None:
            self._release_timer = loop.call_later(delay, self._release_expired)
        self._delayed.append((loop.time() + delay, push, request))

    def _resume(self) -> None:
        """Submit delayed pushes in order of arrival, as far as the new credits suffice."""
        while self._delayed and not self._engines.is_engine_busy(self._delayed[0][1].waiting.rows):
            _, push, request = self._delayed.popleft()
            self._submit(push, request)

    def _release_expired(self) -> None:
        now = self._connections.loop.time()
        while self._delayed and self._delayed[0][0] <= now:
            _, push, request = self._delayed.popleft()
            self._submit(push, request)
        self._release_timer = None
        if self._delayed:
            # The loop's timers count whole milliseconds: a shorter delay would be none.
            delay = max(self._delayed[0][0] - now, 0.001)
            self._release_timer = self._connections.loop.call_later(delay, self._release_expired)

    def _submit(self, push: DirectPush, request: Request) -> None:
        push.born = self._engines.claim(push.waiting.rows)
        self._requests[push] = request
        self._commit.submit(push)

    # --- in the writer thread -------------------------------------------------------------------------------

    def _on_written(self, pushes: Sequence[DirectPush]) -> None:
        self._engines.announce((push.waiting.rows, push.born) for push in pushes if push.born is not None)

    def _on_committed(self, pushes: Sequence[DirectPush]) -> None:
        try:
            self._engines.conclude((push.born, push.result is None) for push in pushes if push.born is not None)
        finally:
            if not self._connections.loop.is_closed():
                self._connections.loop.call_soon_threadsafe(self._answer, pushes)

    # --- after the commit, in the event loop ---------------------------------------------------------------

    def _answer(self, pushes: Sequence[DirectPush]) -> None:
        for push in pushes:
            request = self._requests.pop(push)
            try:
                self._answer_one(push, request)
            except Exception:
                logger.exception("could not answer a push")
                request.connection.abandon()

    def _answer_one(self, push: DirectPush, request: Request) -> None:
        result = push.result
        if result is None:
            if push.born is not None:
                self._engines.settle(push.born)
            count_push(push.waiting.rows.store_id, 202)
            self._finish(request, b"202 Accepted", dump_document(push.response))
            push.end_span(202)
            return
        if push.born is not None:
            self._engines.cancel(push.waiting.rows, push.born)
        if isinstance(result, RecordsExist) and push.replan(result):
            self._submit(push, request)
        elif (
            isinstance(result, DatabaseError | InterfaceError)
            and (refusal := error_list_handler(result, {})) is not None
        ):
            count_push(push.waiting.rows.store_id, refusal.status_code)
            self._refuse(request, refusal)
            push.end_span(refusal.status_code)
        else:
            direct.fall_back_to_view(push)
            self._send_to_django(request)

    def _release(self, rows: list[DeliveryRow]) -> None:
        lease = rows[0].lease
        assert lease is not None
        self._threads.submit(partial(release, ids=[row.id for row in rows], lease=lease))

    def _refuse(self, request: Request, refusal: Response) -> None:
        lines = "".join(f"\r\n{name}: {value}" for name, value in refusal.headers.items() if name != "Content-Type")
        status = f"{refusal.status_code} {refusal.status_text}{lines}"
        self._finish(request, status.encode("latin-1"), dump_document(refusal.data))

    def _finish(self, request: Request, status: bytes, text: str) -> None:
        body = text.encode()
        close = b"" if request.is_kept_alive and not self._connections.is_stopping else b"Connection: close\r\n"
        answer = b"HTTP/1.1 %b\r\nDate: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
            status, http_date(), len(body), close, request.head, body,
        )  # fmt: skip
        request.connection.finish(request, answer)

    # --- in Django's threads -------------------------------------------------------------------------------

    def _answer_first(self, envelope: _Envelope, request: Request) -> None:
        self._respond(request)
        with suppress(RuntimeError):  # closed: the process is ending
            self._connections.loop.call_soon_threadsafe(self._admit_waiting, envelope)

    def _store_head(self, envelope: _Envelope, status: str, headers: Sequence[tuple[str, str]]) -> None:
        if not status.startswith("202 "):
            return
        varying = ("content-length", "idempotent-replay")
        fields = [(name, value) for name, value in headers if name.lower() not in varying]
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        self._heads[envelope] = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("latin-1")


def _headers_of(request: Request) -> dict[bytes, bytes] | None:
    """Return the relevant headers; None if the view must handle the request."""
    if request.method != "POST" or request.version != "1.1" or request.target not in PATHS:
        return None
    found: dict[bytes, bytes] = {}
    for name, value in request.headers:
        if name in _READ:
            if name in found:
                return None
            found[name] = value
        elif name in _UNUSUAL or (name == b"user-agent" and value.startswith(b"Hookdesk/")):
            return None
    return found
