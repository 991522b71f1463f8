"""What `make release` builds, and what it refuses."""

import json
from datetime import UTC, datetime

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.deployment.conftest import ROOT
from tests.release import bill_of_materials, changelog_trouble, locked_packages

LOCK = (ROOT / "requirements.lock").read_text()
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_the_bill_of_materials_names_each_locked_package_once() -> None:
    parts = json.loads(bill_of_materials(LOCK, NOON))["components"]
    found = sorted((part["name"], part["version"]) for part in parts)
    assert found == sorted(set(locked_packages(LOCK)))
    assert ("django", dict(found)["django"]) in found
    assert len(found) == sum(line[0].isalpha() for line in LOCK.splitlines() if "==" in line)


def test_the_bill_of_materials_is_valid_cyclonedx() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill_of_materials(LOCK, NOON)) is None


def test_the_same_commit_gives_the_same_bill_of_materials() -> None:
    assert bill_of_materials(LOCK, NOON) == bill_of_materials(LOCK, NOON)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("## 0.1.0 – unreleased\n", "put the date"),
        ("## 0.2.0 – 2026-11-30\n\n## 0.1.0 – 2026-10-01\n", "does not begin"),
        ("", "does not begin"),
        ("## 0.1.0 – 2026-11-30\n", ""),
    ],
)
def test_a_version_that_the_changelog_does_not_announce_is_not_released(text: str, said: str) -> None:
    trouble = changelog_trouble(text, "0.1.0")
    assert (said in trouble) if said else trouble == ""
