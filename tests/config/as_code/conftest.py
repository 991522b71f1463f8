"""An installation with one of everything, and files that are applied to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.as_code import Report, apply_configuration, export_configuration
from config.as_code.references import Surroundings
from config.as_code.yaml_text import dump, load

#: By the end of the name of a variable.
VALUES = {
    "TWILIO_PARAMETERS_AUTH_TOKEN": "canary-twilio-token",
    "WAREHOUSE_TOKEN": "canary-bearer",
    "WAREHOUSE_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "ADDITIONAL_DATA": "canary-data",
    "PARAMETERS_REGION": "canary-region",
    "HEADERS_X_API_KEY": "canary-key",
    "STRIPE_SECRET": "whsec_canary",
    "OPS_OPTIONS_URL": "https://hooks.slack.com/services/T0/B0/canary",
    "_URL": "https://203.0.113.7/hook?api_key=in-a-url",
    "HUB_SECRET": "canary-hub-secret",
    "PAGER_OPTIONS_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
}
FILE = """
version: 1
stores:
  - {name: My shop, is_reason_required: true, singular_overrides: {kudos: kudos}}
topics:
  - name: order.paid
    description: "Paid: yes"
    schema: {type: object, properties: {env: {const: "no"}}}
    condition: new.paid == `true`
integrations:
  - slug: warehouse
    name: Warehouse
    url: {env: WAREHOUSE_URL}
    auth_type: bearer
    token: {env: WAREHOUSE_TOKEN}
    secret: {env: WAREHOUSE_SECRET}
    parameters: {region: {env: PARAMETERS_REGION}, size: 3}
    headers: {X-Team: shipping, X-Api-Key: {env: HEADERS_X_API_KEY}}
    additional_data: {env: ADDITIONAL_DATA}
    retry_policy: [1, 2.5]
    rate_limit: 5
    permanent_statuses: [410, 400]
  - slug: twilio
    name: Texts
    connector: twilio_sms
    parameters: {account_sid: AC1, auth_token: {env: TWILIO_PARAMETERS_AUTH_TOKEN}, from: "+15550100"}
    is_enabled: false
    disabled_reason: Holidays
sources:
  - {slug: stripe, name: Stripe, kind: stripe, secret: {env: STRIPE_SECRET}, mapping: {topic: body.type}}
subscriptions:
  - integration: warehouse
    topics: [orders.paid, "shipment.*"]
    filter: total > `5`
    transform: |-
      {
        id: id
      }
    ordered: true
  - {integration: twilio, intents: [human_handover], parameters: {from: "+15550199"}, active: false}
  - {url: "https://203.0.113.8/in", hub_secret: {env: HUB_SECRET}, topics: [user.created]}
channels:
  - {name: Pager, kind: pagerduty, options: {routing_key: {env: PAGER_OPTIONS_ROUTING_KEY}}, integrations: [warehouse]}
  - {name: Ops, stores: [], kind: slack, options: {url: {env: OPS_OPTIONS_URL}}, min_severity: warning}
  - {name: Team, kind: email, options: {recipients: [a@example.com]}, quiet_from: "22:00", quiet_until: "06:30"}
recipes:
  - name: Phone prefix
    integration: warehouse
    topic: order.paid
    kind: http_422
    fingerprint: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    field: shipping_address.phone
    rules: [{rule: trim}, {rule: prefix, to: "+254", from: "0"}]
    expires_at: 2027-03-01T00:00:00Z
    daily_cap: 20
"""

Apply = Callable[..., Report]


@pytest.fixture(autouse=True)
def _no_look_ups(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["203.0.113.0/24"]


@pytest.fixture
def environment() -> dict[str, str]:
    """Of the names in `FILE`, and of those that exports make up."""
    return VALUES | {"WAREHOUSE_URL": VALUES["_URL"]}


@pytest.fixture
def apply(db: None, environment: dict[str, str], tmp_path: Path) -> Apply:
    def run(file: Any = FILE, **options: bool) -> Report:
        document = load(file) if isinstance(file, str) else file
        return apply_configuration(document, Surroundings(environment, tmp_path), **options)

    return run


@pytest.fixture
def export(environment: dict[str, str]) -> Callable[[], dict[str, Any]]:
    """The document, read from its text. Its variables are set in `environment`."""

    def run() -> dict[str, Any]:
        document: dict[str, Any] = load(dump(export_configuration()))
        for name in variables_in(document):
            environment.setdefault(name, value_for(name))
        return document

    return run


def variables_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        if set(value) == {"env"} and isinstance(value["env"], str):
            return [value["env"]]
        return [name for inner in value.values() for name in variables_in(inner)]
    return [name for inner in value for name in variables_in(inner)] if isinstance(value, list) else []


def value_for(name: str) -> str:
    return next(value for end, value in VALUES.items() if name.endswith(end))
