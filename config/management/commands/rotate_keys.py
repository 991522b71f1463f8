"""`manage.py rotate_keys`: encrypt everything with the first of ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from config.key_rotation import rotate_keys
from deliveries.management.cli import progress_bar
from integrations.management.base import ReportCommand


class Command(ReportCommand):
    help = (
        "Re-encrypt tokens, secrets and parameters with the first of ENCRYPTION_KEYS. Put the new key in front, "
        "restart web and worker, run this, take the old key away, and restart once more. Where they do not all restart "
        "at once, add the new key behind the old one first, and restart: see SECURITY.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--batch", type=int, default=500, help="Rows per transaction (default: 500).")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch must be at least 1.")
        with progress_bar("Encrypting", None) as advance:
            rotated = rotate_keys(batch=options["batch"], progress=advance)
        document = {"seen": rotated.seen, "changed": rotated.changed, "unreadable": rotated.unreadable}
        if rotated.unreadable:
            if options["json"]:
                self.report(options, document, "")
            some = ", ".join(rotated.unreadable[:5])
            raise CommandError(
                f"{len(rotated.unreadable):,} values cannot be decrypted with any of the keys (first: {some}). "
                f"Add the key that "
                "they were encrypted with to the end of ENCRYPTION_KEYS, or enter them again."
            )
        seen = f"{rotated.seen:,} values checked, {rotated.changed:,} re-encrypted."
        text = f"{seen} You can remove the other keys now; restart afterwards."
        self.report(options, document, text)
