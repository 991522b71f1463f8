"""What a request would become: for the form of a source, and for its sample. Nothing is stored."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from deliveries.ingest.plan import PublishedEvent, PushedObject
from deliveries.models import SourceRequest
from deliveries.sources.mapping import MappingOf, drafts_of
from deliveries.sources.requests import masked
from integrations.models import Source
from integrations.sources.base import Incoming, Unreadable

Stored = PublishedEvent | PushedObject


@dataclass(frozen=True, slots=True)
class Previewed:
    """`items` is what would be stored; `error` why nothing would, `why` that it is only answered."""

    items: Sequence[Stored] = ()
    error: str = ""
    why: str = ""


def latest_request(source: Source) -> SourceRequest | None:
    """The last one that the kind could read."""
    read = [SourceRequest.Verdict.ACCEPTED, SourceRequest.Verdict.DUPLICATE]
    return SourceRequest.objects.filter(source=source, verdict__in=read).order_by("-id").first()


def as_received(row: SourceRequest, source: Source) -> Incoming:
    """The request as it was kept, credentials masked."""
    headers = dict(row.headers)
    return Incoming(row.method, "", headers, row.query, bytes(row.body), source.options)


def sample_of(source: Source, now: datetime) -> Incoming | None:
    """A request as the vendor would make it; None while there is no secret to prove it with."""
    known = source.active_secrets(now)
    needs_secret = source.adapter.key_from != "none" and source.options.get("proof") != "none"
    if needs_secret and not known:
        return None
    secret = known[0] if known else ""
    if secret.startswith("whpk_"):  # a public key proves, but does not sign
        return None
    return source.adapter.sample(secret, source.address, source.options, now, secrets.token_hex(16))


def preview(
    *, source: Source, request: Incoming, expressions: Mapping[str, str], is_record: bool, now: datetime
) -> Previewed:
    try:
        reading = source.adapter.read(request)
        if not reading.items:
            return Previewed(why=reading.why)
        shown = masked(request, tuple(source.active_secrets(now)))
        mapping = MappingOf(expressions, is_record, source.store.singular_overrides)
        return Previewed([draft.stored for draft in drafts_of(reading.items, shown, mapping, now)])
    except Unreadable as error:
        return Previewed(error=f"{error.field}: {error.message}" if error.field else error.message)
