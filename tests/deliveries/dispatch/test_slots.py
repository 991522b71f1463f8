"""Engines have the slots of their host: who takes one, keeps it, and leaves without it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.models import Engine
from deliveries.models.engine import HEARTBEAT_STALE
from deliveries.runtime.registry import heartbeat, missing_here, register
from tests.factories import DeliveryFactory

pytestmark = pytest.mark.django_db


class TestSlots:
    def test_a_slot_without_heartbeat_is_taken_and_its_old_engine_leaves(self):
        now = timezone.now()
        old = register(now)
        later = now + HEARTBEAT_STALE + timedelta(seconds=1)
        assert (missing_here(now), missing_here(later)) == (1, 2)
        new = register(later)
        assert (new.id, new.slot) == (old.id, old.slot)
        assert not heartbeat(old, now=later, in_flight=0, sent_count=0)
        assert heartbeat(new, now=later, in_flight=0, sent_count=0)

    def test_one_of_this_host_whose_process_is_gone_is_replaced_immediately(self):
        now = timezone.now()
        slots = [register(now), register(now)]
        assert register(now) is None
        assert missing_here(now) == 0
        Engine.objects.filter(id=slots[0].id).update(pid=2**22 + 1)
        assert missing_here(now) == 1
        assert register(now).id == slots[0].id

    def test_engines_of_other_hosts_do_not_count(self):
        now = timezone.now()
        Engine.objects.filter(id=register(now).id).update(host="elsewhere")
        assert missing_here(now) == 2

    def test_an_engine_without_its_slot_ends_and_claims_nothing(self, start_engine, subscription, receiver):
        delivery = DeliveryFactory(subscription=subscription)
        engine = start_engine()
        Engine.objects.filter(id=engine.slot.id).delete()
        engine.run(0.3)
        delivery.refresh_from_db()
        assert (delivery.status, receiver.requests) == ("pending", [])
