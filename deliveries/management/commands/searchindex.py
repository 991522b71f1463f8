"""`manage.py searchindex`: make and fill the search index, now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from deliveries.models import EventDocument
from deliveries.search.indexing import run, state_of_index
from deliveries.search.switching import look_again
from deliveries.storage import backend
from deliveries.storage.text_index import make_text_index
from integrations.management.base import ReportCommand


class Command(ReportCommand):
    help = "Make the search index if it is missing, and fill it now instead of in the background."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--again", action="store_true", help="Look for what is missing from the beginning.")

    def handle(self, *args: Any, **options: Any) -> None:
        if why := make_text_index(connection):
            raise CommandError(why)
        state_of_index(timezone.now())
        if options["again"]:
            look_again()
        total = 0
        while count := run(timezone.now(), seconds=30.0):
            total += count
            self.stderr.write(f"{total:,} documents")
        documents = backend().estimated_rows(EventDocument._meta.db_table)
        self.report(
            options,
            {"written": total, "events": documents},
            f"Wrote or deleted {total:,} documents. About {documents:,} events can be searched.",
        )
