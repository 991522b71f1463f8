"""Base classes of Hookdesk's commands: errors in plain words, and `--json` for programs."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, OperationalError, ProgrammingError

from integrations.models import Integration, Store
from integrations.security.encryption import DecryptionError, EncryptionKeyError


class PlainCommand(BaseCommand):
    """Errors end on stderr with exit status 1 (or 2), never in a traceback, unless --traceback asks for it."""

    # `doctor` and `check` look at the installation; the other commands start faster without.
    requires_system_checks = []

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ValidationError as error:
            raise CommandError(_sentences(error)) from error
        except (EncryptionKeyError, DecryptionError) as error:
            raise CommandError(str(error)) from error
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(_database_trouble(error)) from error
        except DatabaseError as error:
            raise CommandError(f"Database error: {error}") from error
        except BrokenPipeError:
            sys.stderr.close()
            raise CommandError("Output closed.") from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=2) from None


class ReportCommand(PlainCommand):
    """A command that reports: text for people, one JSON document with `--json`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON document instead of text.")

    def report(self, options: dict[str, Any], document: Any, text: str) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(document, ensure_ascii=False, default=str))
        else:
            self.stdout.write(text)


def find_store(name: str | None) -> Store:
    """By id or name; without one, the only store. Raises CommandError."""
    if not name:
        stores = list(Store.objects.all()[:2])
        if len(stores) == 1:
            return stores[0]
        raise CommandError(
            "There is no store yet. Create one: manage.py createstore NAME"
            if not stores
            else "There are several stores. Choose one with --store NAME (or its id)."
        )
    try:
        found = list(Store.objects.filter(id=name)[:1])
    except (ValueError, ValidationError):
        found = []
    found = found or list(Store.objects.filter(name=name)[:2])
    if not found:
        raise CommandError(f"Unknown store {name!r}. `manage.py createstore NAME` creates one.")
    if len(found) > 1:
        raise CommandError(f"Several stores are called {name!r}. Give its id instead.")
    return found[0]


def find_integration(slug: str, store_name: str | None) -> Integration:
    """By slug, within a store if several have it. Raises CommandError."""
    found = Integration.objects.alive().select_related("store").filter(slug=slug)
    if store_name:
        found = found.filter(store=find_store(store_name))
    matches = list(found[:2])
    if not matches:
        raise CommandError(f"Unknown integration {slug!r}. Its slug is shown on its page in the admin.")
    if len(matches) > 1:
        raise CommandError(f"Several stores have an integration {slug!r}. Choose one with --store NAME.")
    return matches[0]


def _sentences(error: ValidationError) -> str:
    if hasattr(error, "error_dict"):
        return " ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
    return " ".join(error.messages)


def _database_trouble(error: DatabaseError) -> str:
    text = str(error).strip()
    if "no such table" in text or "does not exist" in text or "no such column" in text:
        return f"The database is not up to date ({text.splitlines()[0]}). Run: manage.py migrate"
    return f"The database does not answer: {text}"
