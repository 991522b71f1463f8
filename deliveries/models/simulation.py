"""Simulations: a change that is not saved, run over past events."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext, gettext_lazy, pgettext_lazy

from integrations.foundation.identifiers import public_id
from integrations.models import Store
from integrations.security.encrypted_fields import EncryptedJSONField


class Simulation(models.Model):
    """A proposed change, the events that it is run over, newest first, and what was found so far.

    `cursor` is the last event that was considered: a step that is run twice goes on from there. `base` tells whether
    what the change is compared with has itself been changed since. `looked_at` events are compared; `passed_over` ones
    concern neither side. Requests are not kept: they are built again for those who look at one.
    """

    class Kind(models.TextChoices):
        SUBSCRIPTION = "subscription", gettext_lazy("subscription")
        INTEGRATION = "integration", gettext_lazy("integration")
        TOPIC = "topic", gettext_lazy("topic")

    class Status(models.TextChoices):
        RUNNING = "running", pgettext_lazy("status", "running")
        DONE = "done", pgettext_lazy("status", "done")
        CANCELLED = "cancelled", pgettext_lazy("status", "cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    # Not a foreign key: topics are really deleted, and nobody should need a permission on simulations for that.
    target_id = models.CharField(max_length=40)
    target_name = models.CharField(max_length=300)
    base = models.CharField(max_length=100)
    proposed = EncryptedJSONField(default=dict)
    changes = models.JSONField(default=dict, help_text="Field: before and after, credentials masked.")
    events = models.JSONField(default=dict, help_text="Which events: last, since and until, or ids; topic, q.")
    limit = models.PositiveIntegerField()
    looked_at = models.PositiveIntegerField(default=0)
    passed_over = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict, help_text="How many by verdict.")
    cursor = models.UUIDField(null=True)
    oldest_at = models.DateTimeField(null=True, help_text="When the oldest compared event was received.")
    steps_left = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    stopped_because = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_by_name = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    stepped_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    saved_at = models.DateTimeField(null=True)
    saved_by_name = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = gettext_lazy("simulation")
        verbose_name_plural = gettext_lazy("simulations")
        ordering = ["-created_at"]
        indexes = [
            # The list of a store.
            models.Index(fields=["store", "-created_at"], name="simulation_of_store"),
            # The sweep: which ones have lost their runner? Pruning.
            models.Index(fields=["status", "created_at"], name="simulation_by_status"),
        ]

    def __str__(self) -> str:
        return f"simulation of {self.target_name}"

    @property
    def public_id(self) -> str:
        return public_id("sim", self.id)

    @property
    def why_stopped(self) -> str:
        """`stopped_because`, as far as it is one of Hookdesk's own sentences in the language of the page."""
        return gettext(self.stopped_because)

    @property
    def is_over(self) -> bool:
        return self.status != self.Status.RUNNING


class SimulationItem(models.Model):
    """One event on which the change has an effect. Not foreign keys: retention must not look here for each event."""

    simulation = models.ForeignKey(Simulation, models.CASCADE, related_name="items", db_index=False)
    number = models.PositiveIntegerField()
    event_id = models.UUIDField()
    subscription_id = models.UUIDField(null=True)
    verdict = models.CharField(max_length=20)
    kind = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["simulation", "number"]
        constraints = [
            models.UniqueConstraint(fields=["simulation", "number"], name="simulation_item_is_unique"),
        ]
        indexes = [
            # Its groups, and the items of one.
            models.Index(fields=["simulation", "verdict", "kind", "number"], name="simulation_item_group"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.event_id}"
