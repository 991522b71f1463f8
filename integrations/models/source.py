"""Where things come from: senders' webhooks, each with an address of its own."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from integrations.models.store import Store
from integrations.security.encrypted_fields import UNREADABLE, EncryptedTextField
from integrations.security.encryption import DecryptionError
from integrations.sources import get_source_kind
from integrations.sources.base import SourceKind

#: What a request became, in the order in which counts are shown.
VERDICTS = ("accepted", "duplicate", "rejected", "ignored")


class SourceQuerySet(models.QuerySet["Source"]):
    def alive(self) -> SourceQuerySet:
        """Those not deleted; deleted ones are kept for the history of their events."""
        return self.filter(deleted_at=None)

    def without_credentials(self) -> SourceQuerySet:
        """The row holds none: secrets and addresses have rows of their own."""
        return self


class Source(models.Model):
    """A sender of one kind, whose requests become events, or are merged into records."""

    class Mode(models.TextChoices):
        EVENT = "event", _("Events")
        RECORD = "record", _("Records, merged as by a push")

    store = models.ForeignKey(Store, models.CASCADE, related_name="sources")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    # A name in `SOURCE_KINDS`, checked by the services: choices would ask for a migration each time.
    kind = models.CharField(max_length=30)
    options = models.JSONField(blank=True, default=dict, help_text="Settings of the kind.")
    mapping = models.JSONField(blank=True, default=dict, help_text="JMESPath by field, where the default is not meant.")
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.EVENT)
    is_enabled = models.BooleanField("enabled", default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SourceQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("source")
        verbose_name_plural = gettext_lazy("sources")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["store", "slug"], condition=Q(deleted_at=None), name="source_slug_is_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def adapter(self) -> SourceKind:
        """Raises LookupError for a kind that no longer exists."""
        return get_source_kind(self.kind)

    @property
    def kind_label(self) -> str:
        try:
            return gettext(self.adapter.label)
        except LookupError:
            return self.kind

    @property
    def address(self) -> str:
        """The whole URL that senders are given; `UNREADABLE` where no key opens it."""
        try:
            token = self.addresses.filter(expires_at=None).values_list("token", flat=True).first()
        except DecryptionError:
            return UNREADABLE
        return address_url(token) if token else ""

    @property
    def warning(self) -> str:
        """What whoever set it up should know; empty if nothing."""
        if self.kind == "generic" and self.options.get("proof") == "none":
            return gettext("Requests are not proven: whoever knows the address can send events.")
        return ""

    def active_secrets(self, now: datetime) -> list[str]:
        """The values that prove a request at `now`, newest first."""
        secrets = [each for each in self.secrets.all() if each.expires_at is None or each.expires_at > now]
        return [each.value for each in sorted(secrets, key=lambda each: each.id, reverse=True)]

    def counts_by_verdict(self) -> dict[str, int]:
        rows = list(self.counts.all())
        return {verdict: sum(getattr(row, verdict) for row in rows) for verdict in VERDICTS}

    @property
    def last_request_at(self) -> datetime | None:
        return max((row.last_at for row in self.counts.all()), default=None)


class SourceSecret(models.Model):
    """What proves a source's requests. During a rotation the old one does too, until it expires."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="secrets")
    value = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: the current one.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(expires_at=None), name="source_secret_one_is_current"
            ),
        ]

    def __str__(self) -> str:
        return f"secret of source {self.source_id} from {self.created_at:%Y-%m-%d %H:%M}"


class SourceAddress(models.Model):
    """The part of an address that nobody can guess. The old one works for a while after a rotation.

    For some kinds it is the only proof, so that a copy of the database must not give it away.
    """

    source = models.ForeignKey(Source, models.CASCADE, related_name="addresses")
    token = EncryptedTextField()
    digest = models.CharField(max_length=64, unique=True, help_text="Its SHA-256, to find it by.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: the current one.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(expires_at=None), name="source_address_one_is_current"
            ),
        ]

    def __str__(self) -> str:
        return f"address of source {self.source_id} from {self.created_at:%Y-%m-%d %H:%M}"

    @staticmethod
    def digest_of(token: str) -> str:
        """SHA-256. Tokens have 192 random bits, so a slow hash would gain nothing."""
        return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class SourceCount(models.Model):
    """How many requests became what. Several rows a source: one would make its requests wait for each other."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="counts")
    shard = models.PositiveSmallIntegerField()
    accepted = models.PositiveBigIntegerField(default=0)
    duplicate = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    ignored = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "shard"], name="source_count_shard_is_unique")]

    def __str__(self) -> str:
        return f"counts {self.shard} of source {self.source_id}"


def address_url(token: str) -> str:
    public_url: Any = settings.PUBLIC_URL
    return f"{public_url.rstrip('/')}/in/{token}"
