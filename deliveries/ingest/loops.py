"""Loop protection: receivers whose responses change the records that they are sent.

Each event counts its hops: 0 for a push of an application; for an event from a response, one more than the event that
was delivered. A limit on hops alone ends a loop, but late if each response brings several objects or goes to several
receivers. So the cascade that one response may cause is bounded too: it gets a budget of deliveries over all hops, and
the remainder is divided among the deliveries that it causes.
"""

from __future__ import annotations

from django.conf import settings

from deliveries.ingest.plan import Plan
from deliveries.storage.rows.pushes import EventRow

#: Digits of the number of hops; the column holds up to 32,767.
MOST_DIGITS = 4


def note_arrival(plan: Plan, hops: int) -> None:
    """Set the hops of events that a program sent with a stated number of hops; those beyond the limit are stopped."""
    _note(plan, hops, None, is_stopped=bool(plan.deliveries) and hops > settings.HOP_LIMIT)


def note_answer(plan: Plan, *, hops: int, cascade_left: int | None) -> None:
    """Set the hops of a response's events, or stop them. `hops`, `cascade_left`: of the event that was delivered.

    The first response of a cascade (`cascade_left` is None) is forwarded whatever its size: a poll may return a lot.
    """
    number, hops = len(plan.deliveries), hops + 1
    if not number:
        _note(plan, hops, None, is_stopped=False)
    elif hops > settings.HOP_LIMIT or (cascade_left is not None and number > cascade_left):
        _note(plan, hops, None, is_stopped=True)
    else:
        left = settings.CASCADE_LIMIT if cascade_left is None else cascade_left - number
        _note(plan, hops, left // number, is_stopped=False)


def _note(plan: Plan, hops: int, cascade_left: int | None, *, is_stopped: bool) -> None:
    for row in plan.events:
        row.hops, row.cascade_left, row.is_stopped = hops, cascade_left, is_stopped
    if is_stopped:
        plan.deliveries.clear()


def stated_hops(stated: str | None, user_agent: str) -> int:
    """Return a request's hops: one more than its sender received. Another Hookdesk is recognised by its User-Agent.

    `stated`: the header's value, None if missing. Raises ValueError if it is not a valid number.
    """
    if stated is None:
        return 1 if user_agent.startswith("Hookdesk/") else 0
    if not (stated.isascii() and stated.isdigit() and len(stated) <= MOST_DIGITS):
        raise ValueError(f"must be 0 to {'9' * MOST_DIGITS}, a whole number: copy it from the request received.")
    return int(stated) + 1


def why_stopped(hops: int) -> str:
    """Why an event with this many hops was not forwarded: a sentence for staff."""
    times = "1 hop" if hops == 1 else f"{hops} hops"
    if hops > settings.HOP_LIMIT:
        return f"It went {times} through receivers and back; the limit is {settings.HOP_LIMIT} (HOP_LIMIT)."
    return (
        f"It came {times} through receivers and back, and their answers brought about as many deliveries as one"
        f" answer may ({settings.CASCADE_LIMIT:,}, CASCADE_LIMIT)."
    )


def loop_text(event: EventRow, where: str) -> str:
    """The notification, one per source, about an event that was not forwarded.

    `where` names who sent it: "The answers of Shop mirror".
    """
    what = f"{event.object_type} {event.object_id}".strip()
    return (
        f"A loop was stopped. {where} changed {what}; the change was stored but not forwarded. "
        f"{why_stopped(event.hops)}"
        " Have one of the subscriptions in the loop filter out changes that come from responses."
    )
