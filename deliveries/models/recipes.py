"""Fixing many payloads by rules: bulk fixes, their items, and recipes that are kept for later failures."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy, pgettext_lazy

from deliveries.models.replay import Replay
from integrations.foundation.document_field import DocumentField
from integrations.foundation.identifiers import public_id
from integrations.models import AccessToken, Integration, Store


class BulkFix(models.Model):
    """One field of many failed deliveries, corrected in one table and sent by one replay.

    A draft until it is sent: then its items are what was reviewed, and rules are not run again. One that a program has
    proposed (`Proposal`) leaves its deliveries alone until it is approved.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", pgettext_lazy("status", "draft")
        PROPOSED = "proposed", pgettext_lazy("status", "proposed")
        AWAITING = "awaiting", pgettext_lazy("status", "awaits approval")
        SENT = "sent", pgettext_lazy("status", "sent")
        REJECTED = "rejected", pgettext_lazy("status", "rejected")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    scope = models.JSONField(default=dict, help_text="Filters, or a list of ids.")
    place = models.TextField(blank=True, help_text="The field, as JSON Pointer.")
    rules = DocumentField(default=list)
    updates_records = models.BooleanField(default=True)
    includes_unlike = models.BooleanField(default=False, help_text="Also send values unlike those that arrived.")
    reason = models.TextField(blank=True)
    replay = models.OneToOneField(Replay, models.SET_NULL, null=True, related_name="bulk_fix")
    total = models.PositiveIntegerField(default=0, help_text="Deliveries to be sent.")
    counts = models.JSONField(default=dict, help_text="Of all members, when it was sent.")
    # As a revision has them, so that the same rules say who may approve.
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=200)
    token = models.ForeignKey(AccessToken, models.SET_NULL, null=True, related_name="+")
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    is_issuer_known = models.BooleanField(null=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    rejected_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)
    undone_by_name = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = gettext_lazy("bulk fix")
        verbose_name_plural = gettext_lazy("bulk fixes")
        indexes = [
            # The list of a store; drafts and those that await approval.
            models.Index(fields=["store", "-created_at"], name="bulk_fix_of_store"),
            models.Index(fields=["status", "-created_at"], name="bulk_fix_by_status"),
        ]

    def __str__(self) -> str:
        return f"fix of {self.total} deliveries" if self.total else "draft of a bulk fix"

    @property
    def public_id(self) -> str:
        return public_id("fix", self.id)


class BulkFixItem(models.Model):
    """One delivery of a bulk fix: a value typed by hand in a draft; what is sent, once it is sent."""

    fix = models.ForeignKey(BulkFix, models.CASCADE, related_name="items", db_index=False)
    # Not a foreign key, as with the items of replays: retention must not look here for each delivery.
    delivery_id = models.UUIDField()
    change = DocumentField(help_text='{"value": …}, or {} to remove the field.')
    is_typed = models.BooleanField(default=False)
    seen_revision = models.PositiveIntegerField(default=0)
    is_written = models.BooleanField(default=False)
    note = models.TextField(blank=True, help_text="Why it was skipped, or its record not restored.")
    # The record's changed top-level members, so that the change can be undone.
    record_id = models.BigIntegerField(null=True)
    record_before = DocumentField(null=True)
    record_after = DocumentField(null=True)
    is_undone = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["fix", "delivery_id"], name="bulk_fix_item_is_unique"),
        ]
        indexes = [
            # Does an unapproved fix of this delivery wait?
            models.Index(fields=["delivery_id"], name="bulk_fix_item_of_delivery"),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} of {self.fix_id}"


class Recipe(models.Model):
    """Rules that are applied to later failures of one kind as they appear."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    # Whose failures: those of the group with this fingerprint, of this topic.
    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=50)
    fingerprint = models.CharField(max_length=64)
    topic = models.CharField(max_length=255)
    place = models.TextField(help_text="The field, as JSON Pointer.")
    rules = DocumentField()
    updates_records = models.BooleanField(default=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    owner_name = models.CharField(max_length=200)
    token = models.ForeignKey(AccessToken, models.SET_NULL, null=True, related_name="+")
    is_owned_by_program = models.BooleanField(default=False)
    expires_at = models.DateTimeField()
    daily_cap = models.PositiveIntegerField(help_text="At most this many a day.")
    approve_first = models.PositiveIntegerField(default=0, help_text="The first so many wait for approval.")
    is_active = models.BooleanField(default=True)
    off_reason = models.TextField(blank=True)
    off_at = models.DateTimeField(null=True)
    off_by_name = models.CharField(max_length=200, blank=True)
    uses = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed_again = models.PositiveIntegerField(default=0)
    left_alone = models.PositiveIntegerField(default=0)
    day = models.DateField(null=True)
    uses_of_day = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = gettext_lazy("recipe")
        verbose_name_plural = gettext_lazy("recipes")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["store", "-created_at"], name="recipe_of_store"),
            # What the workers look for every few seconds: almost always nothing.
            models.Index(fields=["integration"], name="recipe_active", condition=Q(is_active=True)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return public_id("rcp", self.id)


class RecipeUse(models.Model):
    """A delivery that a recipe met. At most one per delivery, whichever recipe it was: never twice, never a loop."""

    class Outcome(models.TextChoices):
        SENT = "sent", pgettext_lazy("status", "sent")
        AWAITING = "awaiting", pgettext_lazy("status", "awaits approval")
        SUCCEEDED = "succeeded", pgettext_lazy("status", "succeeded")
        FAILED = "failed", pgettext_lazy("status", "failed again")
        LEFT_ALONE = "left_alone", pgettext_lazy("status", "left alone")
        OVERTAKEN = "overtaken", pgettext_lazy("status", "decided by staff")

    recipe = models.ForeignKey(Recipe, models.CASCADE, related_name="met", db_index=False)
    delivery_id = models.UUIDField(unique=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    revision = models.PositiveIntegerField(default=0)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["recipe", "-id"], name="recipe_use_of_recipe"),
            # Whose outcome is still to come.
            models.Index(fields=["recipe"], name="recipe_use_open", condition=Q(outcome__in=["sent", "awaiting"])),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} by {self.recipe_id}"
