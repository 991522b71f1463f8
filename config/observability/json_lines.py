"""`LOG_FORMAT=json`: one JSON object a line, whoever prints it (docs/operations/logs.md).

Loggers are formatted by `JsonFormatter`. All else that `manage.py run` or a library prints goes through `JsonStream`.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from config.observability.log_lines import without_quoted_rows
from integrations.foundation import request_id

#: Characters of one message, and of one traceback: a line is to fit into what collects it.
LONGEST = 16_000


def is_wanted() -> bool:
    """By the environment alone, before there are settings."""
    return os.environ.get("LOG_FORMAT", "").strip().lower() == "json"


class JsonFormatter(logging.Formatter):
    """`extra={"fields": {…}}` of a log call are members of the object. Nothing else of the record is."""

    def format(self, record: logging.LogRecord) -> str:
        entry = _entry(record.created, record.levelname, record.name, record.getMessage())
        if (request := request_id.current()) is not None:
            entry["request_id"] = request
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["error"] = _bounded(self.formatException(record.exc_info))
        return json.dumps(entry, default=str)


def _entry(seconds: float, level: str, logger: str, message: str) -> dict[str, Any]:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return {"time": f"{moment[:-6]}Z", "level": level, "logger": logger, "message": _bounded(message)}


def _bounded(text: str) -> str:
    text = without_quoted_rows(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def line_of(text: str, *, level: str = "INFO", logger: str = "hookdesk") -> str:
    """What is printed by no logger, as a line."""
    return json.dumps(_entry(datetime.now(UTC).timestamp(), level, logger, text))


class JsonStream(io.TextIOBase):
    """In place of stdout or stderr: each line that is written becomes an object. Blank ones are left out."""

    def __init__(self, stream: TextIO, logger: str) -> None:
        self.beneath = stream
        self._logger = logger
        self._begun: dict[int, str] = {}  # by thread: two that print at once do not get into each other's lines

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.beneath.encoding

    @property
    def buffer(self) -> Any:
        return self.beneath.buffer

    def fileno(self) -> int:
        return self.beneath.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        thread = threading.get_ident()
        *lines, rest = (self._begun.pop(thread, "") + text).split("\n")
        if rest:
            self._begun[thread] = rest
        whole = [f"{line_of(line.rstrip(), logger=self._logger)}\n" for line in lines if line.strip()]
        if whole:
            self.beneath.write("".join(whole))
            self.beneath.flush()
        return len(text)

    def flush(self) -> None:
        self.beneath.flush()


class StderrHandler(logging.StreamHandler[TextIO]):
    """To stderr itself, also where `JsonStream` has taken its place: what it writes is JSON already."""

    def __init__(self) -> None:
        super().__init__(sys.stderr.beneath if isinstance(sys.stderr, JsonStream) else sys.stderr)


def speak_json() -> None:
    """From here on, all that this process and those forked from it print is JSON."""
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda what: _log_uncaught(
        what.exc_type, what.exc_value or what.exc_type(), what.exc_traceback
    )
    if not isinstance(sys.stdout, JsonStream):
        sys.stdout = JsonStream(sys.stdout, "stdout")
    if not isinstance(sys.stderr, JsonStream):
        sys.stderr = JsonStream(sys.stderr, "stderr")


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("hookdesk").critical("uncaught exception", exc_info=(kind, error, trace))
