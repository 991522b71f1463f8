"""Mail to a member of staff about their own account."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import send_mail

logger = logging.getLogger("hookdesk.login")


def send_to(person: Any, subject: str, text: str) -> None:
    """Hand it to the task queue, so that it neither holds up nor fails a page.

    Staff may read the queue: nothing secret goes this way, and the address is looked up by the task.
    """
    from django_q.tasks import async_task

    try:
        async_task("config.accounts.mail.send_by_id", person.pk, subject, text)
    except Exception as error:  # each broker has errors of its own
        logger.warning("A mail about an account could not be handed to the task queue: %s", type(error).__name__)


def send_by_id(pk: int, subject: str, text: str) -> None:
    """The task."""
    if (person := User.objects.filter(pk=pk, is_active=True).first()) is not None:
        deliver(person, subject, text)


def deliver(person: User, subject: str, text: str) -> None:
    """Send it now; nothing if the person has no address."""
    if person.email:
        send_mail(subject, f"{text}\n\n{settings.PUBLIC_URL}\n", settings.DEFAULT_FROM_EMAIL, [person.email])
