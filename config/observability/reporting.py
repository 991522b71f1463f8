"""What is told of each attempt, and to whom: nobody, unless the settings say so."""

from __future__ import annotations

from django.conf import settings

from deliveries import hooks


def start() -> None:
    """When Django has loaded; in each process, and before any is forked: opens nothing and starts no thread."""
    if settings.LOG_FORMAT == "json":
        from config.observability.attempt_lines import log_attempts

        hooks.attempted.connect(log_attempts)
