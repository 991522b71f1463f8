"""How long a store keeps what happened, where it is not the installation's default."""

from __future__ import annotations

from django.db import models

from integrations.models.store import Store


class Retention(models.Model):
    """Days by kind of data; null: the default of the installation (`integrations.retention_days`)."""

    store = models.OneToOneField(Store, models.CASCADE, primary_key=True, related_name="retention")
    successes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Deliveries that succeeded, with their attempts."
    )
    failures = models.PositiveIntegerField(
        null=True, blank=True, help_text="Deliveries that failed, were discarded or superseded."
    )
    records = models.PositiveIntegerField(null=True, blank=True, help_text="Since their last change.")
    notifications = models.PositiveIntegerField(null=True, blank=True, help_text="Resolved ones.")
    audit = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "retention"

    def __str__(self) -> str:
        return f"retention of {self.store_id}"
