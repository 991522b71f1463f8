"""Values out to spreadsheets and back: CSV that no spreadsheet runs, pasted columns, errors by line."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.recipes.members import Member
from deliveries.recipes.plan import Row
from deliveries.recipes.sheets import SheetError, as_csv, cell_text, match, read_csv, read_pasted, typed_value
from integrations.foundation.json_places import MISSING


def row(object_id: str, before: Any, after: Any = "x") -> Row:
    return Row(Member(uuid.uuid4(), "shipment", object_id, "t", {}, 0, False), before, after, "fits")


def test_what_is_exported_starts_no_formula_and_comes_back_as_it_was() -> None:
    rows = [row("1", "=cmd|' /C calc'!A0", "+254712"), row("2", "@SUM(A1)", "-5"), row("3", 'a,"b"\nc', "'quoted")]
    text = "".join(as_csv(rows))
    cells = [cell for line in list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))[1:] for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    found = match(read_csv(text.encode()), rows)
    assert [(one.member.object_id, value) for one, value in found.texts] == [
        ("1", "+254712"), ("2", "-5"), ("3", "'quoted"),
    ]  # fmt: skip
    assert found.problems == []


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), max_size=5))
def test_any_text_survives_the_way_through_a_spreadsheet(texts: list[str]) -> None:
    rows = [row(f"o{number}", "", text) for number, text in enumerate(texts)]
    found = match(read_csv("".join(as_csv(rows)).encode()), rows)
    back = {one.member.object_id: text for one, text in found.texts}
    # The one thing that cannot be told from what makes a cell harmless.
    expected = {
        f"o{n}": t[1:] if t[:1] == "'" and t[1:2] in tuple("=+-@\t\r") and t[1:2] else t for n, t in enumerate(texts)
    }
    assert back == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_as_spreadsheets_write_them_are_read(encoding: str, separator: str) -> None:
    text = f"Object{separator}Value after\r\n17{separator}Müller\r\n18{separator}\r\n"
    (line,) = read_csv(text.encode(encoding))
    assert (line.number, line.key, line.text) == (2, "17", "Müller")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "empty|must name"),
        (b"a,b\n1,2\n", "must name a column"),
        (b"object,value\n1,\xff\n", "not UTF-8"),
        (b'object,value\n1,"open\n', "not CSV"),
        (b"object,value\n" + b"1,2\n" * 10_001, "more than 10,000 lines"),
        (b"x" * 5_000_001, "larger than 5 MB"),
    ],
)
def test_what_is_no_sheet_is_refused_with_what_to_do(raw: bytes, why: str) -> None:
    with pytest.raises(SheetError, match=why):
        read_csv(raw)


def test_lines_that_fit_no_row_are_named_and_the_others_taken() -> None:
    rows = [row("1", "a"), row("2", "b")]
    found = match(read_pasted("1\tA\n9\tX\n1\tB\n2\tC"), rows)
    assert [(one.member.object_id, text) for one, text in found.texts] == [("1", "A"), ("2", "C")]
    assert found.problems == [
        "Line 2: no delivery here has the id '9'.",
        "Line 3: '1' has another value further up; that one counts.",
    ]


def test_two_deliveries_of_one_object_both_get_its_value() -> None:
    rows = [row("1", "a"), row("1", "b")]
    assert len(match(read_pasted("1\tA"), rows).texts) == 2


def test_one_column_follows_the_order_of_the_rows_and_empty_lines_leave_theirs() -> None:
    rows = [row("1", "a"), row("2", "b"), row("3", "c")]
    found = match(read_pasted("A\r\n\r\nC\r\nD\r\n"), rows)
    assert [(one.member.object_id, text) for one, text in found.texts] == [("1", "A"), ("3", "C")]
    assert found.problems == ["1 pasted line is beyond the last row."]


def test_three_columns_are_refused() -> None:
    with pytest.raises(SheetError, match="one column of values, or two"):
        read_pasted("1\t2\t3")


@pytest.mark.parametrize(
    ("text", "like", "expected"),
    [("12", "7", "12"), ("12", 7, 12), ("12", None, "12"), ("x", 7, "x"), ("[1]", ["a"], [1]), ("", MISSING, "")],
)
def test_typed_text_means_what_stood_there_before(text: str, like: Any, expected: Any) -> None:
    assert typed_value(text, like) == expected


def test_cells_show_text_as_it_is_and_other_values_as_json() -> None:
    assert [cell_text(value) for value in ("a", 1, True, None, MISSING, {"a": 1})] == [
        "a",
        "1",
        "true",
        "",
        "",
        '{"a":1}',
    ]
