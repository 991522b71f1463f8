"""`manage.py handshake`: ask a Turn.io integration what it can do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from integrations.management.base import ReportCommand, find_integration
from integrations.services.turn import NotTurn, handshake


class Command(ReportCommand):
    help = "Ask an integration in turn format what it can do, and keep the answer."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("integration", help="Its slug.")
        parser.add_argument("--store", help="Name or id, where several stores have such an integration.")

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
        raise CommandError(f"{integration.name} did not answer as it should: {result['error']}")
