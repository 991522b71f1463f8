"""Numbers and moments in sentences, as the active language writes them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from django.utils import formats, timezone

#: Hours and minutes, in all languages of the desk.
MINUTE: Final = "H:i"


def grouped(number: float | Decimal) -> str:
    """`18,204`; a fraction keeps its digits: `3.2`."""
    return formats.number_format(number, use_l10n=True, force_grouping=True)


def date_and_minute(moment: datetime) -> str:
    """`2026-03-04 23:30`, in the active time zone."""
    stamp = timezone.localtime(moment)
    return f"{formats.date_format(stamp, 'DATE_FORMAT')} {formats.time_format(stamp, MINUTE)}"
