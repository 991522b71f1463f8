"""What is counted of deliveries and attempts, in slots of five minutes that become hours and days."""

from __future__ import annotations

from typing import Final

from django.db import models

#: A slot is the Unix time over this.
SLOT_SECONDS: Final = 300
#: The bin of an attempt that sent nothing.
NOTHING_SENT: Final = -1


class StatsBucket(models.Model):
    """Deliveries of one integration in one slot, by how long they took; counted once from the deliveries themselves.

    `bin` numbers the duration from push to delivery (`stats.durations.BINS`), or is -1 for what was accepted. A row
    with integration 0 says that its slot was counted, however little was in it. Old slots are added up in the first one
    of their hour, then of their day (`stats.compaction`).
    """

    slot = models.BigIntegerField()
    integration_id = models.BigIntegerField()
    bin = models.SmallIntegerField()
    accepted = models.BigIntegerField(default=0)
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)

    class Meta:
        db_table = "deliveries_statsbucket"  # `deliveries_statslot` was that of version 0.1, with other bins
        constraints = [
            # One integration's history, and where an integration's rows are looked for by slot.
            models.UniqueConstraint(fields=["integration_id", "slot", "bin"], name="stats_bucket_is_unique"),
        ]
        indexes = [
            # Those of all integrations since a time: the dashboard; and the oldest: compaction.
            models.Index(fields=["slot"], name="stats_bucket_by_slot"),
        ]

    def __str__(self) -> str:
        return f"slot {self.slot} of integration {self.integration_id}"


class AttemptFigures(models.Model):
    """How many attempts of one kind and bin there were in a slot. `milliseconds`: their durations, added up."""

    class Kind(models.IntegerChoices):
        """How an attempt ended, binned by the receiver's own time; and, binned by the time since the push, deliveries
        that have arrived."""

        SUCCEEDED = 1, "succeeded"
        RETRYING = 2, "retrying"
        FAILED = 3, "failed"
        DELIVERED = 4, "delivered"

    slot = models.BigIntegerField()
    integration_id = models.BigIntegerField()
    kind = models.SmallIntegerField(choices=Kind.choices)
    bin = models.SmallIntegerField()
    number = models.BigIntegerField()
    milliseconds = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.number} {self.get_kind_display()} of integration {self.integration_id} in slot {self.slot}"


class AttemptCount(AttemptFigures):
    """Fresh counts, written by the statement that records the attempts, and moved to `AttemptStats` a little later.

    Each process counts in rows of its own (`writer`), so that none waits for another.
    """

    writer = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["slot", "writer", "integration_id", "kind", "bin"], name="attempt_count_is_unique"
            ),
        ]


class AttemptStats(AttemptFigures):
    """Counts of slots that are over. Slot 0 holds all that was ever counted and moved here, for `/metrics`."""

    class Meta:
        verbose_name_plural = "attempt stats"
        constraints = [
            models.UniqueConstraint(fields=["integration_id", "slot", "kind", "bin"], name="attempt_stats_is_unique"),
        ]
        indexes = [
            # All integrations since a time, slot 0, and the oldest.
            models.Index(fields=["slot"], name="attempt_stats_by_slot"),
        ]


class PushCount(models.Model):
    """Pushes of a store by the HTTP status of the answer, of one process of the web server (`writer`)."""

    store_id = models.UUIDField()
    status = models.SmallIntegerField()
    writer = models.BigIntegerField()
    number = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "status", "writer"], name="push_count_is_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.number} pushes answered {self.status}"
