"""The demo's receiver and its settings."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.demo import state
from config.demo.receiver import send_sms
from config.server.tcp_ports import free_port, is_port_free


def body(phone: object) -> bytes:
    return json.dumps({"request_id": "r1", "sms": {"from": "1", "phone": phone, "message": "m"}}).encode()


class TestReceiver:
    def test_a_message_is_sent_as_in_the_seed(self):
        assert send_sms(body("(123)-456-7890")) == (200, {"request_id": "r1", "summary": "SMS message sent"})

    @pytest.mark.parametrize("phone", ["0000000000", "", "(000) 000-0000", None])
    def test_a_number_that_nobody_has_is_refused(self, phone):
        status, answer = send_sms(body(phone))

        assert (status, answer["request_id"]) == (500, "r1")
        assert answer["summary"].startswith("Unable to send SMS message. Error: ")

    @pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"sms": 1, "request_id": 2}'])
    def test_nonsense_is_a_500_and_no_crash(self, raw):
        assert send_sms(raw)[0] == 500


def test_the_demo_lives_where_the_readme_says(tmp_path):
    repository = Path(__file__).resolve().parents[2]
    environment = {name: value for name, value in os.environ.items() if name != "HOOKDESK_DEMO_ROOT"}
    command = [sys.executable, "-c", "from config.demo.state import ROOT; print(ROOT)"]
    told = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=True)

    assert Path(told.stdout.strip()) == repository / ".demo"


class TestSettings:
    @pytest.fixture
    def prepared(self, monkeypatch, tmp_path):
        """Prepares a demo in an environment that is put back afterwards."""
        kept = dict(os.environ)
        monkeypatch.setattr(state, "ROOT", tmp_path / ".demo")
        monkeypatch.setattr(state, "_locks", [])
        yield lambda *arguments: state.prepare(list(arguments))
        os.environ.clear()
        os.environ.update(kept)

    def test_the_shell_s_database_is_never_used(self, prepared, tmp_path, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/real")
        prepared("--port", "8123")

        assert os.environ["DATABASE_URL"] == f"sqlite:///{tmp_path}/.demo/hookdesk.sqlite3"
        assert os.environ["PUBLIC_URL"] == "http://127.0.0.1:8123"

    def test_its_settings_can_be_used_by_other_commands(self, prepared, tmp_path):
        prepared()

        path = tmp_path / ".demo" / "env"
        assert f"SECRET_KEY={os.environ['SECRET_KEY']}\n" in path.read_text()
        assert path.stat().st_mode & 0o077 == 0

    def test_each_demo_begins_afresh(self, prepared, tmp_path):
        (tmp_path / ".demo").mkdir()
        old = tmp_path / ".demo" / "hookdesk.sqlite3-wal"
        old.write_text("old")
        prepared()

        assert not old.exists()

    def test_a_second_demo_leaves_the_first_alone(self, prepared, tmp_path):
        prepared()
        prepared()

        assert os.environ["HOOKDESK_DEMO_FOLDER"] == str(tmp_path / ".demo" / "2")

    def test_asking_for_help_touches_nothing(self, prepared, tmp_path):
        prepared("--help")

        assert not (tmp_path / ".demo").exists()


def test_a_port_that_is_taken_is_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_port_free("127.0.0.1", port)
        assert free_port("127.0.0.1", port) != port
