"""Removes the details of database errors from log lines: PostgreSQL quotes rows, which contain payloads."""

from __future__ import annotations

import logging

#: Lines of a database error that contain values.
_QUOTING = ("DETAIL:", "CONTEXT:")


class LineFormatter(logging.Formatter):
    """Django's formatter, without lines that quote rows in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return without_quoted_rows(super().format(record))


def without_quoted_rows(text: str) -> str:
    if not any(word in text for word in _QUOTING):
        return text
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(_QUOTING))
