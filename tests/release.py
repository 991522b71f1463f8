"""`make release`: checks that this commit can be tagged, then builds what a release consists of, in `build/release`.

Source archive, wheel, a software bill of materials (CycloneDX, from the lock) and SHA256SUMS. `make release-draft`
builds the same of an unfinished state, without the checks. It pushes and tags nothing: it says how to.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from integrations.foundation.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "release"
_SECTION = re.compile(r"^## (\S+) – (.+)$", re.MULTILINE)
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def changelog_trouble(text: str, version: str) -> str:
    """Why the changelog `text` does not announce `version`; empty when it does."""
    newest = _SECTION.search(text)
    if newest is None or newest[1] != version:
        return f"CHANGELOG.md does not begin with a section `## {version} – <date>`."
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", newest[2]):
        return f"CHANGELOG.md says `{newest[2]}` for {version}: put the date of the release there, as in 2026-11-30."
    return ""


def locked_packages(lock: str) -> Iterator[tuple[str, str]]:
    """Name and version of each package of a requirements lock."""
    for name, version in _LOCKED.findall(lock):
        yield name.lower(), version


def bill_of_materials(lock: str, at: datetime) -> str:
    """CycloneDX 1.6 as JSON: what the image holds beside Hookdesk. The same lock and time give the same document."""
    product = Component(name="hookdesk", version=VERSION, type=ComponentType.APPLICATION, bom_ref="hookdesk")
    parts = [
        Component(name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=url.to_string())
        for name, version in locked_packages(lock)
        for url in [PackageURL("pypi", None, name, version)]
    ]
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"hookdesk {VERSION} {lock}"), components=parts)
    bom.metadata.component = product
    bom.metadata.timestamp = at
    bom.register_dependency(product, parts)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _is_committed() -> str:
    changed = _git("status", "--porcelain")
    return f"Not committed:\n{changed}" if changed else ""


def _is_new() -> str:
    return f"The tag v{VERSION} exists. Raise VERSION first." if _git("tag", "--list", f"v{VERSION}") else ""


def _passes(*command: str) -> Callable[[], str]:
    return lambda: (
        "" if subprocess.run(command, cwd=ROOT, check=False).returncode == 0 else f"{' '.join(command)} failed"
    )


CHECKS: dict[str, Callable[[], str]] = {
    "everything is committed": _is_committed,
    "the version is new": _is_new,
    "the changelog announces it": lambda: changelog_trouble((ROOT / "CHANGELOG.md").read_text(), VERSION),
    "the code is checked": _passes(sys.executable, "-m", "tests.checks"),
    "the tests pass": _passes(sys.executable, "-m", "tests"),
}


def build() -> None:
    """Everything into a fresh `build/release`."""
    if shutil.which("uv") is None:
        sys.exit("make release needs uv: pip install uv")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    subprocess.run(["uv", "build", "--quiet", "--out-dir", str(OUTPUT)], cwd=ROOT, check=True)
    (OUTPUT / ".gitignore").unlink(missing_ok=True)
    committed = datetime.fromtimestamp(int(_git("log", "-1", "--format=%ct")), UTC)
    sbom = bill_of_materials((ROOT / "requirements.lock").read_text(), committed)
    (OUTPUT / f"hookdesk-{VERSION}.cdx.json").write_text(sbom)
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(OUTPUT.iterdir())]
    (OUTPUT / "SHA256SUMS").write_text("".join(sums))


def main(arguments: Sequence[str]) -> int:
    if "--draft" not in arguments:
        for name, check in CHECKS.items():
            trouble = check()
            print(f"{'FAILED' if trouble else 'ok    '}  {name}", flush=True)
            if trouble:
                print(trouble)
                return 1
    build()
    print("Built in build/release:", *(f"  {file.name}" for file in sorted(OUTPUT.iterdir())), sep="\n")
    print(f"Next: git tag -s v{VERSION}, docker build -t hookdesk:{VERSION} ., then push both.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
