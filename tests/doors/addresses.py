"""Every address of the admin, read from the URL resolver, with keys filled in: those that come later are included."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")


@dataclass(frozen=True)
class Route:
    """An address below /admin/ as it is declared: `integrations/store/<uuid:pk>/tokens/`."""

    pattern: str
    name: str

    @property
    def model(self) -> str:
        return self.pattern.split("/")[1] if self.pattern.count("/") > 1 else ""

    @property
    def parameters(self) -> list[tuple[str, str]]:
        return PARAMETER.findall(self.pattern)

    @property
    def is_of_a_row(self) -> bool:
        return bool(self.parameters) and "(?P" not in self.pattern

    def filled(self, keys: list[str]) -> str:
        """The address with these keys, each escaped whole: no key leads to another route."""
        left = iter(keys)
        return "/admin/" + PARAMETER.sub(lambda _: quote(next(left), safe=""), self.pattern)


def routes() -> list[Route]:
    return [route for route in _walk(get_resolver().url_patterns, "") if "(?P<url>" not in route.pattern]


#: How many of the addresses a walk visits: others in each quick run, all in the slow ones (`make faults`).
WALKS = [pytest.param(4, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]


def some(of: list[Route], one_in: int) -> list[Route]:
    """One in so many of these, in their order. Others in each run: pytest-randomly's seed brings the same back."""
    chosen = set(random.sample(range(len(of)), -(-len(of) // one_in)))
    return [route for position, route in enumerate(of) if position in chosen]


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for found in patterns:
        pattern = prefix + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from _walk(found.url_patterns, pattern)
        elif pattern.startswith("admin/"):
            yield Route(pattern.removeprefix("admin/"), found.name or "")


def keys_of(route: Route, rows: dict[str, Model]) -> list[str]:
    """The keys of these rows, as the desk writes them."""
    return [_key(route, name, rows) for _, name in route.parameters]


def _key(route: Route, name: str, rows: dict[str, Model]) -> str:
    if name == "number":
        return "1"
    if name in rows:
        return str(rows[name].pk)
    # An address of the deliveries that is about an integration.
    about = ("deliveries/delivery/test/", "deliveries/replay/repair/")
    model = "integration" if route.pattern.startswith(about) else route.model
    return str(rows[model].pk)


def other_spellings(key: str) -> list[str]:
    """What Python, Django or a database may take for the same key, and what is none at all."""
    quoted = f"_{ord(key[0]):02X}{key[1:]}"
    found = [
        key.upper(), key.title(), key.replace("-", ""), f"{{{key}}}", f"urn:uuid:{key}", f" {key}", f"{key} ",
        f"\t{key}", f"{key}\n", f"{key}\r\n", f"\u00a0{key}", f"+{key}", f"0{key}", f"00{key}", f"-{key}", f"{key}.0",
        f"{key}e0", f"{key}_", quoted, f"%{ord(key[0]):02X}{key[1:]}", f"{key}%", f"%{key}", f"{key}\0", f"\0{key}",
        f"{key};", f"{key}/", f"/{key}", f"../{key}", f"{key}/../{key}", f"{key},{key}", f"['{key}']", f"{key}--",
        _in_digits(key, "٠"), _in_digits(key, "０"), _in_digits(key, "߀"), _in_digits(key, "𝟎"), key.replace("-", "\u2010"),
        "", " ", "0", "-1", "٣", "\0", "%", "_", "_5F", "None", "null", "9" * 19, "9" * 25, "9" * 5_000, str(2**63),
        str(2**64 + 1), "1e1", "0x1", "١٢", "’", "\ud7ff", "\U0010ffff", "00000000-0000-0000-0000-000000000000" + "0",
    ]  # fmt: skip
    return list(dict.fromkeys(text for text in found if text != key))


def _in_digits(key: str, zero: str) -> str:
    return "".join(chr(ord(zero) + int(each)) if each.isascii() and each.isdigit() else each for each in key)


#: Query strings that are no page's own, for lists and for everything else.
ODD_QUERIES = (
    "id__in=1,2,3", "id__in=" + "9" * 25, "id__in=x", "pk=1", "id=" + "9" * 25, "id__exact=%D9%A3", "user=" + "9" * 25,
    "user__password__startswith=p", "store__staff__password__startswith=p", "store__name__startswith=B",
    "token__startswith=C", "parameters__icontains=CANARY", "integration__token__contains=C", "groups__id__exact=" + "9" * 25,
    "groups__user__password__startswith=p", "groups__id__exact=x", "origin__exact=x", "origin=%00", "origin__in=push",
    "origin__regex=(", "created_at__gte=0001-01-01", "next_run__gte=0001-01-01T00:00%2B14:00", "next_run__gte=x",
    "next_run__lt=9999-12-31+23:59:59-12:00", "is_staff__exact=2", "is_staff__exact=x", "target_type=nothing",
    "target_type=%00", "_to_field=id", "_to_field=name", "_to_field=password", "_to_field=%00", "_to_field=store__name",
    "_popup=1", "_popup=1&_to_field=token_hash", "p=0", "p=-1", "p=x", "p=" + "9" * 30, "p=" + "9" * 5_000, "p=%00",
    "all=", "e=1", "o=1.2", "o=-9", "o=x", "o=" + "9" * 5_000, "o=--1", "o=%D9%A3", "o=1.1.1", "_facets=True",
    "q=%00", "q=x", "q=%22", "q=%27", "q=" + "%25" * 300, "q=" + "x" * 60_000, "q=" + "+".join("ab" for _ in range(900)),
    "q=%ED%A0%80", "q=%FF", "page=%D9%A3", "page=0", "page=" + "9" * 5_000, "page=%00", "page=x", "tab=all", "tab=%00",
    "tab=x", "window=x", "store=x", "store=%00", "store=" + "9" * 40, "store=BETA", "tab=all&store=x", "tab=all&group=%D9%A3",
    "tab=all&group=" + "9" * 30, "tab=all&integration=" + "9" * 30, "tab=all&since=0001-01-01", "tab=all&since=9999-99-99",
    "tab=all&until=9999-12-31T23:59:59-12:00", "tab=all&subscription=x", "tab=all&q=dlv_x", "before=x", "after=x",
    "before=" + "f" * 32, "integration=" + "9" * 30, "integration=%D9%A3", "integration=x&topics=%00", "kind=hub", "kind=x",
    "kind=%00", "action=edit", "action=release", "action=x", "action=%00", "resolve=x", "resolve=%00", "part=answer",
    "rate=%D9%A3", "rate=" + "9" * 5_000, "rate=0", "_changelist_filters=%00", "_changelist_filters=id__in%3D1",
    "app_label=auth&model_name=user&field_name=groups", "app_label=integrations&model_name=store&field_name=staff",
    "app_label=x&model_name=y&field_name=z", "app_label=notifications&model_name=channel&field_name=stores&term=BETA",
    "actor__startswith=B", "drop%00=1", "=", "&&&", "?", "%", "%zz", "a[]=1", "a.b__c=1", "__=1", "__in=1", "id__=1",
    "id__isnull=x", "store__in=", "data__id=1", "object_id__regex=(", "name__search=x", "func__contains=a",
    "group=%00", "group=x", "group__isnull=x", "cluster__isnull=1", "schedule_type__exact=x", "schedule_type__isnull=x",
)  # fmt: skip
