"""`manage.py run`: web and worker in the foreground, until one SIGINT or SIGTERM."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser, OutputWrapper

from config.children import load_everything, migrate_in_subprocess, web_server, worker
from config.observability.json_lines import speak_json
from config.server.tcp_ports import is_port_free
from config.supervisor import Supervisor
from deliveries.runtime.parent_death import die_with_supervisor
from deliveries.runtime.process_name import name_process
from integrations.management.base import PlainCommand


class Command(PlainCommand):
    help = "Migrate, then run web server and worker in the foreground. SIGINT or SIGTERM drains and stops both."

    def run_from_argv(self, argv: list[str]) -> None:
        if settings.LOG_FORMAT == "json":
            speak_json()
            self.stdout, self.stderr = OutputWrapper(sys.stdout), OutputWrapper(sys.stderr)
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: 127.0.0.1).")
        parser.add_argument("--only", choices=["web", "worker"], help="Run only one of the two.")
        parser.add_argument("--no-migrate", action="store_true", help="Skip migrations; the database is up to date.")

    def handle(self, *args: Any, **options: Any) -> None:
        die_with_supervisor()  # the demo's
        host, port, only = options["host"], options["port"], options["only"]
        if only != "worker" and not is_port_free(host, port, patience=5):
            raise CommandError(f"{host}:{port} is already in use. Stop that program, or choose another --port.")
        if not options["no_migrate"] and (problem := migrate_in_subprocess()):
            raise CommandError(f"The database cannot be migrated: {problem}")
        name_process("")
        load_everything()
        children = []
        if only != "worker":
            children.append(web_server(host=host, port=port))
            self._tell(options, f"Hookdesk is running at http://{host}:{port}/admin/ - Ctrl-C stops it.")
        if only != "web":
            children.append(worker())
            self._tell(options, "The worker is running.")
        self.stdout.flush()
        Supervisor(children).run()
        self._tell(options, "Stopped.")

    def _tell(self, options: dict[str, Any], text: str) -> None:
        if options["verbosity"]:
            self.stdout.write(text)
