"""What counts as the value, in documents, texts and bodies."""

import json

import pytest

from deliveries.erasure.matching import Sought

PHONE, MAIL, NAME = "+49 151 23456", "anna.müller@example.com", "Müller"


def exact(value):
    return Sought(value, True)


def part(value):
    return Sought(value, False)


@pytest.mark.parametrize(
    ("document", "is_found"),
    [
        ({"phone": PHONE}, True),
        ({"to": [{"phone": f" {PHONE} "}]}, True),
        ({PHONE: 1}, True),
        ({"phone": f"{PHONE}7"}, False),
        ({"note": f"call {PHONE} back"}, False),
    ],
)
def test_an_exact_value_is_a_whole_key_or_value_of_a_document(document, is_found):
    assert exact(PHONE).is_in_document(document) is is_found


def test_any_part_is_found_anywhere():
    assert part("23456").is_in_document({"note": f"call {PHONE} back"})
    assert part("müll").is_in_document({"who": NAME})


def test_numbers_are_values_too():
    assert exact("4711").is_in_document({"customer": 4711})
    assert not exact("4711").is_in_document({"customer": 47110})


def test_case_does_not_matter():
    assert exact("Anna@Example.com").is_in_document({"mail": "anna@example.com"})
    assert exact("MÜLLER").is_in_text("Frau Müller fehlt")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"mail": MAIL}),
        json.dumps({"mail": MAIL}, ensure_ascii=False),
        "mail=anna.m%C3%BCller%40example.com&x=1",
        f"<mail>{MAIL}</mail>",
    ],
)
def test_bodies_are_read_in_every_spelling(body):
    assert exact(MAIL).is_in_body(body.encode())


def test_words_of_a_text_are_cut_out_and_the_rest_stays():
    assert exact(PHONE).without(f"'{PHONE}' is not valid") == "'[erased]' is not valid"
    assert exact("Ann").without("Anna and Ann") == "Anna and [erased]"
    assert part("Ann").without("Anna and Ann") == "[erased]a and [erased]"


def test_documents_keep_their_shape():
    document = {"filter": {"q": PHONE, "days": 3}, PHONE: [True, None, PHONE]}
    assert exact(PHONE).without_in(document) == {
        "filter": {"q": "[erased]", "days": 3},
        "[erased]": [True, None, "[erased]"],
    }


@pytest.mark.parametrize(("value", "is_exact"), [("ab", True), ("abc", False), ("a" * 501, True), ("a\nbcd", True)])
def test_values_that_would_be_everywhere_or_nowhere_are_refused(value, is_exact):
    with pytest.raises(ValueError, match="value must"):
        Sought.parse(value, is_exact=is_exact)
