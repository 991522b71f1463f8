"""Integrations, but for those that belong to one subscription: these are its `url`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from config.as_code.references import SecretText, as_secret
from config.as_code.sections.base import (
    BOOLEAN,
    NAME,
    SECRET,
    TEXT,
    TEXT_OR_REFERENCE,
    Context,
    Field,
    Section,
    Values,
    choice,
    described,
    number,
)
from config.as_code.sections.parameters import clear_secret, may_be_secret, shown_parameters, shown_url
from integrations.connectors import CONNECTORS
from integrations.models import Integration, Store
from integrations.retry import POLICIES
from integrations.services import create_integration, delete_integration, update_integration
from integrations.wire_formats import WIRE_FORMATS

_OWN = "nsub_"
_OF_THE_FORMAT = ("retry_policy", "timeout", "permanent_statuses")
_PLAIN = (
    "slug", "name", "url", "connector", "wire_format", "auth_type", "auth_header", "max_in_flight", "rate_limit",
    "timeout", "permanent_statuses", "is_enabled",
)  # fmt: skip
_NUMBER = {"type": ["number", "null"]}
_RETRY = {"oneOf": [choice(POLICIES), {"type": "array", "items": {"type": "number"}}]}
_REFERENCES_INSIDE = {"type": ["object", "null"]}


class Integrations(Section):
    name = "integrations"
    noun = "integration"
    key = "slug"
    reset_by = {"wire_format": _OF_THE_FORMAT, "connector": _OF_THE_FORMAT}

    @property
    def fields(self) -> tuple[Field, ...]:  # type: ignore[override]  # names of formats come from packages too
        return (
            Field("slug", {"type": "string", "pattern": "^[-a-zA-Z0-9_]{1,100}$"}),
            Field("name", NAME),
            Field("url", TEXT_OR_REFERENCE, takes_references=True),
            Field("connector", choice(CONNECTORS)),
            Field("wire_format", choice(WIRE_FORMATS)),
            Field("auth_type", choice(Integration.AuthType.values)),
            Field("auth_header", described(TEXT, "The header that carries the token, with auth_type header.")),
            Field("token", SECRET, is_secret=True, takes_references=True),
            Field("secret", described(SECRET, "Signs requests; made by Hookdesk if it is left out."), True, True),
            Field("parameters", described(_REFERENCES_INSIDE, "Values may be references."), takes_references=True),
            Field("headers", described(_REFERENCES_INSIDE, "Values may be references."), takes_references=True),
            Field("additional_data", SECRET, is_secret=True, takes_references=True),
            Field("retry_policy", described(_RETRY, "A policy's name, or seconds before each retry.")),
            Field("timeout", described(_NUMBER, "Seconds, for the whole attempt.")),
            Field("max_in_flight", {"type": ["integer", "null"]}),
            Field("rate_limit", described(_NUMBER, "Requests per second.")),
            Field("permanent_statuses", {"type": ["array", "null"], "items": {"type": "integer"}}),
            Field("is_enabled", BOOLEAN),
            Field("disabled_reason", TEXT),
        )

    def rows(self, store: Store) -> list[Any]:
        rows = Integration.objects.alive().filter(store=store).exclude(slug__startswith=_OWN)
        return list(rows.select_related("store").prefetch_related("secrets").order_by("slug"))

    def state(self, row: Integration) -> Values:
        state: Values = {name: number(getattr(row, name)) for name in _PLAIN}
        state["retry_policy"] = _policy(row.retry_policy)
        state["token"] = as_secret(row.token)
        state["additional_data"] = as_secret(row.additional_data)
        state["parameters"] = shown_parameters(row.parameters, row)
        state["headers"] = {
            name: as_secret(value) if may_be_secret(name) else value for name, value in row.headers.items()
        }
        state["url"] = shown_url(row.url)
        if secret := current_secret(row):
            state["secret"] = secret
        if row.disabled_reason:
            state["disabled_reason"] = row.disabled_reason
        order = [each.name for each in self.fields]
        return {name: state[name] for name in order if name in state}

    def create(self, store: Store, values: Values, context: Context) -> Integration:
        _refuse_clear(values, Integration(connector=values.get("connector") or None))
        return create_integration(store=store, actor=context.actor, is_looked_up=True, **values)

    def update(self, row: Integration, values: Values, context: Context) -> None:
        _refuse_clear(values, Integration(connector=values.get("connector", row.connector) or None))
        update_integration(integration=row, actor=context.actor, is_looked_up=True, **values)

    def delete(self, row: Integration, context: Context) -> None:
        delete_integration(integration=row, actor=context.actor)


def current_secret(row: Integration) -> SecretText | None:
    """The secret that signs now, without those that sign beside it during a rotation."""
    secrets = [each for each in row.secrets.all() if each.expires_at is None]
    return SecretText(secrets[0].value) if secrets and row.active_secrets(timezone.now()) else None


def _refuse_clear(values: Values, integration: Integration) -> None:
    if name := clear_secret(values.get("parameters"), integration):
        message = f"{name}: a secret does not stand in this file. Write {{env: NAME}} or {{file: PATH}}."
        raise ValidationError({"parameters": message})


def _policy(policy: Any) -> Any:
    return [number(seconds) for seconds in policy] if isinstance(policy, list) else policy
