"""The triggers that tick the configuration's clock are there after all migrations.

SQLite forgets a table's triggers when a migration makes the table anew, as it does for a column that may not be null.
"""

import pytest
from django.db import connection
from django.db.models import F

from integrations.models import AccessToken, ConfigVersion, Integration, Secret, Store
from subscriptions.models import Subscription, Topic
from tests.factories import AccessTokenFactory, SubscriptionFactory

MODELS = [AccessToken, Integration, Secret, Store, Subscription, Topic]


@pytest.mark.django_db
def test_every_table_of_the_configuration_has_its_triggers():
    if connection.vendor == "postgresql":
        events = ("insert", "delete", "update", "first")
        query = "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'config_clock_%' AND tgenabled = 'O'"
    else:
        events = ("insert", "delete", "update")
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'config_clock_%'"
    with connection.cursor() as cursor:
        cursor.execute(query)
        found = sorted(row[0] for row in cursor.fetchall())
    assert found == sorted(f"config_clock_{model._meta.db_table}_{event}" for model in MODELS for event in events)


@pytest.mark.django_db
def test_each_of_them_ticks():
    subscription = SubscriptionFactory()
    store = subscription.store
    AccessTokenFactory(store=store)
    Topic.objects.create(store=store, name="x.y")
    Secret.objects.create(integration=subscription.integration, value="whsec_x")
    columns = {AccessToken: "revoked_at", Secret: "expires_at", Store: "singular_overrides", Topic: "name"}
    for model in MODELS:
        before = ConfigVersion.objects.get().version
        column = columns.get(model, "deleted_at")
        assert model.objects.update(**{column: F(column)})
        after = ConfigVersion.objects.get().version
        store.refresh_from_db()
        assert after > before, model
        assert store.config_version == after, model
