"""Ending loops: receivers whose answers change the records that they are sent.

Each event says how many hops it came: 0 for what an application pushed, one more than the event whose delivery was
answered for what the answer brings. Hops alone end a loop, but not soon where each answer brings several objects, or
goes to several receivers: so what the answer to one delivery brings about is bounded too. It gets a number of
deliveries that it may cause over all hops, and what is left of it is shared among those that it does cause.
"""

from __future__ import annotations

from django.conf import settings

from deliveries.ingest.plan import Plan
from deliveries.storage.rows.pushes import EventRow


def note_arrival(plan: Plan, hops: int) -> None:
    """Of events that a program sent: `hops` is what it said. What went too far is not sent on."""
    _note(plan, hops, None, is_stopped=bool(plan.deliveries) and hops > settings.HOP_LIMIT)


def note_answer(plan: Plan, *, hops: int, cascade_left: int | None) -> None:
    """Of what one answer brings: `hops` and `cascade_left` are those of the event that it answers.

    The first answer (None) is sent on whatever it costs: what a poll brings may be large.
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


def why_stopped(hops: int) -> str:
    """Why an event that came so far was not sent on: a sentence for staff."""
    times = "1 hop" if hops == 1 else f"{hops} hops"
    if hops > settings.HOP_LIMIT:
        return f"It came {times} through receivers and back, and {settings.HOP_LIMIT} are allowed (HOP_LIMIT)."
    return (
        f"It came {times} through receivers and back, and their answers brought about as many deliveries as one"
        f" answer may ({settings.CASCADE_LIMIT:,}, CASCADE_LIMIT)."
    )


def loop_text(event: EventRow, where: str) -> str:
    """What staff are told, once for each place, of an event that was not sent on.

    `where` names who sent it: "The answers of Shop mirror".
    """
    what = f"{event.object_type} {event.object_id}".strip()
    return (
        f"A loop was stopped. {where} changed {what}: stored, and not sent on. {why_stopped(event.hops)}"
        " Let one of the subscriptions on the way filter out what only an answer changed."
    )
