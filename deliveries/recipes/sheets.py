"""Values of the table as text: cells, what is pasted from a spreadsheet, CSV out and in. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries.recipes.plan import Row
from integrations.foundation.json_places import MISSING
from integrations.foundation.strict_json import DocumentError, compact_json, parse_document
from integrations.foundation.written import grouped

LINES_LIMIT: Final = 10_000
SIZE_LIMIT: Final = 5_000_000
COLUMNS: Final = ("delivery", "object", "value now", "value after", "verdict", "why")
_KEYS: Final = ("delivery", "object", "object id", "id")
_VALUES: Final = ("value after", "after", "value", "new value")
#: Spreadsheets take a cell that begins so for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class SheetError(ValueError):
    """Nothing of the sheet can be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a sheet: `key` is an object's or a delivery's id, empty where lines follow the table's order."""

    number: int
    key: str
    text: str


def cell_text(value: Any) -> str:
    """A value as it stands in a cell; empty for null and for what is not there."""
    if value is None or value is MISSING:
        return ""
    return value if isinstance(value, str) else compact_json(value)


def typed_value(text: str, like: Any) -> Any:
    """What is meant by `text` in the place of `like`: text stays text; elsewhere JSON is read where it is some."""
    if isinstance(like, str) or like is None or like is MISSING:
        return text
    try:
        return parse_document(text.encode("utf-8", "surrogatepass"))
    except DocumentError:
        return text


def as_csv(rows: Iterable[Row]) -> Iterable[str]:
    """The table as lines of CSV, safe to be opened in a spreadsheet."""
    yield "\ufeff" + _line(COLUMNS)
    for row in rows:
        yield _line(
            [
                str(row.member.delivery_id),
                row.member.object_id,
                cell_text(row.before),
                cell_text(row.after) if row.has_after else "",
                row.verdict,
                row.why,
            ]
        )


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _as_meant(text: str) -> str:
    """Takes back what `_harmless` did."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def read_csv(raw: bytes) -> list[Line]:
    """The lines of an imported file: UTF-8 or UTF-16, separated by commas, semicolons or tabs. Raises SheetError.

    The first line names the columns: one of them the object's or delivery's id, one the value. Lines whose value is
    empty are left out.
    """
    if len(raw) > SIZE_LIMIT:
        raise SheetError(_("The file is larger than %(number)s MB. Split it.") % {"number": SIZE_LIMIT // 1_000_000})
    text = _decoded(raw)
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise SheetError(_("This is not CSV: %(error)s.") % {"error": error}) from None
    if len(rows) > LINES_LIMIT + 1:
        raise SheetError(_("The file has more than %(limit)s lines. Split it.") % {"limit": grouped(LINES_LIMIT)})
    if not rows:
        raise SheetError(_("The file is empty."))
    key, value = _columns(rows[0])
    return [
        Line(number, _as_meant(row[key]).strip(), _as_meant(row[value]))
        for number, row in enumerate(rows[1:], 2)
        if len(row) > max(key, value) and row[value] != "" and row[key].strip()
    ]


def _decoded(raw: bytes) -> str:
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return raw.decode(encoding).replace("\0", "")
    except UnicodeDecodeError:
        raise SheetError(_("The file is not UTF-8. Save it as “CSV UTF-8” and import it again.")) from None


def _columns(names: Sequence[str]) -> tuple[int, int]:
    plain = [name.strip().lower() for name in names]
    key = next((plain.index(name) for name in _KEYS if name in plain), None)
    value = next((plain.index(name) for name in _VALUES if name in plain), None)
    if key is None or value is None:
        raise SheetError(
            _(
                "The first line must name a column “object” (or “delivery”) and a column “value after”. "
                "Export the table to have one to fill in."
            )
        )
    return key, value


def read_pasted(text: str) -> list[Line]:
    """What is pasted from a spreadsheet: one column of values, or two: id and value. Raises SheetError."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
    if len(lines) > LINES_LIMIT:
        raise SheetError(_("More than %(limit)s lines were pasted.") % {"limit": grouped(LINES_LIMIT)})
    rows = list(csv.reader(lines, delimiter="\t"))
    widths = {len(row) for row in rows if row}
    if not widths:
        raise SheetError(_("Nothing was pasted."))
    if max(widths) > 2:
        raise SheetError(_("Paste one column of values, or two columns: the object's id and its value."))
    if max(widths) == 2:
        return [
            Line(number, row[0].strip(), row[1])
            for number, row in enumerate(rows, 1)
            if len(row) == 2 and row[0].strip() and row[1] != ""
        ]
    return [Line(number, "", row[0] if row else "") for number, row in enumerate(rows, 1)]


@dataclass(frozen=True, slots=True)
class Matched:
    """Rows with the text that a sheet gives them, and what could not be matched, by line."""

    texts: list[tuple[Row, str]]
    problems: list[str]


def match(lines: Sequence[Line], rows: Sequence[Row]) -> Matched:
    """Find the row of each line: by delivery or object, or in the order of `rows` where lines have no key."""
    if lines and not lines[0].key:
        given = [(row, line.text) for row, line in zip(rows, lines, strict=False) if line.text != ""]
        beyond = len(lines) - len(rows)
        said = ngettext(
            "%(number)s pasted line is beyond the last row.",
            "%(number)s pasted lines are beyond the last row.",
            max(beyond, 0),
        )
        problems = [said % {"number": grouped(beyond)}] if beyond > 0 else []
        return Matched(given, problems)
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        for key in (str(row.member.delivery_id), f"dlv_{row.member.delivery_id.hex}", row.member.object_id):
            if key:
                by_key.setdefault(key, []).append(row)
    texts: dict[Any, tuple[Row, str]] = {}
    problems = []
    for line in lines:
        found = by_key.get(line.key)
        if not found:
            problems.append(
                _("Line %(number)s: no delivery here has the id %(id)s.")
                % {"number": line.number, "id": repr(line.key[:60])}
            )
            continue
        for row in found:
            earlier = texts.setdefault(row.member.delivery_id, (row, line.text))
            if earlier[1] != line.text:
                problems.append(
                    _("Line %(number)s: %(id)s has another value further up; that one counts.")
                    % {"number": line.number, "id": repr(line.key[:60])}
                )
                break
    return Matched(list(texts.values()), problems)
