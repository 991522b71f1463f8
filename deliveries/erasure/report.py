"""What an erasure found and erased, by place, as people and programs are shown it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy

from deliveries.erasure.places import places
from deliveries.erasure.runner import WITH_EVENTS
from deliveries.models import Erasure

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: Labels of places where rows are erased together with their event, whether they hold the value or not.
_ERASED_WITH_EVENTS = {"delivery": gettext_lazy("Deliveries"), "attempt": gettext_lazy("Attempts")}


@dataclass(frozen=True, slots=True)
class Line:
    """One place. `is_reported`: configuration, which is counted and not erased. `is_implied`: it goes with events."""

    place: str
    label: StrOrPromise
    found: int
    erased: int
    is_reported: bool = False
    is_implied: bool = False


def lines_of(erasure: Erasure) -> list[Line]:
    """Places where something was found or erased, in the order of their erasure."""
    lines = []
    for place in places():
        found, erased = erasure.found.get(place.name, 0), erasure.erased.get(place.name, 0)
        label = _ERASED_WITH_EVENTS.get(place.name, place.label) if erased else place.label
        if found or erased:
            lines.append(Line(place.name, label, found, erased, place.is_reported))
        if place.name == "event":
            implied = [(name, label, erasure.found.get(name, 0)) for name, label in WITH_EVENTS.items()]
            lines += [Line(name, label, number, 0, is_implied=True) for name, label, number in implied if number]
    return lines


def progress_of(erasure: Erasure) -> tuple[int, int, StrOrPromise]:
    """How many places are done, of how many, and the label of the one at work."""
    known = [place for place in places() if erasure.status == Erasure.Status.COUNTING or not place.is_reported]
    names = [place.name for place in known]
    position = names.index(erasure.place) if erasure.place in names else 0
    return position, len(known), known[position].label


def totals_of(erasure: Erasure) -> tuple[int, int]:
    """Rows found in what is erased, and rows erased."""
    shown = [line for line in lines_of(erasure) if not line.is_reported and not line.is_implied]
    return sum(line.found for line in shown), sum(line.erased for line in shown)
