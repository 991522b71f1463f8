"""What the search looks through: one document of text for each event, failed delivery and record."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from deliveries.models.delivery import Delivery
from deliveries.models.event import Event, Record
from integrations.models import Store


class SearchDocument(models.Model):
    """The searchable text of one object. `deliveries.search.text` says what is in it.

    `id` sorts by time: see `deliveries.search.documents.first_document_id`. The index over `text` differs by database,
    so a migration makes it (`storage.text_index`). On SQLite it needs triggers: a migration that alters these tables,
    which drops them there, makes it anew.
    """

    id = models.BigIntegerField(primary_key=True)
    store = models.ForeignKey(Store, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    topic = models.CharField(max_length=255, help_text="The event's topic or intent; of a record, its type.")
    text = models.TextField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"search document {self.pk}"


class EventDocument(SearchDocument):
    event = models.OneToOneField(Event, models.CASCADE, related_name="document", db_constraint=False)

    class Meta:
        indexes = [models.Index(fields=["store", "-id"], name="event_document_of_store")]


class DeliveryDocument(SearchDocument):
    """Of a delivery that failed at least once, or was edited: its errors and answers, and all that its event's has."""

    delivery = models.OneToOneField(Delivery, models.CASCADE, related_name="document", db_constraint=False)
    attempts = models.PositiveIntegerField(help_text="How many attempts there were when it was written.")

    class Meta:
        indexes = [models.Index(fields=["store", "-id"], name="delivery_document_of_store")]


class RecordDocument(SearchDocument):
    record = models.OneToOneField(Record, models.CASCADE, related_name="document", db_constraint=False)
    version = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["store", "-id"], name="record_document_of_store")]


class SearchState(models.Model):
    """How far the index is: one row. Events up to `events_upto` are in it, and those from `events_from` on, which goes
    back until it is null: everything is in it.
    """

    events_upto = models.UUIDField()
    events_from = models.UUIDField(null=True)
    checked_upto = models.UUIDField(help_text="Until here, events whose commit was late were looked for.")
    failures_upto = models.DateTimeField()
    worked_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True, help_text="One process at a time.")

    def __str__(self) -> str:
        return "state of the search index"


class SearchedStore(models.Model):
    """Until when a store's records are in the index."""

    store = models.OneToOneField(Store, models.CASCADE, related_name="+", primary_key=True)
    records_upto = models.DateTimeField()

    def __str__(self) -> str:
        return f"records of {self.store_id}"


class SearchPurge(models.Model):
    """A topic that was taken out of the search and whose documents are still to be deleted."""

    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    topic = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "topic"], name="search_purge_is_unique")]

    def __str__(self) -> str:
        return f"purge of {self.topic}"


class SavedView(models.Model):
    """A search, or a list's filter and order, that somebody keeps under a name: the query string of its page."""

    class Page(models.TextChoices):
        SEARCH = "search", gettext_lazy("search")
        DELIVERY = "delivery", gettext_lazy("deliveries")
        EVENT = "event", gettext_lazy("events")

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    page = models.CharField(max_length=10, choices=Page.choices, default=Page.SEARCH, db_default=Page.SEARCH.value)
    query = models.TextField()
    is_shared = models.BooleanField("shared", default=False)
    stores = models.JSONField(
        null=True, help_text="If shared: with people who see all of these stores. Null: with everybody."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = gettext_lazy("saved search")
        verbose_name_plural = gettext_lazy("saved searches")
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_view_name_is_unique")]

    def __str__(self) -> str:
        return self.name
