"""What tells a browser to be careful, on every answer: pages, parts of pages, refusals, downloads, redirects."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client
from django.urls import reverse

from tests.doors.addresses import keys_of, routes
from tests.doors.conftest import SUPERUSER, World

#: The only types that the desk answers with.
TYPES = {"text/html", "application/json", "text/plain", "text/javascript", "text/csv"}


def check_headers(response: Any, what: str) -> None:
    assert response["X-Frame-Options"] == "DENY", what
    assert response["X-Content-Type-Options"] == "nosniff", what
    assert response["Referrer-Policy"] == "same-origin", what
    policy = dict(part.strip().partition(" ")[::2] for part in response["Content-Security-Policy"].split(";"))
    for name, value in (
        ("default-src", "'self'"),
        ("script-src", "'self'"),
        ("style-src", "'self'"),
        ("object-src", "'none'"),
        ("base-uri", "'self'"),
        ("form-action", "'self'"),
        ("frame-ancestors", "'none'"),
    ):
        assert policy[name] == value, what
    if response.content:
        assert response["Content-Type"].split(";")[0] in TYPES, what


def test_every_answer_of_the_desk_has_them(world: World) -> None:
    clients = {"nobody": Client(), **{name: world.client(name) for name in (SUPERUSER, "None of none")}}
    for route in routes():
        if "(?P" in route.pattern:
            continue
        address = route.filled(keys_of(route, world.rows(world.alpha)))
        for person, client in clients.items():
            method = client.post if person == SUPERUSER and route.name in ("logout", "login") else client.get
            check_headers(method(address), f"{route.name}, {person}")


def test_refusals_have_them_too(world: World) -> None:
    client = world.client(SUPERUSER)
    event = world.alpha.rows["event"]
    for address, status in (
        ("/nowhere", 404),
        ("/admin/deliveries/event/x/change/", 404),
        (f"/admin/deliveries/event/{event.pk}/change/?a=%00", 400),
        ("/admin/deliveries/event/?x__y=1", 400),
        ("/api/v1/docs", 200),
    ):
        response = client.get(address)
        assert response.status_code == status, address
        check_headers(response, address)
    strict = Client(enforce_csrf_checks=True)
    refused = strict.post("/admin/login/", {"username": "a", "password": "b"})
    assert refused.status_code == 403
    check_headers(refused, "a form of another site")


def test_bodies_are_saved_and_not_shown_whatever_they_say_that_they_are(world: World) -> None:
    attempt = world.alpha.rows["attempt"]
    type(attempt).objects.filter(pk=attempt.pk).update(  # type: ignore[attr-defined]
        response_body=b"<script>alert(1)</script>", response_headers={"Content-Type": "text/html"}
    )
    address = reverse("admin:deliveries_delivery_raw", args=[world.alpha.rows["delivery"].pk, 1])
    client = world.client(SUPERUSER)
    for part in ("answer", "request"):
        response = client.get(f"{address}?part={part}")
        check_headers(response, part)
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        name = f"{world.alpha.rows['delivery'].pk}-1-{part}.txt"
        assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert client.get(f"{address}?part=answer").content == b"<script>alert(1)</script>"


def test_the_api_answers_json_that_no_browser_takes_for_a_page(world: World) -> None:
    text = "<script>alert(1)</script>"
    for response, status in (
        (Client().get(f"/api/v1/deliveries/{text}"), 404),
        (Client().post(f"/api/v1/records/{text}", json.dumps({text: [{}]}), content_type="application/json"), 401),
        (Client().post("/api/v1/push", text, content_type="text/html"), 401),
    ):
        assert response.status_code == status
        if response.headers["Content-Type"].startswith("text/html"):
            check_headers(response, response.wsgi_request.path)
        else:
            assert response["Content-Type"] == "application/json"
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["X-Frame-Options"] == "DENY"
        assert text not in response.text or response["Content-Type"] == "application/json"
