"""What bodies of `/api/v1/bulk` say: which deliveries, and at which pace. Raises FilterError and APIError."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from deliveries.failures.cases import case_of
from deliveries.filters import FilterError, moment_of
from deliveries.models import Replay
from deliveries.replay import GUARDED, STOP_ABOVE, count_guarded, with_status
from deliveries.replay.backfill import Wanted
from deliveries.replay.service import MOST_PER_SECOND
from integrations.api.bodies import boolean, mapping, text
from integrations.api.errors import invalid, missing
from integrations.models import Store

FILTERS = ("status", "integration", "subscription", "topic", "since", "until", "q", "group", "ids")
PERIOD = ("since", "until", "topic", "q")
RATE = 200


def filters_of(body: dict[str, Any], store: Store) -> dict[str, Any]:
    """Those of the body, by the names of `deliveries.filters`."""
    given = mapping(body, "filter", default={})
    if unknown := sorted(set(given) - set(FILTERS)):
        raise FilterError(unknown[0], f"Unknown filter {unknown[0]!r}. Available filters: {', '.join(FILTERS)}.")
    for name, value in given.items():
        is_text = isinstance(value, str) or (name == "group" and isinstance(value, int) and value is not True)
        is_list = name in ("ids", "status") and isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not is_text and not is_list:
            raise FilterError(name, f"{name} must be {'an array of strings' if name == 'ids' else 'a string'}.")
    cleaned = {name: value for name, value in given.items() if value not in ("", [])}
    if "ids" in given and not given["ids"]:
        raise FilterError("ids", "ids is empty, so nothing is chosen.")
    if "group" in cleaned:
        cleaned["group"] = _case(str(cleaned["group"]), store)
    return cleaned


def _case(written: str, store: Store) -> str:
    found = case_of(written.removeprefix("case_").removeprefix("grp_")[:18])
    if found is None or found.store_id != store.pk:
        raise FilterError("group", f"There is no case {written[:60]!r} in this store.")
    return str(found.pk)


def course_of(body: dict[str, Any], action: str, filters: dict[str, Any]) -> dict[str, Any]:
    course = pace_of(body)
    course["confirmed"] = confirmed_of(body)
    if boolean(body, "include_succeeded", default=False) and action == Replay.Action.RETRY:
        status = GUARDED[action]
        given = with_status(filters)["status"].split(",")
        if status not in given:
            raise FilterError("status", "With include_succeeded, say in status what is resent: succeeded,failed.")
        course["confirmed"] = count_guarded(filters=filters, action=action)
    return course


def confirmed_of(body: dict[str, Any]) -> int | None:
    """How many guarded deliveries the caller knows of."""
    confirmed = body.get("confirmed")
    if confirmed is not None and (isinstance(confirmed, bool) or not isinstance(confirmed, int)):
        raise invalid("confirmed must be a whole number.", "confirmed")
    return confirmed


def pace_of(body: dict[str, Any]) -> dict[str, Any]:
    """`per_second`, `canary` (None: by their number) and `stop_above` of a replay."""
    rate, stop_above = body.get("rate"), body.get("stop_above")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int) or not 1 <= rate <= MOST_PER_SECOND):
        raise invalid(f"rate must be a whole number from 1 to {MOST_PER_SECOND}: deliveries per second.", "rate")
    if stop_above is not None and (
        isinstance(stop_above, bool) or not isinstance(stop_above, int | float) or not 0 <= stop_above < 1
    ):
        raise invalid("stop_above must be a part of 1, such as 0.1 for 10 %.", "stop_above")
    return {
        "per_second": RATE if rate is None else rate,
        "canary": None if body.get("canary") is None else boolean(body, "canary", default=False),
        "stop_above": STOP_ABOVE if stop_above is None else min(99, round(stop_above * 100)),
    }


def wanted_of(body: dict[str, Any]) -> Wanted:
    given = mapping(body, "filter", default={})
    if unknown := sorted(set(given) - set(PERIOD)):
        raise FilterError(unknown[0], f"Unknown filter {unknown[0]!r}. A backfill has {', '.join(PERIOD)}.")
    written = {name: text(given, name, default="", limit=1_000).replace("\0", "").strip() for name in PERIOD}
    if not written["since"]:
        raise missing("filter.since")
    until = moment_of("until", written["until"]) if written["until"] else timezone.now()
    is_again = boolean(body, "include_succeeded", default=False)
    return Wanted(moment_of("since", written["since"]), until, written["topic"][:255], written["q"], is_again)
