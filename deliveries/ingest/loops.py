"""Loop protection: receivers whose responses change the records that they are sent.

Each event counts its hops: 0 for a push of an application; for an event from a response, one more than the event that
was delivered. A limit on hops alone ends a loop, but late if each response brings several objects or goes to several
receivers. So the cascade that one response may cause is bounded too: it gets a budget of deliveries over all hops, and
the remainder is divided among the deliveries that it causes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from deliveries.ingest.plan import Plan
from deliveries.storage.rows.pushes import EventRow
from integrations.foundation.languages import staff_language
from integrations.foundation.written import grouped

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Most digits of a stated number of hops; the column holds up to 32,767.
MAX_DIGITS = 4
#: What notifications say of who was in the loop.
BY_ANSWERS: Final = gettext_lazy("Responses from %(name)s changed %(what)s; the change was stored but not forwarded.")
BY_SOURCE: Final = gettext_lazy("The source %(name)s changed %(what)s; the change was stored but not forwarded.")
BY_PROGRAM: Final = gettext_lazy(
    "A program that forwards what it receives changed %(what)s; the change was stored but not forwarded."
)


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
    if not (stated.isascii() and stated.isdigit() and len(stated) <= MAX_DIGITS):
        raise ValueError(f"must be 0 to {'9' * MAX_DIGITS}, a whole number: copy it from the request received.")
    return int(stated) + 1


def why_stopped(hops: int) -> str:
    """Return why an event with this many hops was not forwarded, as a sentence for staff."""
    if hops > settings.HOP_LIMIT:
        words = ngettext(
            "It went %(number)s hop through receivers and back; the limit is %(limit)s (HOP_LIMIT).",
            "It went %(number)s hops through receivers and back; the limit is %(limit)s (HOP_LIMIT).",
            hops,
        )
        return words % {"number": grouped(hops), "limit": settings.HOP_LIMIT}
    words = ngettext(
        "It came %(number)s hop through receivers and back, and their answers brought about as many deliveries as one "
        "answer may (%(limit)s, CASCADE_LIMIT).",
        "It came %(number)s hops through receivers and back, and their answers brought about as many deliveries as one "
        "answer may (%(limit)s, CASCADE_LIMIT).",
        hops,
    )
    return words % {"number": grouped(hops), "limit": grouped(settings.CASCADE_LIMIT)}


def loop_text(event: EventRow, sentence: StrPromise, name: str = "") -> str:
    """Return the text of the notification (one per origin) about an event that was not forwarded.

    `sentence` says who sent it, with `name`: one of the `BY_…` above.
    """
    what = f"{event.object_type} {event.object_id}".strip()
    with staff_language():
        parts = (
            _("A loop was stopped."),
            str(sentence) % {"name": name, "what": what},
            why_stopped(event.hops),
            _("Have one of the subscriptions in the loop filter out changes that come from responses."),
        )
        return " ".join(parts)
