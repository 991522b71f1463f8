"""`manage.py demo`: Hookdesk's main job on this machine, step by step."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from config.children import installation
from config.demo.receiver import PORT, start_receiver
from config.demo.state import FOLDER_VARIABLE, PORT_VARIABLE
from config.demo.story import Interrupted, StepFailed, Story
from config.server.tcp_ports import free_port, is_port_free
from config.supervisor import Supervisor
from integrations.management.base import PlainCommand


class Command(PlainCommand):
    help = (
        "Set up a demo in .demo/, start web, worker and a small SMS application, push a shipment with a bad phone "
        "number, and show how it fails. With --once, also fix it and exit."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Fix the failure, wait for the success, and exit 0.")
        parser.add_argument("--port", type=int, help="Default: 8000, or the next free port.")

    def handle(self, *args: Any, **options: Any) -> None:
        if FOLDER_VARIABLE not in os.environ:
            raise CommandError("Run it from the command line: python manage.py demo")
        port = int(os.environ[PORT_VARIABLE])
        if not is_port_free("127.0.0.1", port, patience=5):
            raise CommandError(f"Port {port} is already in use. Choose another --port.")
        out = sys.stdout
        if hasattr(out, "reconfigure"):
            out.reconfigure(errors="replace")
        status = run_demo(out, Path(os.environ[FOLDER_VARIABLE]), port, is_once=options["once"])
        if status:
            sys.exit(status)


def run_demo(out: TextIO, folder: Path, port: int, *, is_once: bool) -> int:
    """Returns the exit status: 1 when a step did not happen."""
    receiver = start_receiver(free_port("127.0.0.1", PORT))
    call_command("migrate", interactive=False, verbosity=0)
    supervisor = Supervisor([installation(port=port)])
    story = Story(out, folder, f"http://127.0.0.1:{port}", receiver.server_port, lambda: supervisor.is_stopping)
    story.done(f"database created: {folder / 'hookdesk.sqlite3'}")
    story.done(f"SMS app listening on port {receiver.server_port}; it rejects phone number 0000000000")
    story.furnish()
    connections.close_all()
    teller = _Teller(story, supervisor, is_once)
    teller.start()
    supervisor.run()
    teller.join(15)
    receiver.shutdown()
    if teller.problem:
        out.write(f"\nThe demo failed at this step: {teller.problem}\n")
        return 1
    out.write("Demo done.\n" if teller.is_done else "Stopped.\n")
    return 1 if is_once and not teller.is_done else 0


class _Teller(threading.Thread):
    """Runs the story while the supervisor, in the main thread, manages Hookdesk."""

    def __init__(self, story: Story, supervisor: Supervisor, is_once: bool) -> None:
        super().__init__(name="story", daemon=True)
        self.story = story
        self.supervisor = supervisor
        self.is_once = is_once
        self.problem = ""
        self.is_done = False

    def run(self) -> None:
        try:
            self._tell()
        except Interrupted:
            return
        except StepFailed as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            connections.close_all()
        if self.is_once or self.problem:
            self.supervisor.stop()

    def _tell(self) -> None:
        failed = self.story.fail_to_send()
        self.story.show_where_to_click(failed)
        if self.is_once:
            self.story.fix(failed)
        else:
            self.story.tell("The demo runs until Ctrl-C.")
        self.is_done = True
