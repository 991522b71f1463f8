"""Two attempts, or two revisions of the payload, side by side."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from deliveries.admin.access import open_delivery, render
from deliveries.admin.detail import ATTEMPTS_LISTED
from deliveries.models import Attempt, Delivery
from deliveries.resolution import payload_of
from deliveries.results.attempt_bodies import readable_body, readable_response
from integrations.admin.diff import Row, side_by_side

#: Characters of each side that are compared.
TEXT_LIMIT = 200_000


@dataclass(frozen=True)
class Section:
    """A titled difference; `is_same` if there is none."""

    title: str
    rows: list[Row]
    is_same: bool
    is_cut: bool = False


def compare_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """`?of=attempts` or `revisions`, `left` and `right` are their numbers: by default the last two."""
    delivery = open_delivery(request, pk)
    of = "revisions" if request.GET.get("of") == "revisions" else "attempts"
    choices = _revisions(delivery) if of == "revisions" else _attempts(delivery)
    if len(choices) < 2:
        context = {"delivery": delivery, "of": of, "choices": choices}
        return render(request, "admin/deliveries/delivery/compare.html", _("Nothing to compare"), context)
    numbers = [number for number, _name in choices]
    right = _chosen(request, "right", numbers, numbers[0])
    left = _chosen(request, "left", numbers, next(number for number in numbers[1:] + numbers if number != right))
    draw = _revision_sections if of == "revisions" else _attempt_sections
    title = _("Revisions compared") if of == "revisions" else _("Attempts compared")
    names = dict(choices)
    context = {
        "delivery": delivery,
        "of": of,
        "choices": choices,
        "left": left,
        "right": right,
        "left_title": names[left],
        "right_title": names[right],
        "sections": draw(delivery, left, right),
    }
    return render(request, "admin/deliveries/delivery/compare.html", title, context)


def _chosen(request: HttpRequest, side: str, numbers: list[int], usual: int) -> int:
    text = request.GET.get(side, "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    return number if number in numbers else usual


def _attempts(delivery: Delivery) -> list[tuple[int, str]]:
    rows = delivery.attempts.order_by("-number").values_list("number", "outcome", "response_status")[:ATTEMPTS_LISTED]
    return [(number, _named_attempt(number, outcome, status)) for number, outcome, status in rows]


def _named_attempt(number: int, outcome: str, status: int | None) -> str:
    words = {"number": number, "outcome": Attempt.Outcome(outcome).label, "status": status}
    if status:
        return _("attempt #%(number)s: %(outcome)s, %(status)s") % words
    return _("attempt #%(number)s: %(outcome)s") % words


def _revisions(delivery: Delivery) -> list[tuple[int, str]]:
    rows = delivery.revisions.order_by("-number").values_list("number", "author_name")
    return [
        *(
            (number, _("revision %(number)s by %(author)s") % {"number": number, "author": author})
            for number, author in rows
        ),
        (0, _("original")),
    ]


def _revision_sections(delivery: Delivery, left: int, right: int) -> list[Section]:
    return [section_of(_("Payload"), *(_pretty(payload_of(delivery, number)) for number in (left, right)))]


def _attempt_sections(delivery: Delivery, left: int, right: int) -> list[Section]:
    found = {attempt.number: attempt for attempt in delivery.attempts.filter(number__in={left, right})}
    sides = [found[left], found[right]]
    for attempt in sides:
        attempt.delivery = delivery
    return [
        section_of(
            _("Request"),
            *(head_of(f"{each.method} {each.url}", each.request_headers) for each in sides),
        ),
        section_of(_("Request body"), *(readable_text(readable_body(each)) for each in sides)),
        section_of(_("Response"), *(head_of(_answer_line(each), each.response_headers) for each in sides)),
        section_of(_("Response body"), *(readable_text(readable_response(each) or "") for each in sides)),
    ]


def _answer_line(attempt: Attempt) -> str:
    if attempt.response_status:
        return f"HTTP {attempt.response_status}"
    return f"{_('No response.')} {attempt.error_message}".strip()


def head_of(first: str, headers: Any) -> str:
    return "\n".join([first, *(f"{pair[0]}: {pair[1]}" for pair in headers or [] if len(pair) == 2)])


def readable_text(text: str) -> str:
    """JSON with one value per line, so that a difference is that of values."""
    try:
        return _pretty(json.loads(text)) if len(text) <= TEXT_LIMIT else text
    except (ValueError, RecursionError):
        return text


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def section_of(title: str, left: str, right: str) -> Section:
    rows = [] if left == right else side_by_side(left[:TEXT_LIMIT], right[:TEXT_LIMIT])
    return Section(title, rows, left == right, max(len(left), len(right)) > TEXT_LIMIT)
