"""The tutorials' own programs, the old Intercom client, and the receivers in docs/, against this Hookdesk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.utils import timezone

from deliveries.maintenance.periodic import make_due_polls
from deliveries.models import Record
from tests.systems.programs.running import HERE, RECEIVERS, free_port, node, php, python_with, ruby, running
from tests.systems.stories import attempts, deliveries, integrate, made, publish, push, subscribe

GOLDEN = HERE.parent.parent / "golden"
CREDENTIALS = {"account_sid": "YOUR-SID", "auth_token": "YOUR-AUTH-TOKEN"}
SMS = {"id": "1", "from": "444-444-4444", "phone": "555-555-5555", "message": "Your order has shipped!"}
PIZZA = {
    "number_of_pizzas": "1",
    "pizza_toppings": "mushrooms",
    "address": "Mikocheni",
    "phone_number": "0757294146",
    "choice_confirmation": "1",
}

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
with_ruby = pytest.mark.skipif(not ruby(), reason="Ruby with Sinatra, Active Support and WEBrick is not here")
with_php = pytest.mark.skipif(not php(), reason="PHP with SimpleXML is not here")
with_node = pytest.mark.skipif(not node(), reason="Node is not here")
with_flask = pytest.mark.skipif(not python_with("flask", "dotenv"), reason="Flask and python-dotenv are not here")
with_client = pytest.mark.skipif(not python_with("intercom"), reason="python-intercom is not here")


def copied(folder: Path, **files: str) -> None:
    """Files of this folder into another, under other names: `twilio_app__rb="wombat_basic.rb"`."""
    for name, source in files.items():
        shutil.copy(HERE / source, folder / name.replace("__", "."))


def status_of_unsigned(url: str, **headers: str) -> int:
    """What the program answers to somebody who does not know the secret."""
    request = urllib.request.Request(url, b'{"chat":{},"messages":[]}', headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    return refused.value.code


def in_replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@with_ruby
class TestWombat:
    @pytest.fixture
    def app(self, request, tmp_path):
        copied(
            tmp_path,
            twilio_app__rb=request.param,
            config__ru="wombat_config.ru",
            twilio_library__rb="twilio_library.rb",
        )
        port = free_port()
        command = ["rackup", "-s", "webrick", "-o", "127.0.0.1", "-p", str(port)]
        with running(tmp_path, command, port) as program:
            yield program

    def sent(self, store, deliver, app, **sms):
        integrate(store, "twilio", url=app.url(), wire_format="hub", parameters=CREDENTIALS)
        subscribe(store, integration="twilio", path="send_sms", topics=["sms.new"])
        push(store, sms=[SMS | sms])
        deliver()
        (delivery,) = deliveries(store, "twilio")
        return delivery, attempts(store, delivery)[0]["response"]

    @pytest.mark.parametrize("app", ["wombat_basic.rb"], indirect=True)
    def test_the_basic_version_acknowledges(self, store, deliver, app):
        delivery, response = self.sent(store, deliver, app)
        assert delivery["status"] == "succeeded"
        answered = {"request_id": delivery["request_id"], "summary": "SMS message sent"}
        assert json.loads(response["body"]) == answered

    @pytest.mark.parametrize("app", ["wombat_failing.rb"], indirect=True)
    def test_the_failing_version_is_retried_with_its_own_words(self, store, deliver, app):
        delivery, _ = self.sent(store, deliver, app)
        assert (delivery["status"], delivery["last_status"]) == ("retrying", 500)
        assert delivery["last_error"] == "The receiver answered 500: Unable to send SMS message"

    @pytest.mark.parametrize("app", ["wombat_twilio.rb"], indirect=True)
    def test_the_twilio_version_gets_credentials_and_message(self, store, deliver, app):
        delivery, _ = self.sent(store, deliver, app)
        assert delivery["status"] == "succeeded"
        assert app.sent == "YOUR-SID 444-444-4444 555-555-5555 Your order has shipped!\n"

    @pytest.mark.parametrize("app", ["wombat_twilio.rb"], indirect=True)
    def test_the_twilio_version_refuses_a_bad_number_until_it_is_mended(self, store, deliver, app):
        delivery, _ = self.sent(store, deliver, app, phone="0000000000")
        assert "Error: The 'To' number 0000000000 is not a valid phone number." in delivery["last_error"]
        made(store.post(f"deliveries/{delivery['id']}/resolve", {"action": "edit", "payload": SMS, "reason": "typo"}))
        deliver()
        assert deliveries(store, "twilio")[0]["status"] == "succeeded"
        assert app.sent.count("\n") == 1

    def test_the_receiver_of_the_docs(self, store, deliver, tmp_path):
        port = free_port()
        command = ["ruby", str(RECEIVERS / "wombat.rb")]
        with running(tmp_path, command, port, PORT=str(port), HUB_TOKEN="t0ken") as app:
            integrate(store, "app", url=app.url(), wire_format="hub", auth_type="hub", token="t0ken")
            subscribe(store, integration="app", path="send_sms", topics=["sms"])
            subscribe(store, integration="app", path="get_orders", poll_every=60)
            push(store, sms=[SMS, SMS | {"id": "2", "phone": "0000000000"}])
            make_due_polls(timezone.now())
            deliver()
        assert [(d["event"]["topic"], d["status"]) for d in deliveries(store, "app")] == [
            ("sms.created", "succeeded"),
            ("sms.created", "retrying"),
            ("poll", "succeeded"),
        ]
        assert Record.objects.get(type="order").external_id == "R1001"


class TestIntercom:
    def notified(self, store, deliver, url):
        subscription = subscribe(store, url=url, topics=["users.created"], hub_secret="HELLO")
        deliver()
        publish(store, topic="user.created", data={"type": "user", "id": "5731e7a3ec06c24bee0000f5"})
        deliver()
        sent = store.get(f"subscriptions/{subscription['id']}/sent").json()["notifications"]
        assert [item["topic"] for item in sent] == ["user.created", "ping"]

    @with_ruby
    def test_the_tutorials_receiver_finds_that_the_signature_matches(self, store, deliver, tmp_path):
        copied(tmp_path, webhooks_server__rb="intercom.rb")
        port = free_port()
        command = ["ruby", "webhooks_server.rb", "-p", str(port)]
        with running(tmp_path, command, port) as app:
            self.notified(store, deliver, app.url("/webhook"))
        assert app.printed.count(" Match\n") == 2
        assert "MISMATCH" not in app.printed
        assert '"topic"=>"user.created"' in app.printed

    @with_ruby
    def test_the_ruby_receiver_of_the_docs(self, store, deliver, tmp_path):
        port = free_port()
        command = ["ruby", str(RECEIVERS / "intercom.rb")]
        with running(tmp_path, command, port, PORT=str(port), HUB_SECRET="HELLO") as app:
            self.notified(store, deliver, app.url("/webhook"))
            assert status_of_unsigned(app.url("/webhook")) == 401
        assert "user.created notif_" in app.printed

    def test_the_python_receiver_of_the_docs(self, store, deliver, tmp_path):
        port = free_port()
        command = [sys.executable, str(RECEIVERS / "intercom.py")]
        with running(tmp_path, command, port, PORT=str(port), HUB_SECRET="HELLO") as app:
            self.notified(store, deliver, app.url("/webhook"))
            assert status_of_unsigned(app.url("/webhook")) == 401
        assert "user.created notif_" in app.printed

    @with_client
    def test_the_published_client_works_unchanged(self, store, receiver, deliver, live_server):
        command = [python_with("intercom"), str(HERE / "intercom_client.py")]
        arguments = [f"{live_server.url}/api/v1", store.token.text, receiver.url("/webhook")]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "created": [["user.created"], True, receiver.url("/webhook"), "web"],
            "found": True,
            "all": True,
            "saved": ["user.created", "contact"],
            "posted": ["user"],
            "metadata": {"event_names": ["invited"]},
            "pinged": True,
            "sent": "notification.list",
            "error": [],
            "deleted": True,
            "left": 2,
            "not_found": "There is no such subscription in this store.",
            "refused": "topics or intents are required.",
        }
        deliver()
        assert all(json.loads(request.body)["topic"] == "ping" for request in receiver.requests)


@with_flask
class TestSarufi:
    def ordered(self, store, deliver, url):
        integrate(store, "pizza", url=url, wire_format="flat")
        subscribe(store, integration="pizza", intents=["order_pizza"])
        for choice in ("1", "2"):
            publish(store, intent="order_pizza", data=PIZZA | {"choice_confirmation": choice})
        deliver()
        assert [d["status"] for d in deliveries(store, "pizza")] == ["succeeded", "succeeded"]

    def test_the_tutorials_flask_app_notifies_the_operator_of_confirmed_orders(self, store, deliver, tmp_path):
        (tmp_path / "twilio").mkdir()
        (tmp_path / "twilio" / "__init__.py").touch()
        copied(tmp_path, main__py="sarufi.py.txt")
        shutil.copy(HERE / "twilio_library.py", tmp_path / "twilio" / "rest.py")
        port = free_port()
        command = [python_with("flask", "dotenv"), "-m", "flask", "--app", "main", "run", "--port", str(port)]
        with running(tmp_path, command, port, phone_number="+255700000001", PYTHONPATH=str(tmp_path)) as app:
            self.ordered(store, deliver, app.url("/new-order"))
        (line,) = app.sent.splitlines()
        assert json.loads(line)["to"] == "+255700000001"
        assert "placed an order of 1 pizza with mushrooms toppings" in json.loads(line)["body"]
        assert "new order cancelled" in app.printed

    def test_the_receiver_of_the_docs(self, store, deliver, tmp_path):
        port = free_port()
        command = [python_with("flask", "dotenv"), str(RECEIVERS / "sarufi.py")]
        with running(tmp_path, command, port, PORT=str(port)) as app:
            self.ordered(store, deliver, app.url("/new-order"))
        assert "new order: 1 pizza with mushrooms to Mikocheni, call 0757294146" in app.printed
        assert "new order cancelled" in app.printed


@with_php
class TestSpiffy:
    def posted(self, store, deliver, url):
        order = json.loads((GOLDEN / "spiffy_order.json").read_text())
        integrate(store, "hook", url=url, wire_format="xml", additional_data="7e7d30d6669234475f1baac97d33669234")
        subscribe(store, integration="hook", topics=["order.created"])
        push(store, orders=[order | {"id": 1, "buyer_accepts_marketing": True}, order | {"id": 2}])
        deliver()
        found = deliveries(store, "hook")
        return found, [attempts(store, delivery)[0]["response"] for delivery in found]

    @pytest.mark.parametrize("is_key_right", [True, False])
    def test_the_sample_web_hook(self, store, deliver, tmp_path, is_key_right):
        copied(tmp_path, hook__php="spiffy.php")
        if is_key_right:
            in_replaced(tmp_path / "hook.php", "0c1c9920-5c9c-012d-bd34-000c295ec56b", str(store.store.id))
        in_replaced(tmp_path / "hook.php", "....", "$result = '' != (string) $req_xml->email;")
        port = free_port()
        with running(tmp_path, ["php", "-S", f"127.0.0.1:{port}", "hook.php"], port) as app:
            found, responses = self.posted(store, deliver, app.url("/your-web-hook-path"))
        if is_key_right:
            assert [d["status"] for d in found] == ["succeeded", "succeeded"]
            assert [response["body"] for response in responses] == ["Success", ""]
        else:
            assert [d["last_status"] for d in found] == [403, 403]
            assert [d["status"] for d in found] == ["retrying", "retrying"]

    def test_the_receiver_of_the_docs(self, store, deliver, tmp_path):
        port = free_port()
        command = ["php", "-S", f"127.0.0.1:{port}", str(RECEIVERS / "spiffy.php")]
        with running(tmp_path, command, port, SPIFFY_KEY=str(store.store.id)) as app:
            _, responses = self.posted(store, deliver, app.url())
        assert [response["body"] for response in responses] == ["Success", "Not subscribed"]
        assert "#99999 paid: 2 x ITEM001" in app.printed


@with_node
class TestTurn:
    def test_the_receiver_of_the_docs(self, store, deliver, tmp_path):
        port = free_port()
        secret = "a-secret-made-up-for-this-test"
        command = [node(), str(RECEIVERS / "turn.js")]
        asked = {"chat": {"owner": "+27820001001"}, "messages": [{"type": "text", "text": {"body": "hi"}}]}
        with running(tmp_path, command, port, PORT=str(port), TURN_SECRET=secret, TURN_TOKEN="123") as app:
            body = integrate(
                store, "turn", url=app.url("/hook"), wire_format="turn", auth_type="bearer", token="123", secret=secret
            )
            assert body["handshake"]["ok"] is True
            assert status_of_unsigned(app.url("/hook"), Authorization="Bearer 123") == 403
            context = made(store.post("integrations/turn/context", asked))
            assert context["context_objects"]["member"] == {"Address": "+27820001001", "Language": "English"}
            assert context["suggested_responses"][0]["body"] == 'Thank you for "hi"'
            action = {"address": "+27820001001", "option": "swa"}
            assert made(store.post("integrations/turn/actions/change_language", action))["refresh"] is True
            context = made(store.post("integrations/turn/context", asked))
            assert context["context_objects"]["member"]["Language"] == "Kiswahili"
            subscribe(store, integration="turn", topics=["message"])
            publish(store, topic="message.created", data={"text": "hi"})
            deliver()
        assert deliveries(store, "turn")[0]["status"] == "succeeded"
