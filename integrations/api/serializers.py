"""JSON of integrations and tokens in responses, and their request bodies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from integrations.connectors import CONNECTORS
from integrations.models import AccessToken, Integration, IntegrationHealth
from integrations.parameters import mask_parameters
from integrations.retry import POLICIES
from integrations.security.redaction import MASK
from integrations.services.values import IN_FLIGHT_LIMIT, RATE_LIMIT, TIMEOUT_LIMIT
from integrations.transport.guard.addresses import URL_LIMIT
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.auth import MAX_VALUE_LENGTH

#: JSON Schema of a policy's name or a list of seconds.
RETRY_POLICY = {
    "oneOf": [
        {"type": "string", "description": f"One of {', '.join(POLICIES)}."},
        {"type": "array", "items": {"type": "number"}, "description": "Seconds before each retry."},
    ]
}


class HealthSerializer(serializers.Serializer[Integration]):
    """An integration's health, from its last outcomes."""

    state = serializers.ChoiceField(["healthy", "failing", "disabled"])
    failing_since = serializers.DateTimeField(allow_null=True, help_text="No success since then.")
    failures_in_a_row = serializers.IntegerField(help_text="Since the last success, counted up to 200.")
    recent_failed = serializers.IntegerField(help_text="Of the last `recent_total` attempts.")
    recent_total = serializers.IntegerField()
    last_failure = serializers.CharField(allow_null=True, help_text="`401`, `timeout` …: the most common since then.")
    breaker = serializers.ChoiceField(["closed", "open", "half_open"])
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_failure_at = serializers.DateTimeField(allow_null=True)


@extend_schema_field(RETRY_POLICY)
class RetryPolicyField(serializers.JSONField):
    pass


class IntegrationSerializer(serializers.Serializer[Integration]):
    """Never contains tokens or secrets; values of parameters are masked."""

    slug = serializers.CharField()
    uuid = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField(allow_blank=True, help_text="Empty if a connector determines the URL.")
    connector = serializers.ChoiceField(list(CONNECTORS), allow_null=True)
    wire_format = serializers.ChoiceField(list(WIRE_FORMATS))
    auth_type = serializers.ChoiceField(Integration.AuthType.values)
    auth_header = serializers.CharField(allow_blank=True)
    parameters = serializers.SerializerMethodField()
    headers = serializers.DictField(child=serializers.CharField())
    additional_data = serializers.SerializerMethodField()
    retry_policy = RetryPolicyField()
    timeout = serializers.FloatField(help_text="Seconds, for the whole attempt.")
    max_in_flight = serializers.IntegerField()
    rate_limit = serializers.FloatField(allow_null=True, help_text="Requests per second.")
    permanent_statuses = serializers.ListField(child=serializers.IntegerField())
    keeps_bodies = serializers.SerializerMethodField()
    is_enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(allow_blank=True)
    handshake = serializers.JSONField(allow_null=True)
    health = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @extend_schema_field(HealthSerializer)
    def get_health(self, integration: Integration) -> dict[str, Any]:
        health = getattr(integration, "health", None) or IntegrationHealth(integration=integration)
        latest = health.latest
        shown = {
            "state": integration.state,
            "failing_since": health.first_failure_at,
            "failures_in_a_row": latest.in_a_row,
            "recent_failed": latest.failed,
            "recent_total": latest.total,
            "last_failure": latest.with_what or None,
            "breaker": health.breaker,
            "last_success_at": health.last_success_at,
            "last_failure_at": health.last_failure_at,
        }
        return dict(HealthSerializer(shown).data)  # type: ignore[arg-type]  # a mapping does as well

    def get_keeps_bodies(self, integration: Integration) -> bool:
        """False: what was sent and answered is deleted once a delivery has succeeded."""
        return integration.keeps_bodies is not False

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_parameters(self, integration: Integration) -> dict[str, Any]:
        return mask_parameters(integration.parameters)

    @extend_schema_field(OpenApiTypes.STR)
    def get_additional_data(self, integration: Integration) -> str:
        # Shops keep API keys in it.
        return MASK if integration.additional_data else ""


class NewIntegrationSerializer(IntegrationSerializer):
    secret = serializers.CharField(allow_null=True, help_text="Shown only once; null if the format does not sign.")


class IntegrationBodySerializer(serializers.Serializer[Any]):
    """The body of POST and PATCH. The services validate it; this only documents it."""

    name = serializers.CharField(max_length=200)
    slug = serializers.SlugField(max_length=100, required=False, help_text="Derived from the name if absent.")
    url = serializers.CharField(required=False, max_length=URL_LIMIT, help_text="Required unless there is a connector.")
    connector = serializers.ChoiceField(list(CONNECTORS), required=False, allow_null=True)
    wire_format = serializers.ChoiceField(list(WIRE_FORMATS), required=False)
    auth_type = serializers.ChoiceField(Integration.AuthType.values, required=False)
    auth_header = serializers.CharField(required=False)
    token = serializers.CharField(required=False, write_only=True)
    secret = serializers.CharField(required=False, write_only=True, help_text="Generated if absent.")
    parameters = serializers.DictField(required=False)
    headers = serializers.DictField(
        child=serializers.CharField(max_length=MAX_VALUE_LENGTH, allow_blank=True), required=False
    )
    additional_data = serializers.CharField(required=False, max_length=500, allow_blank=True)
    retry_policy = RetryPolicyField(required=False)
    timeout = serializers.FloatField(required=False, min_value=0.001, max_value=TIMEOUT_LIMIT)
    max_in_flight = serializers.IntegerField(required=False, min_value=1, max_value=IN_FLIGHT_LIMIT)
    rate_limit = serializers.FloatField(required=False, allow_null=True, min_value=0.001, max_value=RATE_LIMIT)
    permanent_statuses = serializers.ListField(
        child=serializers.IntegerField(min_value=100, max_value=599), required=False
    )
    keeps_bodies = serializers.BooleanField(required=False, default=True)
    is_enabled = serializers.BooleanField(required=False)
    disabled_reason = serializers.CharField(required=False, max_length=500, allow_blank=True)


class SecretAnswerSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="Shown only once.")
    old_secret_expires_at = serializers.DateTimeField(help_text="Until then requests are signed with both.")


class HandshakeSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    at = serializers.DateTimeField()
    error = serializers.CharField(allow_null=True)
    version = serializers.CharField(allow_null=True)
    capabilities = serializers.DictField()


class ContextBodySerializer(serializers.Serializer[Any]):
    chat = serializers.DictField(required=False)
    messages = serializers.ListField(required=False)


class ContextSerializer(serializers.Serializer[Any]):
    context_objects = serializers.DictField(help_text="By code: an object for a table, an array for an ordered list.")
    suggested_responses = serializers.ListField(child=serializers.DictField())
    actions = serializers.DictField()


class ActionBodySerializer(serializers.Serializer[Any]):
    address = serializers.JSONField(required=False, allow_null=True)
    message = serializers.JSONField(required=False, allow_null=True)
    option = serializers.JSONField(required=False, allow_null=True)
    payload = serializers.JSONField(required=False, allow_null=True, help_text="Defaults to that of the last context.")


class ActionAnswerSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    status = serializers.IntegerField()
    refresh = serializers.BooleanField(help_text="The integration wants a new context to be requested.")
    body = serializers.JSONField(allow_null=True)


class TokenSerializer(serializers.Serializer[AccessToken]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    addresses = serializers.SerializerMethodField(help_text="It may be used from these networks only; empty: from any.")
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def get_addresses(self, token: AccessToken) -> list[str]:
        return list(token.addresses or ())


class NewTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="Shown only once.")


class TokenBodySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(AccessToken.Scope.values), required=False, min_length=1
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    addresses = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Addresses and networks (CIDRs) it may be used from."
    )
