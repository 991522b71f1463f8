"""A user's draft in the wizard, kept in their session so that going back loses nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from django.http import HttpRequest

from deliveries.models import Delivery
from deliveries.resolution.rules import latest_number

KEY = "wizard"
#: Drafts kept per session; the oldest are dropped first.
KEPT = 20


@dataclass
class Draft:
    """`text` is the edited JSON as typed. `seen_revision` and `seen_attempts` are what the editor saw when the draft
    began: the services refuse to overwrite anything newer."""

    text: str = ""
    update_record: bool = True
    reason: str = ""
    seen_revision: int = 0
    seen_attempts: int = 0
    chosen: list[str] = field(default_factory=list)
    #: What was sent last, for the watch step.
    sent: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    group: int | None = None
    replay: str = ""


def load(request: HttpRequest, delivery: Delivery) -> Draft | None:
    kept = request.session.get(KEY, {}).get(str(delivery.pk))
    return Draft(**kept) if kept else None


def begin(request: HttpRequest, delivery: Delivery) -> Draft:
    """The stored draft, or a new one based on the current payload."""
    draft = load(request, delivery) or Draft()
    if not draft.text:
        draft.seen_revision = latest_number(delivery)
        draft.seen_attempts = delivery.attempt_count
    return draft


def save(request: HttpRequest, delivery: Delivery, draft: Draft) -> None:
    kept: dict[str, Any] = request.session.get(KEY, {})
    kept.pop(str(delivery.pk), None)
    kept[str(delivery.pk)] = asdict(draft)
    for old in list(kept)[:-KEPT]:
        kept.pop(old)
    request.session[KEY] = kept


def rebase(draft: Draft, delivery: Delivery) -> None:
    """Rebase the draft after the user has been shown what changed."""
    draft.seen_revision = latest_number(delivery)
    draft.seen_attempts = delivery.attempt_count


def is_overtaken(draft: Draft, delivery: Delivery) -> bool:
    """Whether the delivery was edited or attempted since the draft began."""
    return draft.seen_revision != latest_number(delivery) or draft.seen_attempts != delivery.attempt_count
