"""The naive design, for comparison only: one django-q2 task per delivery, one `requests.post` in it.

`python -m tests.benchmarks.naive orm|redis WORKERS`, inside a scratch installation. It queues a task for each due
delivery, prints "ready" and runs django-q2's own cluster until SIGTERM. Everything a task does for one delivery is
what the engine does too: sign, keep an attempt with its bodies, record the state. What it lacks: leases, fairness,
breakers, the address guard, notifications.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import django

#: A database of its own on the Redis server, so that nothing else is disturbed.
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
CLUSTER_NAME = "hookdesk-naive"


def configure(broker: str, workers: int) -> None:
    """django-q2 as one would run it: short poll, no saved successes, quiet log, persistent connections."""
    from django.conf import settings

    cluster: dict[str, Any] = {
        "name": CLUSTER_NAME,
        "workers": workers,
        "timeout": 60,
        "retry": 120,
        "save_limit": -1,
        "log_level": "WARNING",
        "queue_limit": workers * workers,
        "poll": 0.2,
        "recycle": 10_000,
        "scheduler": False,
    }
    cluster.update({"redis": REDIS_URL} if broker == "redis" else {"orm": "default"})
    settings.Q_CLUSTER = cluster
    django.setup()


def deliver(delivery_id: str) -> None:
    """One delivery as one would write it on a first day."""
    import requests  # the rival, and no part of the product
    from django.utils import timezone

    from deliveries.models import Attempt, Delivery
    from integrations.security import signing

    delivery = Delivery.objects.select_related("event", "integration").get(id=delivery_id)
    integration, event = delivery.integration, delivery.event
    now = timezone.now()
    message_id = f"msg_{delivery.request_id}"
    document = {"type": event.topic, "timestamp": event.occurred_at.isoformat(), "data": event.data}
    body = json.dumps(document, separators=(",", ":")).encode()
    secrets = integration.active_secrets(now)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signing.standard_signature(secrets, message_id, int(now.timestamp()), body),
    }
    attempt = Attempt.objects.create(
        delivery=delivery,
        number=delivery.attempt_count + 1,
        trigger="scheduled",
        started_at=now,
        method="POST",
        url=integration.url,
        request_headers=list(headers.items()),
        request_body=body,
    )
    started = time.monotonic()
    response = requests.post(integration.url, data=body, headers=headers, timeout=integration.timeout)
    attempt.duration_ms = round((time.monotonic() - started) * 1000)
    attempt.outcome = "succeeded" if response.ok else "failed"
    attempt.error_kind = "" if response.ok else f"http_{response.status_code}"
    attempt.response_status = response.status_code
    attempt.response_headers = list(response.headers.items())
    attempt.response_body = response.content
    attempt.save()
    delivery.status = attempt.outcome
    delivery.attempt_count += 1
    delivery.first_sent_at = now
    delivery.last_status = response.status_code
    delivery.due_at = None
    delivery.finished_at = timezone.now()
    delivery.save()


def main() -> None:
    broker, workers = sys.argv[1], int(sys.argv[2])
    configure(broker, workers)
    from django.db import connections
    from django_q.brokers import get_broker
    from django_q.cluster import Cluster
    from django_q.tasks import async_task

    from deliveries.models import Delivery

    queue = get_broker()
    queue.purge_queue()
    for key in Delivery.objects.filter(due_at__isnull=False).values_list("id", flat=True):
        async_task("tests.benchmarks.naive.deliver", str(key), broker=queue)
    connections.close_all()
    cluster = Cluster(queue)
    cluster.start()
    print("ready", flush=True)
    # Its own handler of SIGTERM stops the sentinel.
    cluster.sentinel.join()
    queue.purge_queue()


if __name__ == "__main__":
    main()
