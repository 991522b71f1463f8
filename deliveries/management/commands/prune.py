"""`manage.py prune`: delete what is older than the retention, now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from deliveries.maintenance.retention import count_prunable, prune
from deliveries.management.cli import progress_bar
from integrations.management.base import ReportCommand


class Command(ReportCommand):
    help = "Delete finished deliveries, their attempts and events after RETENTION_DAYS, in small batches."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--days", type=float, help="Overrides RETENTION_DAYS, not stores' own retention.")
        parser.add_argument("--batch", type=int, default=1000, help="Rows per transaction (default: 1000).")
        parser.add_argument("--dry-run", action="store_true", help="Only report how many would be deleted.")

    def handle(self, *args: Any, **options: Any) -> None:
        days = settings.RETENTION_DAYS if options["days"] is None else options["days"]
        if not 0 <= days < 36_500 or options["batch"] < 1:
            raise CommandError("--days must be at least 0, --batch at least 1.")
        before = timezone.now() - timedelta(days=days)
        total = count_prunable(before=before)
        if options["dry_run"]:
            self.report(
                options,
                {"dry_run": True, "deliveries": total},
                f"{total:,} deliveries finished before {before:%Y-%m-%d}.",
            )
            return
        with progress_bar("Pruning", total) as advance:
            pruned = prune(before=before, batch=options["batch"], progress=advance)
        self.report(
            options,
            {
                "deliveries": pruned.deliveries,
                "events": pruned.events,
                "idempotency_keys": pruned.idempotency_keys,
                "records": pruned.records,
                "audit_entries": pruned.audit_entries,
            },
            f"Deleted {pruned.deliveries:,} deliveries, {pruned.events:,} events and "
            f"{pruned.idempotency_keys:,} idempotency keys.",
        )
