"""A source is read once, and anew as soon as anything of it has changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.sources.lookup import source_at
from integrations.foundation.audit import Actor
from integrations.models import Source, Store
from integrations.services import (
    create_source,
    delete_source,
    rotate_address,
    rotate_source_secret,
    update_source,
)
from tests.factories import StoreFactory

pytestmark = pytest.mark.django_db
ANNA = Actor(None, "anna")


@pytest.fixture
def source() -> Source:
    return create_source(store=StoreFactory(), actor=ANNA, name="GitHub", kind="github")


def token_of(source: Source) -> str:
    return urlsplit(source.address).path.removeprefix("/in/")


def seen(token: str, now: datetime | None = None) -> Any:
    """The source at the address as a request would see it, which has been there before."""
    moment = now or timezone.now()
    source_at(token, moment)
    return source_at(token, moment)


def test_one_statement_tells_that_nothing_has_changed(source: Source) -> None:
    token = token_of(source)
    first = source_at(token, timezone.now())
    with CaptureQueriesContext(connection) as queries:
        assert source_at(token, timezone.now()) is first
        assert first is not None
        assert first.store.pk == source.store_id
        assert len(first.active_secrets(timezone.now())) == 1
    assert len(queries) == 1


def test_every_change_counts_from_the_next_request_on(source: Source) -> None:
    token = token_of(source)
    assert seen(token).is_enabled
    update_source(source=source, actor=ANNA, is_enabled=False)
    assert not seen(token).is_enabled
    update_source(source=source, actor=ANNA, mapping={"topic": "body.x"})
    assert seen(token).mapping == {"topic": "body.x"}
    Store.objects.filter(pk=source.store_id).update(singular_overrides={"data": "datum"})
    assert seen(token).store.singular_overrides == {"data": "datum"}
    secret = rotate_source_secret(source=source, actor=ANNA, now=timezone.now())
    assert seen(token).active_secrets(timezone.now())[0] == secret
    assert len(seen(token).active_secrets(timezone.now() + timedelta(days=2))) == 1
    Source.objects.filter(pk=source.pk).update(name="Renamed in a shell")
    assert seen(token).name == "Renamed in a shell"


def test_an_old_address_ends_and_a_deleted_source_has_none(source: Source) -> None:
    now = timezone.now()
    old = token_of(source)
    assert seen(old, now) is not None
    rotate_address(source=source, actor=ANNA, now=now)
    assert seen(old, now + timedelta(hours=23)) is not None
    assert seen(old, now + timedelta(hours=25)) is None
    new = token_of(Source.objects.get(pk=source.pk))
    assert seen(new) is not None
    delete_source(source=source, actor=ANNA)
    assert seen(new) is None
    assert source_at("x" * 500, now) is None
