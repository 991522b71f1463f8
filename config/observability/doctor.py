"""Checks of this installation. Each check covers one thing and never raises."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from config.observability import reporting
from config.observability.doctor_login import examine_login
from config.observability.finding import Finding
from deliveries.models import Engine, EventDocument, FailureGroup
from deliveries.search.finding import behind
from deliveries.stats.queries import LATE_AFTER, engine_health
from deliveries.storage import backend
from integrations.foundation.extensions import extensions
from integrations.models import AccessToken, Integration, Store
from integrations.security.encryption import EncryptionKeyError, encrypt_text
from subscriptions.models import Topic
from subscriptions.services import problem_of_topic

START_A_WORKER = "Start one: make run (web and worker), or manage.py qcluster (worker alone)."
#: Waiting tasks; a healthy queue is empty nearly all the time.
QUEUE_LIMIT = 100
TOPICS_LIMIT = 2_000  #: topics that are checked
SEARCH_BEHIND = timedelta(minutes=15)
CLOCK_LIMIT = 5.0  #: seconds between this machine's clock and the database's


def examine(now: datetime | None = None) -> list[Finding]:
    """All checks; if the database does not answer, only those that work without it."""
    now = now or timezone.now()
    findings = [*_settings(), *_encryption(), *_outbound(), *_reporting(), *_extensions()]
    database = list(_database())
    findings += database
    if any(finding.level == "problem" for finding in database):
        return findings
    for check in _WITH_DATABASE:
        try:
            findings += check(now)
        except DatabaseError as error:
            findings.append(Finding(check.__name__.strip("_"), "problem", f"Database error: {error}"))
    return findings


def _settings() -> Iterator[Finding]:
    if settings.DEBUG:
        yield Finding(
            "debug", "warning", "DEBUG is on: pages show tracebacks and the keys are public.",
            "Fine for trying Hookdesk out. In production set DEBUG=false, SECRET_KEY and ENCRYPTION_KEYS.",
        )  # fmt: skip
    errors = [message for message in checks.run_checks() if message.level >= checks.ERROR]
    for message in errors:
        yield Finding("settings", "problem", str(message.msg), str(message.hint or ""))
    if not settings.ALLOWED_HOSTS:
        yield Finding("hosts", "problem", "ALLOWED_HOSTS is empty: the web server refuses every request.",
                      "Set it to the host names that people and programs use.")  # fmt: skip
    if not errors:
        yield Finding("settings", "ok", "The settings are valid.")


def _encryption() -> Iterator[Finding]:
    try:
        encrypt_text("doctor")
    except EncryptionKeyError as error:
        yield Finding("encryption", "problem", str(error))
    else:
        yield Finding("encryption", "ok", f"Credentials are encrypted ({len(settings.ENCRYPTION_KEYS)} key(s)).")


def _outbound() -> Iterator[Finding]:
    for text in settings.OUTBOUND_ALLOW:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            yield Finding("outbound", "problem", f"OUTBOUND_ALLOW holds {text!r}, which is not a CIDR network.",
                          "Write networks like 10.0.0.0/8, comma-separated.")  # fmt: skip
            continue
        if network.prefixlen == 0:
            yield Finding("outbound", "warning", f"OUTBOUND_ALLOW={text} allows deliveries to any address.",
                          "List only the networks that contain receivers.")  # fmt: skip
    if not settings.OUTBOUND_ALLOW:
        yield Finding("outbound", "ok", "Deliveries can reach public addresses only (OUTBOUND_ALLOW is empty).")


def _extensions() -> Iterator[Finding]:
    found = extensions()
    for one in found:
        if one.problem:
            yield Finding("extension", "problem", f"The package {one.package} brings {one.name!r} "
                          f"({one.group}), which is not used. {one.problem}",
                          "Correct, update or remove the package. What uses it fails until then.")  # fmt: skip
    if used := [one for one in found if not one.problem]:
        listed = ", ".join(f"{one.name} ({one.group}, {one.package})" for one in used[:20])
        yield Finding("extension", "ok", f"{len(used)} extension(s) of installed packages: {listed}.")


def _reporting() -> Iterator[Finding]:
    for name, is_wanted, is_on in reporting.extras():
        if is_wanted and is_on:
            yield Finding(name, "ok", f"{name} is on.")
        elif is_wanted:
            yield Finding(name, "warning", f"{name} is set up, but off: the first lines of the log say why.",
                          f"Install the extra: pip install 'hookdesk[{name}]'")  # fmt: skip


def _database() -> Iterator[Finding]:
    try:
        connection.ensure_connection()
    except Exception as error:  # also what the driver itself raises
        yield Finding("database", "problem", f"The database does not answer: {str(error).strip()}",
                      "Check DATABASE_URL and that the server is running.")  # fmt: skip
        return
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        names = ", ".join(f"{migration.app_label} {migration.name}" for migration, _ in missing[:3])
        yield Finding("migrations", "problem", f"{len(missing)} migrations are not applied (first: {names}).",
                      "Run: manage.py migrate")  # fmt: skip
        return
    yield Finding("database", "ok", f"The database ({connection.display_name}) answers and is up to date.")


def _worker(now: datetime) -> Iterator[Finding]:
    alive = list(Engine.objects.alive(now))
    if alive:
        yield Finding(
            "worker", "ok", f"{len(alive)} engine(s) running, {sum(e.in_flight for e in alive)} requests in flight."
        )
        return
    last = Engine.objects.order_by("-beat_at").first()
    seen = f" The last heartbeat was at {last.beat_at:%Y-%m-%d %H:%M:%S} UTC." if last else ""
    yield Finding("worker", "problem", f"No worker is running: nothing is being sent.{seen}", START_A_WORKER)


def _oldest_due(now: datetime) -> Iterator[Finding]:
    beat = engine_health(now)
    if beat.oldest_due is None or beat.oldest_due <= LATE_AFTER.total_seconds():
        yield Finding("due", "ok", "No delivery is overdue.")
        return
    advice = (
        "Check on the dashboard whether integrations are slow, rate-limited or down."
        if beat.is_alive
        else START_A_WORKER
    )
    yield Finding("due", "problem", f"A delivery has been due for {beat.oldest_due:,.0f} s.", advice)


def _task_queue(now: datetime) -> Iterator[Finding]:
    from django_q.brokers import get_broker

    name = "Redis" if settings.REDIS_URL else "the database"
    try:
        broker = get_broker()
        broker.ping()
        size = broker.queue_size()
    except Exception as error:  # each broker has errors of its own
        yield Finding("queue", "problem", f"The task queue ({name}) does not answer: {error}",
                      "Check REDIS_URL and that Redis is running. Pushes are still accepted and stored.")  # fmt: skip
        return
    if size > QUEUE_LIMIT:
        yield Finding("queue", "warning", f"{size:,} tasks are waiting in the queue ({name}), which should be "
        "nearly empty.",
                      "Check the worker's log; restart the worker if the log says nothing.")  # fmt: skip
    else:
        yield Finding("queue", "ok", f"The task queue ({name}) answers, {size} tasks waiting.")


def _clock(now: datetime) -> Iterator[Finding]:
    if now.year < 2024:
        yield Finding(
            "clock", "problem", f"This machine's clock says {now:%Y-%m-%d}.", "Set the clock, preferably with NTP."
        )
        return
    before = time.time()
    theirs = backend().server_clock()
    if theirs is None:
        return
    skew = abs((theirs.astimezone(UTC) - datetime.fromtimestamp((before + time.time()) / 2, UTC)).total_seconds())
    if skew > CLOCK_LIMIT:
        yield Finding("clock", "warning", f"This machine's clock and the database server's differ by {skew:.0f} s.",
                      "Run NTP on both: retries and leases depend on the clock.")  # fmt: skip


def _integrations(now: datetime) -> Iterator[Finding]:
    for integration in Integration.objects.alive().filter(is_enabled=False).order_by("name")[:20]:
        reason = f": {integration.disabled_reason}" if integration.disabled_reason else "."
        yield Finding("integration", "warning", f"{integration.name} is disabled{reason}",
                      "Its deliveries are waiting. Enable it on its page in the admin.")  # fmt: skip
    failing = FailureGroup.objects.filter(status=FailureGroup.Status.OPEN).count()
    if failing:
        yield Finding("failures", "warning", f"{failing:,} failures are open.", "See /admin/, under Cases.")


def _topics(now: datetime) -> Iterator[Finding]:
    unusable = [(topic, reason) for topic in Topic.objects.select_related("store")[:TOPICS_LIMIT].iterator()
                if (reason := problem_of_topic(topic))]  # fmt: skip
    for topic, reason in unusable[:20]:
        yield Finding("topic", "warning", f"The topic {topic.name} of {topic.store.name} cannot be used: {reason}",
                      "Correct it on its page in the admin; until then, pushes to it are rejected.")  # fmt: skip


def _stores(now: datetime) -> Iterator[Finding]:
    if not Store.objects.exists():
        yield Finding("stores", "problem", "There is no store yet, so nothing can be pushed.",
                      "Create one: manage.py createstore NAME")  # fmt: skip
    elif not AccessToken.objects.active(now).exists():
        yield Finding("tokens", "problem", "There is no valid access token, so nothing can be pushed.",
                      "Create one on the store's page in the admin.")  # fmt: skip
    elif not Integration.objects.alive().exists():
        yield Finding("integrations", "warning", "There is no integration yet, so nothing is delivered.",
                      "Create one in the admin, or with POST /api/v1/integrations.")  # fmt: skip
    else:
        yield Finding("stores", "ok", f"{Store.objects.count():,} store(s), with valid tokens.")


def _staff(now: datetime) -> Iterator[Finding]:
    from django.contrib.auth import get_user_model

    if not get_user_model().objects.filter(is_staff=True, is_active=True).exists():
        yield Finding("staff", "warning", "No user can log in to the admin.", "Run: manage.py createsuperuser")


def _search(now: datetime) -> Iterator[Finding]:
    reason = backend().missing_text_index(EventDocument._meta.db_table)
    late = behind(now, SEARCH_BEHIND)
    if reason:
        yield Finding("search", "warning", reason)
    elif late:
        yield Finding("search", "warning", late[0], "It is filled by a worker while few pushes come in.")
    else:
        yield Finding("search", "ok", "the search index is there and up to date")


def _login(now: datetime) -> Iterator[Finding]:
    return examine_login()


def _disk(now: datetime) -> Iterator[Finding]:
    path = backend().database_file()
    if path is None:
        return
    if os.path.exists(path) and not os.access(path, os.W_OK):
        yield Finding(
            "database", "problem", f"The database file {path} cannot be written.", "Check its owner and permissions."
        )


Check = Callable[[datetime], Iterator[Any]]
_WITH_DATABASE: tuple[Check, ...] = (
    _disk, _worker, _oldest_due, _task_queue, _clock, _stores, _staff, _login, _integrations, _topics, _search,
)  # fmt: skip
