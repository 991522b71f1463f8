"""How many pushes each store made in the current second."""

from __future__ import annotations

from django.db import models

from integrations.models import Store


class PushWindow(models.Model):
    """What web processes took of a store's `PUSH_RATE_LIMIT`; one row per store, and none without a limit."""

    store = models.OneToOneField(Store, models.CASCADE, related_name="+", primary_key=True, db_constraint=False)
    second = models.BigIntegerField(help_text="Unix time.")
    used = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.used} in second {self.second}"
