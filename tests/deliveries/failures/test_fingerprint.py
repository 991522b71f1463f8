"""Alike failures must meet in one group, different ones must not."""

from __future__ import annotations


import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deliveries.failures.fingerprint import fingerprint, normalise_message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Error: '0000000000' is not a phone number", "Error: '555-0101' is not a phone number"),
        ('field "a b" is missing', "field “c” is missing"),
        ("order 17 is unknown", "order 4,711 is unknown"),
        ("took 30.5 s", "took 9 s"),
        ("no customer a@example.com", "no customer long.name+tag@mail.example.org"),
        ("id 550e8400-e29b-41d4-a716-446655440000 twice", "id 6fa459ea-ee8a-4ca4-894e-db77e160355e twice"),
        ("request 6fa459eaee8a4ca4894edb77e160355e failed", "request 550e8400e29b41d4a716446655440000 failed"),
        ("since 2026-01-31T08:00:00Z", "since 2026-02-01 09:30:00.123+01:00"),
        ("SMS SM00a1b2c3d4 undelivered", "SMS SM99ffee0011 undelivered"),
        ("see http://a.example/x?y=1", "see https://b.example:8080/z"),
        ("phone (555) 010-9999 refused", "phone +15550109999 refused"),
        ("line\n  3  is   bad", "line 4 is bad"),
        ("at 0xdeadbeef", "at 0x1"),
    ],
)
def test_messages_that_differ_only_in_their_values_are_alike(one: str, other: str) -> None:
    assert normalise_message(one) == normalise_message(other)
    assert fingerprint("http_500", one) == fingerprint("http_500", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("invalid phone number", "invalid e-mail address"),
        ("timed out", "connection refused"),
        ("can't connect to the shop's server", "can't read the shop's server"),
        ("no such user", "no such table"),
    ],
)
def test_messages_with_other_words_are_not_alike(one: str, other: str) -> None:
    assert normalise_message(one) != normalise_message(other)


def test_the_kind_of_error_keeps_groups_apart() -> None:
    assert fingerprint("http_500", "no") != fingerprint("http_502", "no")


def test_words_stay_readable() -> None:
    message = "Unable to send SMS message. Error: '0000000000' is not a phone number"
    assert normalise_message(message) == "Unable to send SMS message. Error: <value> is not a phone number"


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise_message(text)
    assert normalise_message(once) == once


@given(st.integers(min_value=0), st.integers(min_value=0))
@example(1, int("1" * 32))  # as long as a UUID
def test_any_two_numbers_are_alike(one: int, other: int) -> None:
    assert normalise_message(f"order {one} is late") == normalise_message(f"order {other} is late")


@given(st.uuids(), st.uuids())
def test_any_two_uuids_are_alike(one: object, other: object) -> None:
    assert normalise_message(f"no row {one}.") == normalise_message(f"no row {other}.")


@given(st.from_regex(r"[^'\n]{0,150}", fullmatch=True), st.from_regex(r"[^'\n]{0,150}", fullmatch=True))
def test_whatever_is_quoted_is_alike(one: str, other: str) -> None:
    assert normalise_message(f"value '{one}' refused") == normalise_message(f"value '{other}' refused")


@given(st.text())
def test_any_text_has_a_fingerprint_of_64_digits(text: str) -> None:
    assert len(fingerprint("x", text)) == 64


def test_a_long_hostile_message_is_normalised_quickly() -> None:
    for text in ("a1-" * 100_000, "'" * 100_000, "1" * 100_000, "a@" * 50_000, "a-" * 100_000):
        # A pattern that goes back would take hours.
        assert len(normalise_message(text)) <= len(text)
