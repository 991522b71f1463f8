"""In which language something is written that is no page: pages are in their viewer's."""

from __future__ import annotations

from contextlib import AbstractContextManager

from django.conf import settings
from django.utils import translation


def staff_language() -> AbstractContextManager[None]:
    """For what is written for all of the staff: messages of channels, notifications, e-mails about them."""
    return translation.override(settings.DESK_LANGUAGE)


def english() -> AbstractContextManager[None]:
    """For what is stored and read by programs and by people of all languages: errors, audit entries."""
    return translation.override(settings.LANGUAGE_CODE)


def gettext_noop(message: str) -> str:
    """Mark a text that is translated where it is shown. Django's own reads the settings, which wire formats, connectors
    and the settings themselves are loaded without.
    """
    return message
