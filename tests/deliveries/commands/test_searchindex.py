"""`manage.py searchindex`: the index is made and filled now."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from deliveries.models import EventDocument
from deliveries.search import indexing
from deliveries.search.finding import Query, Search
from deliveries.search.matching import Scope
from deliveries.storage import backend
from tests.factories import EventFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed counts at once."""
    monkeypatch.setattr(indexing, "SETTLED", timedelta(milliseconds=-20))


def run(*options: str) -> dict[str, int]:
    out = StringIO()
    call_command("searchindex", "--json", *options, stdout=out, stderr=StringIO())
    written: dict[str, int] = json.loads(out.getvalue())
    return written


def test_what_is_there_is_found_afterwards():
    run()
    event = EventFactory(data={"phone": "+15550100"})
    assert run()["written"] == 1
    found = Search(Query("15550100", Scope(None)), event.created_at).rows("event")
    assert [row.pk for row in found] == [event.pk]
    assert run()["written"] == 0, "nothing is left"


def test_again_finds_what_has_got_lost():
    run()
    EventFactory.create_batch(3)
    run()
    EventDocument.objects.all().delete()
    assert run()["written"] == 0
    assert run("--again")["written"] == 3


def test_its_table_is_made_if_it_is_missing(monkeypatch):
    made = []
    monkeypatch.setattr("deliveries.management.commands.searchindex.make_text_index", lambda c: made.append(c) or "")
    run()
    assert [connection.alias for connection in made] == ["default"]
    assert backend().missing_text_index(EventDocument._meta.db_table) == ""
