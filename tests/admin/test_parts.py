"""What pages are made of: documents, differences, paths, times. Pure, and inert whatever is put in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.templatetags import desk, documents
from deliveries.admin.json_pointers import existing_pointers
from deliveries.admin.wizard.schema_help import schema_lines
from integrations.admin.diff import side_by_side
from integrations.foundation.json_paths import pointer_of

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_documents_texts_and_keys_are_inert() -> None:
    drawn = documents.document({HOSTILE: [HOSTILE, {"a": HOSTILE}]})
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert drawn.count("&lt;script&gt;") == 3


@pytest.mark.parametrize("kind", ["", "application/json", "application/xml", "text/html"])
@pytest.mark.parametrize("text", [HOSTILE, f"<?xml?><a b='{HOSTILE}'>{HOSTILE}</a>", "{" + HOSTILE, "\x00\x1b[31m"])
def test_bodies_are_inert_whatever_they_say_they_are(text: str, kind: str) -> None:
    drawn = documents.body(text, kind)
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert "\x1b" not in drawn


@given(values)
def test_every_document_can_be_drawn(value: object) -> None:
    assert documents.document(value)


def test_large_documents_are_cut_and_say_so() -> None:
    assert "more characters" in documents.plain("x" * 200_000)
    assert len(documents.document(["y"] * 50_000)) < 500_000
    assert "more characters" in documents.document({"a": "z" * 10_000})


def test_a_deep_document_does_not_exhaust_the_stack() -> None:
    assert documents.body("[" * 90 + "]" * 90)
    assert documents.body("[" * 100_000)


def test_the_suspicious_field_is_marked() -> None:
    drawn = documents.document({"address": {"phone": "0"}}, ["/address/phone"])
    assert drawn.count("suspect") == 1


def test_xml_is_indented_by_its_marks() -> None:
    text = documents.indented_xml(
        '<?xml version="1.0"?><order><id>1</id><note></note><lines><line>2</line></lines></order>'
    )
    assert text.splitlines() == [
        '<?xml version="1.0"?>',
        "<order>",
        "  <id>1</id>",
        "  <note></note>",
        "  <lines>",
        "    <line>2</line>",
        "  </lines>",
        "</order>",
    ]


def test_a_difference_marks_only_what_changed() -> None:
    before = json.dumps({"id": "1", "phone": "0000000000", "city": "x"}, indent=2)
    rows = side_by_side(before, before.replace("0000000000", "555"))
    changed = [row for row in rows if row.kind == "changed"]
    assert len(changed) == 1
    assert ("0000000000", True) in changed[0].left
    assert ("555", True) in changed[0].right


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_both_sides_of_a_difference_hold_their_text(left: list[str], right: list[str]) -> None:
    rows = side_by_side("\n".join(left), "\n".join(right))
    if any(row.kind == "skip" for row in rows):
        return
    assert ["".join(text for text, _ in row.left) for row in rows if row.left] == left
    assert ["".join(text for text, _ in row.right) for row in rows if row.right] == right


def test_long_equal_runs_fold() -> None:
    lines = [str(number) for number in range(100)]
    rows = side_by_side("\n".join(lines), "\n".join([*lines[:50], "new", *lines[50:]]))
    assert [row.count for row in rows if row.kind == "skip"] == [47, 47]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [("items[0].price", "/items/0/price"), ("a", "/a"), ("", ""), ("a/b.c~d", "/a~1b/c~0d")],
)
def test_places_as_people_write_them(path: str, pointer: str) -> None:
    assert pointer_of(path) == pointer


def test_only_places_that_exist_are_marked() -> None:
    payload = {"address": {"phone": "0"}, "items": [{"price": 1}]}
    assert existing_pointers(["address.phone", "nope", "price"], payload) == ["/address/phone", "/items/0/price"]


def test_a_schema_reads_as_lines() -> None:
    schema = {"required": ["id"], "properties": {"items": {"items": {"properties": {"price": {"minimum": 0}}}}}}
    assert [(line.path, line.is_required) for line in schema_lines(schema)] == [
        ("items", False),
        ("items[].price", False),
        ("id", True),
    ]
    assert schema_lines(True) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (4, "4 s ago"), (-12, "in 12 s"), (250, "4 min ago"), (-7300, "in 2 h"), (90_000, "1 d ago")],
)
def test_times_are_relative(seconds: int, text: str) -> None:
    now = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
    assert desk.relative(now - timedelta(seconds=seconds), now) == text


def test_a_time_carries_the_absolute_one() -> None:
    drawn = desk.ago(datetime(2026, 3, 4, 12, 0, tzinfo=UTC))
    assert 'datetime="2026-03-04T12:00:00.000+00:00"' in drawn
    assert 'title="2026-03-04 12:00:00 UTC"' in drawn


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.99999, "99.99 %"), (0.9976, "99.76 %"), (0, "0 %"), (None, "–")]
)
def test_a_share_is_never_rounded_up_to_all(share: float | None, text: str) -> None:
    assert desk.percent(share) == text


def test_a_status_has_glyph_and_word() -> None:
    assert "✕" in desk.pill("failed")
    assert "failed" in desk.pill("failed")
    assert "&lt;b&gt;" in desk.pill("<b>")


def test_one_failure_among_many_is_seen() -> None:
    drawn = desk.sparkline([1_000_000], [1], "x")
    assert 'class="bar-bad" x="0" y="0.0" width="3" height="2.0"' in drawn


def test_ids_are_shortened_in_the_middle_and_copied_whole() -> None:
    whole = "dlv_0193a8f15c7d4e2fb1a09c8d7e6f5a4b"
    drawn = desk.copy_id(whole)
    assert f'data-copy="{whole}"' in drawn
    assert ">dlv_0193a8…f5a4b<" in drawn
