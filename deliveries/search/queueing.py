"""Has the index filled by a task worker: engines, which look each few seconds, must not do it themselves."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from deliveries.models import Event, SearchPurge, SearchState
from deliveries.search.documents import Unsearched
from deliveries.search.indexing import OVERLAP, unindexed_failures

logger = logging.getLogger("hookdesk.search")

#: How often a run is queued, if there is anything to do.
EVERY: Final = timedelta(seconds=12)

_queued_at: datetime | None = None


def queue_indexing(now: datetime) -> None:
    """Let a task worker run it if there is anything to do; for the engines' heartbeat."""
    global _queued_at
    if _queued_at is not None and timedelta() <= now - _queued_at < EVERY:
        return
    _queued_at = now
    state = SearchState.objects.filter(pk=1).first()
    if state is not None and not has_work(state, now):
        return
    from django_q.tasks import async_task

    try:
        async_task("deliveries.tasks.index_search")
    except Exception:
        logger.warning("task queue unavailable: the search index waits for the next sweep", exc_info=True)


def has_work(state: SearchState, now: datetime) -> bool:
    """Whether something was pushed or failed since the last run, or old events are left. Not if one has just run."""
    if state.worked_at is not None and timedelta() <= now - state.worked_at < EVERY / 2:
        return False
    if state.events_from is not None:
        return True
    latest = Event.objects.order_by("-id").values_list("id", flat=True).first()
    if latest is not None and latest > state.events_upto:
        return True
    return bool(unindexed_failures(state.failures_upto - OVERLAP, 1, Unsearched())) or SearchPurge.objects.exists()
