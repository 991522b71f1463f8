"""An SMS is paid for by the part: how many it takes, whatever language its words are in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.sms_text import sms
from notifications.texts import Incident, sms_text

#: 3GPP TS 23.038, "GSM 7 bit Default Alphabet" and its extension, whose characters take two septets each.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
LINK = "https://desk.example.com/admin/notifications/notification/0197b2f2-7d1c-7a5e-9d9b-5d8b4f1d2c3a/change/"


def parts_of(text: str) -> tuple[str, int]:
    """How a phone company counts: the alphabet, and the number of parts. Nothing is torn at their borders."""
    is_gsm = set(text) <= set(BASIC) | set(EXTENSION)
    sizes = [1 + (c in EXTENSION if is_gsm else ord(c) > 0xFFFF) for c in text]
    single, several = (160, 153) if is_gsm else (70, 67)
    if sum(sizes) <= single:
        return "GSM" if is_gsm else "UCS-2", 1
    parts, room = 1, several
    for size in sizes:
        if size > room:
            parts, room = parts + 1, several
        room -= size
    return "GSM" if is_gsm else "UCS-2", parts


def incident(summary: str, link: str = LINK) -> Incident:
    return Incident("error", "Shop", "Printer", summary, 3, link)


@given(st.text(max_size=600), st.integers(1, 30))
def test_an_sms_has_few_parts_whatever_its_words(summary: str, count: int) -> None:
    alphabet, parts = parts_of(sms_text([incident(summary)] * count, "https://desk.example/n/"))
    assert parts <= {"GSM": 2, "UCS-2": 4}[alphabet]


@given(st.text([each for each in BASIC + EXTENSION if each.isprintable() and each != " "], min_size=200, max_size=600))
def test_words_of_the_alphabet_fill_two_parts(words: str) -> None:
    text = sms(words, LINK)
    assert parts_of(text) == ("GSM", 2)
    assert text.endswith(f" {LINK}")


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("Größe fehlt: Straße, Maß „5 €“", 'Größe fehlt: Straße, Maß "5 €"'),
        ("Hookdesk : échec. Reçu à l’être, cœur «naïf»", 'Hookdesk : échec. Recu à l\'etre, coeur "naif"'),
        ("Shop → Printer: 1\u202f204 …", "Shop > Printer: 1 204 ..."),
        ("e\u0301cole", "école"),
        ("Łódź, Đakovo", "Lodz, Dakovo"),
    ],
)
def test_what_the_alphabet_lacks_is_written_with_what_is_near(words: str, written: str) -> None:
    assert sms(words, LINK) == f"{written} {LINK}"


@pytest.mark.parametrize("words", ["Größe fehlt, " * 40, "Reçu à l’être, " * 40])
def test_german_and_french_cost_no_more_than_english(words: str) -> None:
    text = sms(words, LINK)
    assert parts_of(text) == ("GSM", 2)
    assert len(text) > 295


def test_another_script_keeps_its_letters_and_gets_more_parts() -> None:
    text = sms("متجر → طابعة: نفد الورق " * 40, LINK)
    assert parts_of(text) == ("UCS-2", 4)
    assert "→" in text
    assert text.endswith(f"… {LINK}")
    assert parts_of(sms("🖨" * 400, LINK)) == ("UCS-2", 4)


def test_a_link_that_leaves_no_room_for_words_is_left_out() -> None:
    text = sms("out of paper " * 40, f"https://desk.example/{'x' * 400}")
    assert parts_of(text) == ("GSM", 2)
    assert text.endswith("...")
    assert "https" not in text
