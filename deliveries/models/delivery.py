"""Deliveries (one event for one subscription), their attempts and their revisions."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy, pgettext_lazy

from deliveries.models.event import Event
from deliveries.models.failure_group import FailureGroup
from integrations.foundation.document_field import DocumentField
from integrations.foundation.identifiers import public_id, uuid7
from integrations.models import AccessToken, Integration, Store
from subscriptions.models import Subscription


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> DeliveryQuerySet:
        return self.filter(due_at__lte=now)

    def open(self) -> DeliveryQuerySet:
        return self.filter(status__in=Delivery.OPEN)

    def wanted(self) -> DeliveryQuerySet:
        """Those whose subscription and integration were not deleted, nor their payload erased: nothing is sent for
        others."""
        return self.filter(integration__deleted_at=None, subscription__deleted_at=None, erased_at=None)

    def failing(self) -> DeliveryQuerySet:
        """Failed or retrying."""
        return self.filter(status__in=[Delivery.Status.FAILED, Delivery.Status.RETRYING])

    def lock_free(self) -> DeliveryQuerySet:
        """Lock those that nobody else has locked, until the transaction ends.

        Never waits: `deliveries.storage.locks`.
        """
        return self.select_for_update(of=("self",), no_key=True, skip_locked=True)


class Delivery(models.Model):
    """One event for one subscription. The row is the queue: whatever has a `due_at` in the past is work.

    `due_at` is the time of the next attempt; while the delivery is being sent it is the end of the lease,
    so that a row whose worker died becomes due automatically; it is null when there is nothing to do (finished,
    or held behind an earlier one of the same record). `lease` is the fencing token of the claim.
    """

    class Status(models.TextChoices):
        PENDING = "pending", pgettext_lazy("status", "pending")
        SENDING = "sending", pgettext_lazy("status", "sending")
        SUCCEEDED = "succeeded", pgettext_lazy("status", "succeeded")
        RETRYING = "retrying", pgettext_lazy("status", "retrying")
        FAILED = "failed", pgettext_lazy("status", "failed")
        DISCARDED = "discarded", pgettext_lazy("status", "discarded")
        SUPERSEDED = "superseded", pgettext_lazy("status", "superseded")

    OPEN = [Status.PENDING, Status.SENDING, Status.RETRYING]
    #: Statuses in which an ordered delivery holds the later ones of its record.
    HOLDING = [Status.PENDING, Status.SENDING, Status.RETRYING, Status.FAILED]

    class Trigger(models.TextChoices):
        SCHEDULED = "scheduled", gettext_lazy("scheduled")
        MANUAL = "manual", gettext_lazy("manual")
        EDITED = "edited", gettext_lazy("edited")
        TEST = "test", gettext_lazy("test")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No constraints in the database on what is written for each delivery: one statement makes an event with its
    # deliveries, and checking each row of it again would lock the event, or what all deliveries of a store share.
    # Integrations and subscriptions are never deleted, only marked so; events after their deliveries.
    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries", db_constraint=False)
    store = models.ForeignKey(Store, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    integration = models.ForeignKey(
        Integration, models.DO_NOTHING, related_name="deliveries", db_constraint=False, db_index=False
    )
    subscription = models.ForeignKey(
        Subscription, models.DO_NOTHING, related_name="deliveries", db_constraint=False, db_index=False, null=True
    )
    topic = models.CharField(max_length=255, help_text="The event's topic or intent, for lists.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.SCHEDULED)
    due_at = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True)
    attempt_count = models.PositiveIntegerField(default=0)
    retry_count = models.PositiveIntegerField(default=0, help_text="Retries used so far.")
    crash_count = models.PositiveSmallIntegerField(
        default=0, help_text="Consecutive attempts whose outcome is unknown."
    )
    revision = models.PositiveIntegerField(default=0, help_text="Which payload is sent: 0 is the original.")
    order_key = models.CharField(
        max_length=600, null=True, help_text="If set: sent one at a time per subscription and key."
    )
    is_awaiting_source = models.BooleanField(
        default=False, help_text="Waiting for a later push of the record, whose delivery supersedes this one."
    )
    first_sent_at = models.DateTimeField(null=True)
    last_status = models.PositiveIntegerField(null=True)
    last_error = models.TextField(blank=True)
    failure_group = models.ForeignKey(
        FailureGroup, models.SET_NULL, null=True, related_name="deliveries", db_constraint=False, db_index=False
    )
    backfilled_by = models.CharField(
        max_length=200, null=True, help_text="Who had it made after its event; empty: it came with its event."
    )
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True, help_text="When its payload was erased; it cannot be sent again.")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("delivery")
        verbose_name_plural = gettext_lazy("deliveries")
        ordering = ["-id"]
        permissions = [
            ("resolve_delivery", "Can edit, resend and discard deliveries"),
            ("replay_delivery", "Can resend or discard many deliveries at once"),
            ("release_delivery", "Can release ordered deliveries that are held"),
            ("approve_revision", "Can approve payloads that others edited"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="sending") | Q(lease__isnull=False, due_at__isnull=False),
                name="delivery_sending_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "sending", "retrying"]) | Q(due_at=None),
                name="delivery_finished_is_never_due",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "sending", "retrying"]) | Q(finished_at__isnull=False),
                name="delivery_finished_has_time",
            ),
        ]
        indexes = [
            # The claim: the oldest due ones of each integration. Finished rows are not in it, so a claim
            # costs the same however many there are.
            models.Index(fields=["integration", "due_at"], name="delivery_due", condition=Q(due_at__isnull=False)),
            # In-flight deliveries per integration, for its limit.
            models.Index(fields=["integration"], name="delivery_in_flight", condition=Q(status="sending")),
            # Ordered subscriptions: is there an earlier one of this record?
            models.Index(
                fields=["subscription", "order_key", "id"],
                name="delivery_order",
                condition=Q(order_key__isnull=False, status__in=["pending", "sending", "retrying", "failed"]),
            ),
            # A later one succeeded: which ones does it supersede?
            models.Index(fields=["subscription"], name="delivery_awaiting", condition=Q(is_awaiting_source=True)),
            # Is a group still failing? The deliveries of a group.
            models.Index(
                fields=["failure_group", "-id"], name="delivery_group", condition=Q(failure_group__isnull=False)
            ),
            # Lists: what needs attention, newest first.
            models.Index(
                fields=["status", "-id"], name="delivery_failing", condition=Q(status__in=["retrying", "failed"])
            ),
            # Metrics: how many were discarded or superseded, without counting the table.
            models.Index(
                fields=["status"], name="delivery_set_aside", condition=Q(status__in=["discarded", "superseded"])
            ),
            # Lists: of one store, of one integration. Few, because each claim and each result rewrites all of them.
            models.Index(fields=["store", "-id"], name="delivery_of_store"),
            models.Index(fields=["integration", "-id"], name="delivery_of_integration"),
            # Dashboard: what finished recently; pruning.
            models.Index(fields=["finished_at"], name="delivery_finished", condition=Q(finished_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.public_id}"

    @property
    def public_id(self) -> str:
        return public_id("dlv", self.id)

    @property
    def request_id(self) -> str:
        """Stable across retries and edits; receivers use it to deduplicate."""
        return self.id.hex

    @property
    def is_finished(self) -> bool:
        return self.status not in self.OPEN

    @property
    def is_test(self) -> bool:
        return self.trigger == self.Trigger.TEST

    @property
    def is_held(self) -> bool:
        return self.status == self.Status.PENDING and self.due_at is None

    @property
    def next_attempt_at(self) -> datetime | None:
        return self.due_at if self.status in (self.Status.PENDING, self.Status.RETRYING) else None


class Attempt(models.Model):
    """One attempt of a delivery, written when it has ended. While it is under way, its delivery is `sending`, and
    `deliveries.results.under_way` shows it as running.

    Headers are stored with credentials masked; bodies byte for byte, encrypted where the format puts
    parameters into them.
    """

    class Outcome(models.TextChoices):
        RUNNING = "running", pgettext_lazy("status", "running")
        SUCCEEDED = "succeeded", pgettext_lazy("status", "succeeded")
        FAILED = "failed", pgettext_lazy("status", "failed")
        UNKNOWN = "unknown", pgettext_lazy("status", "unknown")
        LATE = "late", pgettext_lazy("status", "late")

    class BodiesGone(models.TextChoices):
        ERASED = "erased", gettext_lazy("They were erased.")
        NOT_KEPT = "not_kept", gettext_lazy("This integration keeps no bodies of deliveries that succeeded.")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No constraint in the database: the engine holds the delivery's lease, and leased rows are never deleted.
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts", db_constraint=False, db_index=False)
    number = models.PositiveIntegerField()
    trigger = models.CharField(max_length=10, choices=Delivery.Trigger.choices)
    revision = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.RUNNING)
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(null=True)
    method = models.CharField(max_length=10, blank=True)
    url = models.TextField(blank=True)
    request_headers = DocumentField(default=list)
    request_body = models.BinaryField(default=bytes)
    is_body_encrypted = models.BooleanField(default=False)
    response_status = models.PositiveIntegerField(null=True)
    response_headers = DocumentField(null=True)
    response_body = models.BinaryField(null=True)
    is_response_truncated = models.BooleanField(default=False)
    error_kind = models.CharField(max_length=50, blank=True)
    error_message = models.TextField(blank=True)
    summary = models.TextField(blank=True)
    bodies_gone = models.CharField(
        max_length=10, choices=BodiesGone.choices, null=True, help_text="Why it has no bodies any more."
    )

    class Meta:
        verbose_name = gettext_lazy("attempt")
        verbose_name_plural = gettext_lazy("attempts")
        ordering = ["delivery", "number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_is_unique"),
            models.CheckConstraint(condition=~Q(outcome="failed") | ~Q(error_kind=""), name="attempt_failed_says_why"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.outcome}"


class Revision(models.Model):
    """An edited payload. The event's own data stays untouched as revision 0, the original."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="revisions", db_index=False)
    number = models.PositiveIntegerField()
    data = DocumentField()
    patch = DocumentField(help_text="JSON Patch from the previous revision.")
    reason = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=200)
    token = models.ForeignKey(
        AccessToken, models.SET_NULL, null=True, related_name="+", help_text="The token with which a program edited."
    )
    people = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        related_name="+",
        help_text="The author, or the people behind the author's token: they cannot approve it.",
    )
    is_issuer_known = models.BooleanField(
        null=True,
        help_text="False: it is unknown who issued the token, so nobody who may issue tokens can approve it.",
    )
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    is_awaiting_approval = models.BooleanField(default=False)
    rejected_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    rejected_at = models.DateTimeField(null=True)
    updates_record = models.BooleanField(
        default=False, help_text="Also update the store's record when the revision is sent."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["delivery", "number"]
        indexes = [
            # What awaits approval?
            models.Index(fields=["created_at"], name="revision_awaiting", condition=Q(is_awaiting_approval=True)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="revision_number_is_unique"),
            models.CheckConstraint(condition=Q(number__gte=1), name="revision_zero_is_the_event"),
            models.CheckConstraint(
                condition=Q(is_awaiting_approval=False) | Q(approved_at=None, rejected_at=None),
                name="revision_awaiting_is_undecided",
            ),
        ]

    def __str__(self) -> str:
        return f"revision {self.number}"
