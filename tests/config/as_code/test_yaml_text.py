"""YAML 1.2's core schema: what comes out went in, and texts that look like something else stay texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.as_code.references import Names, SecretText, as_secret, resolved
from config.as_code.yaml_text import YamlError, dump, load

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(VALUES)
def test_what_is_written_is_read(value):
    assert load(dump(value)) == value


@pytest.mark.parametrize(
    "text", ["no", "on", "yes", "12:30", "1e3", "0x10", "010", "2026-01-01", "~", "null", "=", "<<", ".5", "1_000", ""]
)
def test_texts_that_look_like_something_else_stay_texts(text):
    assert load(dump({"a": text})) == {"a": text}


def test_plain_words_of_yaml_1_1_are_texts():
    assert load("[no, on, 12:30, 2026-01-01, 0x10, 1_000]") == ["no", "on", "12:30", "2026-01-01", "0x10", "1_000"]
    assert load("[true, 1, 1.5, 1e3, ~]") == [True, 1, 1.5, 1000.0, None]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "Line 2, column 1: the key 'a' stands here twice."),
        ("1: 2", "a key must be a text"),
        ("a: [", "Line 1, column 5"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: !!binary aGk=", "binary is no type"),
        ("a: &a [*a]", "recursive"),
        ("a: 1e999", "too large"),
        ("a: \x00", "no YAML"),
        ("[" * 20_000, "nested"),
        ("[" * 300 + "]" * 300, "nested more than 100 levels"),
        ("a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)), "500,000 values"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_place(text, words):
    with pytest.raises(YamlError) as caught:
        load(text)
    assert words in str(caught.value)


def test_anchors_and_merges_save_typing():
    assert load("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@settings(deadline=None)
@given(st.lists(VALUES, max_size=4))
def test_every_secret_of_an_export_finds_its_way_back(values):
    names = Names()
    known: dict[str, str] = {}

    class Recording(Names):
        def referenced(self, value, words):
            found = super().referenced(value, words)
            if isinstance(value, SecretText) and value:
                known[found["env"]] = str(value)
            return found

    names = Recording()
    written = [names.referenced(as_secret({"v": value}), ["shop", "x"]) for value in values]
    around = type("Around", (), {"value_of": lambda self, reference: SecretText(known[reference["env"]])})()
    wrong: list[object] = []
    assert [resolved(entry, (), around, wrong)["v"] for entry in load(dump(written))] == values
    assert not wrong
