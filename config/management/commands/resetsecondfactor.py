"""Removes the second factor of somebody who has lost it, where no superuser can log in to do so."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.accounts.second_factor import reset
from integrations.foundation.audit import Actor


class Command(BaseCommand):
    help = "Removes a person's second factors and ends their sessions; written into the audit trail."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--reason", required=True, help="how you know that it is them")

    def handle(self, *_: Any, username: str, reason: str, **__: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no member of staff {username!r}.")
        count = reset(user=user, actor=Actor(None, "manage.py resetsecondfactor"), reason=reason)
        self.stdout.write(f"{count} second factors of {username} removed, and all sessions ended.")
