"""Which source has an address: one statement, which also tells whether what was read of it before still holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import connection

from integrations.models import Source, SourceAddress

#: Characters of what can be an address's unguessable part.
LONGEST_TOKEN: Final = 100
#: Addresses that a process remembers; with more, it forgets all of them.
MOST_REMEMBERED: Final = 1_000

# All that may change of a source, its store's words and its secrets. A secret's text never changes in its row.
_STATE = """
SELECT s.id, s.slug, s.name, s.kind, s.options, s.mapping, s.mode, s.is_enabled, t.config_version,
  (SELECT count(*) FROM integrations_sourcesecret k WHERE k.source_id = s.id),
  (SELECT max(k.id) FROM integrations_sourcesecret k WHERE k.source_id = s.id),
  (SELECT max(k.expires_at) FROM integrations_sourcesecret k WHERE k.source_id = s.id)
FROM integrations_sourceaddress a
JOIN integrations_source s ON s.id = a.source_id
JOIN integrations_store t ON t.id = s.store_id
WHERE a.digest = %s AND s.deleted_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > %s)
"""

#: By the digest of the address, which is random.
_remembered: dict[str, tuple[tuple[Any, ...], Source]] = {}


def source_at(token: str, now: datetime) -> Source | None:
    """The source with its store and secrets, to be read only; None if nothing is at this address.

    Raises DecryptionError if its secrets cannot be read.
    """
    if len(token) > LONGEST_TOKEN:
        return None
    digest = SourceAddress.digest_of(token)
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [digest, connection.ops.adapt_datetimefield_value(now)])
        state = cursor.fetchone()
    if state is None:
        return None
    known = _remembered.get(digest)
    if known is not None and known[0] == state:
        return known[1]
    # Read after its state: what changes in between is read once more by the next request.
    source = Source.objects.select_related("store").prefetch_related("secrets").get(pk=state[0])
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    _remembered[digest] = (state, source)
    return source
