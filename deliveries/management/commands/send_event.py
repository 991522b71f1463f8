"""`manage.py send_event`: publish one event, like the event API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from deliveries.ingest import publish_events
from deliveries.management.cli import accepted, caller
from integrations.foundation.strict_json import DocumentError, dump_document, parse_document
from integrations.management.base import ReportCommand, find_store


class Command(ReportCommand):
    help = 'Publish one event: send_event user.created --data \'{"id": "1"}\''

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("topic", nargs="?", help="For example user.created.")
        parser.add_argument("--intent", help="For example order_pizza; with or instead of a topic.")
        parser.add_argument("--data", default="{}", help="A JSON object, @FILE, or - for standard input.")
        parser.add_argument("--store", help="Name or id of the store (optional if there is only one).")
        parser.add_argument("--token", help="Publish with this token's permissions and name.")
        parser.add_argument("--idempotency-key")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["topic"] and not options["intent"]:
            raise CommandError("Pass a topic or an --intent.")
        document = {"topic": options["topic"], "intent": options["intent"], "data": _data(options["data"])}
        raw = dump_document(document).encode()
        with caller(find_store(options["store"]), options["token"]) as principal:
            answer = accepted(
                lambda: publish_events(
                    principal=principal, document=document, raw=raw, key=options["idempotency_key"] or None
                )
            )
        self.report(options, answer, f"Accepted as {answer['id']}.")


def _data(text: str) -> Any:
    try:
        if text == "-":
            return parse_document(sys.stdin.buffer.read())
        if text.startswith("@"):
            return parse_document(Path(text[1:]).read_bytes())
        return parse_document(text.encode())
    except OSError as error:
        raise CommandError(f"{text[1:]} cannot be read: {error.strerror}.") from None
    except DocumentError as error:
        raise CommandError(f"--data is not JSON: {error}") from None
