"""The process of django-q2's pusher and monitor, and how the pusher looks for tasks."""

from __future__ import annotations

import multiprocessing
import time

import pytest
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from deliveries.runtime.broker_outage import GuardBroker, PusherBroker
from deliveries.runtime.queue_process import QueuePart
from deliveries.runtime.registry import StopFlag
from tests.processes import eventually


@pytest.mark.django_db
def test_the_pusher_takes_what_is_in_the_queue_once_and_otherwise_waits_a_moment(monkeypatch):
    monkeypatch.setattr(Conf, "POLL", 0.01)
    broker = PusherBroker(GuardBroker(ORM(list_key="ours")), StopFlag())
    assert broker.dequeue() is None
    ORM(list_key="others").enqueue("not ours")
    assert broker.dequeue() is None
    broker.enqueue("a task")
    assert [payload for _, payload in broker.dequeue()] == ["a task"]
    assert broker.dequeue() is None, "it is locked for whoever took it"


def test_one_part_may_end_before_its_process_and_neither_outlives_it():
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    has_pushed = StopFlag()
    monitor, pusher = QueuePart(process, StopFlag()), QueuePart(process, has_pushed)
    try:
        assert (monitor.is_alive(), pusher.is_alive(), pusher.pid) == (True, True, process.pid)
        has_pushed.set()
        assert (monitor.is_alive(), pusher.is_alive()) == (True, False)
    finally:
        monitor.kill()
    eventually(lambda: not monitor.is_alive())
