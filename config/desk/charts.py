"""Bars as SVG. Pure: colours come from CSS classes, text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


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
) -> SafeString:
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
    drawn = format_html_join("", "{}", ((_bar(*shape),) for shape in shapes))
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>',
        name,
        max(1, len(rows) * step),
        height,
        label or "over time",
        format_html("<title>{}</title>", tip) if tip else "",
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
