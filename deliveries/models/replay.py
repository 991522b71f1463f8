"""Bulk resend or discard: a filter, an action and its progress."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from integrations.foundation.written import grouped
from integrations.models import Store


class Replay(models.Model):
    """A bulk action on "all that match", by filter and not by ids, worked off in small steps.

    `cursor` is the id of the last delivery handled: a step that is run twice goes on from there. A backfill goes
    through events and not deliveries: `cursor`, `until_id`, `total` and `done` are about events; `skipped` of them
    needed no delivery.
    """

    class Action(models.TextChoices):
        RETRY = "retry", gettext_lazy("resend")
        DISCARD = "discard", gettext_lazy("discard")
        FIX = "fix", gettext_lazy("fix and resend")
        BACKFILL = "backfill", gettext_lazy("backfill")

    class Status(models.TextChoices):
        RUNNING = "running", pgettext_lazy("status", "running")
        PAUSED = "paused", pgettext_lazy("status", "paused")
        DONE = "done", pgettext_lazy("status", "done")
        CANCELLED = "cancelled", pgettext_lazy("status", "cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, null=True, related_name="+")
    action = models.CharField(max_length=10, choices=Action.choices)
    filters = models.JSONField(default=dict)
    reason = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    per_second = models.PositiveIntegerField(default=200)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0, help_text="Processed, including skipped ones.")
    skipped = models.PositiveIntegerField(default=0, help_text="Skipped: being sent, or changed in the meantime.")
    until_id = models.UUIDField(null=True, help_text="Deliveries created later are not affected.")
    cursor = models.UUIDField(null=True)
    stop_above = models.PositiveSmallIntegerField(
        null=True,
        help_text="Pauses when more than this percentage fail again. Empty: never, at the full rate from the start.",
    )
    rate = models.PositiveIntegerField(null=True, help_text="Per second, while it grows towards the requested rate.")
    rate_since = models.DateTimeField(null=True)
    judged_after = models.UUIDField(null=True, help_text="Only results of later deliveries count: set when resumed.")
    stopped_because = models.TextField(blank=True, default="", db_default="")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_by_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    stepped_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = gettext_lazy("bulk resend")
        verbose_name_plural = gettext_lazy("bulk resends")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(done__gte=0) & Q(total__gte=0), name="replay_counts_are_positive"),
        ]

    def __str__(self) -> str:
        if self.is_backfill:
            words = ngettext("%(action)s %(number)s event", "%(action)s %(number)s events", self.total)
        else:
            words = ngettext("%(action)s %(number)s delivery", "%(action)s %(number)s deliveries", self.total)
        return words % {"action": self.get_action_display(), "number": grouped(self.total)}

    @property
    def is_backfill(self) -> bool:
        return self.action == self.Action.BACKFILL

    @property
    def made(self) -> int:
        """Of a backfill: deliveries made so far."""
        return self.done - self.skipped

    @property
    def has_canary(self) -> bool:
        return self.stop_above is not None

    @property
    def is_over(self) -> bool:
        return self.status in (self.Status.DONE, self.Status.CANCELLED)

    @property
    def percent(self) -> int:
        return 100 if not self.total else min(100, self.done * 100 // self.total)


class ReplayItem(models.Model):
    """One delivery that a replay processed. Its outcome is read from the delivery itself.

    `is_left_alone`: it was being sent, awaits approval or had changed in the meantime, so the replay skipped it.
    """

    replay = models.ForeignKey(Replay, models.CASCADE, related_name="items", db_index=False)
    # Not a foreign key: retention deletes deliveries a thousand at a time and must not look here for each of them.
    delivery_id = models.UUIDField()
    is_left_alone = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["replay", "delivery_id"], name="replay_item_is_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} of {self.replay_id}"
