"""`manage.py mcp` says why it does not start, and asks the API for nothing but reading, previews and proposals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.mcp_server.api import API, APIFailure
from config.mcp_server.server import tools
from tests.factories import AccessTokenFactory


@pytest.mark.django_db(transaction=True)  # the application closes its connection after each request
@pytest.mark.parametrize(
    ("token", "options", "words"),
    [
        ("", [], "Give a token"),
        ("hkd_nobody_0", [], "401"),
        ("push", [], "may not read"),
        ("hkd_nobody_0", ["--url", "ftp://x"], "must begin with http"),
        ("hkd_nobody_0", ["--url", "http://127.0.0.1:9"], "does not answer"),
    ],
)
def test_it_says_why_it_does_not_start(token: str, options: list[str], words: str) -> None:
    if token == "push":
        token = AccessTokenFactory(scopes=("push",)).text
    with pytest.raises(CommandError, match=words):
        call_command("mcp", "--token", token, *options)


class Recorder(API):
    """Answers everything, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__("token")
        self.asked: list[tuple[str, str, Any]] = []

    def send(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append((method, target, json.loads(body) if body else None))
        return 200, json.dumps({"items": [], "pages": {"next": None}}).encode()


EXAMPLES: dict[str, Any] = {"str": "x", "dict[str, Any]": {}, "list[dict[str, Any]]": []}


def test_every_tool_reads_previews_or_proposes() -> None:
    api = Recorder()
    for function, is_read_only in tools(api):
        api.asked.clear()
        needed = [name for name in function.__annotations__ if name != "return"]
        optional = len(function.__defaults__ or ())
        needed = needed[: len(needed) - optional] if optional else needed
        function(**{name: EXAMPLES.get(str(function.__annotations__[name]), "retry") for name in needed})
        for method, target, body in api.asked:
            if is_read_only:
                assert method == "GET" or target.endswith(("/preview", "/simulate")) or body["dry_run"] is True
            else:
                assert (method, body["propose"]) == ("POST", True)
        assert api.asked


def test_only_previews_are_asked_for_as_previews() -> None:
    with pytest.raises(KeyError):
        Recorder().preview("recipes/apply", {})


def test_a_refusal_is_told_with_its_field() -> None:
    class Refusing(Recorder):
        def send(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
            errors = [{"code": "parameter_invalid", "field": "since", "message": "It is no time."}]
            return 400, json.dumps({"type": "error.list", "errors": errors}).encode()

    with pytest.raises(APIFailure, match="400: since: It is no time"):
        Refusing().get("deliveries", since="x")
