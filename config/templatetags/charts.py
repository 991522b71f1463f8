"""Charts of figures over time, whose bars open the deliveries that they count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from config.desk.charts import bars, extent, ranges
from config.desk.written import duration
from config.templatetags.desk import minute
from integrations.foundation.written import date_and_minute

register = template.Library()


@register.simple_tag
def list_of(integration: Any, row: Any, what: str, store: Any = "") -> str:
    """The list of the deliveries that ended in a bar (`row`, with `start` and `end`), of a status or several; of those
    that were made in it, for `accepted`. `integration` and `store`: their keys, or nothing for all."""
    times = ("since", "until") if what == "accepted" else ("finished_since", "finished_until")
    found = {"tab": "all", "integration": integration, "store": store, "status": "" if what == "accepted" else what}
    found |= {name: _written(moment) for name, moment in zip(times, (row.start, row.end), strict=True)}
    chosen = {name: str(value) for name, value in found.items() if value not in ("", None)}
    return f"{reverse('admin:deliveries_delivery_changelist')}?{urlencode(chosen)}"


@register.simple_tag
def bar_chart(buckets: Iterable[Any], label: str = "", integration: Any = "", store: Any = "") -> SafeString:
    """Each bucket has `succeeded`, `failed`, `start`, `end`, and a `title` for its tooltip."""
    rows = list(buckets)
    titles = [str(row.title) for row in rows]
    links = [list_of(integration, row, "succeeded,failed", store) for row in rows]
    return bars([(row.succeeded, row.failed) for row in rows], 12, 96, label, "chart", titles, links=links)


@register.simple_tag
def range_chart(periods: Iterable[Any], name: str, label: str, integration: Any) -> SafeString:
    """Percentiles of each period, with a legend; `name`: which of its durations."""
    shown = list(periods)
    rows: list[tuple[float, float, float] | None] = []
    titles, links = [], []
    for period in shown:
        found = getattr(period, name)
        rows.append(None if found.p50 is None else (found.p50, found.p95, found.p99))
        spoken = f"p50 {duration(found.p50)}, p95 {duration(found.p95)}, p99 {duration(found.p99)}"
        what = spoken if found.p50 is not None else _("nothing")
        titles.append(_("%(time)s: %(what)s") % {"time": date_and_minute(period.start), "what": what})
        links.append(list_of(integration, period, "succeeded,failed"))
    if not any(rows):
        return format_html('<p class="quiet">{}</p>', _("Nothing in this time."))
    low, high = extent(rows)
    return format_html(
        '{}<p class="chart-legend"><span>{}</span><span>{}&ensp;{}</span><span>{}</span></p>',
        ranges(rows, 96, label, titles, links),
        minute(shown[0].start),
        _("lowest p50: %(duration)s") % {"duration": duration(low)},
        _("highest p99: %(duration)s") % {"duration": duration(high)},
        _("now"),
    )


@register.simple_tag
def written_moment(text: str) -> Any:
    """A time of a query string as people read it; as it is where it is none."""
    try:
        moment = parse_datetime(text.replace(" ", "+"))
        return text if moment is None else minute(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # no date, or the last one of all time
        return text


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
