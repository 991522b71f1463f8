"""The last context of a Turn.io integration."""

from __future__ import annotations

from django.db import models

from integrations.foundation.document_field import DocumentField
from integrations.models.integration import Integration


class TurnContext(models.Model):
    """The actions of the last context answer: only what was offered can be run.

    Separate from `Integration`, because each opened chat writes it, and a row because web servers have
    several processes.
    """

    integration = models.OneToOneField(Integration, models.CASCADE, primary_key=True, related_name="turn_context")
    actions = DocumentField(default=dict)
    answered_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"context of {self.answered_at:%Y-%m-%d %H:%M}"
