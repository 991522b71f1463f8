"""Where deliveries go."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from integrations.connectors import get_connector
from integrations.models.store import Store
from integrations.recent_outcomes import Recent, recent_of
from integrations.security.encrypted_fields import EncryptedJSONField, EncryptedTextField
from integrations.wire_formats import get_wire_format
from integrations.wire_formats.base import WireFormat
from integrations.wire_formats.standard import StandardFormat


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def alive(self) -> IntegrationQuerySet:
        """Those not deleted; deleted ones are kept for the history of their deliveries."""
        return self.filter(deleted_at=None)

    def without_credentials(self) -> IntegrationQuerySet:
        """Defer credentials: some operations must work even if no key decrypts them."""
        return self.defer("token", "parameters")


class Integration(models.Model):
    """A destination: a URL in one wire format, or a connector that speaks a vendor's API."""

    class AuthType(models.TextChoices):
        NONE = "none", _("None")
        BEARER = "bearer", "Authorization: Bearer …"
        TOKEN = "token", "Authorization: Token …"
        BASIC = "basic", _("HTTP Basic (user:password as the token)")
        HEADER = "header", _("Custom header")
        HUB = "hub", "X-Hub-Token"

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    store = models.ForeignKey(Store, models.CASCADE, related_name="integrations")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    url = models.TextField("URL", blank=True)
    # Names in `CONNECTORS` and `WIRE_FORMATS`, checked by the services: choices would ask for a migration each time.
    connector = models.CharField(max_length=30, null=True, blank=True)
    wire_format = models.CharField(max_length=20, default=StandardFormat.name)
    auth_type = models.CharField(max_length=10, choices=AuthType.choices, default=AuthType.NONE)
    auth_header = models.CharField(max_length=100, blank=True)
    token = EncryptedTextField(blank=True, default="")
    parameters = EncryptedJSONField(blank=True, default=dict)
    headers = models.JSONField(blank=True, default=dict)
    additional_data = models.CharField(max_length=500, blank=True)
    retry_policy = models.JSONField(default=str, blank=True, help_text="A policy's name, or a list of seconds.")
    timeout = models.FloatField(default=30, help_text="Seconds, for the whole attempt.")
    max_in_flight = models.PositiveIntegerField(default=512)
    rate_limit = models.FloatField(null=True, blank=True, help_text="Requests per second; empty for no limit.")
    permanent_statuses = models.JSONField(default=list, blank=True)
    # Null, which means true, so that SQLite adds it without rebuilding the table, which would drop the version's
    # triggers.
    keeps_bodies = models.BooleanField(
        null=True, help_text="False: what was sent and answered is deleted once a delivery has succeeded."
    )
    is_enabled = models.BooleanField("enabled", default=True)
    disabled_reason = models.CharField(max_length=500, blank=True)
    handshake = models.JSONField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("integration")
        verbose_name_plural = gettext_lazy("integrations")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["store", "slug"], condition=Q(deleted_at=None), name="integration_slug_is_unique"
            ),
            models.CheckConstraint(
                condition=Q(connector__isnull=False) | ~Q(url=""), name="integration_has_url_or_connector"
            ),
            models.CheckConstraint(condition=Q(timeout__gt=0, timeout__lte=180), name="integration_timeout_in_bounds"),
            models.CheckConstraint(condition=Q(max_in_flight__gte=1), name="integration_sends_at_least_one"),
            models.CheckConstraint(
                condition=Q(rate_limit=None) | Q(rate_limit__gt=0), name="integration_rate_limit_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """Health: `disabled`, `failing` (nothing succeeded since a failure) or `healthy`."""
        if not self.is_enabled:
            return "disabled"
        health = getattr(self, "health", None)
        return "failing" if health is not None and (health.is_failing or health.breaker != "closed") else "healthy"

    @property
    def adapter(self) -> WireFormat:
        """The connector where it has one, else its wire format. Raises LookupError for a name that no longer exists."""
        return get_connector(self.connector) if self.connector else get_wire_format(self.wire_format)

    @property
    def kind_label(self) -> str:
        """What staff call it: the connector's name, or the wire format's."""
        try:
            return gettext(self.adapter.label)
        except LookupError:
            return self.connector or self.wire_format

    def active_secrets(self, now: datetime) -> list[str]:
        """The values that sign at `now`, newest first."""
        secrets = [secret for secret in self.secrets.all() if secret.expires_at is None or secret.expires_at > now]
        return [secret.value for secret in sorted(secrets, key=lambda secret: secret.id, reverse=True)]


class Secret(models.Model):
    """A signing secret. During a rotation requests are signed with the old one too, until it expires."""

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="secrets")
    value = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: the current one.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration"], condition=Q(expires_at=None), name="secret_one_is_current"),
        ]

    def __str__(self) -> str:
        return f"secret of {self.integration_id} from {self.created_at:%Y-%m-%d %H:%M}"


class IntegrationHealth(models.Model):
    """An integration's health: breaker and rate limit. Separate from `Integration`, because engines write it often."""

    class Breaker(models.TextChoices):
        CLOSED = "closed", "closed"
        OPEN = "open", "open"
        HALF_OPEN = "half_open", "half-open"

    integration = models.OneToOneField(Integration, models.CASCADE, primary_key=True, related_name="health")
    breaker = models.CharField(max_length=10, choices=Breaker.choices, default=Breaker.CLOSED)
    consecutive_failures = models.PositiveIntegerField(default=0)
    first_failure_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    probe_at = models.DateTimeField(null=True, blank=True)
    throttled_until = models.DateTimeField(null=True, blank=True)
    rate_tokens = models.FloatField(default=0)
    rate_refilled_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    recent = models.JSONField(
        null=True, blank=True, default=list, help_text="The last outcomes, oldest first: [what, how many in a row]."
    )

    class Meta:
        verbose_name_plural = "integration health"
        constraints = [
            models.CheckConstraint(
                condition=Q(breaker="closed") | Q(probe_at__isnull=False), name="health_open_breaker_has_probe"
            ),
        ]

    def __str__(self) -> str:
        return f"breaker {self.get_breaker_display()}"

    @property
    def is_failing(self) -> bool:
        """Nothing has succeeded since `first_failure_at`."""
        return self.first_failure_at is not None

    @property
    def latest(self) -> Recent:
        """The last outcomes, counted."""
        return recent_of(self.recent)
