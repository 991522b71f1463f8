"""Dates have one style, in the desk and in the pages that Django brings."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from django import forms
from django.template import Context, Template
from django.utils.formats import localize

MOMENT = datetime(2026, 11, 7, 15, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(MOMENT, "2026-11-07 15:04:05"), (date(2026, 11, 7), "2026-11-07"), (time(15, 4), "15:04:00")],
)
def test_what_django_shows_is_in_the_style_of_the_desk(value: object, shown: str) -> None:
    assert localize(value) == shown
    assert Template("{{ value }}").render(Context({"value": value})) == shown


def test_the_filter_without_a_format_is_too() -> None:
    assert Template("{{ value|date }} {{ value|time }}").render(Context({"value": MOMENT})) == "2026-11-07 15:04:05"


@pytest.mark.parametrize("typed", ["2026-11-07 15:04", "2026-11-07 15:04:05", "11/07/2026 15:04"])
def test_forms_read_what_they_read_before(typed: str) -> None:
    assert forms.DateTimeField().clean(typed).replace(second=0, tzinfo=None) == datetime(2026, 11, 7, 15, 4)  # noqa: DTZ001
