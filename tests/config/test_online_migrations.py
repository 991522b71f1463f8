"""`tests/online_migrations.py` refuses what would stop a version that still serves, and lets the rest be."""

from __future__ import annotations

import uuid

import pytest
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.functions import Now

from integrations.foundation.online_migrations import AddIndexOnline
from tests import online_migrations

INDEX = models.Index(fields=["topic"], name="by_topic")


class NewId(models.Func):
    function = "gen_random_uuid"
    output_field = models.UUIDField()


def with_default(apps, editor):
    for one in apps.get_model("deliveries", "Event").objects.all():
        one.save()


def small_things(apps, editor):
    apps.get_model("integrations", "Store").objects.update(name="x")


def troubles(*steps, is_atomic=True):
    state = ProjectState()
    for name in ("Event", "Visit"):
        fields = [("id", models.BigAutoField(primary_key=True)), ("topic", models.CharField(max_length=50, null=True))]
        state.add_model(ModelState("deliveries", name, fields))
    migration = Migration("0099_new", "deliveries")
    migration.operations, migration.atomic = list(steps), is_atomic
    return list(online_migrations.troubles(migration, state))


def add(field, model="event"):
    return operations.AddField(model, "extra", field)


REFUSED = {
    "an index": [operations.AddIndex("event", INDEX)],
    "an index online, in a transaction": [AddIndexOnline("event", INDEX)],
    "a column without a value for old INSERTs": [add(models.TextField(default=""))],
    "the same on a small table": [add(models.IntegerField(default=0), "visit")],
    "a value that differs by row": [add(models.UUIDField(db_default=NewId(), default=uuid.uuid4))],
    "a column with an index": [add(models.TextField(null=True, db_index=True))],
    "a unique column": [add(models.TextField(null=True, unique=True))],
    "a foreign key that is checked": [add(models.ForeignKey("deliveries.Visit", models.CASCADE, null=True))],
    "a constraint": [operations.AddConstraint("event", models.CheckConstraint(condition=models.Q(id__gt=0), name="c"))],
    "another type": [operations.AlterField("event", "topic", models.TextField(null=True))],
    "no more nulls": [operations.AlterField("event", "topic", models.CharField(max_length=50, default=""))],
    "less room": [operations.AlterField("event", "topic", models.CharField(max_length=20, null=True))],
    "a column that goes": [operations.RemoveField("visit", "topic")],
    "a column by another name": [operations.RenameField("visit", "topic", "subject")],
    "a table that goes": [operations.DeleteModel("Visit")],
    "a table by another name": [operations.RenameModel("Visit", "Call")],
    "SQL that makes an index": [operations.RunSQL("CREATE INDEX x ON deliveries_event (topic)")],
    "SQL that adds a constraint": [operations.RunSQL("ALTER TABLE deliveries_event ADD CONSTRAINT c CHECK (id > 0)")],
    "SQL that changes all rows": [operations.RunSQL([("UPDATE deliveries_event SET topic = ''", None)])],
    "Python over all rows": [operations.RunPython(with_default)],
    "any of it, beside a state of its own": [
        operations.SeparateDatabaseAndState(database_operations=[operations.AddIndex("event", INDEX)])
    ],
}

ACCEPTED = {
    "a column that may be null": [add(models.TextField(null=True))],
    "a column with a default in the database": [add(models.IntegerField(db_default=0, default=0))],
    "the time as default": [add(models.DateTimeField(db_default=Now()))],
    "a foreign key that nobody checks": [
        add(models.ForeignKey("deliveries.Visit", models.CASCADE, null=True, db_constraint=False, db_index=False))
    ],
    "more room": [operations.AlterField("event", "topic", models.CharField(max_length=99, null=True))],
    "another help text": [
        operations.AlterField("event", "topic", models.CharField(max_length=50, null=True, help_text="x"))
    ],
    "an index on a small table": [operations.AddIndex("visit", INDEX)],
    "a new table with all that": [
        operations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
        operations.AddField("new", "topic", models.TextField(default="")),
        operations.AddIndex("new", models.Index(fields=["topic"], name="new_by_topic")),
    ],
    "SQL that takes care": [
        operations.RunSQL("CREATE INDEX CONCURRENTLY x ON deliveries_event (topic)"),
        operations.RunSQL("ALTER TABLE deliveries_event ADD CONSTRAINT c CHECK (id > 0) NOT VALID"),
    ],
    "Python over few rows": [operations.RunPython(small_things)],
    "a column that goes from the state only": [
        operations.SeparateDatabaseAndState(state_operations=[operations.RemoveField("visit", "topic")])
    ],
}


@pytest.mark.parametrize("steps", REFUSED.values(), ids=REFUSED)
def test_what_would_stop_the_version_before_is_refused(steps):
    assert troubles(*steps)


@pytest.mark.parametrize("steps", ACCEPTED.values(), ids=ACCEPTED)
def test_what_it_does_not_notice_is_accepted(steps):
    assert troubles(*steps) == []


def test_outside_a_transaction_more_is_possible():
    assert troubles(AddIndexOnline("event", INDEX), is_atomic=False) == []
    assert troubles(operations.RunPython(with_default), is_atomic=False) == []


def test_our_own_migrations_are_accepted():
    assert online_migrations.offences() == []


@pytest.mark.django_db(transaction=True)
def test_an_index_online_is_made_and_taken_back_on_either_database():
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    state = MigrationLoader(None).project_state()
    after = state.clone()
    operation = AddIndexOnline("event", models.Index(fields=["topic"], name="event_by_topic_online"))
    operation.state_forwards("deliveries", after)

    def names():
        with connection.cursor() as cursor:
            return set(connection.introspection.get_constraints(cursor, "deliveries_event"))

    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("deliveries", editor, state, after)
    assert "event_by_topic_online" in names()
    with connection.schema_editor(atomic=False) as editor:
        operation.database_backwards("deliveries", editor, after, state)
    assert "event_by_topic_online" not in names()
