"""The diff in CONTRIBUTING.md is all that a new wire format takes: it is applied here at run time and pushed through."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from deliveries.models import Delivery
from integrations.api import serializers  # noqa: F401 - reads the registry once: before the tests add to it
from integrations.connectors import CONNECTORS
from integrations.models import Integration
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.static_headers import check_header_name
from tests.factories import AccessTokenFactory, StoreFactory, SubscriptionFactory

ROOT = Path(__file__).resolve().parents[3]
DIFF = re.search(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]  # type: ignore[index]
NEW_MODULE, REGISTRY = DIFF.split("--- a/integrations/wire_formats/__init__.py\n")


def after(source: str, hunks: str) -> str:
    """`source` with the hunks applied; fails where their context is not in it."""
    for hunk in re.split(r"^@@.*\n|^\+\+\+ .*\n", hunks, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if not line.startswith("+"))
        assert source.count(old) == 1 or not old, f"not there, or twice:\n{old}"
        source = source.replace(old, "".join(line[1:] for line in lines)) if old else source
    return source


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The format of the diff, in the registry that is in use."""
    source = "".join(
        line[1:] for line in NEW_MODULE.splitlines(keepends=True) if line.startswith("+") and line[1] != "+"
    )
    module = ModuleType("integrations.wire_formats.plain")
    exec(compile(source, "plain.py", "exec"), vars(module))
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    registry: dict[str, Any] = {"__name__": "integrations.wire_formats"}
    path = ROOT / "integrations" / "wire_formats" / "__init__.py"
    exec(compile(after(path.read_text(), REGISTRY), str(path), "exec"), registry)
    assert list(registry["WIRE_FORMATS"]) == [*WIRE_FORMATS, "plain"]
    monkeypatch.setitem(WIRE_FORMATS, "plain", registry["WIRE_FORMATS"]["plain"])
    return WIRE_FORMATS["plain"]


@pytest.fixture
def staff(db: None, admin_user: Any) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def test_the_desk_offers_it_with_its_icon_sentence_and_fields(plain: Any, staff: Client) -> None:
    StoreFactory()
    add = reverse("admin:integrations_integration_add")
    cards = staff.get(add).text
    assert plain.icon in cards
    assert plain.description in cards
    form = staff.get(f"{add}?kind=plain").text
    assert "Add Plain text" in form
    assert 'name="url"' in form
    assert 'name="auth_header"' not in form


def test_what_is_pushed_goes_out_in_it(plain: Any, staff: Client, receiver: Any, deliver: Any) -> None:
    store = StoreFactory()
    data = {"store": store.pk, "name": "Ticker", "url": receiver.url("/lines"), "auth_type": "none"}
    staff.post(reverse("admin:integrations_integration_add") + "?kind=plain", data)
    made = Integration.objects.get()
    assert (made.wire_format, made.kind_label, made.permanent_statuses) == ("plain", "Plain text", [])
    SubscriptionFactory(store=store, integration=made, topics=["note.created"])
    headers = AccessTokenFactory(store=store, scopes=("push",)).headers
    body = {"notes": [{"id": "1", "message": "Paper is out."}, {"id": "2"}]}
    pushed = Client().post("/api/v1/push", body, content_type="application/json", headers=headers)
    assert pushed.status_code == 202, pushed.text
    deliver()
    assert [(sent.target, sent.body) for sent in receiver.requests] == [("/lines", b"Paper is out.")]
    assert sorted(Delivery.objects.values_list("status", "last_error")) == [
        ("failed", "The payload has no text named message."),
        ("succeeded", ""),
    ]


def test_its_headers_are_reserved(plain: Any) -> None:
    with pytest.raises(ValueError, match="reserved"):
        check_header_name("X-Plain-Text")


def test_an_integration_whose_format_is_gone_still_has_a_name(db: None) -> None:
    assert "plain" not in WIRE_FORMATS
    assert Integration(wire_format="plain").kind_label == "plain"
    assert Integration(connector="fax").kind_label == "fax"
    assert "fax" not in CONNECTORS
