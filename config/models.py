"""Failed logins."""

from __future__ import annotations

from django.db import models


class LoginLimit(models.Model):
    """Failed logins of one name, one address, a pair of them, or one known browser; see `config.desk.login_throttle`.

    `key` is a keyed hash: people sometimes type their password into the name field.
    """

    key = models.CharField(primary_key=True, max_length=64)
    count = models.PositiveIntegerField(default=0)
    blocked_until = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["updated_at"], name="login_limit_age")]

    def __str__(self) -> str:
        return f"{self.count} failed logins"
