"""Log lines without what databases add to their errors: PostgreSQL quotes the row, and with it payloads."""

from __future__ import annotations

import logging

#: Lines of a database's error that hold values.
_QUOTING = ("DETAIL:", "CONTEXT:")


class LineFormatter(logging.Formatter):
    """As Django's, but lines that quote rows are left out, of messages and of tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not any(word in text for word in _QUOTING):
            return text
        return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(_QUOTING))
