"""Admin pages of the task queue, which only show it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django_q import admin as queue
from django_q.models import Schedule, Task

from integrations.admin.base import DeskAdmin, ReadOnlyAdmin
from integrations.admin.cells import drawn
from integrations.security.staff import visible_store_ids


class WholeInstallationAdmin(DeskAdmin):
    """Access to models that belong to no store: none for staff who are limited to some stores."""

    store_path = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and visible_store_ids(request.user) is None


class TaskPages(WholeInstallationAdmin, ReadOnlyAdmin):
    """Read-only: a schedule names code that workers run, and each service records what its task does."""


class ScheduleAdmin(TaskPages, queue.ScheduleAdmin):  # type: ignore[misc]  # no stubs
    list_title = _("Task queue")
    one_of_them = _("scheduled task")
    empty_text = _("What Hookdesk does periodically. The worker adds it when it starts: python manage.py qcluster")
    list_display = ("id", "name", "func", "schedule_type", "next", "get_last_run")
    list_filter = ()

    @admin.display(description=_("next run"), ordering="next_run")
    def next(self, schedule: Schedule) -> SafeString:
        return drawn("clock", schedule.next_run)


class FinishedTasks(TaskPages):
    list_filter = ()

    @admin.display(description=_("started"), ordering="started")
    def began(self, task: Task) -> SafeString:
        return drawn("clock", task.started)


class SuccessAdmin(FinishedTasks, queue.TaskAdmin):  # type: ignore[misc]  # no stubs
    list_display = ("name", "func", "began", "time_taken")


class FailureAdmin(FinishedTasks, queue.FailAdmin):  # type: ignore[misc]  # no stubs
    list_display = ("name", "func", "began", "short_result")


class QueueAdmin(TaskPages, queue.QueueAdmin):  # type: ignore[misc]  # no stubs
    pass
