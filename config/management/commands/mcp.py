"""`manage.py mcp`: the Model Context Protocol over stdio, for an assistant that reads and proposes (docs/mcp.md)."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from config.mcp_server.api import API, APIFailure, LocalAPI, RemoteAPI
from integrations.management.base import PlainCommand

READS = {"read", "resolve", "manage", "propose"}


class Command(PlainCommand):
    help = (
        "Serve the Model Context Protocol over stdin and stdout: an assistant can read what the token may read, and "
        "propose what a person approves in the desk. It never sends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--token",
            default=os.environ.get("HOOKDESK_TOKEN", ""),
            help="An access token, best with the scope propose (default: $HOOKDESK_TOKEN).",
        )
        parser.add_argument(
            "--url",
            default=os.environ.get("HOOKDESK_URL", ""),
            help="A Hookdesk elsewhere, https://hooks.example.com (default: $HOOKDESK_URL; without one, this "
            "installation's own database).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from config.mcp_server.server import make_server
        except ImportError as error:
            raise CommandError(f"The extra mcp is missing ({error}): pip install 'hookdesk[mcp]'.") from None
        if not options["token"]:
            raise CommandError("Give a token, by --token or HOOKDESK_TOKEN.")
        try:
            api: API = (
                RemoteAPI(options["token"], options["url"])
                if options["url"]
                else LocalAPI(options["token"], settings.PUBLIC_URL)
            )
            _check(api)
        except (APIFailure, ValueError) as error:
            raise CommandError(str(error)) from None
        make_server(api).run("stdio")


def _check(api: API) -> None:
    """Raises APIFailure for a token that is not valid, may not read, or a Hookdesk that knows no proposals."""
    try:
        token = api.get("tokens/current")
    except APIFailure as error:
        if error.status == 404:
            raise APIFailure("This Hookdesk is too old: it knows no proposals.") from None
        raise
    if not READS & set(token["scopes"]):
        raise APIFailure("This token may not read. Issue one with the scope propose, or read.")
