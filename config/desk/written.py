"""Numbers, times and durations on pages, as their language writes them; a dash for what is not known."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.foundation import written

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

NOTHING: Final = "–"
#: Up to so many seconds: the seconds of one unit, its name for scripts, and a time before and after now in it.
STEPS: Final[tuple[tuple[int, int, str, StrPromise, StrPromise], ...]] = (
    (60, 1, "s", gettext_lazy("%(number)s s ago"), gettext_lazy("in %(number)s s")),
    (3600, 60, "min", gettext_lazy("%(number)s min ago"), gettext_lazy("in %(number)s min")),
    (86_400, 3600, "h", gettext_lazy("%(number)s h ago"), gettext_lazy("in %(number)s h")),
    (60 * 86_400, 86_400, "d", gettext_lazy("%(number)s d ago"), gettext_lazy("in %(number)s d")),
)


def grouped(value: float | None) -> str:
    """`18,204`."""
    return NOTHING if value is None else written.grouped(round(value))


def percent(share: float | None) -> str:
    """`99.76 %`; never rounded up to 100 if something failed."""
    if share is None:
        return NOTHING
    shown = Decimal(math.floor(share * 10_000)) / 100
    return _("%(number)s %%") % {"number": written.grouped(_plain(f"{shown:f}"))}


def duration(milliseconds: float | None) -> str:
    """`412 ms`, `3.2 s`, `4 min`."""
    if milliseconds is None:
        return NOTHING
    if milliseconds < 1000:
        return _("%(number)s ms") % {"number": grouped(milliseconds)}
    if milliseconds < 60_000:
        return _("%(number)s s") % {"number": written.grouped(_plain(f"{milliseconds / 1000:.3g}"))}
    if milliseconds < 7_200_000:
        return _("%(number)s min") % {"number": grouped(milliseconds / 60_000)}
    return _("%(number)s h") % {"number": grouped(milliseconds / 3_600_000)}


def relative(moment: datetime, now: datetime | None = None) -> str:
    """`4 min ago`, `in 12 s`; a date if it is far away."""
    seconds = ((now or timezone.now()) - moment).total_seconds()
    size = abs(seconds)
    if size < 1:
        return _("now")
    for limit, unit, _name, before, after in STEPS:
        if size < limit:
            return str(before if seconds > 0 else after) % {"number": int(size // unit)}
    return formats.date_format(timezone.localtime(moment), "DATE_FORMAT")


def time_of_day(moment: datetime, *, has_seconds: bool = True) -> str:
    """In the viewer's zone, with the date if it is not today there."""
    stamp = timezone.localtime(moment)
    shown = formats.time_format(stamp, "TIME_FORMAT" if has_seconds else written.MINUTE)
    return shown if stamp.date() == timezone.localdate() else f"{formats.date_format(stamp, 'DATE_FORMAT')} {shown}"


def whole(moment: datetime, *, has_milliseconds: bool = False) -> str:
    """Date, time and zone, for tooltips: `2026-03-04 23:30:05.123 CET`."""
    stamp = timezone.localtime(moment)
    shown = formats.date_format(stamp, "DATETIME_FORMAT")
    if has_milliseconds:
        shown += f"{formats.get_format('DECIMAL_SEPARATOR')}{stamp.microsecond // 1000:03}"
    return f"{shown} {timezone.get_current_timezone_name()}"


def _plain(text: str) -> Decimal:
    """Without zeros at the end of a fraction, and without an exponent."""
    found = Decimal(text)
    return Decimal(f"{found:f}".rstrip("0").rstrip(".")) if "." in f"{found:f}" else Decimal(f"{found:f}")
