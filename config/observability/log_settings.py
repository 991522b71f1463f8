"""Django's logging settings: lines of text for people, or JSON for log collectors."""

from __future__ import annotations

from typing import Any


def logging_settings(*, is_json: bool, root_level: str, own_level: str) -> dict[str, Any]:
    """`own_level`: the level of Hookdesk's own loggers; `root_level`: of all others."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "class": "config.observability.log_lines.LineFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            },
            "json": {"class": "config.observability.json_lines.JsonFormatter"},
        },
        "handlers": {
            "stderr": {"class": "config.observability.json_lines.StderrHandler", "formatter": "json"}
            if is_json
            else {"class": "logging.StreamHandler", "formatter": "line"},
        },
        "root": {"handlers": ["stderr"], "level": root_level},
        "loggers": {
            "hookdesk": {"level": own_level},
            # With JSON, disable Django's own handlers, which print text while DEBUG is on.
            **({"django": {"handlers": []}, "django.server": {"handlers": []}} if is_json else {}),
        },
    }
