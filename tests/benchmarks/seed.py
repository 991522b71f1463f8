"""Run inside a scratch installation: make a store, its token and its destinations; print what was made.

Reads a JSON list of destinations from stdin: `url`, `topics`, and `timeout`, `max_in_flight`, `filter` if they matter.
"""

from __future__ import annotations

import json
import sys

import django


def main() -> None:
    django.setup()
    from integrations.models import Integration, Secret, Store
    from integrations.security.signing import generate_secret
    from integrations.security.tokens import create_token
    from subscriptions.models import Subscription
    from tests.benchmarks.environment import subscription_id

    store = Store.objects.create(name="Benchmark")
    _, token = create_token(store=store, name="benchmark", scopes=["push", "manage"])
    ids = []
    for number, wanted in enumerate(json.load(sys.stdin)):
        integration = Integration.objects.create(
            store=store,
            name=f"DestinationConfig {number}",
            slug=f"destination-{number}",
            url=wanted["url"],
            wire_format="standard",
            timeout=wanted.get("timeout", 30),
            max_in_flight=wanted.get("max_in_flight", 512),
        )
        Secret.objects.create(integration=integration, value=generate_secret("standard"))
        Subscription.objects.create(
            id=subscription_id(number),
            store=store,
            integration=integration,
            topics=wanted["topics"],
            filter=wanted.get("filter", ""),
        )
        ids.append(integration.id)
    assert ids == list(range(ids[0], ids[0] + len(ids))), "integration ids must be consecutive"
    print(json.dumps({"store": str(store.id), "token": token, "first_integration": ids[0]}))


if __name__ == "__main__":
    main()
