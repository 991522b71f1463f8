"""What happened to the installation itself and is to be published as an event."""

from __future__ import annotations

from django.db import models

from integrations.models import Store


class OperationalEvent(models.Model):
    """Noted in the transaction in which it happened; the engines publish it, and delete the row.

    `reference` is the key of the delivery, integration, case or recipe that it is about; `data` what was known only
    then.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    topic = models.CharField(max_length=60)
    reference = models.CharField(max_length=40)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.topic} {self.reference}"
