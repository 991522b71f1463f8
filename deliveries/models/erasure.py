"""Erasing one person's data, and how far the sweep of bodies that are not kept has come."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy, pgettext_lazy

from integrations.foundation.identifiers import public_id
from integrations.models import AccessToken, Store
from integrations.security.encrypted_fields import EncryptedTextField

#: What stands where a payload was.
ERASED_DOCUMENT: dict[str, Any] = {"erased": True}
#: What stands where a text was.
ERASED_TEXT = "(erased)"


class Erasure(models.Model):
    """A search of one store for a value, and the erasure of what holds it.

    `place` and `cursor` say where it goes on: the name of a place (`deliveries.erasure.places`) and the last row looked
    at there. The value is kept, encrypted, only until the erasure is over.
    """

    class Match(models.TextChoices):
        EXACT = "exact", gettext_lazy("the whole value")
        CONTAINS = "contains", gettext_lazy("any part")

    class Status(models.TextChoices):
        COUNTING = "counting", pgettext_lazy("status", "counting")
        READY = "ready", pgettext_lazy("status", "counted")
        AWAITING = "awaiting", pgettext_lazy("status", "awaits approval")
        RUNNING = "running", pgettext_lazy("status", "running")
        DONE = "done", pgettext_lazy("status", "done")
        CANCELLED = "cancelled", pgettext_lazy("status", "cancelled")

    OVER = [Status.DONE, Status.CANCELLED]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.COUNTING)
    match = models.CharField(max_length=10, choices=Match.choices, default=Match.EXACT)
    value = EncryptedTextField(blank=True, default="")
    reason = models.TextField(blank=True)
    place = models.CharField(max_length=50, blank=True, help_text="Where it goes on. Empty: at the first place.")
    cursor = models.CharField(max_length=64, blank=True, help_text="The last row looked at there.")
    round = models.PositiveIntegerField(default=1, help_text="What was being sent is looked for again.")
    looked_at = models.PositiveBigIntegerField(default=0, help_text="Rows, in this round.")
    found = models.JSONField(default=dict, help_text="Rows by place.")
    erased = models.JSONField(default=dict, help_text="Rows by place.")
    postponed = models.PositiveIntegerField(default=0, help_text="Rows that were in use, in this round.")
    # As a revision has them: the same people may not approve.
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=200)
    token = models.ForeignKey(AccessToken, models.SET_NULL, null=True, related_name="+")
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    is_issuer_known = models.BooleanField(null=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    approved_by_name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    stepped_at = models.DateTimeField(null=True)
    resume_after = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = gettext_lazy("erasure")
        verbose_name_plural = gettext_lazy("erasures")
        ordering = ["-created_at"]
        permissions = [("erase_data", "Can erase a person's data, and approve that others do")]
        indexes = [
            models.Index(fields=["store", "-created_at"], name="erasure_of_store"),
            # What is to be worked on?
            models.Index(
                fields=["status"],
                name="erasure_at_work",
                condition=Q(status__in=["counting", "ready", "awaiting", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"erasure of {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def public_id(self) -> str:
        return public_id("era", self.id)

    @property
    def is_over(self) -> bool:
        return self.status in self.OVER

    @property
    def is_at_work(self) -> bool:
        return self.status in (self.Status.COUNTING, self.Status.RUNNING)


class BodySweep(models.Model):
    """Up to when finished deliveries were looked at for bodies that need not be kept. One row; see
    `deliveries.maintenance.bodies`."""

    until = models.DateTimeField(null=True, help_text="When they finished. Null: from the beginning.")
    last_id = models.UUIDField(null=True, help_text="The last one of those that finished then.")
    integrations = models.JSONField(default=list, help_text="Which keep none; with a new one it begins anew.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="body_sweep_has_one_row")]

    def __str__(self) -> str:
        return f"bodies until {self.until}"
