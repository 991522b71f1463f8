"""`manage.py apply FILE [--plan] [--prune] [--json]`: bring the configuration in line with a file."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from config.as_code import Change, ConfigurationError, Report, apply_configuration
from config.as_code.references import Surroundings
from config.as_code.yaml_text import YamlError, load
from integrations.management.base import ReportCommand

_SIGNS = {"create": "+", "change": "~", "delete": "-"}
_DONE = {"create": "created", "change": "changed", "delete": "deleted"}
#: Characters of a value in a plan for people.
_SHOWN = 100


class Command(ReportCommand):
    help = (
        "Create and change what the YAML file says, all or nothing. --plan only prints the differences and exits 2 if "
        "there are some. The file - is standard input."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--plan", action="store_true", help="Change nothing; exit 0: no difference, 2: some.")
        parser.add_argument(
            "--prune", action="store_true", help="Also delete what the file's stores have and the file does not name."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            document, folder = _read(options["file"])
            report = apply_configuration(
                document, Surroundings(os.environ, folder), is_plan=options["plan"], deletes=options["prune"]
            )
        except YamlError as error:
            raise CommandError(f"{options['file']}: {error}") from None
        except ConfigurationError as error:
            self._refuse(options, error)
        self.report(options, _document(report), _text(report))
        if report.is_plan and report.changes:
            sys.exit(2)

    def _refuse(self, options: dict[str, Any], error: ConfigurationError) -> None:
        if options["json"]:
            problems = [{"path": path, "message": message} for path, message in error.problems]
            self.stdout.write(json.dumps({"ok": False, "errors": problems}, ensure_ascii=False))
        raise CommandError(f"{options['file']} cannot be applied, and nothing was changed.\n{error}") from None


def _read(name: str) -> tuple[Any, Path]:
    """The document, and the folder that references to files start from."""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is not UTF-8: byte {error.start + 1} cannot be read.") from None
    return load(text), Path() if name == "-" else Path(name).parent


def _document(report: Report) -> dict[str, Any]:
    counts = {action: sum(change.action == action for change in report.changes) for action in _SIGNS}
    changes = [asdict(change) for change in report.changes]
    return {"ok": True, "plan": report.is_plan, **counts, "changes": changes}


def _text(report: Report) -> str:
    lines = [line for change in report.changes for line in _lines(change)]
    if not report.changes:
        return "No difference: everything is as the file says."
    parts = [
        f"{count:,} {'to ' + action if report.is_plan else _DONE[action]}"
        for action in _SIGNS
        if (count := sum(change.action == action for change in report.changes))
    ]
    return "\n".join([*lines, "", f"{', '.join(parts)}."])


def _lines(change: Change) -> list[str]:
    where = f"{change.store} / " if change.store else ""
    lines = [f"{_SIGNS[change.action]} {change.kind} {where}{change.name}"]
    if change.action == "change":
        lines += [f"    {name}: {_difference(**values)}" for name, values in change.fields.items()]
    return lines


def _difference(before: Any, after: Any) -> str:
    return "another secret" if before == after else f"{_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
