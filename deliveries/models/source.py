"""What came in at sources: the last requests, what was received before, and which events they became."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy, pgettext_lazy

from integrations.foundation.identifiers import uuid7
from integrations.models import Source


class SourceRequest(models.Model):
    """One of a source's last requests, as it came but for credentials. Bounded: see `deliveries.sources.requests`."""

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted", pgettext_lazy("status", "accepted")
        DUPLICATE = "duplicate", pgettext_lazy("status", "duplicate")
        REJECTED = "rejected", pgettext_lazy("status", "rejected")
        IGNORED = "ignored", pgettext_lazy("status", "ignored")

    source = models.ForeignKey(Source, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    received_at = models.DateTimeField()
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    reason = models.CharField(max_length=500, blank=True)
    status = models.PositiveSmallIntegerField(help_text="What the sender was answered.")
    method = models.CharField(max_length=20)
    query = models.JSONField(default=dict)
    headers = models.JSONField(default=list, help_text="Pairs of name and value, credentials masked.")
    body = models.BinaryField(help_text="Decompressed; the beginning, if it is long.")
    body_size = models.PositiveIntegerField(help_text="Bytes, decompressed.")
    events = models.JSONField(default=list, help_text="Public ids of the events that it became.")

    class Meta:
        verbose_name = gettext_lazy("source request")
        verbose_name_plural = gettext_lazy("source requests")
        ordering = ["-id"]
        indexes = [
            # The last ones of a source, all of them or of one verdict.
            models.Index(fields=["source", "verdict", "-id"], name="source_request_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} request of {self.received_at:%Y-%m-%d %H:%M:%S}"

    @property
    def is_cut(self) -> bool:
        return len(self.body) < self.body_size

    @property
    def body_text(self) -> str:
        return bytes(self.body).decode("utf-8", "replace")


class SourceKey(models.Model):
    """What a source sent already, by the vendor's id or a hash, so that it is not taken twice."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "digest"], name="source_key_is_unique")]
        indexes = [
            # Pruning.
            models.Index(fields=["created_at"], name="source_key_age"),
        ]

    def __str__(self) -> str:
        return self.digest


class SourceEvent(models.Model):
    """Which source an event came from. Not a column of the event: most have none, and pushes need not name it."""

    event_id = models.UUIDField(primary_key=True, default=uuid7)
    source = models.ForeignKey(Source, models.CASCADE, related_name="+", db_constraint=False, db_index=False)

    def __str__(self) -> str:
        return f"event {self.event_id} of source {self.source_id}"
