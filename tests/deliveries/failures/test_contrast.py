"""Diagnosis by contrast, on orders that are made here with a cause that is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deliveries.failures.contrast import FINDINGS_LIMIT, chance, contrast, place_in

Payload = dict[str, Any]


def order(rng: random.Random, number: int) -> Payload:
    """One of a shop that is healthy: everything that varies does so by chance, but for what counts up."""
    return {
        "id": 100_000 + number,
        "order_id": f"R{39_000 + number}",
        "created_at": f"2026-11-{1 + number // 40:02d}T{number % 24:02d}:00:00Z",
        "email": f"{rng.choice(['joe', 'ann', 'bo'])}{rng.randrange(9_999)}@example.com",
        "total": round(rng.uniform(5, 900), 2),
        "currency": rng.choice(["EUR", "USD", "GBP"]),
        "tax_id": f"DE{rng.randrange(10**9):09d}",
        "note": rng.choice([None, "", "please ring"]),
        "gift": rng.random() < 0.1,
        "shipping_address": {
            "name": rng.choice(["Joe Smith", "Zoë Müller", "Ann Lee"]),
            "zip": f"{rng.randrange(99_999):05d}",
            "phone": f"+49{rng.randrange(10**9, 10**10)}",
        },
        "items": [
            {
                "sku": f"S-{rng.randrange(999):03d}",
                "quantity": rng.randrange(1, 9),
                "price": round(rng.uniform(1, 99), 2),
            }
            for _ in range(rng.randrange(1, 5))
        ],
    }


def orders(seed: int, successes: int = 400, failures: int = 37) -> tuple[list[Payload], list[Payload]]:
    """Failures and successes; the failures are the later ones."""
    rng = random.Random(seed)
    made = [order(rng, number) for number in range(successes + failures)]
    return made[successes:], made[:successes]


def put(path: str, value: Any) -> Callable[[Payload, int], None]:
    """A cause: the value (or what a function makes of the old one) stands at this path of each failure."""

    def break_it(payload: Payload, number: int) -> None:
        holder: Any = payload
        *outer, last = path.split(".")
        for name in outer:
            holder = holder[int(name) if name.isdecimal() else name]
        holder[last] = value(holder[last], number) if callable(value) else value

    return break_it


def drop(path: str) -> Callable[[Payload, int], None]:
    def break_it(payload: Payload, number: int) -> None:
        holder: Any = payload
        *outer, last = path.split(".")
        for name in outer:
            holder = holder[int(name) if name.isdecimal() else name]
        del holder[last]

    return break_it


WAYS = ("555-1234", "n/a", "O17O 123", "+49 (0) 170", "call me", "0170/123", "--", "tel. 12", "+49.170.1", "17 0")
CAUSES: dict[str, tuple[Callable[[Payload, int], None], str, str]] = {
    "prefix": (
        put("shipping_address.phone", lambda old, _: "00" + old[1:]),
        "shipping_address.phone",
        "starts with 0",
    ),
    "missing": (drop("tax_id"), "tax_id", "is missing"),
    "missing in an item": (drop("items.0.sku"), "items[].sku", "is missing"),
    "missing object": (drop("shipping_address"), "shipping_address", "is missing"),
    "null": (put("tax_id", None), "tax_id", "is null"),
    "empty": (put("email", ""), "email", "is empty"),
    "blank": (put("tax_id", "   "), "tax_id", "is blank"),
    "type": (put("total", lambda old, _: str(old)), "total", "is a text"),
    "no list": (put("items", []), "items", "is empty"),
    "choice": (
        put("currency", lambda _, number: ("XXX", "ZZZ")[number % 2]),
        "currency",
        "has a value that no success",
    ),
    "one value": (put("currency", "XXX"), "currency", "is XXX"),
    "too long": (
        put("shipping_address.name", lambda old, n: old * (4 + n % 3)),
        "shipping_address.name",
        "is longer than 10 characters",
    ),
    "letters": (
        put("shipping_address.zip", lambda old, _: f"{old[:3]}ab"),
        "shipping_address.zip",
        "contains a letter",
    ),
    "edge": (put("tax_id", lambda old, _: old + " "), "tax_id", "starts or ends with a space"),
    "no at": (put("email", lambda old, _: old.replace("@", "")), "email", "lacks @"),
    "negative": (put("total", lambda old, _: -old), "total", "is negative"),
    "too much": (put("items.0.quantity", lambda old, _: old * 1_000), "items[].quantity", "is greater than"),
    "number": (put("items.0.quantity", 0), "items[].quantity", "is 0"),
    "flag": (put("gift", True), "gift", "is true"),
    "ten ways": (put("shipping_address.phone", lambda _, n: WAYS[n % 10]), "shipping_address.phone", ""),
    "extra": (lambda payload, number: payload.update(coupon=f"C{number}"), "coupon", "is present"),
}


@pytest.mark.parametrize("name", CAUSES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_known_cause_is_the_first_finding(name: str, seed: int) -> None:
    cause, path, words = CAUSES[name]
    failures, successes = orders(seed)
    for number, payload in enumerate(failures):
        cause(payload, number)
    first, *others = contrast(failures, successes)
    assert (first.path, first.is_certain) == (path, True), [first, *others]
    assert words in first.words
    assert (first.failures, first.successes) == (37, 400)
    if name != "flag":
        assert first.failing >= 36
        assert first.succeeding <= 1


def test_a_finding_says_the_counts() -> None:
    failures, successes = orders(3)
    for payload in failures:
        payload["shipping_address"]["phone"] = "00" + payload["shipping_address"]["phone"][1:]
    successes[7]["shipping_address"]["phone"] = "0170123456"
    first = contrast(failures, successes)[0]
    assert str(first) == "shipping_address.phone starts with 00 in 37 of 37 failures and in 0 of 400 successes"


@pytest.mark.parametrize("seed", range(25))
def test_where_there_is_no_cause_there_is_no_finding(seed: int) -> None:
    for number in (1, 3, 12, 60):
        failures, successes = orders(seed, successes=120, failures=number)
        assert contrast(failures, successes) == []


def test_a_cause_of_some_of_the_failures_is_found_too() -> None:
    failures, successes = orders(4, failures=60)
    for payload in failures[::2]:
        del payload["tax_id"]
    [finding] = contrast(failures, successes)
    assert (finding.path, finding.words, finding.failing, finding.failures) == ("tax_id", "is missing", 30, 60)


def test_few_samples_give_no_certainty() -> None:
    failures, successes = orders(5, successes=9)
    for payload in failures:
        payload["currency"] = "XXX"
    assert contrast(failures, successes) == []
    failures, successes = orders(5, successes=200, failures=1)
    failures[0]["currency"] = "XXX"
    assert contrast(failures, successes) == []
    # Only what every success has is worth a hint then, and it says that it is one.
    del failures[0]["tax_id"]
    [hint] = contrast(failures, successes)
    assert (hint.path, hint.words, hint.failing, hint.failures, hint.is_certain) == (
        "tax_id",
        "is missing",
        1,
        1,
        False,
    )


def test_what_only_counts_up_is_no_cause_and_neither_are_times() -> None:
    """All failures are later than all successes."""
    failures, successes = orders(6)
    assert min(payload["id"] for payload in failures) > max(payload["id"] for payload in successes)
    assert contrast(failures, successes) == []


def test_at_most_five_findings_one_for_each_path() -> None:
    failures, successes = orders(7)
    for payload in failures:
        payload["currency"], payload["note"], payload["tax_id"] = "XXX", "99", ""
        payload["email"] = payload["shipping_address"]["phone"] = payload["shipping_address"]["zip"] = None
    found = contrast(failures, successes)
    assert len(found) == FINDINGS_LIMIT
    assert len({finding.path for finding in found}) == FINDINGS_LIMIT


@pytest.mark.parametrize("name", ["api_token", "password", "client-secret"])
def test_nothing_of_the_value_of_a_secret_is_told(name: str) -> None:
    failures, successes = orders(8)
    rng = random.Random(8)
    for payload in successes:
        payload["login"] = {name: f"live-{rng.randrange(10**9):09d}"}
    for payload in failures:
        payload["login"] = {name: f"test-{rng.randrange(10**9):09d}-expired"}
    found = contrast(failures, successes)
    assert found
    assert not any("test" in str(finding) or "expired" in str(finding) for finding in found)
    assert found[0].words == "is longer than 14 characters"


def test_the_place_in_one_payload() -> None:
    failures, successes = orders(9)
    for payload in failures:
        payload["items"] = [{"sku": "S-001", "quantity": 1, "price": 1.5}, {"sku": "BAD", "quantity": 1, "price": 1.5}]
    [finding] = [each for each in contrast(failures, successes) if each.path == "items[].sku"]
    assert place_in(finding, failures[0]) == "items[1].sku"
    for payload in failures:
        del payload["items"][1]["sku"]
    [finding] = [each for each in contrast(failures, successes) if each.path == "items[].sku"]
    assert place_in(finding, failures[0]) == "items[1].sku"
    assert place_in(finding, {"items": []}) == "items[0].sku"
    assert place_in(finding, "no object") == "items[0].sku"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANYTHING, max_size=6), st.lists(ANYTHING, max_size=14))
def test_any_payloads_can_be_compared(failures: list[Any], successes: list[Any]) -> None:
    for finding in contrast(failures, successes):
        assert 0 < finding.failing <= finding.failures
        assert finding.separation > 0
        place_in(finding, failures[0])


def test_huge_payloads_are_sampled() -> None:
    failures, successes = orders(10, successes=500, failures=500)
    rng = random.Random(10)
    for payload in failures + successes:
        payload["more"] = {
            f"field_{n}": rng.choice([rng.random(), f"text {rng.randrange(10**6)}", "same"]) for n in range(500)
        }
    for payload in failures:
        del payload["tax_id"]
    first = contrast(failures, successes)[0]
    assert (first.path, first.failing, first.succeeding) == ("tax_id", first.failures, 0)
    assert 10 <= first.failures < 500
    one = {"deep": {}}
    for _ in range(2_000):
        one = {"deep": one}
    assert contrast([one] * 20, [one] * 20) == []


def test_numbers_are_not_taken_for_true_and_false() -> None:
    failures, successes = orders(11)
    for payload in failures:
        payload["total"], payload["currency"] = 1, True
    assert [f"{each.path} {each.words}" for each in contrast(failures, successes)] == [
        "currency is true or false",
        "total is 1",
    ]


def test_chance_is_that_of_fisher_s_test() -> None:
    assert chance(1, 1, 0, 399) == pytest.approx(1 / 400)
    assert chance(3, 3, 0, 7) == pytest.approx(1 / 120)
    assert chance(0, 5, 3, 50) == pytest.approx(1)
    assert chance(37, 37, 0, 400) < 1e-50
