"""The tenant and its access tokens."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_lazy as _

from integrations.foundation.languages import gettext_noop
from integrations.object_types import check_overrides


class ConfigVersion(models.Model):
    """A counter that increases whenever a store's configuration changes (kept by database triggers).

    The new value is also written to the store's `config_version`. Web processes and engines cache tokens,
    subscriptions and integrations, and compare versions in the statement that uses them: a revoked token or
    a changed subscription takes effect immediately in every process.
    """

    version = models.BigIntegerField(default=0)

    class Meta:
        db_table = "integrations_configclock"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="config_clock_has_one_row")]

    @classmethod
    def lock(cls) -> None:
        """Lock the row first in a transaction that changes the configuration.

        Its triggers lock it anyway; locked after a row of the configuration, two changes could deadlock.
        """
        list(cls.objects.select_for_update(no_key=True).filter(id=1))

    @classmethod
    def current(cls) -> int:
        """No store has a later version than this. 0 as long as nothing is configured."""
        return cls.objects.filter(id=1).values_list("version", flat=True).first() or 0


def validate_overrides(value: Any) -> None:
    try:
        check_overrides(value)
    except ValueError as error:
        raise ValidationError(str(error), code="invalid") from None


class Store(models.Model):
    """The tenant. Its id is the store id that clients send."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    singular_overrides = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_overrides],
        help_text=_('Plural to singular, for words where English rules fail: {"kudos": "kudos"}.'),
    )
    is_reason_required = models.BooleanField(
        _("a reason is required"),
        default=False,
        help_text=_("Staff must say why when they edit or discard a payload."),
    )
    is_approval_required = models.BooleanField(
        _("a second approver is required"),
        default=False,
        help_text=_("An edited payload is sent only after another member of staff has approved it."),
    )
    config_version = models.BigIntegerField(default=0, editable=False)
    staff = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        blank=True,
        related_name="stores",
        help_text=_(
            "Staff who see this store, in addition to superusers and those who see all stores. Set by superusers."
        ),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = gettext_lazy("store")
        verbose_name_plural = gettext_lazy("stores")
        ordering = ["name"]
        permissions = [
            ("set_approval_rule", gettext_noop("Can switch the second approver on; off, together with another person")),
            ("export_lists", gettext_noop("Can export lists, payloads included, as files")),
        ]

    def __str__(self) -> str:
        return self.name


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def active(self, now: datetime) -> AccessTokenQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


class AccessToken(models.Model):
    """A credential of a store. Only its hash is stored; the text is shown only once."""

    class Scope(models.TextChoices):
        READ = "read", _("Read everything but tokens")
        PUSH = "push", _("Push objects and events")
        RESOLVE = "resolve", _("Read, and resolve failures: cases, edits, resends, discards, recipes, backfills")
        MANAGE = "manage", _("Read, resolve, and manage everything else")
        PROPOSE = "propose", _("Read, and propose what a person must approve; it never resolves by itself")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=32, unique=True, editable=False)
    token_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    issuers = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        related_name="+",
        help_text="The people who issued it, or the token that issued it: they may know the token.",
    )
    #: Networks that it may be used from, as CIDRs; null and empty mean any. Set when it is made, and never changed.
    addresses = models.JSONField(null=True, editable=False)
    # Null, so that SQLite adds it without rebuilding the table, which would drop the version's triggers.
    is_issuer_known = models.BooleanField(
        null=True, editable=False, help_text="If not true: anyone who may issue tokens may have issued it."
    )

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def hash_of(token: str) -> str:
        """SHA-256 of the token. Tokens have 192 random bits, so a slow hash would gain nothing."""
        return hashlib.sha256(token.encode()).hexdigest()

    @property
    def is_active(self) -> bool:
        from django.utils import timezone

        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())
