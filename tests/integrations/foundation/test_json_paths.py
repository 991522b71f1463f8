"""Places in documents: as people write them, and as JSON Pointers."""

from __future__ import annotations

import jsonpointer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.admin.json_pointers import existing_pointers
from integrations.foundation.json_paths import path_of, path_of_pointer, path_to, pointer_from, pointer_of
from integrations.foundation.texts import shortened, texts_in

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [("items[0].price", "/items/0/price"), ("a", "/a"), ("[3].id", "/3/id"), ("", ""), ("a[0][1]", "/a/0/1")],
)
def test_paths_and_pointers_say_the_same(path, pointer):
    assert pointer_of(path) == pointer
    assert path_of_pointer(pointer) == path


def test_a_path_grows_part_by_part():
    assert path_of(("items", 0, "price")) == path_to(path_to(path_to("", "items"), 0), "price") == "items[0].price"
    assert path_of((0, "a"), "shipments") == "shipments[0].a"


@pytest.mark.parametrize("wrong", ["no slash", "/~2", "/a~"])
def test_what_is_no_pointer_is_refused(wrong):
    with pytest.raises(ValueError, match=r"(?i)pointer|escape|location"):
        path_of_pointer(wrong)


@given(DOCUMENTS)
def test_every_value_is_found_at_the_pointer_made_of_its_parts(document):
    def values(value, parts):
        yield parts, value
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            yield from values(inner, (*parts, key))

    for parts, value in values(document, ()):
        assert jsonpointer.resolve_pointer(document, pointer_from(parts)) == value


def test_pointers_lead_only_to_what_is_there():
    payload = {"a": [{"b/c": 1}, 2], "d": "text", "": 0}
    asked = ["a[0]", "/a/0/b~1c", "/a/7", "/a/-", "/a/00", "/d/x", "d.x", "/~9", "b/c", "d"]
    assert existing_pointers(asked, payload) == ["/a/0", "/a/0/b~1c", "/d"]


@given(st.text(max_size=30), st.integers(1, 20))
def test_a_text_is_never_longer_than_its_limit_and_whole_where_it_fits(text, limit):
    short = shortened(text, limit)
    assert len(short) <= limit
    assert (short == text) if len(text) <= limit else short.endswith("…")


def test_all_texts_of_a_value_are_found_in_their_order():
    assert list(texts_in({"a": ["x", {"b": "y"}, 1, None], "c": ("z",)})) == ["x", "y", "z"]
