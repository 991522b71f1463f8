"""`manage.py ping`: send a test event to an integration or a subscription."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from deliveries.models import Attempt
from deliveries.previews.ping import ping_now
from integrations.foundation.identifiers import parse_public_id
from integrations.management.base import ReportCommand, find_integration
from integrations.models import Integration
from integrations.wire_formats.base import PayloadError
from subscriptions.models import Subscription


class Command(ReportCommand):
    help = "Send a test event and show the response. Exits 1 unless it succeeds."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("target", help="The slug of an integration, or the id of a subscription (nsub_…).")
        parser.add_argument("--store", help="Name or id of the store, if several have this integration.")

    def handle(self, *args: Any, **options: Any) -> None:
        integration, subscription = _target(options["target"], options["store"])
        try:
            attempt = ping_now(integration=integration, subscription=subscription, now=timezone.now())
        except PayloadError as error:
            raise CommandError(error.message) from None
        is_success = attempt.outcome == Attempt.Outcome.SUCCEEDED
        document = {
            "ok": is_success,
            "delivery": attempt.delivery.public_id,
            "url": attempt.url,
            "status": attempt.response_status,
            "duration_ms": attempt.duration_ms,
            "error": {"kind": attempt.error_kind, "message": attempt.error_message} if attempt.error_kind else None,
        }
        if is_success:
            text = f"{integration.name} answered {attempt.response_status} in {attempt.duration_ms} ms."
            self.report(options, document, text)
            return
        if options["json"]:
            self.report(options, document, "")
        raise CommandError(f"The ping to {integration.name} failed: {attempt.error_message}")


def _target(text: str, store: str | None) -> tuple[Integration, Subscription | None]:
    if text.startswith("nsub_"):
        key = parse_public_id("nsub", text)
        wanted = Subscription.objects.alive().select_related("integration").filter(id=key) if key else None
        subscription = wanted.first() if wanted is not None else None
        if subscription is None:
            raise CommandError(f"Unknown subscription {text!r}.")
        return subscription.integration, subscription
    return find_integration(text, store), None
