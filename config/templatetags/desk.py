"""Template tags shared by all pages of the desk: status pills, times, ids, charts.

All of them escape their input: names, payloads and responses are untrusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django import template
from django.apps import apps
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from config.desk.charts import bars, paired
from config.desk.script_words import block as script_words_block
from config.desk.status_words import status_word
from config.desk.written import NOTHING, duration, grouped, percent, relative, time_of_day, whole
from integrations.admin.base import DeskAdmin
from integrations.foundation.json_paths import path_of_pointer
from integrations.services.exports import KINDS
from integrations.services.exports import PERMISSION as EXPORT

register = template.Library()
for written in (duration, grouped, percent, status_word):
    register.filter(written)

#: Status → (glyph, colour class). A status is never shown by colour alone, but with a glyph and a word.
PILLS: Final[dict[str, tuple[str, str]]] = {
    "succeeded": ("●", "good"),
    "sent": ("●", "good"),
    "resolved": ("●", "good"),
    "closed": ("●", "good"),
    "healthy": ("●", "good"),
    "done": ("●", "good"),
    "accepted": ("●", "good"),
    "sending": ("◐", "busy"),
    "running": ("◐", "busy"),
    "pending": ("○", "calm"),
    "waiting": ("○", "calm"),
    "held": ("○", "calm"),
    "ignored": ("○", "calm"),
    "retrying": ("↻", "warn"),
    "late": ("◌", "warn"),
    "unknown": ("◌", "warn"),
    "paused": ("‖", "warn"),
    "half-open": ("◑", "warn"),
    "warning": ("▲", "warn"),
    "snoozed": ("◌", "calm"),
    "returned": ("↺", "bad"),
    "failed": ("✕", "bad"),
    "error": ("✕", "bad"),
    "rejected": ("✕", "bad"),
    "open": ("✕", "bad"),
    "disabled": ("‖", "bad"),
    "revoked": ("⊘", "calm"),
    "expired": ("⊘", "calm"),
    "cancelled": ("⊘", "calm"),
    "discarded": ("⊘", "calm"),
    "superseded": ("⇥", "calm"),
    "duplicate": ("=", "calm"),
    "info": ("i", "busy"),
    "draft": ("○", "calm"),
    "awaiting": ("‖", "warn"),
    "counting": ("◐", "busy"),
    "ready": ("○", "calm"),
    "active": ("●", "good"),
    "off": ("⊘", "calm"),
    "left_alone": ("⊘", "calm"),
    "overtaken": ("⇥", "calm"),
}


@register.simple_tag
def pill(status: str, word: str = "", extra: str = "") -> SafeString:
    """`✕ failed` in its colour. `word` replaces the word for the status, `extra` follows in a muted colour."""
    glyph, colour = PILLS.get(status, ("·", "calm"))
    return format_html(
        '<span class="pill pill-{}"><span aria-hidden="true">{}</span> {}{}</span>',
        colour,
        glyph,
        word or status_word(status),
        f" {extra}" if extra else "",
    )


@register.simple_tag
def delivery_pill(delivery: Any) -> SafeString:
    """A delivery's status and its next attempt."""
    if delivery.is_held:
        return pill("held", status_word("waiting"), _("for an earlier delivery"))
    if delivery.status == "retrying" and delivery.due_at:
        return pill("retrying", extra=relative(delivery.due_at))
    return pill(delivery.status)


@register.simple_tag
def ago(moment: datetime | None, empty: str = NOTHING) -> SafeString:
    """A relative time with the absolute one in its title; `desk.js` updates it."""
    if not moment:  # a health row that does not exist yet is an empty text in templates
        return format_html('<span class="quiet">{}</span>', empty)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>', _exact(moment), whole(moment), relative(moment)
    )


@register.simple_tag
def minute(moment: datetime | None) -> SafeString:
    """As `clock`, without the seconds: for the ends of a chart."""
    return clock(moment, has_seconds=False)


@register.simple_tag
def clock(moment: datetime | None, has_seconds: bool = True) -> SafeString:
    """The time of day in the viewer's zone, with the date if it is not today there."""
    if not moment:  # a health row that does not exist yet is an empty text in templates
        return format_html('<span class="quiet">{}</span>', NOTHING)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        _exact(moment),
        whole(moment, has_milliseconds=True),
        time_of_day(moment, has_seconds=has_seconds),
    )


def _exact(moment: datetime) -> str:
    """For programs: in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


@register.simple_tag
def script_words() -> SafeString:
    """What the page's scripts say, as a block of JSON."""
    return script_words_block()


@register.simple_tag
def zone_name() -> str:
    """The zone in which this page shows times: `Europe/Berlin`."""
    return str(timezone.get_current_timezone())


@register.simple_tag
def copy_id(text: Any, shown: str = "") -> SafeString:
    """An id, shortened in the middle; a click copies all of it."""
    full = str(text)
    short = shown or shortened_id(full)
    return format_html(
        '<button type="button" class="id" data-copy="{}" title="{}">{}</button>',
        full,
        _("Copy %(text)s") % {"text": full},
        short,
    )


def shortened_id(text: str) -> str:
    prefix, mark, rest = text.rpartition("_")
    return text if len(rest) <= 14 else f"{prefix}{mark}{rest[:6]}…{rest[-5:]}"


@register.filter
def middle(text: Any, length: int = 40) -> str:
    """`text` shortened in the middle to `length` characters."""
    full = str(text)
    if len(full) <= length:
        return full
    half = (length - 1) // 2
    return f"{full[:half]}…{full[-half:]}"


@register.filter
def seconds(value: float | None) -> str:
    return duration(None if value is None else value * 1000)


@register.filter
def place(pointer: str) -> str:
    """A JSON Pointer as people write it: `/items/0/price` → `items[0].price`."""
    try:
        return path_of_pointer(pointer)
    except ValueError:
        return pointer


@register.simple_tag
def sparkline(values: Sequence[float], bad: Sequence[float] = (), label: str = "") -> SafeString:
    """Small bars: `values` in all, of which `bad` failed. Rendered on the server; colours come from CSS classes.

    Its name, read aloud and shown as a tooltip, has the figures: `deliveries over time: 240 in all, 12 failed`.
    """
    rows = [(max(0, total - fault), fault) for total, fault in paired(values, bad)]
    spoken = _("%(what)s: %(total)s in all, %(failed)s failed") % {
        "what": label or _("over time"),
        "total": grouped(sum(values)),
        "failed": grouped(sum(bad)),
    }
    return bars(rows, 4, 20, spoken, "sparkline", tip=spoken)


@register.simple_tag
def highest(buckets: Iterable[Any]) -> int:
    """What the highest bar of a chart stands for: its axis has this one value."""
    return max((row.succeeded + row.failed for row in buckets), default=0)


@register.simple_tag
def list_title(opts: Any) -> str:
    """What the menu calls the list of a model, from its admin."""
    page = admin.site._registry.get(opts.model)
    return str(page.title_of_list() if isinstance(page, DeskAdmin) else opts.verbose_name_plural)


@register.inclusion_tag("admin/desk/export.html", takes_context=True)
def export_list(context: Any) -> dict[str, Any]:
    """On a list's page, the buttons that export it as filtered; nothing elsewhere, or for who may not."""
    request = context.get("request")
    name = (request.resolver_match.url_name or "") if request is not None and request.resolver_match else ""
    if not name.endswith("_changelist") or not request.user.has_perm(EXPORT):
        return {}
    app, _, model = name.removesuffix("_changelist").rpartition("_")
    page = admin.site._registry.get(apps.get_model(app, model))
    if not isinstance(page, DeskAdmin) or not page.export_columns:
        return {}
    query = request.GET.urlencode()
    addresses = [
        (kind, f"{reverse(f'admin:{app}_{model}_export_{kind}')}{f'?{query}' if query else ''}") for kind in KINDS
    ]
    return {"addresses": addresses, "csrf_token": context.get("csrf_token"), "is_filtered": bool(query)}


@register.simple_tag
def one_of(opts: Any) -> str:
    """What the desk calls one row of a model."""
    page = admin.site._registry.get(opts.model)
    return str(page.name_of_one() if isinstance(page, DeskAdmin) else opts.verbose_name)


@register.simple_tag(takes_context=True)
def query(context: Any, **changes: Any) -> str:
    """The page's query string with some parameters changed (None: removed). A new filter drops the cursor."""
    parameters = context["request"].GET.copy()
    for gone in ("before", "after"):
        parameters.pop(gone, None)
    for name, value in changes.items():
        if value is None or value == "":
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    text = parameters.urlencode()
    return f"?{text}" if text else "?"
