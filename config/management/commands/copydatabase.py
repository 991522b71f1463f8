"""`manage.py copydatabase --to URL`: move to another database, as from SQLite to PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from config.database_copy import CopyError, copy_database, open_target
from deliveries.models import Engine
from integrations.management.base import ReportCommand


class Command(ReportCommand):
    help = "Copy this installation's database into an empty, migrated one, and verify counts and checksums."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--to", required=True, metavar="URL", help="The other database, in the form of DATABASE_URL."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if engines := Engine.objects.alive(timezone.now()).count():
            raise CommandError(
                f"{engines} engine(s) of this installation are alive. Stop all web servers and workers first: what is"
                " written while the copy runs, or after it, is not in the copy. Engines that were killed count for"
                " half a minute more."
            )
        try:
            reports = copy_database(open_target(options["to"]))
        except CopyError as error:
            raise CommandError(str(error)) from error
        rows = sum(report.rows for report in reports)
        lines = [f"{report.rows:>10}  {report.checksum[:16]}  {report.table}" for report in reports if report.rows]
        lines += [
            "",
            f"Copied {rows} rows of {len(reports)} tables; counts and checksums are the same in both databases.",
            "Switch: set DATABASE_URL to the new database, keep SECRET_KEY and ENCRYPTION_KEYS, then start.",
            "Keep the old database until you have looked at the new one; never run both.",
        ]
        document = {"ok": True, "rows": rows, "tables": [asdict(report) for report in reports]}
        self.report(options, document, "\n".join(lines))
