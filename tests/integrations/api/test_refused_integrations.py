"""What `/api/v1/integrations` refuses: each wrong value by its field, all of them at once, and nothing is stored."""

from __future__ import annotations

import pytest

from integrations.models import Integration
from tests.api_client import ApiClient, only_error

pytestmark = pytest.mark.django_db
URL = "https://shop.example.com/hook"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", None),
        ("name", 5),
        ("name", "a\nb"),
        ("name", "x" * 201),
        ("slug", "with space"),
        ("slug", 5),
        ("url", 5),
        ("url", "ftp://shop.example.com/"),
        ("url", "http://169.254.169.254/"),
        ("url", "http://[::ffff:169.254.169.254]/"),
        ("url", "https://shop.example.com/\r\nX: y"),
        ("connector", "carrier_pigeon"),
        ("connector", []),
        ("wire_format", "soap"),
        ("wire_format", {}),
        ("auth_type", "magic"),
        ("auth_header", "Host"),
        ("auth_header", "X Y"),
        ("token", "a\r\nb"),
        ("token", "снег"),
        ("token", 5),
        ("secret", "short"),
        ("secret", "whsec_c2hvcnQ="),
        ("secret", 5),
        ("parameters", []),
        ("parameters", "x"),
        ("parameters", {"a": "x" * 70_000}),
        ("headers", {"Host": "x"}),
        ("headers", {"Content-Length": "5"}),
        ("headers", {"webhook-signature": "v1,x"}),
        ("headers", {"Authorization": "Bearer x"}),
        ("headers", {"X-A": "b\r\nX-B: c"}),
        ("headers", {"X-A": 5}),
        ("headers", ["X-A"]),
        ("additional_data", "a\nb"),
        ("additional_data", "x" * 501),
        ("retry_policy", "sometimes"),
        ("retry_policy", [5, -1]),
        ("retry_policy", [True]),
        ("retry_policy", 5),
        ("retry_policy", [1] * 101),
        ("timeout", 0),
        ("timeout", 181),
        ("timeout", "5"),
        ("timeout", True),
        ("timeout", 10**400),
        ("max_in_flight", 0),
        ("max_in_flight", 1.5),
        ("max_in_flight", 10**30),
        ("rate_limit", 0),
        ("rate_limit", "fast"),
        ("permanent_statuses", [99]),
        ("permanent_statuses", [600]),
        ("permanent_statuses", ["400"]),
        ("permanent_statuses", 400),
        ("is_enabled", "yes"),
        ("is_enabled", 1),
        ("disabled_reason", 5),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_nothing_is_stored(
    client: ApiClient, field: str, value: object
) -> None:
    response = client.post("integrations", {"name": "One", "url": URL} | {field: value})

    assert response.status_code == 400
    entry = only_error(response)
    assert (entry["code"], entry["field"]) == ("parameter_invalid", field)
    assert not Integration.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": URL}, "name"),
        ({"name": "One"}, "url"),
        ({"name": "One", "url": ""}, "url"),
        ({"name": "One", "url": None}, "url"),
        ({"name": "One", "url": URL, "auth_type": "header"}, "auth_header"),
    ],
)
def test_what_is_missing_is_named(client: ApiClient, body: object, field: str) -> None:
    response = client.post("integrations", body)

    assert response.status_code == 400
    assert (only_error(response)["code"], only_error(response)["field"]) == ("missing_parameter", field)


def test_all_errors_come_at_once(client: ApiClient) -> None:
    errors = client.post("integrations", {"name": "", "url": "x", "timeout": -1}).json()["errors"]

    assert {entry["field"] for entry in errors} == {"name", "url", "timeout"}
