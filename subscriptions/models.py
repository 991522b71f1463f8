"""Subscriptions and topics."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_lazy as _

from integrations.foundation.document_field import DocumentField
from integrations.models import Integration, Store
from integrations.security.encrypted_fields import EncryptedJSONField


class Topic(models.Model):
    """A declared event type of a store.

    Topics need not be declared to be used. A declared topic may have a JSON Schema, which its data must satisfy, or a
    condition: a JMESPath expression over `old` and `new`. A change of a pushed record that makes it true emits an event
    with this topic (`order.paid`: `old.financial_status != 'paid' && new.financial_status == 'paid'`).
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="topics")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    schema = DocumentField(null=True, blank=True)
    condition = models.TextField(
        blank=True, help_text=_("JMESPath over old and new; emits this topic if a pushed record makes it true.")
    )
    is_searchable = models.BooleanField(
        _("searchable"),
        default=True,
        db_default=True,
        help_text=_("Its events, deliveries and records are found by what is in them. Off: the search forgets them."),
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = gettext_lazy("topic")
        verbose_name_plural = gettext_lazy("topics")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["store", "name"], name="topic_name_is_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def object_type(self) -> str:
        return self.name.split(".", 1)[0]


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def alive(self) -> SubscriptionQuerySet:
        return self.filter(deleted_at=None)

    def without_credentials(self) -> SubscriptionQuerySet:
        """Like `IntegrationQuerySet.without_credentials`, including those of a selected integration."""
        return self.defer("parameters", "integration__token", "integration__parameters")

    def matching_order(self) -> SubscriptionQuerySet:
        return self.order_by("created_at", "id")


class Subscription(models.Model):
    """Sends events with certain topics and intents of a store to an integration, with filter and transform."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="subscriptions")
    integration = models.ForeignKey(Integration, models.CASCADE, related_name="subscriptions")
    topics = models.JSONField(default=list, blank=True)
    intents = models.JSONField(default=list, blank=True)
    event_names = models.JSONField(default=list, blank=True, help_text="For event.created: the data's event_name.")
    path = models.CharField(max_length=500, blank=True, help_text="Appended to the integration's URL: send_sms.")
    filter = models.TextField(blank=True, help_text="JMESPath over the data; truthy results pass.")
    transform = models.TextField(blank=True, help_text="JMESPath over the data; its result is sent.")
    parameters = EncryptedJSONField(blank=True, default=dict)
    is_ordered = models.BooleanField(
        "ordered",
        default=False,
        help_text="Strictly one at a time per record; a failed delivery holds the later ones.",
    )
    poll_every = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds; empty: no polling.")
    last_poll_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_poll_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField("active", default=True)
    inactive_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("subscription")
        verbose_name_plural = gettext_lazy("subscriptions")
        ordering = ["-created_at"]
        indexes = [
            # The engines' periodic query for due polls.
            models.Index(
                fields=["next_poll_at"], name="subscription_next_poll", condition=Q(next_poll_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        wanted = ", ".join([*self.topics, *(f"intent {intent}" for intent in self.intents)])
        return f"{wanted or 'polling'} → {self.integration.name}"


class SubscriptionVersion(models.Model):
    """What a subscription was from `since` on, until its next version: for explaining past events.

    Written by the services with each change. A subscription that was made before versions were kept has its first one
    from its next change on. Parameters are not kept, because they may hold credentials.
    """

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    since = models.DateTimeField()
    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+", db_index=False)
    topics = models.JSONField(default=list)
    intents = models.JSONField(default=list)
    event_names = models.JSONField(default=list)
    path = models.CharField(max_length=500, blank=True)
    filter = models.TextField(blank=True)
    transform = models.TextField(blank=True)
    is_ordered = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_deleted = models.BooleanField(default=False)
    changed_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["subscription", "number"]
        constraints = [
            models.UniqueConstraint(fields=["subscription", "number"], name="subscription_version_is_unique"),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"
