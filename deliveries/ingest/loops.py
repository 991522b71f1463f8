"""Loop protection: receivers whose responses change the records that they are sent.

Each event counts its hops: 0 for what an application pushed, one more than the event whose delivery was
answered for what the answer brings. Hops alone end a loop, but late if each response brings several objects, or
goes to several receivers, so the cascade that one response may cause is bounded too. It gets a number of
deliveries that it may cause over all hops; the remainder is shared among those that it does cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from deliveries.ingest.plan import Plan
from deliveries.storage.rows.pushes import EventRow
from integrations.foundation.languages import staff_language
from integrations.foundation.numbers import grouped

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Digits of the number of hops; the column holds up to 32,767.
MOST_DIGITS = 4
#: What notifications say of who was in the loop.
BY_ANSWERS: Final = gettext_lazy("Responses from %(name)s changed %(what)s; the change was stored but not forwarded.")
BY_SOURCE: Final = gettext_lazy("The source %(name)s changed %(what)s; the change was stored but not forwarded.")
BY_PROGRAM: Final = gettext_lazy(
    "A program that forwards what it receives changed %(what)s; the change was stored but not forwarded."
)


def note_arrival(plan: Plan, hops: int) -> None:
    """For events that a program sent: `hops` is what it stated. Events beyond the limit are not forwarded."""
    _note(plan, hops, None, is_stopped=bool(plan.deliveries) and hops > settings.HOP_LIMIT)


def note_answer(plan: Plan, *, hops: int, cascade_left: int | None) -> None:
    """For the events of one response: `hops` and `cascade_left` are those of the event that it answers.

    The first response (None) is forwarded whatever its size: a poll may return a lot.
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
    """The hops of a request: one more than its sender received. Another Hookdesk is recognised by its User-Agent.

    `stated` is what the header says (None: it is missing). Raises ValueError for what is no such number.
    """
    if stated is None:
        return 1 if user_agent.startswith("Hookdesk/") else 0
    if not (stated.isascii() and stated.isdigit() and len(stated) <= MOST_DIGITS):
        raise ValueError(f"must be 0 to {'9' * MOST_DIGITS}, a whole number: copy it from the request received.")
    return int(stated) + 1


def why_stopped(hops: int) -> str:
    """Why an event with this many hops was not forwarded: a sentence for staff."""
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
    """The notification, one per source, about an event that was not forwarded. `sentence`: who sent it."""
    what = f"{event.object_type} {event.object_id}".strip()
    with staff_language():
        parts = (
            _("A loop was stopped."),
            str(sentence) % {"name": name, "what": what},
            why_stopped(event.hops),
            _("Have one of the subscriptions in the loop filter out changes that come from responses."),
        )
        return " ".join(parts)
