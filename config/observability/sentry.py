"""Sentry (extra `sentry`, `SENTRY_DSN`): errors that are logged, without anything of a payload or a secret.

What is sent is chosen, not filtered: what the program says of an error, and no value that it worked on. The text of an
exception may quote one, so only its type goes; the log has the rest.
"""

from __future__ import annotations

import logging
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from integrations.foundation import request_id
from integrations.foundation.version import VERSION

_KEPT = (
    "event_id", "timestamp", "platform", "level", "logger", "release", "environment", "server_name", "sdk", "contexts",
)  # fmt: skip
_CONTEXTS = ("runtime", "trace")
_FRAME = (
    "filename",
    "abs_path",
    "function",
    "module",
    "lineno",
    "context_line",
    "pre_context",
    "post_context",
    "in_app",
)


def start(dsn: str) -> None:
    """Opens nothing until there is something to be sent. Raises ValueError if the DSN is not one."""
    sentry_sdk.init(
        dsn=dsn,
        release=f"hookdesk@{VERSION}",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR),
            ExcepthookIntegration(),
            DedupeIntegration(),
        ],
        include_local_variables=False,
        trace_propagation_targets=[],  # receivers get no header of ours, whatever integration is added
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        before_send=scrubbed,  # type: ignore[arg-type]
    )


def scrubbed(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """The event that is sent instead."""
    kept = {name: event[name] for name in _KEPT if name in event}
    kept["contexts"] = {name: value for name, value in kept.get("contexts", {}).items() if name in _CONTEXTS}
    if template := (event.get("logentry") or {}).get("message"):
        # As it stands in the program, with %s where the values would be.
        kept["logentry"] = {"message": str(template)[:500]}
    if errors := (event.get("exception") or {}).get("values"):
        kept["exception"] = {"values": [_error(error) for error in errors]}
    if (request := request_id.current()) is not None:
        kept["tags"] = {"request_id": request}
    return kept


def _error(error: dict[str, Any]) -> dict[str, Any]:
    kept = {name: error[name] for name in ("type", "module", "mechanism") if name in error}
    frames = (error.get("stacktrace") or {}).get("frames") or []
    return kept | {
        "value": "",
        "stacktrace": {"frames": [{name: frame[name] for name in _FRAME if name in frame} for frame in frames]},
    }
