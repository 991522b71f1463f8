"""Values of the table step that do not come from rules: typed into cells, pasted, imported."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries.models import BulkFix
from deliveries.recipes import drafts
from deliveries.recipes.plan import SEND_SECONDS, Row
from deliveries.recipes.rules import RuleError
from deliveries.recipes.sheets import Line, SheetError, match, read_csv, read_pasted, typed_value
from integrations.foundation.written import grouped

PROBLEMS_SHOWN: Final = 20

IsWanted = Callable[[int, Row], bool]


def take_typed(request: HttpRequest, fix: BulkFix, wanted: Callable[[], IsWanted]) -> list[str]:
    """Keep values from cells, from the clipboard, from a file, and take back what is to be; what there is to say of it.

    `wanted` makes the filter of the rows that the page shows. Raises SheetError, ResolutionError, FilterError.
    """
    form = request.POST
    if form.get("do") == "retract":
        fix.items.filter(is_typed=True).delete()
    if (taken_back := _uuid(form.get("untype", ""))) is not None:
        drafts.save_draft(fix=fix, typed={taken_back: None})
    cells = {
        pk: str(text).replace("\r\n", "\n")
        for name, text in form.items()
        if name.startswith("cell-") and text != form.get(f"was-{name[5:]}") and (pk := _uuid(name[5:])) is not None
    }
    if cells:
        _type(fix, [(row, cells[row.member.delivery_id]) for row in _rows_for(fix, set(cells))])
    lines = _lines(request)
    if not lines:
        return []
    found = match(lines, rows_of(fix, everything if lines[0].key else wanted()))
    number = _type(fix, found.texts)
    taken = ngettext("%(number)s value taken over.", "%(number)s values taken over.", number)
    notes = [taken % {"number": grouped(number)}, *found.problems[:PROBLEMS_SHOWN]]
    if (more := len(found.problems) - PROBLEMS_SHOWN) > 0:
        said = ngettext(
            "… and %(number)s more line that fits no row.", "… and %(number)s more lines that fit no row.", more
        )
        notes.append(said % {"number": grouped(more)})
    return notes


def everything(_: int, row: Row) -> bool:
    return True


def _lines(request: HttpRequest) -> list[Line]:
    form = request.POST
    if form.get("do") == "paste" and form.get("pasted", "").strip():
        return read_pasted(form["pasted"])
    if form.get("do") == "import":
        if (sheet := request.FILES.get("sheet")) is None:
            raise SheetError(_("Choose a file first."))
        return read_csv(sheet.read())
    return []


def rows_of(fix: BulkFix, is_wanted: IsWanted) -> list[Row]:
    """The wanted rows, as the values are where the rules are not complete yet."""
    try:
        return drafts.preview_fix(fix, is_wanted=is_wanted, seconds=SEND_SECONDS).rows
    except RuleError:
        kept, fix.rules = fix.rules, []
        try:
            return drafts.preview_fix(fix, is_wanted=is_wanted, seconds=SEND_SECONDS).rows
        finally:
            fix.rules = kept


def _rows_for(fix: BulkFix, ids: set[uuid.UUID]) -> list[Row]:
    try:
        return drafts.rows_for(fix, ids)
    except RuleError:
        return drafts.rows_for(fix, ids, with_rules=False)


def _type(fix: BulkFix, texts: list[tuple[Row, str]]) -> int:
    typed: dict[uuid.UUID, dict[str, Any] | None] = {}
    for row, text in texts:
        like = row.after if row.has_after and row.after is not None else row.before
        typed[row.member.delivery_id] = {"value": typed_value(text, like)}
    drafts.save_draft(fix=fix, typed=typed)
    return len(typed)


def _uuid(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
