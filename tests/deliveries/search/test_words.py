"""What a word finds in the text of a document, whatever the database."""

from __future__ import annotations

from typing import Any

import pytest

from deliveries.search.text import TEXT_LIMIT, VALUE_LIMIT, document, lines_of
from deliveries.search.words import WORDS_LIMIT, words_of

SHIPMENT = {
    "order_number": "A-1001",
    "paid": True,
    "total": 49.5,
    "note": None,
    "shipping_address": {"phone": "+49 171 234-56", "city": "Köln", "first_name": "ANNA"},
    "items": [{"sku": "TS-1"}, {"sku": "TS-2", "url": "https://shop.example.com/ts-2"}],
    "sent_at": "2026-11-27T10:30:00Z",
    "chat": {"uuid": "0199a3b0-1111-7222-8333-444455556666"},
}


def is_found(query: str, data: Any = SHIPMENT) -> bool:
    text = document(["evt_0199a3b011117222833344445555aaaa", *lines_of(data)])
    return all(word.is_in(text) for word in words_of(query))


@pytest.mark.parametrize(
    "query",
    [
        "A-1001", "a-10", "1001",
        "+49 171 234-56", "+4917123456", "17123456", "0 171 234", "(49) 171/23456",
        "köln", "KÖLN anna",
        "shipping_address.phone:+49", "phone:171", "phone:+4917123456", 'phone:"+49 171"',
        "items[1].sku:TS-2", "items.1.sku:ts-2", "items.sku:ts-1", "sku:ts",
        "paid:true", "49.5", "https://shop.example.com", "10:30", "2026-11-27", '"10:30:00z"',
        "evt_0199a3b0", "5555aaaa", "evt_0199…aaaa", "0199a3b0-1111-7222-8333-444455556666",
    ],
)  # fmt: skip
def test_what_somebody_may_type_is_found(query: str) -> None:
    assert is_found(query)


@pytest.mark.parametrize(
    "query",
    ["A-1002", "köln berlin", "one:+49", "order_number:171", "phone:köln", "note", "items.sku:köln", '"anna köln"'],
)
def test_what_is_not_there_or_elsewhere_is_not_found(query: str) -> None:
    assert not is_found(query)


def test_a_document_has_a_limit_and_so_has_a_value_and_a_query() -> None:
    text = document(lines_of({"long": "x" * 5_000, **{f"field{number}": "y" * 900 for number in range(100)}}))

    assert len(text) <= TEXT_LIMIT + 1
    assert "x" * (VALUE_LIMIT - 10) in text
    assert "x" * (VALUE_LIMIT + 1) not in text
    assert len(words_of("word " * 100)) == WORDS_LIMIT


@pytest.mark.parametrize(("query", "is_indexed"), [("abc", True), ("+49", False), ("a-b", False), ("phone:4", True)])
def test_an_index_needs_three_letters_or_digits_together(query: str, is_indexed: bool) -> None:
    assert words_of(query)[0].is_indexed is is_indexed


def test_a_value_with_line_breaks_stays_in_its_place() -> None:
    assert is_found("note:ring", {"note": "Please\nphone: ring twice"})
    assert not is_found("phone:twice", {"note": "Please\nphone: ring\ntwice"})
