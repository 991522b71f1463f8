"""What staff add to a failure group when they work on it as a case: comments, and rules for what belongs to it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy

from deliveries.models.failure_group import FailureGroup
from integrations.foundation.languages import english


class CaseComment(models.Model):
    """What somebody wrote about a case. Written once: whoever reads it later must be able to rely on it."""

    case = models.ForeignKey(FailureGroup, models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=200)
    text = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.author_name} on {self.case_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises TypeError for a comment that exists: comments are added, never changed."""
        if not self._state.adding:
            raise TypeError("A comment cannot be changed.")
        super().save(*args, **kwargs)


class CaseRule(models.Model):
    """Where failures of one case go instead, now and in future.

    Without a `field` all of them go to `target`: the cases were merged. With one, those go that meet the condition:
    `target` was split off. `field` is `error` (the message) or a path inside the payload (`data.shipping.phone`).
    """

    class Operator(models.TextChoices):
        CONTAINS = "contains", gettext_lazy("contains")
        IS = "is", gettext_lazy("is")
        STARTS = "starts_with", gettext_lazy("starts with")
        MISSING = "missing", gettext_lazy("is missing or empty")

    source = models.ForeignKey(FailureGroup, models.CASCADE, related_name="rules")
    target = models.ForeignKey(FailureGroup, models.CASCADE, related_name="fed_by")
    field = models.CharField(max_length=300, blank=True)
    operator = models.CharField(max_length=12, choices=Operator.choices, blank=True)
    value = models.CharField(max_length=300, blank=True)
    author_name = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    #: The deliveries up to this one have been looked at; null when all have.
    cursor = models.UUIDField(null=True)
    is_settled = models.BooleanField(default=False, help_text="Whether the deliveries that were there have moved.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(field=""), name="case_is_merged_once"),
            models.CheckConstraint(condition=~Q(source=models.F("target")), name="case_rule_leads_elsewhere"),
        ]
        indexes = [
            # What is still to be moved?
            models.Index(fields=["id"], name="case_rule_unsettled", condition=Q(is_settled=False)),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} → {self.target_id}"

    @property
    def is_merge(self) -> bool:
        return not self.field

    @property
    def words(self) -> str:
        """The condition, for staff."""
        words = {
            self.Operator.CONTAINS: gettext("%(field)s contains “%(value)s”"),
            self.Operator.IS: gettext("%(field)s is “%(value)s”"),
            self.Operator.STARTS: gettext("%(field)s starts with “%(value)s”"),
            self.Operator.MISSING: gettext("%(field)s is missing or empty"),
        }[self.Operator(self.operator)]
        return words % {"field": gettext("the error") if self.field == "error" else self.field, "value": self.value}

    @property
    def kept_words(self) -> str:
        """`words` for what is stored."""
        with english():
            return self.words


class FailureHour(models.Model):
    """How many failures a case had in one hour, for its trend. Written from the occurrences, now and then."""

    case = models.ForeignKey(FailureGroup, models.CASCADE, related_name="hours", db_index=False)
    start = models.DateTimeField()
    failures = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "start"], name="failure_hour_is_unique")]
        indexes = [
            # Deleting old ones.
            models.Index(fields=["start"], name="failure_hour_age"),
        ]

    def __str__(self) -> str:
        return f"{self.failures} at {self.start:%Y-%m-%d %H}:00"
