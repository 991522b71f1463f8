"""Pushes of each store in the current second."""

from __future__ import annotations

from django.db import models

from integrations.models import Store


class PushWindow(models.Model):
    """The part of a store's `PUSH_RATE_LIMIT` taken by web processes; one row per store, none without a limit."""

    store = models.OneToOneField(Store, models.CASCADE, related_name="+", primary_key=True, db_constraint=False)
    second = models.BigIntegerField(help_text="Unix time in seconds.")
    used = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.used} in second {self.second}"
