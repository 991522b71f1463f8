"""Words for stored statuses and verdicts: the rows keep the code, pages show it in the language of the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import pgettext_lazy

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

STATUS_WORDS: Final[dict[str, StrPromise]] = {
    "accepted": pgettext_lazy("status", "accepted"),
    "active": pgettext_lazy("status", "active"),
    "awaiting": pgettext_lazy("status", "awaiting"),
    "cancelled": pgettext_lazy("status", "cancelled"),
    "closed": pgettext_lazy("status", "closed"),
    "counting": pgettext_lazy("status", "counting"),
    "disabled": pgettext_lazy("status", "disabled"),
    "discarded": pgettext_lazy("status", "discarded"),
    "done": pgettext_lazy("status", "done"),
    "draft": pgettext_lazy("status", "draft"),
    "duplicate": pgettext_lazy("status", "duplicate"),
    "error": pgettext_lazy("status", "error"),
    "expired": pgettext_lazy("status", "expired"),
    "failed": pgettext_lazy("status", "failed"),
    "failing": pgettext_lazy("status", "failing"),
    "half-open": pgettext_lazy("status", "half-open"),
    "healthy": pgettext_lazy("status", "healthy"),
    "held": pgettext_lazy("status", "held"),
    "ignored": pgettext_lazy("status", "ignored"),
    "info": pgettext_lazy("status", "info"),
    "late": pgettext_lazy("status", "late"),
    "left_alone": pgettext_lazy("status", "left alone"),
    "off": pgettext_lazy("status", "off"),
    "open": pgettext_lazy("status", "open"),
    "overtaken": pgettext_lazy("status", "overtaken"),
    "paused": pgettext_lazy("status", "paused"),
    "pending": pgettext_lazy("status", "pending"),
    "ready": pgettext_lazy("status", "ready"),
    "rejected": pgettext_lazy("status", "rejected"),
    "resolved": pgettext_lazy("status", "resolved"),
    "retrying": pgettext_lazy("status", "retrying"),
    "returned": pgettext_lazy("status", "returned"),
    "revoked": pgettext_lazy("status", "revoked"),
    "running": pgettext_lazy("status", "running"),
    "sending": pgettext_lazy("status", "sending"),
    "sent": pgettext_lazy("status", "sent"),
    "snoozed": pgettext_lazy("status", "snoozed"),
    "succeeded": pgettext_lazy("status", "succeeded"),
    "superseded": pgettext_lazy("status", "superseded"),
    "unknown": pgettext_lazy("status", "unknown"),
    "waiting": pgettext_lazy("status", "waiting"),
    "warning": pgettext_lazy("status", "warning"),
}


def status_word(code: str) -> str:
    """What a page calls the status `code`; a code that has no word as it is."""
    return str(STATUS_WORDS.get(code, code))
