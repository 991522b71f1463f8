"""The package of docs/examples is installed without a network and used end to end, beside packages that are broken."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.deployment.conftest import ROOT, Site

EXAMPLE = ROOT / "docs" / "examples" / "hookdesk-example"
#: Entry points of packages that cannot be used, by package: group, name, source of the module, and what doctor says.
BROKEN = {
    "leaves": ("connectors", "leaves", "raise SystemExit(3)", "SystemExit: 3"),
    "typo": ("functions", "typo", "import no_such_module", "No module named 'no_such_module'"),
    "clash": ("wire_formats", "standard", "thing = object()", "belongs to Hookdesk itself"),
    "clash-of-cards": ("wire_formats", "mailchimp", "thing = object()", "belongs to Hookdesk itself"),
    "clash-of-function": ("functions", "sort_by", "def thing(): pass", "belongs to Hookdesk itself"),
    "second": ("sources", "gitlab", "thing = object()", "belongs to the package hookdesk-example 1.0.0"),
    "tomorrow": ("channels", "later", "HOOKDESK_INTERFACE = 2\nthing = object()", "written for version 2"),
    "nothing": ("channels", "nothing", "thing = 5", "inheriting from Provider"),
    "badly-named": ("functions", "a-b", "def thing(): pass", "is no name for it"),
}
SCRIPT = """
import json, os
from django.test import Client
from django.utils import timezone
from deliveries.dispatch.engine import DeliveryEngine
from deliveries.models import Delivery
from deliveries.runtime.registry import deregister, register
from integrations.foundation.audit import Actor
from integrations.models import Source
from integrations.services import create_integration, create_source, issue_token
from integrations.services.stores import create_store
from notifications.channel_services import save_channel
from notifications.outbox import send_test
from subscriptions.expressions.evaluation import function_help
from subscriptions.services import create_subscription

me, url = Actor(None, "a test"), os.environ["RECEIVER"]
store = create_store(actor=me, name="Shop")
integration = create_integration(store=store, actor=me, name="Forms", wire_format="form", url=url + "/form")
create_subscription(store=store, actor=me, integration=integration, topics=["issue.open"],
                    transform="{who: initials(object_attributes.title)}")
source = create_source(store=store, actor=me, name="Lab", kind="gitlab")
secret = source.active_secrets(timezone.now())[0]
request = source.adapter.sample(secret, source.address, {}, timezone.now(), "uuid-1")
path = "/in/" + source.address.rpartition("/")[2]
headers = {name: value for name, value in request.headers.items() if name != "content-type"}
answers = [Client(HTTP_HOST="localhost").post(path, request.body, content_type="application/json", headers=headers).status_code]
answers.append(Client(HTTP_HOST="localhost").post(path, request.body, content_type="application/json").status_code)
engine = DeliveryEngine(register(timezone.now()))
while True:
    engine.cycle()
    if not engine.dispatches and not engine.results:
        break
    engine.collect(5.0)
engine.transport.close()
channel = save_channel(channel=None, store=store, actor=me,
                       values={"name": "Chat", "kind": "mattermost", "options": {"url": url + "/chat"}})
send_test(channel=channel, recipient=channel.recipients[0])
print(json.dumps({
    "answers": answers,
    "deliveries": list(Delivery.objects.values_list("status", flat=True)),
    "help": [line for line in function_help() if "initials" in line],
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in a folder of its own, as pip puts it there, without the network."""
    source, target = (tmp_path_factory.mktemp("example") / name for name in ("source", "target"))
    shutil.copytree(EXAMPLE, source)
    command = ("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    done = subprocess.run(
        [sys.executable, "-m", *command, str(source)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{done.stderr}\nIt needs the setuptools of requirements-dev.lock: make setup"
    return target


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = tmp_path / "broken"
    for package, (group, name, source, _) in BROKEN.items():
        module = f"broken_{package.replace('-', '_')}"
        about = folder / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: x-{package}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[hookdesk.{group}]\n{name} = {module}:thing\n")
    return folder


@pytest.fixture
def site(sqlite_site: Site, installed: Path, broken: Path) -> Site:
    sqlite_site.environment["PYTHONPATH"] = f"{installed}{os.pathsep}{broken}"
    return sqlite_site


@pytest.fixture
def chat_and_forms() -> Iterator[Any]:
    from tests.receiver import Receiver, answer

    with Receiver() as server:
        server.script(answer(200))
        yield server


def test_its_format_source_channel_and_function_work_end_to_end(site: Site, chat_and_forms: Any) -> None:
    site.environment |= {"OUTBOUND_ALLOW": "127.0.0.0/8", "RECEIVER": chat_and_forms.url("").rstrip("/")}
    found = json.loads(site.python(SCRIPT))
    assert found["answers"] == [202, 401]
    assert found["deliveries"] == ["succeeded"]
    assert found["help"] == ["initials(text): the first letter of each word, as capitals."]
    form, chat = chat_and_forms.requests
    assert (form.target, parse_qs(form.body.decode())) == ("/form", {"who": ["NA"]})
    assert chat.target == "/chat"
    assert "test" in json.loads(chat.body)["text"].lower()


def test_packages_that_cannot_be_used_are_named_by_doctor_and_stop_nothing(site: Site) -> None:
    done = site.run("doctor", "--json")
    findings = [one for one in json.loads(done.stdout)["findings"] if one["check"] == "extension"]
    said = {one["message"].split()[2]: one["message"] for one in findings if one["level"] == "problem"}
    assert sorted(said) == sorted(f"x-{package}" for package in BROKEN)
    for package, (_, name, _, words) in BROKEN.items():
        assert f"'{name}'" in said[f"x-{package}"]
        assert words in said[f"x-{package}"]
    [used] = [one["message"] for one in findings if one["level"] == "ok"]
    for part in ("form", "gitlab", "mattermost", "initials"):
        assert part in used


def test_its_own_tests_pass(installed: Path) -> None:
    tests = EXAMPLE / "tests"
    command = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django", "-c", os.devnull, f"--rootdir={tests}")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", *command, str(tests)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
