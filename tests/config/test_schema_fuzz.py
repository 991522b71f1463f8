"""Requests made from the API's own schema: none breaks the server, every answer is as the schema says (promise 20)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from config.wsgi import application
from tests.api_client import ApiClient
from tests.config.test_isolation import populate

pytestmark = pytest.mark.django_db
#: A few for each of about forty operations; the hostile bodies of `test_isolation` are exhaustive in their way.
EXAMPLES = 6
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """The application closes connections between requests; this one holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_no_request_breaks_the_server_and_every_answer_is_as_described() -> None:
    client = ApiClient()
    known = populate(client.store)
    walked = 0
    for result in schemathesis.openapi.from_wsgi("/api/v1/schema/", application).get_all_operations():
        operation = result.ok()
        if operation.path in ("/api/v1/push", "/api/v1/events"):
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def one(case: Any) -> None:
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
            response = case.call(headers=client.token.headers)
            # 502 is the integration's fault: nobody listens at its address here.
            case.validate_response(response, checks=CHECKS[1:] if response.status_code == 502 else CHECKS)

        if operation.method.upper() != "DELETE":
            one()
            walked += 1
    assert walked > 30
