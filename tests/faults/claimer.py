"""A process that claims once, together with others: prints how many deliveries it got. Run by test_leases.

Arguments: the moment (unix seconds) at which all of them claim.
"""

from __future__ import annotations

import sys
import time

import django


def main() -> None:
    django.setup()
    from django.db import connection, transaction
    from django.utils import timezone

    from deliveries.dispatch.claim import claim
    from deliveries.dispatch.pacing import Pacer

    connection.ensure_connection()
    print("ready", flush=True)
    time.sleep(max(0.0, float(sys.stdin.readline()) - time.time()))
    with transaction.atomic():
        rows = claim(pacer=Pacer(64), room=64, now=timezone.now()).rows
    for row in rows:
        print(row.id.hex)


if __name__ == "__main__":
    main()
