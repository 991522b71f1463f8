"""`manage.py export`, `apply` and `schema`, as people and pipelines call them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from integrations.models import Store
from tests.factories import IntegrationFactory, StoreFactory

pytestmark = pytest.mark.django_db


def printed(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Any) -> Any:
    path = tmp_path / "hookdesk.yaml"
    path.write_text("version: 1\nstores: [{name: Shop}]\ntopics: [{name: a.b}]\n")
    return path


def test_a_plan_exits_2_with_differences_and_0_without(file):
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("apply", str(file), "--plan", stdout=out)
    assert caught.value.code == 2
    assert out.getvalue() == "+ store Shop\n+ topic Shop / a.b\n\n2 to create.\n"
    assert not Store.objects.exists()
    assert printed("apply", str(file)) == "+ store Shop\n+ topic Shop / a.b\n\n2 created.\n"
    assert printed("apply", str(file), "--plan") == "No difference: everything is as the file says.\n"
    document = json.loads(printed("apply", str(file), "--plan", "--json"))
    assert document == {"ok": True, "plan": True, "create": 0, "change": 0, "delete": 0, "changes": []}


def test_what_is_wrong_is_listed_for_people_and_programs(file):
    file.write_text("version: 1\nstores: [{nmae: Shop}]\n")
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("apply", str(file), "--json", stdout=out)
    assert "stores[0].nmae: Unknown key. Did you mean name?" in str(caught.value)
    found = json.loads(out.getvalue())
    assert found["ok"] is False
    assert found["errors"][0]["path"] == "stores[0].nmae"
    file.write_bytes(b"version: \xff")
    with pytest.raises(CommandError, match="not UTF-8: byte 10"):
        call_command("apply", str(file))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("apply", "/nowhere.yaml")


def test_one_store_can_be_exported_by_id():
    store = StoreFactory(name="Käse & Söhne")
    IntegrationFactory(store=store, slug="mirror", token="canary")
    IntegrationFactory(slug="of-another")
    text = printed("export", "--store", str(store.pk))
    assert "name: Käse & Söhne" in text
    assert "of-another" not in text
    assert "canary" not in text
    assert "env: KASE_SOHNE_INTEGRATION_MIRROR_TOKEN" in text


def test_the_schema_is_json():
    assert json.loads(printed("schema"))["properties"]["version"] == {"const": 1}
