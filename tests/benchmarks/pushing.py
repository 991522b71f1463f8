"""`python -m tests.benchmarks.pushing STORE TOKEN SIZE SECONDS`, inside a scratch installation: ingest without HTTP."""

from __future__ import annotations

import json
import sys
import time
import uuid

import django


def main() -> None:
    django.setup()
    from deliveries.ingest import push_objects
    from integrations.foundation.strict_json import parse_document
    from integrations.security.tokens import authenticate
    from tests.benchmarks.rows import PAYLOAD

    store, token, size, seconds = uuid.UUID(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    count, started = -5, 0.0
    # The first pushes fill caches and prepare statements.
    while count < 0 or time.monotonic() - started < seconds:
        count += 1
        if count == 0:
            started = time.monotonic()
        objects = [{**PAYLOAD, "id": f"S{count}-{number}"} for number in range(size)]
        raw = json.dumps({"shipments": objects}).encode()
        principal = authenticate(store_id=store, token=token, is_cache_allowed=True)
        assert principal is not None
        push_objects(principal=principal, document=parse_document(raw), raw=raw)
    print(json.dumps({"count": count, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
