"""What a change means for one event: pure, and true of any two outcomes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deliveries.results.request_changes import SentRequest, kinds_of_change
from deliveries.simulation.comparing import SILENT, Outcome, Verdict, compare
from integrations.foundation.json_documents import is_same

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)
DELIVERY = [verdict for verdict in Verdict if verdict not in (Verdict.VIOLATION, Verdict.CONFORMS)]


def request(data: Any, url: str = "https://a.example/", headers: Any = ()) -> SentRequest:
    return SentRequest("POST", url, headers, json.dumps(data))


def outcomes() -> Any:
    requests = st.builds(request, DATA, st.sampled_from(["https://a.example/", "https://b.example/"]))
    violations = st.lists(st.sampled_from(["id: 5 is too large", "id: 7 is too large"]), max_size=1).map(tuple)
    return st.one_of(
        st.builds(Outcome, st.just(False), violations=violations),
        st.builds(Outcome, st.just(True), requests, violations=violations),
        st.builds(Outcome, st.just(True), st.none(), st.sampled_from(["", "The field 'x' is missing."]), violations),
    )


@given(DATA, DATA)
def test_kinds_are_named_exactly_where_bodies_differ(before: Any, after: Any) -> None:
    kinds = kinds_of_change(request(before), request(after))
    assert bool(kinds) is not is_same(before, after)
    assert all(kind.startswith("body") or kind.endswith(" more") for kind in kinds)


@given(DATA, DATA)
def test_the_other_way_round_the_same_places_differ(before: Any, after: Any) -> None:
    turned = {"added": "removed", "removed": "added", "longer": "shorter", "shorter": "longer"}

    def back(kind: str) -> str:
        place, _, how = kind.rpartition(" ")
        return f"{place} {turned.get(how, how)}"

    one, other = kinds_of_change(request(before), request(after)), kinds_of_change(request(after), request(before))
    if not any(kind.endswith(" more") for kind in (*one, *other)):
        assert {back(kind) for kind in one} == set(other)


@given(outcomes(), outcomes())
def test_each_pair_has_exactly_one_verdict_on_its_delivery(before: Outcome, after: Outcome) -> None:
    findings = compare(before, after)
    assert [finding.verdict in DELIVERY for finding in findings].count(True) == 1
    assert len(findings) <= 2


@given(outcomes(), outcomes())
def test_matching_is_gained_one_way_and_lost_the_other(before: Outcome, after: Outcome) -> None:
    there, back = (compare(*pair)[0].verdict for pair in ((before, after), (after, before)))
    if there is Verdict.NEWLY_MATCHED:
        assert back is Verdict.NO_LONGER_MATCHED
    if there is Verdict.UNWANTED:
        assert back is Verdict.UNWANTED


@given(outcomes())
def test_nothing_differs_from_itself(outcome: Outcome) -> None:
    found = compare(outcome, outcome)[0]
    assert found.verdict in SILENT or (found.verdict is Verdict.ERROR and found.kind.startswith("also today"))


def test_kinds_hold_no_values_so_that_alike_effects_are_one_group() -> None:
    before = {"phone": "+49171", "items": [{"sku": "a"}, {"sku": "b"}], "gone": 1}
    after = {"phone": "49171", "items": [{"sku": "A"}, {"sku": "B"}], "new": {"deep": 1}}
    kinds = kinds_of_change(request(before), request(after, headers=[("X-Team", "ops")]))
    assert kinds == (
        "header x-team added", "body.gone removed", "body.items[].sku changed", "body.new added", "body.phone changed",
    )  # fmt: skip
    one, other = (compare(Outcome(True), Outcome(True, error=f"There is no parcel {n}."))[0] for n in (471, 472))
    assert one == other
    assert one.verdict is Verdict.ERROR


def test_signatures_and_times_that_differ_by_themselves_are_no_difference() -> None:
    pairs = [[("webhook-signature", text), ("webhook-timestamp", text)] for text in "ab"]
    assert kinds_of_change(request({}, headers=pairs[0]), request({}, headers=pairs[1])) == ()


def test_bodies_that_are_no_json_differ_as_a_whole() -> None:
    before, after = (SentRequest("POST", "/", (), text) for text in ("<a>1</a>", "<a>2</a>"))
    assert kinds_of_change(before, after) == ("body changed",)
