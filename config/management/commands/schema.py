"""`manage.py schema`: the JSON Schema of configuration files."""

from __future__ import annotations

import json
from typing import Any

from config.as_code import json_schema
from integrations.management.base import PlainCommand


class Command(PlainCommand):
    help = "Print the JSON Schema of the files of `manage.py apply`, for editors."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False))
