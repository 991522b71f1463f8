"""`manage.py qcluster`: django-q2's command, with engines that start immediately and drain before it stops."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, connections
from django_q.management.commands.qcluster import Command as QueueCommand

from deliveries.runtime.cluster import WorkerGuard, delete_stale_engines, ignore_interrupts
from deliveries.runtime.parent_death import die_with_supervisor
from deliveries.runtime.registry import stopping
from deliveries.tasks import ensure_schedules


class Command(QueueCommand):  # type: ignore[misc]
    help = "Run the worker: the engines that send deliveries, and other tasks. SIGTERM drains and stops it."

    def handle(self, *args: Any, **options: Any) -> None:
        ignore_interrupts()
        die_with_supervisor()
        # Not shared with a cluster before this one, nor with the web server, of the same supervisor.
        stopping.renew()
        if options.get("cluster_name"):
            os.environ["Q_CLUSTER_NAME"] = options["cluster_name"]
        try:
            ensure_schedules()
            delete_stale_engines()
        except DatabaseError as error:
            raise CommandError(f"The database does not answer, or has not been migrated: {error}".strip()) from None
        # Forked processes must open their own connections.
        connections.close_all()
        sys.exit(WorkerGuard().run(once=options.get("run_once", False)))
