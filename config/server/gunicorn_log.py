"""gunicorn's own log lines: in its own format, or as JSON like all others if that is configured."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from config.observability import json_lines


class GunicornLogger(Logger):  # type: ignore[misc]
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if json_lines.is_wanted():
            self.error_log.handlers.clear()
            self.error_log.propagate = True
