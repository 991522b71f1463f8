"""`manage.py healthcheck`: whether web server and worker of this machine work, for containers and probes."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from deliveries.models import Engine
from deliveries.runtime.registry import host_name
from integrations.management.base import PlainCommand

#: A web server that takes longer than this to say that it lives does not.
ANSWER_SECONDS = 5.0


class Command(PlainCommand):
    help = (
        "Exit 0 if the web server answers and an engine of this host is alive; otherwise say which is not, and exit 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1", help="Where the web server listens (default: 127.0.0.1).")
        parser.add_argument("--only", choices=["web", "worker"], help="Ask only one of the two.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["only"] != "worker":
            _ask_web(options["host"], options["port"])
        if options["only"] != "web":
            _ask_worker()
        self.stdout.write("ok")


def _ask_web(host: str, port: int) -> None:
    # The database is `/readyz`'s matter: a restart would not bring it back.
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)) as connection:
            connection.request("GET", "/healthz", headers={"Host": _allowed_name()})
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"The web server at {host}:{port} does not answer: {error}") from error
    if status != 200:
        raise CommandError(f"The web server at {host}:{port} answers {status}.")


def _allowed_name() -> str:
    """A name that ALLOWED_HOSTS has, as it has been set by those who serve under another one."""
    first: str = next((name for name in settings.ALLOWED_HOSTS if name != "*"), "localhost")
    return first.removeprefix(".")


def _ask_worker() -> None:
    host = host_name()
    if not Engine.objects.alive(timezone.now()).filter(host=host).exists():
        raise CommandError(f"No engine of the host {host} is alive.")
