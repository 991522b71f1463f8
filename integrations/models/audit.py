"""Who changed what, when and why."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from integrations.audit_words import action_words, target_words
from integrations.foundation.document_field import DocumentField
from integrations.models.store import Store


class AuditEntry(models.Model):
    """One change by staff or by a program, written in the transaction of the change itself.

    `before` and `after` never hold credentials: mask them before writing an entry.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="+", null=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=200, help_text="The user's name, or “token …” for a program.")
    action = models.CharField(max_length=50)
    target_type = models.CharField(max_length=50)
    target_id = models.CharField(max_length=64)
    target_name = models.CharField(max_length=300, blank=True)
    before = DocumentField(null=True)
    after = DocumentField(null=True)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = gettext_lazy("audit entry")
        verbose_name_plural = gettext_lazy("audit entries")
        ordering = ["-id"]
        indexes = [
            # The history on a delivery's, integration's or subscription's page.
            models.Index(fields=["target_type", "target_id", "-id"], name="audit_by_target"),
        ]

    @property
    def action_words(self) -> str:
        return action_words(self.action)

    @property
    def target_words(self) -> str:
        return target_words(self.target_type)

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target_type} {self.target_name or self.target_id}"
