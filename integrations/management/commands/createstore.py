"""`manage.py createstore NAME`: a store and its first access token."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from integrations.foundation.audit import Actor
from integrations.management.base import ReportCommand
from integrations.models import AccessToken
from integrations.security.tokens import DEFAULT_SCOPES
from integrations.services import issue_token
from integrations.services.stores import create_store

ACTOR = Actor(None, "manage.py createstore")


class Command(ReportCommand):
    help = "Create a store with an access token, which is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name")
        parser.add_argument(
            "--scopes",
            default=",".join(DEFAULT_SCOPES),
            help=f"What the token may do, comma-separated: {', '.join(AccessToken.Scope.values)} (default: all but "
            "propose, with which it may only propose).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not 1 <= len(name) <= 200:
            raise CommandError("A store's name has 1 to 200 characters.")
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        known = AccessToken.Scope.values
        if not scopes or set(scopes) - set(known):
            raise CommandError(f"--scopes is a list of {', '.join(known[:-1])} and {known[-1]}, comma-separated.")
        with transaction.atomic():
            store = create_store(actor=ACTOR, name=name)
            _, text = issue_token(store=store, actor=ACTOR, name="first token", scopes=scopes)
        self.report(
            options,
            {"store": str(store.id), "access_token": text},
            f"store         {store.id}\naccess token  {text}\n\n"
            "The token is not stored: note it now. Programs send both as X-Hub-Store and X-Hub-Access-Token.",
        )
