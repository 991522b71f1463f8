"""`Idempotency-Key`: a push that is repeated is stored once, and answered alike."""

import threading

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from deliveries.models import Event, IdempotencyKey
from integrations.models import AccessToken
from tests.factories import AccessTokenFactory

EVENTS = "/api/v1/events"


class TestIdempotency:
    def test_the_same_key_and_body_again_answers_the_first_response_and_stores_nothing(self, post):
        first = post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"})
        again = post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"})
        assert again.json() == first.json()
        assert again["Idempotent-Replay"] == "true"
        assert Event.objects.count() == 1

    def test_the_same_key_with_another_body_is_409(self, post):
        post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"})
        response = post(EVENTS, {"topic": "a.c"}, **{"Idempotency-Key": "k1"})
        assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "conflict")
        assert Event.objects.count() == 1

    @pytest.mark.parametrize("change", ["revoked", "expired", "weakened", "deleted"])
    @pytest.mark.parametrize("body", [{"topic": "a.b"}, {"topic": "a.c"}])
    def test_a_token_that_may_not_push_any_more_gets_no_earlier_answer(self, post, token, change, body):
        assert post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"}).status_code == 202
        mine = AccessToken.objects.filter(pk=token.pk)
        if change == "revoked":
            mine.update(revoked_at="2026-01-01T00:00:00Z")
        elif change == "expired":
            mine.update(expires_at="2026-01-01T00:00:00Z")
        elif change == "weakened":
            mine.update(scopes=["manage"])
        else:
            mine.delete()
        for _ in range(2):  # this process has cached the scope; after the first answer it knows better
            response = post(EVENTS, body, **{"Idempotency-Key": "k1"})
            assert response.status_code == (403 if change == "weakened" else 401), response.content
            assert "Idempotent-Replay" not in response
        assert Event.objects.count() == 1

    def test_a_key_that_is_too_long_is_400(self, post):
        assert post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k" * 256}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_the_same_key_fifty_times_at_once_makes_one_event():
    token = AccessTokenFactory()
    statuses = []

    def send():
        headers = {**token.headers, "Idempotency-Key": "once"}
        statuses.append(APIClient().post(EVENTS, {"topic": "a.b"}, format="json", headers=headers).status_code)
        connections.close_all()

    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        # One connection is all an in-memory database has; concurrency is shown where there is a server.
        for _ in range(50):
            headers = {**token.headers, "Idempotency-Key": "once"}
            statuses.append(APIClient().post(EVENTS, {"topic": "a.b"}, format="json", headers=headers).status_code)
    else:
        threads = [threading.Thread(target=send) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(statuses) == {202}
    assert Event.objects.count() == IdempotencyKey.objects.count() == 1
