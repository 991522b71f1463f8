"""The running engines, with their heartbeats."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy

#: An engine without a heartbeat for this long is considered dead.
HEARTBEAT_STALE = timedelta(seconds=15)


class EngineQuerySet(models.QuerySet["Engine"]):
    def alive(self, now: datetime) -> EngineQuerySet:
        return self.filter(beat_at__gt=now - HEARTBEAT_STALE)


class Engine(models.Model):
    """One engine process: a slot of a host. A second one for the same slot exits immediately."""

    host = models.CharField(max_length=200)
    slot = models.PositiveSmallIntegerField()
    token = models.UUIDField(help_text="Who holds the slot.")
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    in_flight = models.PositiveIntegerField(default=0)
    sent_count = models.PositiveBigIntegerField(default=0)

    objects = EngineQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("engine")
        verbose_name_plural = gettext_lazy("engines")
        constraints = [models.UniqueConstraint(fields=["host", "slot"], name="engine_slot_is_unique")]

    def __str__(self) -> str:
        return f"{self.host} #{self.slot}"


class Reservation(models.Model):
    """Room at an integration that an engine keeps for deliveries which are born claimed (`dispatch.reservations`).

    Claims of all engines count it as in flight, so that the integration's limit holds although nobody asks for it.
    """

    engine = models.ForeignKey(Engine, models.CASCADE, related_name="reservations")
    integration_id = models.BigIntegerField()
    room = models.PositiveIntegerField()
    until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration_id", "engine"], name="reservation_is_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.room} of integration {self.integration_id}"
