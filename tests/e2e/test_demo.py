"""`manage.py demo --once` in an empty environment: the main job from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.installation import ROOT
from tests.measured import measuring


def test_the_demo_fails_is_fixed_and_succeeds(tmp_path: Path) -> None:
    own = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "HOOKDESK_DEMO_ROOT": str(tmp_path / "demo")}
    environment = {**own, **measuring()}
    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--once"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Demo done.")
    for step in (
        '202 {"shipments":1}',
        "Unable to send SMS message. Error:",
        "/resolve/",
        "the message is resent and accepted",
        "the notification was resolved automatically",
    ):
        assert step in done.stdout
    assert "Traceback" not in done.stderr
