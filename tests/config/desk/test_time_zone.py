"""Times in the zone of whoever looks, one format, with the date when it is not today there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from config.desk.time_zone import BROWSER_COOKIE, CHOICE_COOKIE, choices
from config.templatetags import desk
from integrations.models import AuditEntry

MOMENT = datetime(2026, 3, 4, 23, 30, 5, tzinfo=UTC)
PAGE = "/admin/desk/time-zone/"


@time_machine.travel(datetime(2026, 3, 4, 23, 45, tzinfo=UTC), tick=False)
def test_the_date_is_shown_when_it_is_not_today_in_the_zone() -> None:
    with timezone.override("Europe/Berlin"):  # it is the 5th there, and so it is at the moment
        assert ">00:30:05</time>" in desk.clock(MOMENT)
        assert "2026-03-05 00:30:05.000 Europe/Berlin" in desk.clock(MOMENT)
        assert 'datetime="2026-03-04T23:30:05.000+00:00"' in desk.clock(MOMENT)
        assert ">2026-03-04 22:30:05</time>" in desk.clock(MOMENT.replace(hour=21))
    with timezone.override("America/New_York"):
        assert ">18:30:05</time>" in desk.clock(MOMENT)


@time_machine.travel(datetime(2026, 3, 6, 12, tzinfo=UTC), tick=False)
def test_the_browsers_zone_counts_until_somebody_chooses_another(ada: Client) -> None:
    AuditEntry.objects.create(actor="anna", action="change", target_type="store", target_id="1")
    AuditEntry.objects.update(created_at=MOMENT)

    def shown() -> str:
        return ada.get("/admin/integrations/auditentry/").content.decode()

    assert "2026-03-04 23:30:05" in shown()
    ada.cookies[BROWSER_COOKIE] = "Pacific/Auckland"
    assert "2026-03-05 12:30:05" in shown()
    response = ada.post(PAGE, {"zone": "Asia/Tokyo"})
    assert response.cookies[CHOICE_COOKIE]["httponly"]
    assert "2026-03-05 08:30:05" in shown()
    ada.post(PAGE, {"zone": ""})
    assert "2026-03-05 12:30:05" in shown()


def test_no_page_leaves_its_zone_to_the_next(ada: Client) -> None:
    before = timezone.get_current_timezone_name()
    ada.cookies[BROWSER_COOKIE] = "Pacific/Auckland"
    ada.get("/admin/")
    assert timezone.get_current_timezone_name() == before


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "UTC\r\nX: y", "x" * 5000, "٣"])
def test_a_cookie_that_names_no_zone_is_as_good_as_none(ada: Client, zone: str) -> None:
    ada.cookies[BROWSER_COOKIE] = ada.cookies[CHOICE_COOKIE] = zone.encode("ascii", "replace").decode()
    assert " in UTC.</p>" in ada.get(PAGE).content.decode()


def test_what_is_no_zone_is_refused(ada: Client) -> None:
    response: Any = ada.post(PAGE, {"zone": "Mars/Base"})
    assert response.status_code == 200
    assert "This is not a time zone" in response.content.decode()
    assert CHOICE_COOKIE not in response.cookies


def test_the_list_has_places_that_browsers_report() -> None:
    found = choices()
    assert {"UTC", "Europe/Berlin", "Asia/Kolkata", "America/Argentina/Buenos_Aires"} <= set(found)
    assert not [name for name in found if name.startswith("Etc/")]
