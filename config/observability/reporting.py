"""What is told of requests, attempts and errors, and to whom: nobody, unless the settings say so."""

from __future__ import annotations

import logging
import os

from django.conf import settings

from deliveries import hooks
from integrations.foundation import tracing

logger = logging.getLogger("hookdesk")

_is_reporting_errors = False


def start() -> None:
    """When Django has loaded; in each process, and before any is forked: opens nothing and starts no thread."""
    if settings.LOG_FORMAT == "json":
        from config.observability.attempt_lines import log_attempts

        hooks.attempted.connect(log_attempts)
    for name, begin in (("otel", _trace), ("sentry", _report_errors)):
        if problem := begin():
            logger.warning("%s: %s", name, problem)


def extras() -> list[tuple[str, bool, bool]]:
    """Name, whether the settings ask for it, whether it is on."""
    return [
        ("otel", is_tracing_wanted(), tracing.is_on()),
        ("sentry", bool(settings.SENTRY_DSN), _is_reporting_errors),
    ]


def is_tracing_wanted() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()) and not disabled


def _trace() -> str:
    """What is wrong; empty if nothing is, or if it is not wanted."""
    if not is_tracing_wanted() or tracing.is_on():
        return ""
    try:
        from config.observability.telemetry import Telemetry
    except ImportError:
        return "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the extra is not installed: pip install 'hookdesk[otel]'"
    telemetry = Telemetry()
    tracing.use(telemetry)
    hooks.attempted.connect(telemetry.count_attempts)
    return ""


def _report_errors() -> str:
    global _is_reporting_errors
    if not settings.SENTRY_DSN:
        return ""
    try:
        from config.observability import sentry
    except ImportError:
        return "SENTRY_DSN is set, but the extra is not installed: pip install 'hookdesk[sentry]'"
    try:
        sentry.start(settings.SENTRY_DSN)
    except ValueError:
        return "SENTRY_DSN is not the address of a project. Copy it from Sentry, under Client Keys."
    _is_reporting_errors = True
    return ""
