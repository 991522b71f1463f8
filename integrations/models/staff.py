"""A member of staff's settings in addition to Django's user."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class StaffProfile(models.Model):
    """Set by superusers only. Without a row, a person sees the stores they are assigned to and no others."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="staff_profile")
    sees_all_stores = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.user} sees {'all stores' if self.sees_all_stores else 'the assigned stores'}"
