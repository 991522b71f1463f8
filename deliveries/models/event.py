"""What was pushed: records, events, and idempotency keys."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from integrations.foundation.document_field import DocumentField
from integrations.foundation.identifiers import public_id, uuid7
from integrations.models import Store


class Record(models.Model):
    """A store's last known state of a pushed object, keyed by (type, id)."""

    # No constraint in the database, as with events: concurrent pushes would lock the store's row.
    store = models.ForeignKey(Store, models.CASCADE, related_name="records", db_constraint=False, db_index=False)
    type = models.CharField(max_length=255, help_text="Singular: shipment.")
    external_id = models.CharField("id", max_length=255)
    data = DocumentField()
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = gettext_lazy("record")
        verbose_name_plural = gettext_lazy("records")
        ordering = ["-updated_at"]
        constraints = [
            models.UniqueConstraint(fields=["store", "type", "external_id"], name="record_type_and_id_are_unique"),
        ]
        indexes = [
            # "Last pushes" on the store's page, and the records list. Not for locked placeholders (version 0), and so
            # of no use for finding a record by its key: in a table that is still empty, PostgreSQL might choose it.
            models.Index(fields=["store", "-updated_at"], name="record_newest", condition=Q(version__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.type}/{self.external_id}"


class Event(models.Model):
    """An immutable fact: topic and/or intent, data, when. Time-ordered ids sort by creation."""

    class Origin(models.TextChoices):
        PUSH = "push", gettext_lazy("pushed object")
        EVENT = "event", gettext_lazy("event API")
        PUSHBACK = "pushback", gettext_lazy("response of a receiver")
        TEST = "test", gettext_lazy("test")
        POLL = "poll", gettext_lazy("poll")
        SOURCE = "source", gettext_lazy("source")
        HOOKDESK = "hookdesk", gettext_lazy("Hookdesk itself")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No constraint in the database: stores are not deleted under running events, and each insert would
    # lock the store's row, which all pushes of the store share.
    store = models.ForeignKey(Store, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    topic = models.CharField(max_length=255, null=True)
    intent = models.CharField(max_length=255, null=True)
    object_type = models.CharField(max_length=255)
    object_id = models.CharField(max_length=255, blank=True)
    data = DocumentField()
    origin = models.CharField(max_length=10, choices=Origin.choices)
    # Defaults of the database, so that the statement of a plain push need not name these.
    hops = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How often it has been through a receiver and back, or came by a poll."
    )
    cascade_left = models.PositiveIntegerField(
        null=True, help_text="How many deliveries the response to each of its deliveries may cause; empty: unlimited."
    )
    is_stopped = models.BooleanField(
        default=False, db_default=False, help_text="Subscriptions matched it, but it was not forwarded: a loop."
    )
    # Of whoever pushed it: goes out with each of its deliveries. Null: nobody is tracing it.
    traceparent = models.CharField(max_length=55, null=True, editable=False)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True, help_text="When its data was erased.")

    class Meta:
        verbose_name = gettext_lazy("event")
        verbose_name_plural = gettext_lazy("events")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(topic__isnull=False) | Q(intent__isnull=False), name="event_has_topic_or_intent"
            ),
        ]
        indexes = [
            # The events list of one store; dashboard counts of what was accepted.
            models.Index(fields=["store", "-id"], name="event_of_store"),
            # Live preview and type-ahead: the latest event of a topic.
            models.Index(fields=["store", "topic", "-id"], name="event_of_topic"),
            # Search by an object's id.
            models.Index(fields=["object_id"], name="event_object", condition=~Q(object_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.public_id}"

    @property
    def name(self) -> str:
        return self.topic or f"intent {self.intent}"

    @property
    def public_id(self) -> str:
        return public_id("evt", self.id)


class IdempotencyKey(models.Model):
    """The first response to a key, so that a repeated request stores nothing."""

    store = models.ForeignKey(Store, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    response = DocumentField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "key"], name="idempotency_key_is_unique")]
        indexes = [
            # Pruning.
            models.Index(fields=["created_at"], name="idempotency_age"),
        ]

    def __str__(self) -> str:
        return self.key
