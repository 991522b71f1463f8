"""Send claimed deliveries: build and submit their requests, collect and interpret the results."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from django.utils import timezone

from deliveries.dispatch import build
from deliveries.dispatch.config_cache import ConfigCache
from deliveries.dispatch.interpret import interpret
from deliveries.dispatch.pacing import Pacer
from deliveries.dispatch.poison import dead_letter, is_poison
from deliveries.dispatch.types import AttemptResult, ClaimedDelivery, Dispatch
from deliveries.runtime.failpoints import failpoint
from integrations.foundation import tracing
from integrations.transport import Request, Result, Transport
from integrations.wire_formats.base import Outcome

logger = logging.getLogger("hookdesk.engine")

#: How long to wait for more results while many requests are in flight, so that one transaction records a batch.
GATHER_SECONDS = 0.004

Prepared = tuple[Dispatch, Request | Outcome]


class Sender:
    """The requests in flight, and their results that are not recorded yet. Does not write to the database."""

    def __init__(self, transport: Transport, capacity: int) -> None:
        self.transport = transport
        self.pacer = Pacer(capacity)
        self.config = ConfigCache()
        self.dispatches: dict[object, Dispatch] = {}
        self.results: list[AttemptResult] = []

    def prepare_all(self, claims: Sequence[ClaimedDelivery]) -> list[Prepared]:
        now = timezone.now()
        return [self.prepare(Dispatch(claimed, None, None, now)) for claimed in claims]

    def prepare(self, dispatch: Dispatch) -> Prepared:
        """Build the request of a dispatch, or its outcome if nothing is sent."""
        claimed = dispatch.claimed
        if is_poison(claimed):
            return dispatch, dead_letter(claimed)
        dispatch.destination = self.config.destination(claimed.integration_id)
        if tracing.is_on():
            dispatch.begin_span()
        dispatch.message, prepared = build.prepare(claimed, self.config, dispatch.started_at)
        if isinstance(prepared, Request):
            dispatch.request = prepared
        return dispatch, prepared

    def submit(self, dispatch: Dispatch, request: Request) -> Outcome | None:
        """Submit the request; return None. If the transport's `submit` fails, return the outcome of this request."""
        failpoint("engine.send", request.body)
        key = dispatch.claimed.attempt_id
        try:
            self.transport.submit(key, request)
        except Exception as error:
            logger.exception("could not send the request of %s", dispatch.claimed.id)
            return build.internal("send this request", error)
        self.dispatches[key] = dispatch
        self.pacer.on_dispatch(dispatch.claimed.integration_id)
        return None

    def collect(self, timeout: float) -> None:
        """Wait for results; while many requests are in flight, wait a little longer to batch them."""
        self._interpret_results(self.transport.collect(0.0 if self.results else timeout))
        if not self.results:
            return
        until = time.monotonic() + GATHER_SECONDS
        while len(self.results) < len(self.dispatches) and (left := until - time.monotonic()) > 0:
            results = self.transport.collect(left)
            if not results:
                break
            self._interpret_results(results)

    def _interpret_results(self, results: Sequence[Result]) -> None:
        for result in results:
            dispatch = self.dispatches.pop(result.key)
            self.pacer.on_result(dispatch.claimed.integration_id, is_responsive=result.response is not None)
            # Read the response with the settings that built the request, even if they have changed since.
            assert dispatch.destination is not None
            self.results.append(
                interpret(dispatch, dispatch.destination, result.response, result.error, result.duration)
            )

    def results_to_record(self) -> list[AttemptResult]:
        """Return the results to record now: at most one per delivery; a second one waits for the next transaction.

        After a suspension, the engine may have reclaimed deliveries that it still had in flight. Of two results of one
        delivery, only the one with the current lease counts, and a single transaction could not tell them apart.
        """
        seen = set()
        for number, result in enumerate(self.results):
            if result.claimed.id in seen:
                return self.results[:number]
            seen.add(result.claimed.id)
        return self.results
