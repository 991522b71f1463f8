"""What notifications say of bulk fixes and recipes, in the language of the staff."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext, ngettext

from deliveries import hooks
from deliveries.models import BulkFix, Recipe
from integrations.foundation.json_places import parse_place, spelled
from integrations.foundation.languages import staff_language
from integrations.foundation.written import grouped


def announce_asked(fix: BulkFix, now: datetime) -> None:
    """A fix awaits approval."""
    with staff_language():
        words = ngettext(
            "%(name)s asks for approval of a fix of %(number)s delivery: %(field)s.",
            "%(name)s asks for approval of a fix of %(number)s deliveries: %(field)s.",
            fix.total,
        )
        text = words % {
            "name": fix.author_name,
            "number": grouped(fix.total),
            "field": spelled(parse_place(fix.place)),
        }
    hooks.announced(fix.store_id, None, f"bulk_fix:{fix.pk}", "warning", text, now)


def announce_switched_off(recipe: Recipe, why: str, now: datetime) -> None:
    """`why`: in English, as it is kept."""
    with staff_language():
        words = gettext("The recipe “%(name)s” has switched itself off. %(why)s")
        text = words % {"name": recipe.name, "why": gettext(why)}
    hooks.announced(recipe.store_id, recipe.integration_id, f"recipe:{recipe.pk}", "warning", text, now)
