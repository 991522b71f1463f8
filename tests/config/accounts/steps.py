"""Steps of logging in that several tests take."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client, TestCase
from django.urls import reverse

from tests.factories import UserFactory

PASSWORD = "correct horse battery"
ACTIVATE = "/accounts/2fa/totp/activate/"


def person(role: str | None = None, **values: Any) -> User:
    user: User = UserFactory(is_superuser=role is None, **values)
    user.set_password(PASSWORD)
    user.save()
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def enter(client: Client, user: User, password: str = PASSWORD, wanted: str = "/admin/") -> Any:
    data = {"username": user.get_username(), "password": password, "next": wanted}
    return client.post(reverse("admin:login"), data)


def code_of(secret: str, at: float | None = None) -> str:
    """RFC 6238, as any authenticator app computes it."""
    counter = struct.pack(">Q", int(at if at is not None else time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def set_up_app(client: Client) -> tuple[str, list[str]]:
    """The secret of a new authenticator app, and the recovery codes."""
    secret = re.search(r"<pre[^>]*>([A-Z2-7]{32})</pre>", client.get(ACTIVATE).content.decode())[1]  # type: ignore[index]
    with TestCase.captureOnCommitCallbacks(execute=True):
        done: Any = client.post(ACTIVATE, {"code": code_of(secret)})
    assert done.status_code == 302, done.content.decode()[-500:]
    return secret, re.findall(r"\b\d{10}(?=\n)", client.get(done.url).content.decode(), re.MULTILINE)


def is_in(client: Client) -> bool:
    return client.get(reverse("admin:index")).status_code == 200
