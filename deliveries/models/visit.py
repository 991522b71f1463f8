"""Presence in the resolution wizard."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from deliveries.models.delivery import Delivery


class WizardPresence(models.Model):
    """When a member of staff was last in a delivery's wizard, so that a second one is warned.

    A row, not a cache entry: the default cache is per process, and web servers run several.
    """

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="visits", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField()

    class Meta:
        db_table = "deliveries_wizardvisit"
        constraints = [models.UniqueConstraint(fields=["delivery", "user"], name="wizard_visit_is_unique")]
        indexes = [
            # Deleting old rows.
            models.Index(fields=["at"], name="wizard_visit_age"),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.at:%H:%M}"
