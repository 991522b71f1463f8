"""`manage.py backfill`: make the deliveries of past events that a subscription has missed."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from deliveries.filters import FilterError, moment_of
from deliveries.management.cli import moment_or_ago, waits_in_vain, work_off
from deliveries.replay import STOP_ABOVE, ReplayError
from deliveries.replay.backfill import BackfillPreview, Wanted, preview_backfill, start_backfill
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id, public_id
from integrations.management.base import ReportCommand
from subscriptions.models import Subscription

ACTOR = Actor(None, "manage.py backfill")


class Command(ReportCommand):
    help = (
        "Deliver past events to a subscription that wants them now and did not get them. What it got is left alone. "
        "What is made goes out by the worker."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("subscription", help="Its id (nsub_…).")
        parser.add_argument(
            "--since", required=True, help="2026-01-31, 2026-01-31T08:00:00Z, or how long ago: 90m, 24h, 7d."
        )
        parser.add_argument("--until", help="As --since; now by default.")
        parser.add_argument("--topic", default="", help="order.paid, or order.* for everything below it.")
        parser.add_argument("--contains", default="", help="An object's id, or a text in the data.")
        parser.add_argument("--again", action="store_true", help="Also what it got before: receivers get that twice.")
        parser.add_argument("--per-second", type=int, default=200, help="At most this many per second (default: 200).")
        parser.add_argument(
            "--canary",
            action=BooleanOptionalAction,
            default=True,
            help="Send 1, then 10, then the rest ever faster, and stop when too many fail. The default. Needs a "
            "running worker, whose results it waits for.",
        )
        parser.add_argument("--stop-above", type=int, default=STOP_ABOVE, metavar="PERCENT", help="With a canary.")
        parser.add_argument("--reason", default="", help="Recorded in the history.")
        parser.add_argument("--dry-run", action="store_true", help="Only report what would be made.")

    def handle(self, *args: Any, **options: Any) -> None:
        subscription = _subscription(options["subscription"])
        wanted = Wanted(
            since=_moment("since", options["since"]),
            until=_moment("until", options["until"]) if options["until"] else timezone.now(),
            topic=options["topic"],
            q=options["contains"],
            is_again=options["again"],
        )
        try:
            if options["dry_run"]:
                found = preview_backfill(subscription=subscription, wanted=wanted)
                document = {"dry_run": True, "events": found.total, "looked_at": found.looked_at, **_counts(found)}
                self.report(options, document, _described(found))
                return
            replay = start_backfill(
                subscription=subscription,
                wanted=wanted,
                actor=ACTOR,
                per_second=options["per_second"],
                canary=options["canary"],
                stop_above=options["stop_above"],
                reason=options["reason"],
            )
        except ReplayError as error:
            raise CommandError(str(error)) from None
        if waits_in_vain(replay):
            self.stderr.write("No worker is running: the canary waits for results. Start it, or pass --no-canary.")
        work_off(replay, "Looking at events")
        document = {"backfill": public_id("bf", replay.pk), "status": replay.status, "made": replay.made}
        self.report(options, document, f"{replay.made:,} deliveries were made for {replay.done:,} events.")
        if replay.stopped_because:
            raise CommandError(f"It stopped by itself: {replay.stopped_because}. Resume or cancel it in the admin.")


def _subscription(text: str) -> Subscription:
    key = parse_public_id("nsub", text)
    rows = Subscription.objects.alive().without_credentials().select_related("store", "integration")
    found = rows.filter(pk=key).first() if key else None
    if found is None:
        raise CommandError(f"Unknown subscription {text!r}.")
    return found


def _moment(field: str, text: str) -> datetime:
    try:
        return moment_of(field, moment_or_ago(text))
    except FilterError as error:
        raise CommandError(f"--{field}: {error.message}") from None


def _counts(found: BackfillPreview) -> dict[str, Any]:
    return {"missing": found.missing, "counts": found.counts}


def _described(found: BackfillPreview) -> str:
    lines = [f"{found.missing:,} deliveries would be made for {found.looked_at:,} of {found.total:,} events."]
    lines += [f"  {count:>9,}  {code}" for code, count in found.counts.items() if code != "missing"]
    return "\n".join(lines)
