"""“Apply this to future failures like these”: the part of the table's form that keeps the rules as a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from deliveries.models import BulkFix
from deliveries.recipes.keeping import CAP, DAYS, check_limits
from deliveries.recipes.requests import keep_after
from deliveries.resolution import ResolutionError
from integrations.foundation.audit import Actor


@dataclass(frozen=True, slots=True)
class KeepForm:
    """What was filled in, as text until it is checked."""

    is_wanted: bool
    days: str = str(DAYS)
    daily_cap: str = str(CAP)
    approve_first: str = "0"

    @classmethod
    def of(cls, given: Mapping[str, Any], fix: BulkFix) -> KeepForm:
        if "keep_days" not in given:
            return cls(False)
        return cls(
            "keep" in given and "group" in fix.scope,
            str(given.get("keep_days", "")).strip(),
            str(given.get("keep_cap", "")).strip(),
            str(given.get("keep_approve", "")).strip() or "0",
        )

    def check(self) -> None:
        """Raises ResolutionError."""
        if self.is_wanted:
            days, daily_cap, approve_first = self._numbers()
            check_limits(days=days, daily_cap=daily_cap, approve_first=approve_first)

    def save(self, fix: BulkFix, actor: Actor) -> None:
        """Raises ResolutionError."""
        days, daily_cap, approve_first = self._numbers()
        keep_after(fix=fix, actor=actor, days=days, daily_cap=daily_cap, approve_first=approve_first)

    def _numbers(self) -> tuple[int, int, int]:
        for text in (self.days, self.daily_cap, self.approve_first):
            if not (text.isascii() and text.isdecimal()) or len(text) > 6:
                raise ResolutionError(
                    "invalid", _("%(text)s is not a whole number: see “Future failures”.") % {"text": repr(text[:20])}
                )
        return int(self.days), int(self.daily_cap), int(self.approve_first)
