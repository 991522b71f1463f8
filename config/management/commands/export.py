"""`manage.py export [--store ID]`: the configuration as YAML."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from config.as_code import ConfigurationError, export_configuration
from config.as_code.yaml_text import dump
from integrations.management.base import PlainCommand, find_store

HEAD = "# yaml-language-server: $schema=hookdesk.schema.json\n"


class Command(PlainCommand):
    help = "Write the configuration as YAML for `manage.py apply`. Secrets are references, never values."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--store", metavar="ID", help="Only this store: its id or name.")

    def handle(self, *args: Any, **options: Any) -> None:
        store = find_store(options["store"]) if options["store"] else None
        try:
            document = export_configuration(store)
        except ConfigurationError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(HEAD + dump(document), ending="")
