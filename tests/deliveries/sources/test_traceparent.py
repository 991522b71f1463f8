"""The trace of what comes at a source is kept with its event."""

from __future__ import annotations

from deliveries.models import Event

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_comes_at_a_source_keeps_it_too(sender):
    assert sender("github").send(traceparent=TRACE).status_code == 202
    assert Event.objects.get().traceparent == TRACE
