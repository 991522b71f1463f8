"""The last requests of each source, and how many there were of each verdict."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from deliveries.models import SourceRequest
from deliveries.storage.counters import Counters
from integrations.models import Source, SourceCount
from integrations.models.source import VERDICTS
from integrations.security.redaction import masked_headers, redact_bytes, redact_text
from integrations.sources.base import Incoming

#: Kept of each source and verdict.
KEPT = 50
#: Bytes kept of a body.
BODY_KEPT = 64 * 1024
#: Headers, and characters of a value, that are kept.
HEADERS_KEPT, VALUE_KEPT = 100, 2_000
#: Every so many requests, those beyond KEPT are deleted.
TRIM_EVERY = 16
#: Deleted at once at most.
MOST_TRIMMED = 1_000
#: Rows of counts for each source.
SHARDS = 8
#: Unproven requests of one source that are written down in one second, by each process; others are only counted.
REFUSED_A_SECOND = 5

_counters = Counters(
    SourceCount, unique=["source_id", "shard"], added=list(VERDICTS), replaced=["last_at"], computed={}
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a request."""

    verdict: str
    reason: str
    status: int
    events: tuple[str, ...] = ()


def masked(request: Incoming, secrets: tuple[str, ...]) -> Incoming:
    """The request without credentials, to keep it and to map it."""
    return Incoming(
        request.method,
        request.url,
        dict(masked_headers(tuple(request.headers.items()), secrets)),
        dict(masked_headers(tuple(request.query.items()), secrets)),
        redact_bytes(request.body, secrets),
        request.options,
    )


def write_down(source: Source, request: Incoming, judged: Judged, now: datetime) -> None:
    """Keep the request, which is masked, and count it. In the caller's transaction, if there is one."""
    kept = request.body[:BODY_KEPT]
    SourceRequest.objects.create(
        source=source,
        received_at=now,
        verdict=judged.verdict,
        reason=redact_text(judged.reason, ())[:500].replace("\0", "�"),
        status=judged.status,
        method=request.method[:20],
        query=_bounded(request.query),
        headers=[[name, value] for name, value in _bounded(request.headers).items()],
        body=kept,
        body_size=len(request.body),
        events=list(judged.events),
    )
    count(source, judged.verdict, 1, now)
    if random.randrange(TRIM_EVERY) == 0:  # noqa: S311 - no secret
        trim(source, judged.verdict)


def count(source: Source, verdict: str, number: int, now: datetime) -> None:
    added = {name: number if name == verdict else 0 for name in VERDICTS}
    shard = random.randrange(SHARDS)  # noqa: S311 - no secret
    _counters.add([{"source_id": source.pk, "shard": shard, "last_at": now, **added}])


def trim(source: Source, verdict: str) -> None:
    """Delete all but the last ones."""
    mine = SourceRequest.objects.filter(source=source, verdict=verdict).order_by("-id")
    last = mine.values_list("id", flat=True)[KEPT - 1 : KEPT].first()
    if last is None:
        return
    with transaction.atomic():
        # Those that another request deletes at this moment are left to it.
        free = mine.filter(id__lt=last).select_for_update(skip_locked=True)
        SourceRequest.objects.filter(id__in=list(free.values_list("id", flat=True)[:MOST_TRIMMED])).delete()


def _bounded(values: Mapping[str, str]) -> dict[str, str]:
    pairs = list(values.items())[:HEADERS_KEPT]
    return {name[:200]: value[:VALUE_KEPT].replace("\0", "�") for name, value in pairs}


class Refusals:
    """Bounds what forged requests cost: beyond a few a second they are counted in memory, and written with the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._second = 0
        self._written: dict[tuple[int, str], int] = {}
        self._waiting: dict[tuple[int, str], int] = {}

    def admit(self, key: tuple[int, str]) -> int | None:
        """`key`: source and verdict. None: only count this one; else how many were only counted since the last."""
        second = int(time.monotonic())
        with self._lock:
            if second != self._second:
                self._second, self._written = second, {}
            if self._written.get(key, 0) >= REFUSED_A_SECOND:
                self._waiting[key] = self._waiting.get(key, 0) + 1
                return None
            self._written[key] = self._written.get(key, 0) + 1
            return self._waiting.pop(key, 0)


refusals = Refusals()
