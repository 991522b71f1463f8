#!/usr/bin/env python
"""Hookdesk's command line: `python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["demo"]:
        # The demo brings its own settings, so that it needs none.
        from config.demo.state import prepare

        prepare(sys.argv[2:])
    if sys.argv[1:2] == ["bench"]:
        # So do the benchmarks, for each installation that they measure.
        from config.management.commands.bench import run

        run(sys.argv[2:])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from integrations.foundation.frame_block import in_one_block

    try:
        in_one_block(lambda: execute_from_command_line(sys.argv))
    except ImproperlyConfigured as error:
        from config.observability import json_lines

        text = f"error: {error}"
        print(json_lines.line_of(text, level="ERROR") if json_lines.is_wanted() else text, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
