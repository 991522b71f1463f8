"""The sockets on which web processes hand deliveries over: who may connect, and how messages are read."""

from __future__ import annotations

import os
import socket
import time

import pytest
from django.utils import timezone

from deliveries.runtime import handover
from tests.deliveries.dispatch.handing_over import delivery_of, open_up, turn
from tests.deliveries.storage.pushes import a_push

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("host")]


class TestSockets:
    def test_a_process_of_another_user_is_refused(self, monkeypatch):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert handover.is_ours(ours)
            monkeypatch.setattr(os, "geteuid", lambda: 12_345)
            assert not handover.is_ours(ours)

    def test_messages_come_whole_however_they_are_cut(self):
        sent = [{"close": [1]}, {"announced": ["é" * 1000]}, {"close": None}]
        data = b"".join(handover.packed(message) for message in sent)
        for size in (1, 3, 1000, len(data)):
            messages = handover.Messages()
            found = [m for at in range(0, len(data), size) for m in messages.feed(data[at : at + size])]
            assert found == sent

    def test_what_is_no_message_ends_the_connection_and_nothing_else(self, start_engine, web, subscription):
        engine = start_engine()
        stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with stranger:
            stranger.connect(handover.address(engine.slot.slot))
            stranger.sendall(b"\xff" * 100)
            engine.born_claimed.receive(timezone.now())
            engine.born_claimed.receive(timezone.now())
            assert stranger.recv(1) == b""
        open_up(engine, web, subscription)
        assert web.claim(a_push(subscription)) is not None


def test_more_than_the_socket_takes_follows_when_it_is_read(start_engine, web, subscription, receiver):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    push = a_push(subscription)
    push.rows.events[0].data_json = '{"id": "%s"}' % ("x" * 2_000_000)
    web.hand_over(push, web.claim(push))
    until = time.monotonic() + 10
    while len(receiver.requests) == before and time.monotonic() < until:
        web.run()
        turn(engine)
    assert delivery_of(push).status == "succeeded"
    assert len(receiver.requests[-1].body) > 2_000_000
