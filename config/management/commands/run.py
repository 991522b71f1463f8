"""`manage.py run`: web and worker in the foreground, until one SIGINT or SIGTERM."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError, connections

from config.server.tcp_ports import is_port_free
from config.supervisor import Supervisor, web_server, worker
from integrations.management.base import PlainCommand


class Command(PlainCommand):
    help = "Migrate, then run web server and worker in the foreground. SIGINT or SIGTERM drains and stops both."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: 127.0.0.1).")
        parser.add_argument("--only", choices=["web", "worker"], help="Run only one of the two.")
        parser.add_argument("--no-migrate", action="store_true", help="Skip migrations; the database is up to date.")

    def handle(self, *args: Any, **options: Any) -> None:
        host, port, only = options["host"], options["port"], options["only"]
        if only != "worker" and not is_port_free(host, port, patience=5):
            raise CommandError(f"{host}:{port} is already in use. Stop that program, or choose another --port.")
        if not options["no_migrate"]:
            try:
                call_command("migrate", interactive=False, verbosity=0)
            except DatabaseError as error:
                raise CommandError(f"The database cannot be migrated: {error}") from None
        connections.close_all()
        children = []
        if only != "worker":
            children.append(web_server(host=host, port=port))
            self.stdout.write(f"Hookdesk is running at http://{host}:{port}/admin/ - Ctrl-C stops it.")
        if only != "web":
            children.append(worker())
            self.stdout.write("The worker is running.")
        self.stdout.flush()
        Supervisor(children).run()
        self.stdout.write("Stopped.")
