"""Numbers and times as each language of the desk writes them. What they say with words is the catalogue's matter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone, translation

from config.desk.script_words import SAMPLES, block, words
from config.desk.status_words import STATUS_WORDS, status_word
from config.desk.written import STEPS, duration, grouped, percent, relative, time_of_day, whole
from config.templatetags.desk import PILLS, ago, clock, minute, pill, seconds
from integrations.foundation.written import date_and_minute

AT = datetime(2026, 3, 4, 23, 30, 5, 123_000, tzinfo=UTC)
LANGUAGES = ("en", "de", "fr")
#: Between thousands in French.
NARROW = "\N{NARROW NO-BREAK SPACE}"


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    with translation.override(request.param):
        yield request.param


@pytest.mark.parametrize(
    ("language", "shown"), [("en", "1,234,567"), ("de", "1.234.567"), ("fr", f"1{NARROW}234{NARROW}567")]
)
def test_large_numbers_are_grouped_as_the_language_does(language: str, shown: str) -> None:
    with translation.override(language):
        assert grouped(1_234_567) == shown
        assert grouped(1_234_567.4) == shown
        assert grouped(999) == "999"
        assert grouped(None) == "–"


@pytest.mark.parametrize(("language", "point"), [("en", "."), ("de", ","), ("fr", ",")])
def test_fractions_have_the_languages_sign(language: str, point: str) -> None:
    with translation.override(language):
        assert percent(0.997_69).startswith(f"99{point}76")
        assert percent(0.999_999).startswith(f"99{point}99")
        assert duration(3_210).startswith(f"3{point}21")
        assert seconds(3.2).startswith(f"3{point}2")


def test_whole_shares_and_durations_have_no_fraction(language: str) -> None:
    assert [re.findall(r"\d+", percent(share))[0] for share in (0, 0.5, 1)] == ["0", "50", "100"]
    assert [re.sub(r"\D", "", duration(each)) for each in (0, 412.4, 3_000, 240_000, 7_200_000)] == [
        "0", "412", "3", "4", "2",
    ]  # fmt: skip
    assert percent(None) == duration(None) == seconds(None) == "–"


@pytest.mark.parametrize(("language", "date"), [("en", "2026-03-04"), ("de", "04.03.2026"), ("fr", "04/03/2026")])
def test_dates_are_in_the_languages_order(language: str, date: str) -> None:
    with translation.override(language), timezone.override("UTC"):
        assert time_of_day(AT) == f"{date} 23:30:05"
        assert time_of_day(AT, has_seconds=False) == date_and_minute(AT) == f"{date} 23:30"
        assert relative(AT, AT + timedelta(days=100)) == date
        sign = "." if language == "en" else ","
        assert whole(AT) == f"{date} 23:30:05 UTC"
        assert whole(AT, has_milliseconds=True) == f"{date} 23:30:05{sign}123 UTC"


def test_times_of_today_have_no_date(language: str) -> None:
    now = timezone.now()
    assert time_of_day(now) == timezone.localtime(now).strftime("%H:%M:%S")


def test_programs_find_the_same_moment_in_every_language(language: str) -> None:
    for drawn in (ago(AT), clock(AT), minute(AT)):
        assert 'datetime="2026-03-04T23:30:05.123+00:00"' in drawn


def test_relative_times_have_the_number_of_the_largest_unit(language: str) -> None:
    for passed, number in ((5, "5"), (240, "4"), (3 * 3600, "3"), (5 * 86_400, "5")):
        for sign in (1, -1):
            assert number in relative(AT, AT + timedelta(seconds=sign * passed))


def test_english_says_what_it_said() -> None:
    with translation.override("en"):
        assert relative(AT, AT + timedelta(seconds=240)) == "4 min ago"
        assert relative(AT, AT - timedelta(seconds=12)) == "in 12 s"
        assert relative(AT, AT) == "now"
        assert [duration(each) for each in (412, 3_200, 240_000, 7_200_000)] == ["412 ms", "3.2 s", "4 min", "2 h"]
        assert percent(0.9976) == "99.76 %"


def test_every_pill_has_a_word_and_codes_without_one_stay_as_they_are() -> None:
    assert set(PILLS) <= set(STATUS_WORDS)
    assert status_word("left_alone") == "left alone"
    assert status_word("HTTP_500") == "HTTP_500"
    assert "</span> failed</span>" in pill("failed")
    assert "<script>" not in pill("<script>")


def test_scripts_find_a_form_for_every_number_and_cannot_end_their_block() -> None:
    found = words()
    assert [number for number, _text in found["deliveries"]] == list(SAMPLES)
    assert dict(found["deliveries"])[1] == "%(number)s delivery"
    assert dict(found["deliveries"])[2] == "%(number)s deliveries"
    assert set(found["before"]) == set(found["after"]) == {name for _limit, _unit, name, *_ in STEPS}
    drawn = block()
    assert drawn.count("<") == 2
    assert json.loads(drawn[drawn.index(">") + 1 : drawn.rindex("<")]) == found
