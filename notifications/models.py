"""Notifications for staff, and the channels that send them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy, pgettext_lazy

from deliveries.models import Delivery, FailureGroup
from integrations.foundation.identifiers import public_id
from integrations.foundation.languages import gettext_noop
from integrations.models import Integration, Store
from integrations.security.encrypted_fields import EncryptedJSONField, EncryptedTextField

#: The text of a message that was sent as part of another one.
WITH_OTHERS = gettext_noop("Sent in one message with others.")
#: The error of one whose worker died.
INTERRUPTED = gettext_noop("The worker stopped while sending this message; it may have arrived.")


class NotificationQuerySet(models.QuerySet["Notification"]):
    def open(self) -> NotificationQuerySet:
        return self.filter(status=Notification.Status.OPEN)


class Notification(models.Model):
    """A summary for staff. Errors have one per failure group; it counts, reopens and resolves automatically."""

    class Level(models.TextChoices):
        INFO = "info", pgettext_lazy("status", "info")
        WARNING = "warning", pgettext_lazy("status", "warning")
        ERROR = "error", pgettext_lazy("status", "error")

    class Status(models.TextChoices):
        OPEN = "open", pgettext_lazy("status", "open")
        RESOLVED = "resolved", pgettext_lazy("status", "resolved")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="notifications")
    level = models.CharField(max_length=10, choices=Level.choices)
    summary = models.TextField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    resolved_by = models.CharField(max_length=200, null=True, blank=True, help_text="auto, or a user's name.")
    occurrences = models.PositiveBigIntegerField(default=1)
    failure_group = models.OneToOneField(FailureGroup, models.CASCADE, null=True, related_name="notification")
    key = models.CharField(max_length=200, help_text="Deduplication key: one notification per store and key.")
    integration = models.ForeignKey(Integration, models.CASCADE, null=True, related_name="notifications")
    delivery = models.ForeignKey(
        Delivery, models.SET_NULL, null=True, related_name="notifications", db_constraint=False
    )
    created_at = models.DateTimeField()
    last_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("notification")
        verbose_name_plural = gettext_lazy("notifications")
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(fields=["store", "key"], name="notification_key_is_unique"),
            models.CheckConstraint(
                condition=Q(status="open", resolved_at=None) | Q(status="resolved", resolved_at__isnull=False),
                name="notification_resolved_has_time",
            ),
        ]
        indexes = [
            # The bell: open notifications, newest first.
            models.Index(fields=["status", "-last_at"], name="notification_open"),
            models.Index(fields=["store", "-last_at"], name="notification_of_store"),
        ]

    @property
    def replay_id(self) -> str:
        """The bulk resend that it is about; empty for others."""
        kind, _, key = self.key.partition(":")
        return key if kind == "replay" else ""

    def __str__(self) -> str:
        return self.summary

    @property
    def headline(self) -> str:
        """The problem common to all its failures; `summary` is the latest failure's message."""
        return self.failure_group.title or self.summary if self.failure_group else self.summary

    @property
    def count(self) -> int:
        """How often it happened. An error's number is its case's: one figure wherever it is shown."""
        return self.failure_group.occurrences if self.failure_group else self.occurrences

    @property
    def public_id(self) -> str:
        return public_id("notif", self.id)


class Channel(models.Model):
    """Where notifications go in addition to the admin."""

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=30, help_text="A name of notifications.channels.CHANNEL_KINDS.")
    recipients = models.JSONField(
        default=list, help_text="Phone numbers (+15551234567) or e-mail addresses; of other kinds, where messages go."
    )
    options = EncryptedJSONField(default=dict, blank=True, null=True, help_text="The kind's own fields.")
    level = models.CharField(
        gettext_lazy("minimum level"),
        max_length=10,
        choices=Notification.Level.choices,
        default=Notification.Level.ERROR,
    )
    stores = models.ManyToManyField(Store, blank=True, related_name="+", help_text=gettext_lazy("None selected: all."))
    integrations = models.ManyToManyField(
        Integration, blank=True, related_name="+", help_text=gettext_lazy("None selected: all.")
    )
    account_sid = models.CharField(gettext_lazy("Twilio account SID"), max_length=64, blank=True)
    auth_token = EncryptedTextField(gettext_lazy("Twilio auth token"), blank=True, default="")
    sender = models.CharField(
        gettext_lazy("from"), max_length=200, blank=True, help_text=gettext_lazy("Empty: the installation's token.")
    )
    quiet_from = models.TimeField(
        null=True, blank=True, help_text=gettext_lazy("UTC. Messages are held until quiet hours end.")
    )
    quiet_until = models.TimeField(null=True, blank=True)
    window_minutes = models.PositiveIntegerField(
        default=60, help_text="Deduplication window, in minutes: at most one message per incident and recipient."
    )
    digest_minutes = models.PositiveIntegerField(
        default=0, help_text="Digest interval, in minutes. 0 sends each message immediately."
    )
    is_enabled = models.BooleanField(gettext_lazy("enabled"), default=True)
    last_error = models.TextField(blank=True, editable=False)
    last_sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = gettext_lazy("channel")
        verbose_name_plural = gettext_lazy("channels")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ChannelMessage(models.Model):
    """One message to one recipient; also prevents a second one in the same window."""

    class Status(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENDING = "sending", "sending"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="messages")
    notification = models.ForeignKey(Notification, models.CASCADE, null=True, related_name="messages")
    recipient = models.CharField(max_length=200)
    text = models.TextField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    send_after = models.DateTimeField(help_text="While sending: when the attempt counts as interrupted.")
    window = models.BigIntegerField(help_text="Number of the deduplication window.")
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "recipient", "notification", "window"], name="channel_message_once_per_window"
            ),
        ]
        indexes = [
            # Due messages.
            models.Index(fields=["send_after"], name="channel_message_waiting", condition=Q(status="waiting")),
            # Messages that were being sent when their worker died.
            models.Index(fields=["send_after"], name="channel_message_sending", condition=Q(status="sending")),
            # A recipient's recent messages.
            models.Index(
                fields=["channel", "recipient", "sent_at"], name="channel_message_sent", condition=Q(status="sent")
            ),
            # Pruning.
            models.Index(fields=["created_at"], name="channel_message_age"),
        ]

    @property
    def shown_text(self) -> str:
        """The text as a page shows it: what stands for one is not in the language of the staff, as a text is."""
        return gettext(WITH_OTHERS) if self.text == WITH_OTHERS else self.text

    @property
    def shown_error(self) -> str:
        """Errors are kept in English."""
        return gettext(INTERRUPTED) if self.error == INTERRUPTED else self.error

    def __str__(self) -> str:
        return f"{self.channel} → {self.recipient}"


class OpenIncident(models.Model):
    """An incident that a receiver was told of, and not yet that it is over."""

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="+", db_index=False)
    notification = models.ForeignKey(Notification, models.CASCADE, related_name="+")
    recipient = models.CharField(max_length=200)
    reference = models.CharField(max_length=300, blank=True, help_text="What the receiver calls the message.")
    acknowledged_by = models.CharField(max_length=200, blank=True, help_text="Who has the case since it was told.")
    is_acknowledged = models.BooleanField(default=False, help_text="The receiver knows who has it.")
    attempts = models.PositiveSmallIntegerField(default=0)
    try_after = models.DateTimeField(help_text="A follow-up is sent then at the earliest.")
    told_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "recipient", "notification"], name="open_incident_is_unique")
        ]

    def __str__(self) -> str:
        return f"{self.channel} → {self.recipient}"


class PersonalNotice(models.Model):
    """What one member of staff should know: a case was given to them, payloads await their approval.

    On their dashboard until it is read, and by e-mail if they have an address. One per person and key, which is told
    again when there is news.
    """

    class Mail(models.TextChoices):
        NONE = "none", "none"
        WAITING = "waiting", "waiting"
        SENDING = "sending", "sending"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices", db_index=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    text = models.TextField()
    path = models.CharField(max_length=300, help_text="The page of the desk where to act.")
    case = models.ForeignKey(FailureGroup, models.CASCADE, null=True, related_name="+")
    at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)
    mail = models.CharField(max_length=10, choices=Mail.choices, default=Mail.NONE)
    mailed_at = models.DateTimeField(null=True)
    mail_error = models.TextField(blank=True)

    class Meta:
        ordering = ["-at"]
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="personal_notice_is_unique")]
        indexes = [
            # What is to be mailed?
            models.Index(fields=["at"], name="personal_notice_waiting", condition=Q(mail__in=["waiting", "sending"])),
            # Pruning.
            models.Index(fields=["read_at"], name="personal_notice_age"),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def link(self) -> str:
        """`path`, as a link may lead there: a page of this site, whatever the row says."""
        return self.path if self.path.startswith("/admin/") else "/admin/"
