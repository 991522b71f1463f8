"""What becomes of DATABASE_URL: several hosts, and what a connection that got lost is noticed by."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PRINT = (
    "import json; from django.db import connection as c; p = c.get_connection_params();"
    "print(json.dumps({k: v for k, v in p.items() if isinstance(v, str | int)}))"
)


def parameters(url):
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", PRINT], cwd=ROOT, env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_two_hosts_and_which_of_them_is_wanted_reach_the_driver():
    pytest.importorskip("psycopg")
    found = parameters("postgres://u:p@db1:5432,db2:5433/hookdesk?target_session_attrs=read-write")
    assert (found["host"], found["port"], found["dbname"]) == ("db1,db2", "5432,5433", "hookdesk")
    assert found["target_session_attrs"] == "read-write"


def test_a_server_that_vanishes_is_noticed_in_seconds_unless_the_url_says_otherwise():
    pytest.importorskip("psycopg")
    found = parameters("postgres://u@db/hookdesk?tcp_user_timeout=60000")
    assert (found["keepalives_idle"], found["connect_timeout"], found["tcp_user_timeout"]) == (10, 5, 60_000)
