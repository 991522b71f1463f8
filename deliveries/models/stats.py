"""Rollups of finished deliveries."""

from __future__ import annotations

from django.db import models


class StatsBucket(models.Model):
    """Deliveries of one integration in five minutes, by how long they took.

    The dashboard would otherwise read a week of deliveries on each view. `slot` is the Unix time over 300;
    `bin` numbers the duration from push to delivery (`stat_slots.BINS`), or is -1 for what was accepted. A row
    with integration 0 says that its slot was counted, however little was in it.
    """

    slot = models.BigIntegerField()
    integration_id = models.BigIntegerField()
    bin = models.SmallIntegerField()
    accepted = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "deliveries_statslot"
        constraints = [
            models.UniqueConstraint(fields=["slot", "integration_id", "bin"], name="stat_slot_is_unique"),
        ]

    def __str__(self) -> str:
        return f"slot {self.slot} of integration {self.integration_id}"
