"""Bars as SVG. Pure: colours come from CSS classes, text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _


def paired(values: Sequence[float], bad: Sequence[float]) -> list[tuple[float, float]]:
    faults = list(bad) + [0] * (len(values) - len(bad))
    return list(zip(values, faults, strict=False))


def bars(
    rows: Sequence[tuple[float, float]],
    step: int,
    height: int,
    label: str,
    name: str,
    titles: Sequence[str] = (),
    tip: str = "",
    links: Sequence[str] = (),
) -> SafeString:
    """`links`: where each bar leads; a page that has them has a table with the same links for the keyboard."""
    top = max((good + bad for good, bad in rows), default=0) or 1
    gap = 1 if step < 8 else 2
    shapes = []
    for index, (good, bad) in enumerate(rows):
        # Every failure is visible: one in a million is still a line of two pixels.
        bad_height = max(2.0, bad * height / top) if bad else 0
        good_height = max(1.0, good * height / top) if good else 0
        good_height = min(good_height, height - bad_height)
        x = index * step
        shapes.append((x, step - gap, height, good_height, bad_height, titles[index] if titles else ""))
    drawn = _linked([_bar(*shape) for shape in shapes], titles, links)
    title = format_html("<title>{}</title>", tip) if tip else ""
    return _drawing(name, len(rows) * step, height, label, format_html("{}{}", title, drawn), is_group=bool(links))


def ranges(
    rows: Sequence[tuple[float, float, float] | None],
    height: int,
    label: str,
    titles: Sequence[str],
    links: Sequence[str],
) -> SafeString:
    """Bars from the first to the second value and a line to the third, on a logarithmic scale; None: nothing."""
    low, high = extent(rows)
    span = log(high / low) or 1.0

    def at(value: float) -> float:
        return height - 4 - (height - 8) * log(max(low, value) / low) / span

    step, shapes = 12, []
    for index, row in enumerate(rows):
        p50, p95, p99 = map(at, row or (low, low, low))
        shapes.append(_range(index * step, height, p50, p95, p99, titles[index], is_empty=row is None))
    return _drawing("chart", len(rows) * step, height, label, _linked(shapes, titles, links), is_group=bool(links))


def extent(rows: Sequence[tuple[float, float, float] | None]) -> tuple[float, float]:
    """The lowest first and the highest third value."""
    found = [row for row in rows if row is not None]
    low = min((row[0] for row in found), default=1.0)
    return max(low, 0.5), max(max((row[2] for row in found), default=1.0), low, 0.5)


def _range(x: int, height: int, p50: float, p95: float, p99: float, tip: str, *, is_empty: bool) -> SafeString:
    title = format_html("<title>{}</title>", tip)
    hit = format_html('<rect class="bar-hit" x="{}" y="0" width="10" height="{}"/>', x, height)
    if is_empty:
        return format_html("<g>{}{}</g>", title, hit)
    return format_html(
        '<g>{}{}<rect class="range-tail" x="{}" y="{}" width="2" height="{}"/>'
        '<rect class="range-body" x="{}" y="{}" width="10" height="{}"/></g>',
        title, hit, x + 4, f"{p99:.1f}", f"{max(0.0, p95 - p99):.1f}", x, f"{p95:.1f}", f"{max(2.0, p50 - p95):.1f}",
    )  # fmt: skip


def _linked(shapes: Sequence[SafeString], titles: Sequence[str], links: Sequence[str]) -> SafeString:
    if not links:
        return format_html_join("", "{}", ((shape,) for shape in shapes))
    found = zip(links, titles, shapes, strict=True)
    return format_html_join("", '<a href="{}" aria-label="{}" tabindex="-1">{}</a>', found)


def _drawing(name: str, width: int, height: int, label: str, drawn: SafeString, *, is_group: bool) -> SafeString:
    """A group where its parts can be reached, else one picture."""
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="{}" aria-label="{}">{}</svg>',
        name,
        max(1, width),
        height,
        "group" if is_group else "img",
        label or _("over time"),
        drawn,
    )


def _bar(x: int, width: int, height: int, good: float, bad: float, tip: str) -> SafeString:
    title = format_html("<title>{}</title>", tip) if tip else ""
    return format_html(
        '<g>{}<rect class="bar-hit" x="{}" y="0" width="{}" height="{}"/>'
        '<rect class="bar-good" x="{}" y="{}" width="{}" height="{}"/>'
        '<rect class="bar-bad" x="{}" y="{}" width="{}" height="{}"/></g>',
        title, x, width, height,
        x, f"{height - good:.1f}", width, f"{good:.1f}",
        x, f"{height - good - bad:.1f}", width, f"{bad:.1f}",
    )  # fmt: skip
