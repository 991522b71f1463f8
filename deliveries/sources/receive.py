"""A request at a source's address: proven, read, mapped, stored, answered; in this order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection

from deliveries import hooks
from deliveries.ingest.loops import BY_SOURCE, loop_text
from deliveries.ingest.plan import Plan, TooMuchWork
from deliveries.ingest.push_rate import take_push
from deliveries.models import SourceEvent, SourceKey
from deliveries.sources.ingest import ingest
from deliveries.sources.mapping import Draft, MappingOf, drafts_of
from deliveries.sources.requests import Judged, count, masked, refusals, write_down
from integrations.foundation.identifiers import public_id
from integrations.models import Source
from integrations.sources.base import Answer, Incoming, Rejected, SourceKind, Taken, Unreadable
from subscriptions.routing import SchemaViolation

#: All that the sender of an unproven request is told: the reason is for staff.
UNPROVEN = "The signature or token is missing or wrong, or its time stamp is too old."


class Refused(Exception):
    """Nothing was stored. `message` is for the sender."""

    def __init__(
        self, status: int, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.headers = headers or {}


@dataclass(slots=True)
class _Work:
    """One request under way."""

    source: Source
    kind: SourceKind
    request: Incoming
    shown: Incoming
    hops: int
    now: datetime
    traceparent: str | None


def receive(*, source: Source, request: Incoming, hops: int, now: datetime, traceparent: str | None = None) -> Answer:
    """What the sender is answered, once it is committed. Raises Refused, or TooMuchContention."""
    kind = source.adapter
    secrets = source.active_secrets(now)
    work = _Work(source, kind, request, masked(request, tuple(secrets)), hops, now, traceparent)
    try:
        if (answer := kind.probe(request)) is not None:
            _write_unproven(work, Judged("ignored", "Asks who is there.", answer.status))
            return answer
        kind.verify(request, secrets, now)
    except Rejected as error:
        _refuse(work, error.reason, 401)
        raise Refused(401, UNPROVEN) from None
    except Unreadable as error:
        _refuse(work, error.message, error.status)
        raise Refused(error.status, error.message, error.field) from None
    _check_rate(source)
    try:
        return _take(work)
    except Unreadable as error:
        found = error.message, error.field, error.status
    except SchemaViolation as error:
        found = f"The data violates the schema of {error.topic}: {error.message}", error.path or None, 400
    except TooMuchWork as error:
        found = error.message, error.path or None, 400
    message, place, status = found
    _refuse(work, f"{place}: {message}" if place else message, status)
    raise Refused(status, message, place)


def _check_rate(source: Source) -> None:
    """Only what is proven counts: forged requests must not use up the store's share."""
    if settings.PUSH_RATE_LIMIT and take_push(source.store_id, settings.PUSH_RATE_LIMIT) is not None:
        message = f"This store may push {settings.PUSH_RATE_LIMIT} times per second. Try again in a second."
        raise Refused(429, message, headers={"Retry-After": "1"})


def _take(work: _Work) -> Answer:
    reading = work.kind.read(work.request)
    if not reading.items:
        answer = work.kind.answer(work.request, Taken())
        write_down(work.source, work.shown, Judged("ignored", reading.why, answer.status), work.now)
        return answer
    drafts = drafts_of(reading.items, work.shown, mapping_of(work.source), work.now)
    taken: list[Answer] = []
    plan = ingest(
        store_id=work.source.store_id,
        choose=partial(_fresh, work.source, drafts, work.now),
        hops=work.hops,
        traceparent=work.traceparent,
        beside=lambda plan: taken.append(_finish(work, plan)),
    )
    if (stopped := plan.stopped) is not None:
        text = loop_text(stopped, BY_SOURCE, work.source.name)
        hooks.announced(work.source.store_id, None, f"loop:source:{work.source.pk}", "error", text, work.now)
    return taken[-1]


def mapping_of(source: Source, expressions: dict[str, Any] | None = None) -> MappingOf:
    """`expressions`: in place of those that are kept, for a preview."""
    return MappingOf(
        expressions=source.mapping if expressions is None else expressions,
        is_record=source.mode == Source.Mode.RECORD,
        overrides=source.store.singular_overrides,
    )


def _fresh(source: Source, drafts: Sequence[Draft], now: datetime) -> list[Any]:
    """What was not taken before. From here to the commit, nobody else takes the same."""
    keys = sorted({draft.key for draft in drafts if draft.key is not None})
    new = _claim(source, keys, now) if keys else set()
    found = []
    for draft in drafts:
        if draft.key is None or draft.key in new:
            found.append(draft.stored)
            new.discard(draft.key or "")
    return found


def _claim(source: Source, keys: Sequence[str], now: datetime) -> set[str]:
    """Those of the keys that are new. In order, and before all else that is locked (`deliveries.storage.locks`)."""
    moment = connection.ops.adapt_datetimefield_value(now)
    marks = ", ".join(["(%s, %s, %s)"] * len(keys))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {SourceKey._meta.db_table} (source_id, digest, created_at) VALUES {marks}"
            " ON CONFLICT (source_id, digest) DO NOTHING RETURNING digest",
            [value for key in keys for value in (source.pk, key, moment)],
        )
        return {row[0] for row in cursor.fetchall()}


def _finish(work: _Work, plan: Plan) -> Answer:
    """Beside what is stored, in its transaction: where it came from, and the request itself."""
    SourceEvent.objects.bulk_create([SourceEvent(event_id=row.id, source=work.source) for row in plan.events])
    ids = tuple(public_id("evt", row.id) for row in plan.events)
    accepted = len(plan.records) or len(plan.events)
    answer = work.kind.answer(work.request, Taken(accepted, ids))
    if accepted:
        judged = Judged("accepted", "", answer.status, ids[:100])
    else:
        judged = Judged("duplicate", "It was received before, or changes nothing.", answer.status)
    write_down(work.source, work.shown, judged, work.now)
    return answer


def _refuse(work: _Work, reason: str, status: int) -> None:
    _write_unproven(work, Judged("rejected", reason, status))


def _write_unproven(work: _Work, judged: Judged) -> None:
    """Written down without events; beyond a few a second only counted."""
    waiting = refusals.admit((work.source.pk, judged.verdict))
    if waiting is None:
        return
    write_down(work.source, work.shown, judged, work.now)
    if waiting:
        count(work.source, judged.verdict, waiting, work.now)
