"""`manage.py handshake`: run the handshake of a Turn.io integration."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from integrations.management.base import ReportCommand, find_integration
from integrations.services.turn import NotTurn, handshake


class Command(ReportCommand):
    help = "Run the handshake of an integration in turn format and store the result."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("integration", help="The integration's slug.")
        parser.add_argument("--store", help="Name or id of the store, if several have this integration.")

    def handle(self, *args: Any, **options: Any) -> None:
        integration = find_integration(options["integration"], options["store"])
        try:
            result = handshake(integration=integration, now=timezone.now())
        except NotTurn as error:
            raise CommandError(str(error)) from None
        if result["ok"]:
            self.report(options, result, f"{integration.name} answered, version {result.get('version') or 'not told'}.")
            return
        if options["json"]:
            self.report(options, result, "")
        raise CommandError(f"{integration.name} returned no valid response: {result['error']}")
