"""`manage.py resend`: resend deliveries by id or by filter."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from typing import Any

from django.core.management.base import CommandError, CommandParser

from deliveries.filters import FilterError
from deliveries.management.cli import moment_or_ago, waits_in_vain, work_off
from deliveries.models import Delivery, Replay
from deliveries.replay import (
    CANARY_ABOVE,
    STOP_ABOVE,
    Preview,
    ReplayError,
    UnconfirmedError,
    preview,
    start_replay,
)
from deliveries.resolution import ResolutionError, retry_delivery
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id
from integrations.management.base import ReportCommand, find_store

ACTOR = Actor(None, "manage.py resend")


class Command(ReportCommand):
    help = (
        "Resend deliveries: those given by id, or all that match. Without --status, those that failed. What is "
        "due goes out by the worker; this command puts it in line."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("delivery", nargs="*", help="Ids (dlv_…).")
        parser.add_argument("--failed", action="store_true", help="Those that failed permanently (the default).")
        parser.add_argument("--status", help="One or more statuses, comma-separated.")
        parser.add_argument(
            "--confirm-delivered",
            type=int,
            metavar="N",
            help="With --status succeeded: how many these are. Receivers get them twice; --dry-run tells the number.",
        )
        parser.add_argument("--since", help="2026-01-31, 2026-01-31T08:00:00Z, or how long ago: 90m, 24h, 7d.")
        parser.add_argument("--until", help="As --since.")
        parser.add_argument("--integration", help="The slug of an integration.")
        parser.add_argument("--topic", help="order.paid, or order.* for everything below it.")
        parser.add_argument("--store", help="Name or id of a store.")
        parser.add_argument("--per-second", type=int, default=200, help="At most this many per second (default: 200).")
        parser.add_argument(
            "--canary",
            action=BooleanOptionalAction,
            help=f"Send 1, then 10, then the rest ever faster, and stop when too many fail again. The default for more "
            f"than {CANARY_ABOVE}. Needs a running worker, whose results it waits for.",
        )
        parser.add_argument(
            "--stop-above",
            type=int,
            default=STOP_ABOVE,
            metavar="PERCENT",
            help=f"With a canary: how many percent may fail again (default: {STOP_ABOVE}).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only report what would be resent.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["delivery"]:
            self._resend_each(options)
            return
        filters = _filters(options)
        try:
            found = preview(filters=filters, action=Replay.Action.RETRY, per_second=options["per_second"])
            if options["dry_run"]:
                self.report(options, {"dry_run": True, **_counts(found)}, _described(found))
                return
            replay = start_replay(
                filters=filters,
                action=Replay.Action.RETRY,
                actor=ACTOR,
                per_second=options["per_second"],
                confirmed=options["confirm_delivered"],
                canary=options["canary"],
                stop_above=options["stop_above"],
            )
        except UnconfirmedError as error:
            raise CommandError(f"{error} To confirm, pass --confirm-delivered {error.guarded}.") from None
        except (ReplayError, FilterError) as error:
            raise CommandError(str(error)) from None
        if waits_in_vain(replay):
            self.stderr.write(
                "No worker is running. The canary waits for the result of the first delivery: start one with "
                "`manage.py run --only worker`, or resend with --no-canary."
            )
        work_off(replay, "Resending")
        resent = replay.done - replay.skipped
        document = {"replay": str(replay.id), "status": replay.status, "resent": resent, "skipped": replay.skipped}
        self.report(options, document, f"{resent:,} deliveries were queued again, {replay.skipped:,} were skipped.")
        if replay.stopped_because:
            raise CommandError(
                f"It stopped by itself: {replay.stopped_because}. {replay.total - replay.done:,} were not resent. "
                "Resume or cancel it in the admin under Bulk resends."
            )

    def _resend_each(self, options: dict[str, Any]) -> None:
        chosen = [_delivery(text) for text in options["delivery"]]
        if not options["dry_run"]:
            for delivery in chosen:
                try:
                    retry_delivery(delivery=delivery, actor=ACTOR)
                except ResolutionError as error:
                    raise CommandError(f"{delivery.public_id}: {error.message}") from None
        ids = [delivery.public_id for delivery in chosen]
        word = "would be resent" if options["dry_run"] else "were queued again"
        self.report(options, {"dry_run": options["dry_run"], "deliveries": ids}, f"{', '.join(ids)} {word}.")


def _filters(options: dict[str, Any]) -> dict[str, str]:
    if options["failed"] and options["status"]:
        raise CommandError("--failed means --status failed: pass only one of them.")
    filters = {name: options[name] for name in ("integration", "topic") if options[name]}
    filters["status"] = options["status"] or Delivery.Status.FAILED.value
    for name in ("since", "until"):
        if options[name]:
            filters[name] = moment_or_ago(options[name])
    if options["store"]:
        filters["store"] = str(find_store(options["store"]).id)
    return filters


def _delivery(text: str) -> Delivery:
    key = parse_public_id("dlv", text)
    delivery = Delivery.objects.filter(id=key).first() if key else None
    if delivery is None:
        raise CommandError(f"Unknown delivery {text!r}.")
    return delivery


def _counts(found: Preview) -> dict[str, Any]:
    return {"total": found.total, "by_status": found.by_status, "by_integration": dict(found.by_integration)}


def _described(found: Preview) -> str:
    lines = [f"{found.total:,} deliveries would be resent, in about {found.seconds:,.0f} s."]
    lines += [f"  {count:>9,}  {name}" for name, count in found.by_integration]
    return "\n".join(lines)
