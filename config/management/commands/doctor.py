"""`manage.py doctor`: diagnose this installation."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from config.observability.doctor import examine
from integrations.management.base import ReportCommand

_MARKS = {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}


class Command(ReportCommand):
    help = "Say in plain words diagnose this installation. Exits 1 if something keeps it from working."

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine()
        problems = [finding for finding in findings if finding.level == "problem"]
        lines = []
        for finding in findings:
            lines.append(f"{_MARKS[finding.level]} {finding.message}")
            if finding.advice:
                lines.append(f"          {finding.advice}")
        lines.append("")
        lines.append(f"{len(problems)} problem(s)." if problems else "No problems found.")
        document = {"ok": not problems, "findings": [asdict(finding) for finding in findings]}
        self.report(options, document, "\n".join(lines))
        if problems:
            sys.exit(1)
