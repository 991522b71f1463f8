"""Moving to another database: everything arrives as it was, or nothing does and it says why."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.deployment.conftest import Site

URL = "http://127.0.0.1:9/hook"
FILL = f"""
import json
from django.contrib.auth.models import User
from django.core.management import call_command
from integrations.foundation.audit import Actor
SYSTEM = Actor(None, "a test")
from integrations.models import Store
from integrations.services import create_integration
from subscriptions.services import create_subscription
store = Store.objects.create(name="Käse & Söhne")
integration = create_integration(store=store, actor=SYSTEM, name="Mirror", url="{URL}", headers={{"X-Two": "2", "X-A": "1"}})
create_subscription(store=store, actor=SYSTEM, integration=integration, topics=["user.*"])
for name in ("anna", "ben"):
    User.objects.create_user(name, password="a long password 1")
User.objects.get(username="ben").delete()
"""
#: What staff and receivers would miss, in words that are the same on both databases.
LOOK = """
import json
from django.contrib.auth.models import User
from deliveries.models import Delivery, Event
from integrations.models import Integration, Secret
print(json.dumps([
    sorted([str(event.id), event.topic, event.data, event.created_at.isoformat()] for event in Event.objects.all()),
    sorted([str(delivery.id), delivery.status] for delivery in Delivery.objects.all()),
    [secret.value for secret in Secret.objects.order_by("id")],
    [[one.slug, one.url, sorted(one.headers.items()), str(one.uuid)] for one in Integration.objects.all()],
    [[user.username, user.check_password("a long password 1")] for user in User.objects.all()],
]))
"""


def fill(site: Site, folder: Path) -> None:
    """A store that delivers, with secrets, staff of whom one has left, and 1100 events in unlike scripts."""
    site.environment["OUTBOUND_ALLOW"] = "127.0.0.0/8"
    site.python(FILL)
    lines = [json.dumps({"users": [{"id": str(number), "name": "Zoë ☂ 𝄞 \\", "n": 1.5}]}) for number in range(1100)]
    file = folder / "pushed.ndjson"
    file.write_text("\n".join(lines))
    site.manage("push", str(file))


@pytest.mark.postgresql
def test_what_was_on_sqlite_is_on_postgresql_with_its_keys_ids_and_times(
    sqlite_site: Site, postgresql_site: Site, tmp_path: Path
) -> None:
    fill(sqlite_site, tmp_path)
    report = sqlite_site.json("copydatabase", "--to", postgresql_site.url)
    rows = {table["table"]: table["rows"] for table in report["tables"]}
    assert (rows["deliveries_event"], rows["deliveries_delivery"], rows["deliveries_record"]) == (1100, 1100, 1100)
    assert rows["auth_user"] == 1
    assert postgresql_site.python(LOOK) == sqlite_site.python(LOOK)


@pytest.mark.postgresql
def test_the_way_back_is_the_same_command(sqlite_site: Site, postgresql_site: Site, tmp_path: Path) -> None:
    fill(postgresql_site, tmp_path)
    postgresql_site.manage("copydatabase", "--to", sqlite_site.url)
    assert sqlite_site.python(LOOK) == postgresql_site.python(LOOK)


@pytest.mark.postgresql
def test_ids_are_not_given_out_twice_not_even_those_of_rows_that_are_gone(
    sqlite_site: Site, postgresql_site: Site
) -> None:
    sqlite_site.python(FILL.replace(URL, "https://example.com/"))
    sqlite_site.manage("copydatabase", "--to", postgresql_site.url)
    make = "from django.contrib.auth.models import User; print(User.objects.create_user('cleo').id)"
    assert postgresql_site.python(make) == "3"


@pytest.mark.postgresql
def test_the_new_database_notices_configuration_changes_as_the_old_one_did(
    sqlite_site: Site, postgresql_site: Site
) -> None:
    sqlite_site.manage("createstore", "Shop")
    sqlite_site.manage("copydatabase", "--to", postgresql_site.url)
    clock = (
        "from django.db import connection; cursor = connection.cursor();"
        " cursor.execute('SELECT version FROM integrations_configclock'); print(cursor.fetchone()[0])"
    )
    before = int(postgresql_site.python(clock))
    assert before == int(sqlite_site.python(clock))
    postgresql_site.manage("createstore", "Another")
    assert int(postgresql_site.python(clock)) > before


def test_a_copy_into_sqlite_has_the_same_triggers(sqlite_site: Site, empty_copy: Site) -> None:
    sqlite_site.manage("createstore", "Shop")
    sqlite_site.manage("copydatabase", "--to", empty_copy.url)
    listed = []
    for site in (sqlite_site, empty_copy):
        with closing(sqlite3.connect(site.url.removeprefix("sqlite:///"))) as database:
            listed.append(sorted(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")))
    assert listed[0] == listed[1] != []


def test_a_database_that_is_in_use_is_not_overwritten(sqlite_site: Site, empty_copy: Site) -> None:
    empty_copy.manage("createstore", "Somebody's")
    assert "not empty" in sqlite_site.refuses("copydatabase", "--to", empty_copy.url)
    assert empty_copy.python("from integrations.models import Store; print(Store.objects.get().name)") == "Somebody's"


def test_a_database_without_tables_is_to_be_migrated_first(sqlite_site: Site, tmp_path: Path) -> None:
    said = sqlite_site.refuses("copydatabase", "--to", f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert "manage.py migrate" in said


def test_nothing_is_copied_under_engines_that_run(sqlite_site: Site, empty_copy: Site) -> None:
    sqlite_site.python(
        "import uuid\nfrom django.utils import timezone\nfrom deliveries.models import Engine\nnow = timezone.now()\n"
        "Engine.objects.create(host='a', slot=0, token=uuid.uuid4(), pid=1, started_at=now, beat_at=now)"
    )
    assert "Stop all web servers and workers first" in sqlite_site.refuses("copydatabase", "--to", empty_copy.url)


def test_a_row_that_refers_to_nothing_stops_the_copy_and_the_target_stays_empty(
    sqlite_site: Site, empty_copy: Site
) -> None:
    sqlite_site.manage("createstore", "Shop")
    with closing(sqlite3.connect(sqlite_site.url.removeprefix("sqlite:///"))) as database:
        database.execute("DELETE FROM integrations_store")
        database.commit()
    sqlite_site.refuses("copydatabase", "--to", empty_copy.url)
    assert empty_copy.python("from integrations.models import AccessToken; print(AccessToken.objects.count())") == "0"


@pytest.mark.parametrize("url", ["nonsense", "mysql://root@127.0.0.1/x", "postgres://nobody@127.0.0.1:9/x"])
def test_a_target_that_cannot_be_is_refused_in_words(sqlite_site: Site, url: str) -> None:
    assert "CommandError" in sqlite_site.refuses("copydatabase", "--to", url)
