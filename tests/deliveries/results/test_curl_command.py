"""A request as a command that a shell runs as it was, with placeholders for credentials."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.results.curl_command import curl_command

URL = "https://shop.example.com/hook?sku=a b&q=it's"


def words(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " "))


def test_masked_credentials_become_placeholders_named_after_their_header() -> None:
    headers = [["Authorization", "Bearer ***"], ["X-Hub-Token", "***"], ["Content-Type", "application/json"]]

    command = curl_command(method="POST", url="https://a.example/?key=***", headers=headers, body='{"t":"***"}')

    assert words(command) == [
        "curl", "-i", "-X", "POST", "https://a.example/?key=YOUR_SECRET",
        "-H", "Authorization: Bearer YOUR_AUTHORIZATION", "-H", "X-Hub-Token: YOUR_X_HUB_TOKEN",
        "-H", "Content-Type: application/json", "--data-raw", '{"t":"YOUR_SECRET"}',
    ]  # fmt: skip


def test_what_curl_writes_itself_is_left_to_it() -> None:
    headers = [["Host", "x"], ["Content-Length", "3"], ["Accept-Encoding", "gzip"], ["User-Agent", "Hookdesk"]]

    assert words(curl_command(method="GET", url=URL, headers=headers, body="")) == [
        "curl", "-i", "-X", "GET", URL, "-H", "User-Agent: Hookdesk",
    ]  # fmt: skip


@given(
    st.text(st.characters(blacklist_characters="\0\\", blacklist_categories=["Cs"])).filter(lambda t: "***" not in t)
)
def test_any_text_comes_through_the_shell_as_it_is(text: str) -> None:
    command = curl_command(method="POST", url=URL, headers=[["X-Note", text]], body=f"x{text}")

    assert words(command)[5:] == ["-H", f"X-Note: {text}", "--data-raw", f"x{text}"]


@pytest.mark.parametrize("nasty", ["'; touch /nowhere/x; '", "$(id)", "`id`", '"', "a\nb", "\\", "!!"])
def test_a_real_shell_takes_the_body_as_data(nasty: str) -> None:
    command = curl_command(method="POST", url=URL, headers=[], body=json.dumps({"note": nasty}))

    shown: Any = subprocess.run(
        ["/bin/sh", "-c", command.replace("curl ", "printf '%s\\n' ", 1)], capture_output=True, text=True, check=True
    )
    assert json.dumps({"note": nasty}) in shown.stdout
