"""What the commands share: who pushes, what the services answer, and a progress bar on stderr."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from deliveries.ingest import Receipt
from deliveries.ingest.parsing import Invalid
from deliveries.ingest.plan import TooMuchWork
from deliveries.ingest.service import KeyConflict, Revoked, TooMuchContention
from deliveries.models import Engine, Replay
from deliveries.replay import step
from deliveries.runtime.registry import is_alive
from integrations.models import Store
from integrations.security.tokens import Principal, authenticate, create_token
from subscriptions.routing import SchemaViolation

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_or_ago(text: str) -> str:
    """`24h` as a time; anything else is passed on for the filters to validate."""
    if match := _AGO.fullmatch(text.strip()):
        return (timezone.now() - timedelta(**{_UNITS[match[2]]: float(match[1])})).isoformat()
    return text


@contextmanager
def caller(store: Store, token: str | None) -> Iterator[Principal]:
    """Who pushes: the holder of `token`, or the person at the command line, by a temporary token."""
    if token is not None:
        principal = authenticate(store_id=store.id, token=token)
        if principal is None or "push" not in principal.scopes:
            raise CommandError("This token does not belong to the store, or lacks the push scope.")
        yield principal
        return
    until = timezone.now() + timedelta(days=1)
    made, text = create_token(store=store, name="command line", scopes=["push"], expires_at=until)
    try:
        principal = authenticate(store_id=store.id, token=text)
        assert principal is not None
        yield principal
    finally:
        made.delete()


def accepted(ingest: Callable[[], Receipt]) -> Any:
    """Return the receipt of `ingest`. Raises CommandError with the reason and its path in the body."""
    try:
        return ingest().response
    except Invalid as error:
        raise CommandError(f"{error.field}: {error.message}" if error.field else error.message) from None
    except SchemaViolation as error:
        raise CommandError(f"{error.path or 'data'} violates the schema of {error.topic}: {error.message}") from None
    except TooMuchWork as error:
        raise CommandError(f"{error.path}: {error.message}" if error.path else error.message) from None
    except KeyConflict:
        raise CommandError("This idempotency key was used with another body.") from None
    except Revoked:
        raise CommandError("The token was revoked or has expired.") from None
    except TooMuchContention:
        raise CommandError("The records change too fast at the moment. Nothing of this part was stored.") from None


def work_off(replay: Replay, label: str) -> None:
    """Run it in this process, so that no worker is needed to put deliveries in line; a running worker helps, and goes
    on if this process is stopped.
    """
    with progress_bar(label, replay.total) as advance:
        while True:
            before = replay.done
            done = step(replay.id, timezone.now())
            replay.refresh_from_db()
            advance(replay.done - before)
            if done.is_over:
                return
            time.sleep(done.wait_seconds)


def waits_in_vain(replay: Replay) -> bool:
    """Whether its canary waits for results, and no worker runs that could bring them."""
    return replay.has_canary and not any(is_alive(engine, timezone.now()) for engine in Engine.objects.all())


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """On stderr where a person looks at it, nowhere where a program does.

    Gives a function that is told how many more are done. `total` None: nobody knows.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.advance(task, count)
