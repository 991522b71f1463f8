"""A store's second-approver rule, and the request to lift it, which needs a second person too."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from integrations.models.store import Store


class LiftRequest(models.Model):
    """A request to switch a store's second approver off; it stays on until someone else confirms."""

    class Status(models.TextChoices):
        WAITING = "waiting", "waiting"
        CONFIRMED = "confirmed", "confirmed"
        REFUSED = "refused", "refused"
        EXPIRED = "expired", "expired"

    store = models.ForeignKey(Store, models.CASCADE, related_name="lift_requests")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    reason = models.TextField(blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    asked_by_name = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_by_name = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["store"], condition=Q(status="waiting"), name="lift_request_one_waits"),
        ]

    def __str__(self) -> str:
        return f"{self.asked_by_name} asks to lift the second approver of {self.store}"
