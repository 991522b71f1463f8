"""Mail to a member of staff about their own account."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import send_mail


def send_to(person: Any, subject: str, text: str) -> None:
    """Hand it to the task queue; nothing if the person has no address. It never holds up a page.

    Staff may read the queue, so nothing secret goes this way.
    """
    if person.email:
        from django_q.tasks import async_task

        async_task("config.accounts.mail.deliver", person.email, subject, text)


def deliver(address: str, subject: str, text: str) -> None:
    """Send it now."""
    send_mail(subject, f"{text}\n\n{settings.PUBLIC_URL}\n", settings.DEFAULT_FROM_EMAIL, [address])
