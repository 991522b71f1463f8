"""Host names of new URLs are looked up before the transaction: the DNS may take its time."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from config.as_code.document import ConfigurationError, Entry
from config.as_code.references import Place
from integrations.models import Integration
from integrations.services.values import check_destination
from integrations.transport import UrlRefused, check_url, current_policy


def check_destinations(entries: Iterable[Entry]) -> None:
    """Raises ConfigurationError for URLs whose names lead to forbidden addresses only; each host is asked for once.

    What else may be wrong with a URL, the services say.
    """
    known = set(Integration.objects.alive().values_list("url", flat=True))
    problems: list[tuple[Place, str]] = []
    hosts: dict[str, str | None] = {}
    for entry in entries:
        url = entry.values.get("url")
        if isinstance(url, str) and url and url not in known and (host := _host(url)):
            if host not in hosts:
                hosts[host] = _refusal(url)
            if (why := hosts[host]) is not None:
                problems.append(((*entry.place, "url"), why))
    if problems:
        raise ConfigurationError(problems)


def _host(url: str) -> str:
    try:
        return urlsplit(check_url(url.strip(" "), current_policy())).hostname or ""
    except (UrlRefused, ValueError):
        return ""


def _refusal(url: str) -> str | None:
    try:
        check_destination(url)
    except ValidationError as error:
        return " ".join(error.messages)
    return None
