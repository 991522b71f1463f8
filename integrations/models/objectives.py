"""What an integration is expected to hold, and since when it does not."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models.integration import Integration


class Objectives(models.Model):
    """Of one integration: an objective with its error budget, the longest backlog, the longest wait. Each may be empty.

    Beside `Integration`, whose every change makes the engines read their configuration anew. The three times say since
    when staff know; empty: it holds.
    """

    integration = models.OneToOneField(Integration, models.CASCADE, primary_key=True, related_name="objectives")
    target = models.FloatField(null=True, blank=True, help_text="Per cent of the deliveries.")
    within = models.PositiveIntegerField(default=300, help_text="Seconds from push to delivery.")
    days = models.PositiveSmallIntegerField(default=30, help_text="Over so many days.")
    max_backlog = models.PositiveIntegerField(null=True, blank=True, help_text="Deliveries that are not finished.")
    max_wait = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds that a due delivery waits.")
    budget_alert_at = models.DateTimeField(null=True, editable=False)
    backlog_alert_at = models.DateTimeField(null=True, editable=False)
    wait_alert_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "objectives"
        constraints = [
            models.CheckConstraint(
                condition=Q(target=None) | Q(target__gte=50, target__lt=100), name="objectives_target_in_bounds"
            ),
            models.CheckConstraint(condition=Q(days__gte=1, days__lte=30), name="objectives_days_in_bounds"),
        ]

    def __str__(self) -> str:
        return f"objectives of {self.integration_id}"

    @property
    def budget_share(self) -> float | None:
        """The share of deliveries (0 to 1) that may fail or be late."""
        return None if self.target is None else round(1 - self.target / 100, 9)
