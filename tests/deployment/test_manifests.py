"""The Kubernetes manifests, the compose files and the Dockerfile: valid, and of one mind with the code."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from config.supervisor import GRACE_SECONDS
from integrations.foundation.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "deployment" / "kubernetes"
SCHEMA = json.loads((Path(__file__).parent / "schemas" / "kubernetes-1.37.json").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
COMPOSE = {name: yaml.safe_load((ROOT / name).read_text()) for name in ("compose.yaml", "compose.sqlite.yaml")}
#: Of other programs in the same files.
FOREIGN = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}


@cache
def manifests() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [document for name in listed for document in yaml.safe_load_all((FOLDER / name).read_text())]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for document in manifests() if document["kind"] == kind]


def pods() -> list[dict[str, Any]]:
    return [document["spec"]["template"] for document in [*of_kind("Deployment"), *of_kind("Job")]]


@pytest.mark.parametrize("document", manifests(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_each_manifest_is_what_kubernetes_takes(document: dict[str, Any]) -> None:
    schema = {**SCHEMA["$defs"][SCHEMA["kinds"][document["kind"]]], "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(document)


def test_the_schema_refuses_a_field_that_kubernetes_does_not_know() -> None:
    document = {**of_kind("Deployment")[0], "replica": 3}
    schema = {**SCHEMA["$defs"][SCHEMA["kinds"]["Deployment"]], "$defs": SCHEMA["$defs"]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(document)


def test_every_manifest_of_the_folder_is_listed() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in FOLDER.glob("*.yaml"))


def test_every_container_is_held_to_the_restricted_standard() -> None:
    for pod in pods():
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
            limits = container["securityContext"]
            assert limits["readOnlyRootFilesystem"] is True
            assert limits["allowPrivilegeEscalation"] is False
            assert limits["capabilities"] == {"drop": ["ALL"]}


def test_pods_run_as_the_user_of_the_image() -> None:
    number = re.search(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)
    assert number is not None
    assert {pod["spec"]["securityContext"]["runAsUser"] for pod in pods()} == {int(number[1])}


def test_pods_have_the_time_that_draining_takes() -> None:
    for deployment in of_kind("Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        hook = spec["containers"][0].get("lifecycle")
        pause = float(hook["preStop"]["exec"]["command"][1]) if hook else 0
        assert spec["terminationGracePeriodSeconds"] >= GRACE_SECONDS + pause + 5


def test_labels_that_select_are_those_of_the_pods() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods()]
    selectors = [document["spec"]["selector"] for document in of_kind("Service")]
    selectors += [document["spec"]["selector"]["matchLabels"] for document in of_kind("PodDisruptionBudget")]
    selectors += [document["spec"]["podSelector"]["matchLabels"] for document in of_kind("NetworkPolicy")]
    assert len(selectors) == 5
    for selector in selectors:
        assert any(selector.items() <= one.items() for one in labels), selector


def test_settings_that_are_set_exist() -> None:
    named = set(of_kind("ConfigMap")[0]["data"])
    named |= {
        name for file in COMPOSE.values() for service in file["services"].values()
        for name in service.get("environment", {})
    }  # fmt: skip
    assert named - FOREIGN <= EXAMPLE


def test_every_place_names_this_version() -> None:
    assert yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["images"][0]["newTag"] == VERSION
    images = {
        service["image"] for file in COMPOSE.values() for service in file["services"].values()
        if service["image"].startswith("hookdesk:")
    }  # fmt: skip
    assert images == {f"hookdesk:{VERSION}"}


def test_our_services_can_write_nowhere_but_on_their_volumes() -> None:
    ours = [one for file in COMPOSE.values() for one in file["services"].values() if "build" in one]
    assert len(ours) == 4
    for service in ours:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["stop_grace_period"] == "25s"


def test_the_image_is_made_of_what_the_lock_names_and_of_any_base() -> None:
    assert "--require-hashes --only-binary :all: -r requirements.lock" in DOCKERFILE
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}", "${BASE}"]
    base = re.search(r"^ARG BASE=\S+python:(3\.\d+)", DOCKERFILE, re.MULTILINE)
    assert base is not None
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, base[1].split("."))) >= tuple(map(int, oldest.split(".")))


def test_every_package_of_the_code_is_in_the_image() -> None:
    let_in = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages | {"templates", "manage.py", "requirements.lock"} <= let_in
