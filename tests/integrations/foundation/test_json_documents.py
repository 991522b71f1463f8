"""Strict JSON, merging, comparing and patching of documents."""

import copy
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.foundation.json_documents import (
    PatchDoesNotFit,
    apply_patch,
    describe_patch,
    is_same,
    json_patch,
    merge_document,
)
from integrations.foundation.strict_json import DOCUMENT_LIMIT, DocumentError, dump_document, parse_document

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)
keys = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)
# Few keys and values, so that two documents often share parts.
small_documents = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 1.0, "", "a", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0", "~/"]), inner),
    max_leaves=8,
)


def refused(raw):
    with pytest.raises(DocumentError) as caught:
        parse_document(raw)
    return caught.value


@given(documents, st.booleans())
def test_any_document_is_read_as_it_was_written(document, is_ascii):
    raw = json.dumps(document, ensure_ascii=is_ascii).encode()
    assert is_same(parse_document(raw), document)
    assert parse_document(raw) == json.loads(raw)


@given(documents)
def test_what_is_dumped_is_read_back_with_its_keys_in_order(document):
    text = dump_document(document)
    back = parse_document(text.encode())
    assert is_same(back, document)
    assert dump_document(back) == text


@given(st.binary())
def test_no_bytes_raise_anything_but_a_document_error(raw):
    with suppress(DocumentError):
        parse_document(raw)


def test_documents_are_dumped_compactly_and_as_they_are():
    assert dump_document({"b": [1, 2.5], "a": "ü☃"}) == '{"b":[1,2.5],"a":"ü☃"}'


def test_a_byte_order_mark_is_tolerated():
    assert parse_document(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_of_duplicate_keys_the_last_one_wins():
    assert parse_document(b'{"a": 1, "a": 2}') == {"a": 2}


def test_bad_json_is_refused_with_its_line_and_column():
    error = refused(b'{"a": 1,\n "b": }')
    assert (error.code, error.field) == ("bad_request", None)
    assert error.message.endswith("at line 2, column 7.")


@pytest.mark.parametrize("raw", [b"", b" \r\n\t", b"\xef\xbb\xbf"])
def test_an_empty_body_is_refused_as_empty(raw):
    assert refused(raw).message.startswith("The body is empty")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[NaN]", "NaN is not"),
        (b"[Infinity]", "Infinity is not"),
        (b"[-Infinity]", "-Infinity is not"),
        (b"[1e400]", "1e400 is too large"),
        (b"[-1e400]", "-1e400 is too large"),
        (b"[" + b"9" * 400 + b".0]", "is too large"),
        (b"[" + b"9" * 5000 + b"]", "An integer of 5000 digits"),
        (b"[1] 2", "Extra data"),
        (b"{'a': 1}", "not JSON"),
        (b"[01]", "not JSON"),
        (b"[1,]", "not JSON"),
        (b'["\x00"]', "not JSON"),
        (b'["\\x"]', "not JSON"),
        (b'["\xff"]', "not UTF-8: byte 2"),
        (b'["\xed\xa0\x80"]', "not UTF-8"),
        (b"\xff\xfe[\x00]\x00", "not UTF-8"),
    ],
)
def test_what_other_systems_choke_on_is_refused(raw, words):
    error = refused(raw)
    assert error.code == "bad_request"
    assert words in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (rb'{"a": "x\u0000"}', "a"),
        (rb'{"shipments": [{"id": 1}, {"to": {"city": "\ud800"}}]}', "shipments[1].to.city"),
        (rb'{"shipments": [{"id": "\uDFFF"}]}', "shipments[0].id"),
        (rb'{"shipments": ["\uDe00\uD83D"]}', "shipments[0]"),
        (rb'{"a": {"k\u0000": 1}}', "a.k\ufffd"),
        (rb'{"a": {"k\uD800": 1}}', "a.k\ufffd"),
        (rb'"\u0000"', None),
    ],
)
def test_nul_and_lone_surrogates_are_refused_with_their_field(raw, field):
    error = refused(raw)
    assert error.code == "parameter_invalid"
    assert error.field == field


def test_escapes_that_only_look_dangerous_are_read():
    assert parse_document(rb'["\\u0000", "\\ud800", "\ud83d\ude00", "\u00e9"]') == ["\\u0000", "\\ud800", "😀", "é"]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_bounded_at_100(opening, closing):
    def nested(depth, inner="1"):
        return (opening * depth + inner + closing * depth).encode()

    parse_document(nested(100))
    assert "100 levels" in refused(nested(101)).message
    assert "100 levels" in refused(nested(10_000)).message
    assert refused((opening * 100_000).encode()).code == "bad_request"


def test_many_brackets_side_by_side_are_not_nesting():
    assert len(parse_document(b"[" + b"[]," * 5_000 + b"[[]]]")) == 5_001
    assert parse_document(json.dumps("[" * 5_000).encode()) == "[" * 5_000


def test_a_body_past_10_mb_is_too_large():
    assert refused(b'"' + b"a" * (DOCUMENT_LIMIT - 1) + b'"').code == "too_large"
    assert len(parse_document(b'"' + b"a" * (DOCUMENT_LIMIT - 2) + b'"')) == DOCUMENT_LIMIT - 2


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, float("nan"), [float("inf")]])
def test_what_is_no_json_is_not_dumped(value):
    with pytest.raises(DocumentError):
        dump_document(value)


def test_a_partial_update_replaces_top_level_keys_and_leaves_the_others():
    old = {"id": "1", "to": {"city": "Oslo", "zip": "1"}, "note": "x"}
    assert merge_document(old, {"to": {"city": "Rome"}, "tracking": None}) == {
        "id": "1",
        "to": {"city": "Rome"},
        "note": "x",
        "tracking": None,
    }
    assert old["to"] == {"city": "Oslo", "zip": "1"}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        ("1", 1, False),
        (None, False, False),
        ({}, [], False),
        ({"a": None}, {}, False),
        ([], [], True),
    ],
)
def test_sameness_is_that_of_json(old, new, same):
    assert is_same(old, new) is same
    assert is_same(new, old) is same


@given(documents)
def test_a_document_is_the_same_as_its_copy(document):
    assert is_same(document, copy.deepcopy(document))


@given(small_documents, small_documents)
def test_a_patch_turns_the_one_document_into_the_other(before, after):
    untouched = copy.deepcopy(before)
    patch = json_patch(before, after)
    assert is_same(apply_patch(before, patch), after)
    assert is_same(before, untouched)
    assert (patch == []) is is_same(before, after)
    assert len(describe_patch(patch)) == len(patch)


def test_a_patch_is_as_small_as_the_change():
    before = {"id": 1, "to": {"phone": "0000000000", "city": "Oslo"}}
    after = {"id": 1, "to": {"phone": "+4712345678", "city": "Oslo"}}
    assert json_patch(before, after) == [{"op": "replace", "path": "/to/phone", "value": "+4712345678"}]


@pytest.mark.parametrize(
    ("data", "patch", "words"),
    [
        ({}, [{"op": "replace", "path": "/to/phone", "value": "1"}], 'Change to.phone to "1"'),
        ({"to": "x"}, [{"op": "add", "path": "/to/phone", "value": "1"}], "Add to.phone"),
        ({"a": 1}, [{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}], "Remove a."),
        ({"a": [1]}, [{"op": "remove", "path": "/a/7"}], "Remove a[7]"),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": True}], "a has another value here"),
        (5, [{"op": "add", "path": "/a", "value": 1}], "Add a: 1"),
        ({}, [{"op": "explode", "path": "/a"}], "not a JSON Patch"),
        ({}, [{"path": "/a"}], "not a JSON Patch"),
        ({}, [{"op": "move", "path": "/a", "from": "/b"}], "Move b to a"),
        ({}, [{"op": "add", "path": "a", "value": 1}], "not a JSON Patch"),
        ({}, [5], "not a JSON Patch"),
        ({}, [{"op": "add", "path": None, "value": 1}], "not a JSON Patch"),
    ],
)
def test_a_patch_that_does_not_fit_says_why(data, patch, words):
    with pytest.raises(PatchDoesNotFit) as caught:
        apply_patch(data, patch)
    assert words in caught.value.reason


@given(small_documents, small_documents, small_documents)
def test_a_patch_applied_to_another_document_fits_or_says_why(before, after, other):
    with suppress(PatchDoesNotFit):
        apply_patch(other, json_patch(before, after))


def test_a_patch_is_described_in_plain_words():
    patch = [
        {"op": "replace", "path": "/shipping_address/phone", "value": "+61 400 000 000"},
        {"op": "add", "path": "/items/-", "value": {"sku": "A"}},
        {"op": "remove", "path": "/items/0/a~1b"},
        {"op": "move", "from": "/zip", "path": "/to/zip"},
        {"op": "copy", "from": "/zip", "path": "/to/zip"},
        {"op": "test", "path": "", "value": "x" * 100},
    ]
    assert describe_patch(patch) == [
        'Change shipping_address.phone to "+61 400 000 000"',
        'Add items[at the end]: {"sku":"A"}',
        "Remove items[0].a/b",
        "Move zip to to.zip",
        "Copy zip to to.zip",
        f'Check that the whole document is "{"x" * 58}…',
    ]
