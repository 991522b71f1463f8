"""Deliveries of a deleted subscription or integration that remain to be discarded."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models import Integration
from subscriptions.models import Subscription


class Backlog(models.Model):
    """Written by the deleting transaction, worked off in small ones after it (`deliveries.maintenance.cascade`).

    Gone when nothing is left. `subscription` is null where the whole integration was deleted.
    """

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    subscription = models.ForeignKey(
        Subscription, models.CASCADE, null=True, related_name="+", db_constraint=False, db_index=False
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration", "subscription"], name="backlog_of_subscription_is_unique"),
            models.UniqueConstraint(
                fields=["integration"], condition=Q(subscription=None), name="backlog_of_integration_is_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"backlog of {self.subscription_id or self.integration_id}"
