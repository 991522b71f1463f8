"""`manage.py erase`: find one person's data by a value, and erase it."""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from deliveries.erasure import runner
from deliveries.erasure.report import lines_of, progress_of, totals_of
from deliveries.erasure.service import ErasureError, cancel_erasure, count_first, start_erasure
from deliveries.models import Erasure
from integrations.foundation.audit import Actor
from integrations.management.base import ReportCommand, find_store

ACTOR = Actor(None, "manage.py erase")
#: Seconds between two lines about the progress.
SAID_EVERY = 2.0


class Command(ReportCommand):
    help = (
        "Erase what holds a value, wherever a store's payloads are kept: events with their deliveries and attempts, "
        "records, requests of sources, audit values, comments and more. It cannot be undone; --dry-run counts first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "value", help="A phone number, an e-mail address, a name; - reads it from standard input, so that no shell "
            "keeps it."
        )  # fmt: skip
        parser.add_argument("--store", help="Its name or id; needed if there are several.")
        parser.add_argument(
            "--contains", action="store_true", help="Also where it is only a part of a value. Default: whole values."
        )
        parser.add_argument("--reason", default="", help="Stays in the audit trail, so it must not hold the value.")
        parser.add_argument("--dry-run", action="store_true", help="Only count what holds the value.")

    def handle(self, *args: Any, **options: Any) -> None:
        value = sys.stdin.readline() if options["value"] == "-" else options["value"]
        begin = count_first if options["dry_run"] else start_erasure
        try:
            erasure = begin(
                store=find_store(options["store"]),
                value=value,
                match="contains" if options["contains"] else "exact",
                actor=ACTOR,
                reason=options["reason"],
            )
        except ErasureError as error:
            raise CommandError(error.message) from None
        self._work_off(erasure)
        if options["dry_run"]:
            cancel_erasure(erasure=erasure, actor=ACTOR)
        self.report(options, _document(erasure, options["dry_run"]), _described(erasure, options["dry_run"]))

    def _work_off(self, erasure: Erasure) -> None:
        said_at = time.monotonic()
        while not runner.run_for(erasure.pk, SAID_EVERY):
            erasure.refresh_from_db()
            if time.monotonic() - said_at >= SAID_EVERY:
                said_at = time.monotonic()
                self.stderr.write(_progress(erasure))
            if erasure.resume_after is not None and erasure.resume_after > timezone.now():
                time.sleep(SAID_EVERY)
        erasure.refresh_from_db()


def _progress(erasure: Erasure) -> str:
    done, total, label = progress_of(erasure)
    again = f", round {erasure.round}: something was being sent" if erasure.round > 1 else ""
    return f"{done + 1} of {total}: {label}, {erasure.looked_at:,} rows looked at{again}"


def _document(erasure: Erasure, is_dry_run: bool) -> dict[str, Any]:
    found, erased = totals_of(erasure)
    return {
        "erasure": erasure.public_id,
        "dry_run": is_dry_run,
        "status": "counted" if is_dry_run else erasure.status,
        "found": found,
        "erased": erased,
        "in_use": erasure.postponed,
        "places": {line.place: line.found if is_dry_run else line.erased for line in lines_of(erasure)},
    }


def _described(erasure: Erasure, is_dry_run: bool) -> str:
    found, erased = totals_of(erasure)
    if erasure.status == Erasure.Status.AWAITING:
        return f"{erasure.store.name} requires a second approver: someone must approve it in the admin, at Erasures."
    head = f"{found:,} rows hold the value." if is_dry_run else f"{erased:,} rows were erased."
    lines = [head]
    for line in lines_of(erasure):
        note = " (configuration: not erased, change it yourself)" if line.is_reported else ""
        lines.append(f"  {line.found if is_dry_run else line.erased:>9,}  {line.label}{note}")
    if erasure.postponed:
        lines.append(f"{erasure.postponed:,} were in use all the time. Run it again later.")
    return "\n".join(lines)
