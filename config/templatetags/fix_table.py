"""Cells of the table in which many payloads are fixed."""

from __future__ import annotations

from typing import Any, Final

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from deliveries.recipes.plan import Row
from deliveries.recipes.sheets import cell_text
from integrations.foundation.json_places import MISSING

register = template.Library()

#: Longer texts, and those of several lines, are edited in the delivery's own editor.
CELL_LIMIT: Final = 300


@register.simple_tag
def fix_value(value: Any) -> SafeString:
    """A value as it is now; blanks at its ends and doubled ones are marked, because nobody sees them."""
    if value is MISSING or value is None or value == "":
        word = _("missing") if value is MISSING else _none(value)
        return format_html('<span class="none">{}</span>', word)
    text = cell_text(value)
    shown = text[:CELL_LIMIT]
    marked = format_html_join("", "{}", ((_marked(shown, at),) for at in range(len(shown))))
    return format_html("{}{}", marked, "…" if len(text) > CELL_LIMIT else "")


def _marked(text: str, at: int) -> str | SafeString:
    character = text[at]
    is_edge = at == 0 or at == len(text) - 1 or text[at - 1].isspace()
    is_odd = character.isspace() and (is_edge or character != " ")
    if is_odd or not character.isprintable():
        name = _("blank") if character == " " else f"U+{ord(character):04X}"
        return format_html('<mark title="{}">{}</mark>', name, "␣" if character.isspace() else "·")
    return character


@register.simple_tag
def fix_cell(row: Row) -> SafeString:
    """The value after, to be edited."""
    text = cell_text(row.after if row.has_after else row.before)
    if row.has_after and row.after is MISSING:
        return format_html('<span class="none">{}</span>', _("removed") if row.before is not MISSING else _("missing"))
    if len(text) > CELL_LIMIT or "\n" in text:
        return format_html('{}… <span class="none">{}</span>', text[:60], _("edit it by itself"))
    pk = row.member.delivery_id
    return format_html(
        '<input type="hidden" name="was-{0}" value="{1}"><input type="text" name="cell-{0}" value="{1}"{2}'
        ' aria-label="{3}" spellcheck="false" autocomplete="off" autocapitalize="off">',
        pk,
        text,
        format_html(' placeholder="{}"', _none(row.after)) if not text else "",
        _("Value after of %(delivery)s") % {"delivery": row.member.name},
    )


def _none(value: Any) -> str:
    return "null" if value is None else _("empty")
