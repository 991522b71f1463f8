"""What comes again, or many times at once, at a source: stored once, remembered for a while, merged into records."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from deliveries.maintenance.retention import prune
from deliveries.models import Event, Record, SourceEvent, SourceKey

pytestmark = pytest.mark.django_db


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_same_request_many_times_at_once_is_stored_once(sender):
    source = sender("github")
    request = source.sample()
    answers = []

    def send():
        answers.append(source.send(request))
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.json()["accepted"] for answer in answers) == [0] * 19 + [1]
    assert Event.objects.count() == SourceKey.objects.count() == 1
    assert source.shown()["counts"] == {"accepted": 1, "duplicate": 19, "rejected": 0, "ignored": 0}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_one_record_from_many_requests_at_once_loses_nothing(sender):
    source = sender("hub")
    statuses = []

    def send(number):
        body = json.dumps({"orders": [{"id": 1, f"field{number}": number}]}).encode()
        statuses.append(source.send(source.sample(body=body)).status_code)
        connections.close_all()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [202] * 20
    assert len(Record.objects.get().data) == 21


def test_the_vendors_id_is_remembered_for_72_hours_at_least(sender):
    source = sender("github")
    request = source.sample()
    source.send(request)
    with time_machine.travel(timezone.now() + timedelta(hours=71)):
        prune(before=timezone.now() - timedelta(days=90))
        source.send(request)
        assert Event.objects.count() == 1
    with time_machine.travel(timezone.now() + timedelta(hours=73)):
        prune(before=timezone.now() - timedelta(days=90))
        assert not SourceKey.objects.exists()


def test_pruning_an_event_forgets_which_source_it_came_from(sender):
    sender("github").send()
    with time_machine.travel(timezone.now() + timedelta(days=100)):
        prune(before=timezone.now() - timedelta(days=90))
    assert not Event.objects.exists()
    assert not SourceEvent.objects.exists()


def test_objects_are_merged_into_records_as_by_a_push(sender):
    source = sender("hub")
    for body in ({"shipments": [{"id": "1", "status": "ready"}]}, {"shipments": [{"id": 1, "tracking": "T"}]}):
        assert source.send(source.sample(body=json.dumps(body).encode())).status_code == 202
    assert Record.objects.get().data == {"id": 1, "status": "ready", "tracking": "T"}
    assert list(Event.objects.order_by("id").values_list("topic", flat=True)) == [
        "shipment.created",
        "shipment.updated",
    ]


def test_an_earlier_state_of_a_record_may_come_back(sender):
    source = sender("hub")
    for status in ("ready", "sent", "ready"):
        source.send(source.sample(body=json.dumps({"shipments": [{"id": "1", "status": status}]}).encode()))
    assert Record.objects.get().data["status"] == "ready"
    assert [kept["verdict"] for kept in source.requests()] == ["accepted"] * 3


def test_of_a_batch_only_what_is_new_is_stored(sender):
    source = sender("cloudevents")

    def batch(*ids):
        events = [{"specversion": "1.0", "type": "a.b", "source": "/s", "id": each, "data": {}} for each in ids]
        headers = {**source.sample().headers, "content-type": "application/cloudevents-batch+json"}
        return source.send(source.sample(body=json.dumps(events).encode(), headers=headers)).json()

    assert batch("1", "2", "2")["accepted"] == 2
    assert batch("2", "3")["accepted"] == 1
    assert batch("1", "2", "3") == {"accepted": 0, "events": []}
