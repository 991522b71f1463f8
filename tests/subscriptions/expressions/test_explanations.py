"""Why a filter passes an event or does not, in words."""

import pytest

from subscriptions.expressions.evaluation import explain


@pytest.mark.parametrize(
    ("text", "data", "verdict", "reason"),
    [
        ("", {}, True, "There is no filter: everything passes."),
        (
            "status == 'ready'",
            {"status": "draft"},
            False,
            "It does not pass: status == 'ready' is false (status is \"draft\").",
        ),
        ("status == 'ready'", {}, False, "It does not pass: status == 'ready' is false (status is null or not there)."),
        ("status == 'ready'", {"status": "ready"}, True, "It passes: status == 'ready' is true (status is \"ready\")."),
        (
            "n == `1`",
            {"n": "1"},
            False,
            'It does not pass: n == `1` is false (n is "1"). One is text and one a number: '
            "to_number(n) makes the text a number.",
        ),
        (
            'status == "ready"',
            {"status": "ready"},
            False,
            'It does not pass: status == ready is false (status is "ready", ready is null or not there). '
            "Double quotes make ready the name of a field; as text it is 'ready'.",
        ),
        (
            "a.b[0].c && d",
            {"a": {"b": [{"c": 1}]}, "d": []},
            False,
            "It does not pass: d is [], which counts as false.",
        ),
        (
            "a || b",
            {"b": ""},
            False,
            'It does not pass: a is null, which counts as false; and b is "", which counts as false.',
        ),
        ("a || b", {"a": 0}, True, "It passes: a is 0, which counts as true."),
        (
            "a && b",
            {"a": 1, "b": 2},
            True,
            "It passes: a is 1, which counts as true; and b is 2, which counts as true.",
        ),
        ("!(a)", {"a": 1}, False, "It does not pass: a is 1, which counts as true."),
        (
            "contains(tags, 'x')",
            {"tags": ["y"]},
            False,
            "It does not pass: contains(tags, 'x') is false (tags is [\"y\"]).",
        ),
        ("items[?p > `5`]", {"items": []}, False, "It does not pass: the expression is [], which counts as false."),
        ("a > `1`", {"a": None}, False, "It does not pass: a > `1` cannot be compared (a is null or not there)."),
        (
            "a ==",
            {},
            False,
            "The filter cannot be used (column 5): The expression is incomplete.",
        ),
        ("length(@) > `5`", "abc", False, "It does not pass: length(@) > `5` is false (length(@) is 3)."),
    ],
)
def test_a_filter_is_explained_in_plain_words(text, data, verdict, reason):
    assert explain(text, data) == (verdict, reason)


def test_an_explanation_stays_short_whatever_the_data():
    _, reason = explain("text == 'x' || list || object == `1`", {"text": "a" * 10**6, "object": {"a": ["b"] * 10**5}})
    assert len(reason) < 700
