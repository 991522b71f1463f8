"""Failure groups: failures with one cause, which staff handle as one case."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy, pgettext_lazy

from integrations.models import Integration, Store


class FailureGroupQuerySet(models.QuerySet["FailureGroup"]):
    def open(self) -> FailureGroupQuerySet:
        return self.filter(status=FailureGroup.Status.OPEN)

    def cases(self) -> FailureGroupQuerySet:
        """Without those that were merged into another: they only lead there."""
        from deliveries.models.case import CaseRule

        return self.exclude(Exists(CaseRule.objects.filter(source=OuterRef("pk"), field="")))

    def snoozed(self, now: datetime) -> FailureGroupQuerySet:
        """Open ones of which nobody is to be told yet."""
        return self.open().filter(is_snoozed(now))

    def awake(self, now: datetime) -> FailureGroupQuerySet:
        """Open ones that want attention now."""
        asleep = FailureGroup.objects.filter(is_snoozed(now), pk=OuterRef("pk"))
        return self.open().exclude(Exists(asleep))


def is_snoozed(now: datetime) -> Q:
    """Whichever end of a snooze comes first ends it."""
    is_early, is_short = Q(snoozed_until__gt=now), Q(snoozed_to_count__gt=F("occurrences"))
    untimed, uncounted = Q(snoozed_until=None), Q(snoozed_to_count=None)
    return (is_early & uncounted) | (untimed & is_short) | (is_early & is_short)


class FailureGroup(models.Model):
    """Failures with the same cause: same integration, kind of error, and message except for payload values.

    As staff work on it, it is a case: somebody's, snoozed, with a ticket. `snoozed_until` and `snoozed_to_count` (that
    many occurrences) end a snooze, whichever comes first.
    """

    class Status(models.TextChoices):
        OPEN = "open", pgettext_lazy("status", "open")
        RESOLVED = "resolved", pgettext_lazy("status", "resolved")

    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    integration = models.ForeignKey(Integration, models.CASCADE, related_name="failure_groups")
    kind = models.CharField(max_length=50)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the normalised message.")
    message = models.TextField(help_text="The latest failure's.")
    title = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="Names the payload's field instead of one failure's value.",
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    occurrences = models.PositiveBigIntegerField(default=0)
    sample = models.ForeignKey("Delivery", models.SET_NULL, null=True, related_name="+")
    first_at = models.DateTimeField(help_text="When it was last opened.")
    last_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, help_text="The first failure of all. Null: from before this was kept.")
    returned_at = models.DateTimeField(null=True, help_text="When it last came back after it was resolved.")
    return_count = models.PositiveIntegerField(default=0, db_default=0)
    counted = models.PositiveBigIntegerField(
        null=True, help_text="Occurrences that are in its hours. Null: those before are in none."
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False, db_constraint=False
    )
    snoozed_until = models.DateTimeField(null=True)
    snoozed_to_count = models.PositiveBigIntegerField(null=True)
    ticket_url = models.CharField(max_length=500, blank=True, default="", db_default="")

    objects = FailureGroupQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("case")
        verbose_name_plural = gettext_lazy("cases")
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(fields=["integration", "kind", "fingerprint"], name="failure_group_is_unique"),
        ]
        indexes = [
            # "Needs attention" on the dashboard.
            models.Index(fields=["status", "-last_at"], name="failure_group_open"),
        ]

    def __str__(self) -> str:
        return f"{self.integration.name}: {self.headline}"

    @property
    def public_id(self) -> str:
        return f"case_{self.pk}"

    @property
    def headline(self) -> str:
        """What is wrong, for all of the group."""
        return self.title or self.message

    @property
    def ticket(self) -> str:
        """The ticket's address, as a link may lead there; empty if there is none."""
        return self.ticket_url if self.ticket_url.startswith("https://") else ""

    @property
    def first_seen(self) -> datetime:
        return self.seen_at or self.first_at

    def is_snoozed_at(self, now: datetime) -> bool:
        """Whether it sleeps: open or not, so that one that clears and fails again stays quiet."""
        if self.snoozed_until is None and self.snoozed_to_count is None:
            return False
        is_early = self.snoozed_until is None or self.snoozed_until > now
        return is_early and (self.snoozed_to_count is None or self.snoozed_to_count > self.occurrences)

    @property
    def failures_to_wake(self) -> int:
        """How many more failures end the snooze; 0 where failures do not."""
        return max(0, self.snoozed_to_count - self.occurrences) if self.snoozed_to_count is not None else 0
