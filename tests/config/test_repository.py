"""What stands in two places of the repository says the same in both."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from integrations.foundation.version import VERSION
from integrations.wire_formats.base import USER_AGENT

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OPENAPI = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT["project"]
    module, _, name = PROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    assert getattr(importlib.import_module(module), name) == VERSION
    assert f"Hookdesk/{VERSION}" == USER_AGENT
    assert settings.SPECTACULAR_SETTINGS["VERSION"] == VERSION
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION


def test_the_committed_openapi_file_is_what_the_code_generates() -> None:
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    generated = OpenApiYamlRenderer().render(schema, renderer_context={}).decode()
    committed = (ROOT / "docs" / "openapi.yaml").read_text()
    assert committed == generated, "The API has changed: run `make openapi`, and look at the difference."


def test_the_workflow_tests_the_versions_that_are_promised_on_both_databases() -> None:
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    oldest = re.fullmatch(r">=(3\.\d+)", PROJECT["project"]["requires-python"])
    assert oldest is not None
    assert matrix["python"][0] == oldest[1]
    assert matrix["database"] == ["sqlite", "postgresql"]


@pytest.mark.parametrize("job", ["check", "test"])
def test_the_workflow_leaves_everything_to_the_script_that_runs_anywhere(job: str) -> None:
    steps: list[dict[str, Any]] = WORKFLOW["jobs"][job]["steps"]
    assert [step.get("run") for step in steps] == [None, f".ci/run {job}"]


def test_hooks_run_what_is_installed_and_fetch_nothing() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    assert {repository["repo"] for repository in repositories} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)


def test_every_decision_is_listed_in_order_and_says_what_was_decided() -> None:
    folder = ROOT / "docs" / "adr"
    pages = sorted(page.name for page in folder.glob("0*.md"))
    index = (folder / "README.md").read_text()
    assert re.findall(r"\]\((0\d{3}-[\w-]+\.md)\)", index) == pages
    for page in pages:
        text = (folder / page).read_text()
        title = re.match(r"# (\d{4}) (.+)\n", text)
        assert title is not None, page
        assert (title[1], f"| [{title[1]}]({page}) | {title[2]} |" in index) == (page[:4], True)
        for part in ("**Decided.**", "**Why.**", "**What it costs.**", "**Think again if**"):
            assert part in text, f"{page} has no {part}"


def section(title: str) -> str:
    """The part of the contract under this heading, with its subsections."""
    contract = (ROOT / "docs" / "contract.md").read_text()
    match = re.search(rf"^(#+) {title}\n(.*?)(?=^#{{1,3}} |\Z)", contract, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/contract.md has no section {title}"
    return match[2]


@pytest.mark.parametrize(
    ("schema", "title"),
    [
        ("Integration", "Integrations"),
        ("Topic", "Topics"),
        ("Delivery", "Deliveries"),
        ("Attempt", "Deliveries"),
        ("WholeEvent", "Events"),
        ("Notification", "Notifications"),
        ("Health", "Integrations"),
        ("Subscription", "Subscriptions API"),
    ],
)
def test_the_contract_names_every_field_of_the_api(schema: str, title: str) -> None:
    properties = OPENAPI["components"]["schemas"][schema]["properties"]
    missing = [name for name in properties if f"`{name}`" not in section(title)]
    assert missing == []


def test_the_contract_names_every_call_of_the_api() -> None:
    contract = (ROOT / "docs" / "contract.md").read_text()
    resources = {path.split("/")[3] for path in OPENAPI["paths"]}
    assert [name for name in sorted(resources) if f"/api/v1/{name}" not in contract] == []
    actions = {path.split("/")[5].split("?")[0] for path in OPENAPI["paths"] if path.count("/") > 4}
    actions = {name for name in actions if not name.startswith("{")}
    assert [
        name for name in sorted(actions) if not re.search(rf"(…|/api/v1/\w+)(/\{{\w+\}})?/{name}\b", contract)
    ] == []


def test_the_contract_lists_settings_and_commands_that_exist() -> None:
    contract = (ROOT / "docs" / "contract.md").read_text()
    settings_table = contract[contract.index("## Settings") : contract.index("## Errors")]
    named = {
        name
        for row in re.findall(r"^\| (`[^|]+`) \|", settings_table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    example = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert len(named) > 15
    assert named <= example
    commands_table = contract[contract.index("## Commands") : contract.index("## Settings")]
    rows = re.findall(r"^\| (`.+?`) \|", commands_table, re.MULTILINE)
    commands = {name for row in rows for name in re.findall(r"`([a-z_]+)", row)} - {"manage"}
    ours = {path.stem for path in ROOT.glob("*/management/commands/*.py")} - {"__init__", "qcluster"}
    assert commands == ours
