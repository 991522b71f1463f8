"""What a program proposes and a person decides. Until then nothing is sent, held back or changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy, pgettext_lazy

from deliveries.models.recipes import BulkFix
from deliveries.models.replay import Replay
from integrations.foundation.document_field import DocumentField
from integrations.foundation.identifiers import public_id, uuid7
from integrations.models import AccessToken, Store


class Proposal(models.Model):
    """One action that waits for a person: `values` are its arguments, as `proposals.actions` reads them.

    In contrast to an edit that awaits a second approver it leaves its deliveries alone: retries go on, and staff may
    resend, edit and discard them.
    """

    class Action(models.TextChoices):
        EDIT = "edit", gettext_lazy("edit and resend")
        RETRY = "retry", gettext_lazy("resend")
        DISCARD = "discard", gettext_lazy("discard")
        DELIVER = "deliver", gettext_lazy("deliver")
        BACKFILL = "backfill", gettext_lazy("backfill")
        FIX = "fix", gettext_lazy("fix and resend")

    class Status(models.TextChoices):
        AWAITING = "awaiting", pgettext_lazy("status", "awaits approval")
        APPROVED = "approved", pgettext_lazy("status", "approved")
        REJECTED = "rejected", pgettext_lazy("status", "rejected")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    action = models.CharField(max_length=10, choices=Action.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.AWAITING)
    values = DocumentField(default=dict)
    reason = models.TextField(blank=True)
    total = models.PositiveIntegerField(default=1, help_text="Deliveries that it was about when it was proposed.")
    # Not a foreign key: retention deletes deliveries a thousand at a time and must not look here for each of them.
    delivery_id = models.UUIDField(null=True, help_text="Of an edit, a resend or a discard of one delivery.")
    fix = models.OneToOneField(BulkFix, models.CASCADE, null=True, related_name="proposal")
    replay = models.OneToOneField(
        Replay, models.SET_NULL, null=True, related_name="proposal", help_text="What it became, if it is for many."
    )
    # As a revision has them, so that the same rules say who may approve.
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=200)
    token = models.ForeignKey(AccessToken, models.SET_NULL, null=True, related_name="+")
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    is_issuer_known = models.BooleanField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_by_name = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            # The list of a store.
            models.Index(fields=["store", "created_at", "id"], name="proposal_of_store"),
            # What awaits a decision?
            models.Index(fields=["status", "created_at"], name="proposal_by_status"),
            # And about this delivery?
            models.Index(fields=["delivery_id"], name="proposal_of_delivery"),
        ]

    def __str__(self) -> str:
        return f"proposal to {self.get_action_display()}"

    @property
    def public_id(self) -> str:
        return public_id("prop", self.id)

    @property
    def is_awaiting(self) -> bool:
        return self.status == self.Status.AWAITING

    @property
    def is_for_one(self) -> bool:
        return self.delivery_id is not None or self.action == self.Action.DELIVER
