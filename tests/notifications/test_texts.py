"""What messages say, and when they may."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.texts import (
    Incident,
    after_quiet_hours,
    email_text,
    end_of_slot,
    sms_text,
    subject,
    window_of,
)

NOW = datetime(2026, 3, 1, 12, 7, tzinfo=UTC)


def incident(summary: str = "out of paper", link: str = "https://desk.example/n/1") -> Incident:
    return Incident("error", "Shop", "Printer", summary, 3, link)


def test_an_sms_names_the_place_the_summary_and_the_link() -> None:
    assert sms_text([incident()], "") == "Hookdesk error: Shop > Printer: out of paper https://desk.example/n/1"
    assert sms_text([incident("x" * 500)], "").endswith("x... https://desk.example/n/1")


def test_a_digest_counts_and_names_the_incidents() -> None:
    text = sms_text([incident(), incident("no ink")], "https://desk.example/n/")
    assert text.startswith("Hookdesk: 2 incidents. Shop > Printer: out of paper; Shop > Printer: no ink")
    assert text.endswith(" https://desk.example/n/")
    assert subject([incident(), incident()]) == "[Hookdesk] 2 incidents"
    assert subject([incident()]) == "[Hookdesk] error: Shop → Printer"
    mail = email_text([incident(f"{number}") for number in range(25)], "https://desk.example/n/")
    assert "… and 5 more: https://desk.example/n/" in mail


@pytest.mark.parametrize(
    ("start", "end", "at", "hour"),
    [
        ("22:00", "07:00", "23:30", 31),
        ("22:00", "07:00", "03:00", 7),
        ("22:00", "07:00", "07:00", None),
        ("22:00", "07:00", "12:00", None),
        ("12:00", "14:00", "12:00", 14),
        ("12:00", "14:00", "14:00", None),
        ("09:00", "09:00", "09:00", None),
    ],
)
def test_quiet_hours_end_when_they_end(start: str, end: str, at: str, hour: int | None) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    clock = time.fromisoformat(at)
    moment = day.replace(hour=clock.hour, minute=clock.minute)
    expected = moment if hour is None else day + timedelta(hours=hour)
    assert after_quiet_hours(moment, time.fromisoformat(start), time.fromisoformat(end)) == expected


def test_without_quiet_hours_every_hour_will_do() -> None:
    assert after_quiet_hours(NOW, None, None) == after_quiet_hours(NOW, time(1), None) == NOW


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda at: 1971 < at.year < 9000), st.times(), st.times())
def test_a_message_waits_less_than_a_day_and_never_into_the_past(moment: datetime, start: time, end: time) -> None:
    waited = after_quiet_hours(moment, start, end) - moment
    assert timedelta(0) <= waited < timedelta(days=1)


def test_slots_and_windows_are_counted_from_one_beginning() -> None:
    assert end_of_slot(NOW, 15) == NOW.replace(minute=15)
    assert end_of_slot(NOW.replace(minute=15), 15) == NOW.replace(minute=30)
    assert window_of(NOW, 60) + 1 == window_of(NOW + timedelta(hours=1), 60)
    assert window_of(NOW, 0) == window_of(NOW, 1)
