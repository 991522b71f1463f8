"""Admin pages for other apps' models: staff and roles (superusers only). Those of the task queue are in `queue_admin`.

This app is the last installed one, so that these admins replace the apps' own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.forms.models import ModelChoiceIterator
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django_q.models import Failure, OrmQ, Schedule, Success

from config.accounts.reset_page import reset_page
from config.desk.roles import role_label
from config.queue_admin import FailureAdmin, QueueAdmin, ScheduleAdmin, SuccessAdmin, WholeInstallationAdmin
from integrations.admin.cells import drawn
from integrations.admin.fields import CheckList, KnownRowsField
from integrations.foundation.audit import Actor, record_change
from integrations.models import StaffProfile, Store

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class SuperusersAdmin(WholeInstallationAdmin):
    """Only superusers may change these: anyone who can set roles could grant themselves any.

    Every change is audited.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "create", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "change", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for row in queryset:
            self._record(request, "delete", row)
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, action: str, row: Model, message: Any = None) -> None:
        after = None if action == "delete" else self.shown(row)
        if isinstance(message, list):
            after = {**(after or {}), "changed": _fields_of(message)}
        record_change(actor=Actor.of_user(request.user), action=action, target=row, store=None, after=after)

    def shown(self, row: Any) -> dict[str, Any]:
        """What the audit trail keeps of a row: nothing secret."""
        raise NotImplementedError


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def _fields_of(message: list[Any]) -> list[str]:
    changed = [part["changed"] for part in message if isinstance(part, dict) and "changed" in part]
    return [str(name) for part in changed for name in part.get("fields", ())]


class ByApp(ModelChoiceIterator):
    """Permissions under the name of their app."""

    def __iter__(self) -> Iterator[Any]:
        rows = self.queryset.select_related("content_type").order_by("content_type__app_label", "name")
        for app, found in groupby(rows, key=lambda row: row.content_type.app_label):
            yield str(apps.get_app_config(app).verbose_name), [self.choice(row) for row in found]


class PermissionsField(KnownRowsField):
    """Permissions as `view delivery`, by app."""

    iterator = ByApp

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name).removeprefix("Can ")


#: What staff can be permitted. Tables of Django's own that no page shows are left out.
STAFF_APPS = ("integrations", "subscriptions", "deliveries", "notifications", "auth", "django_q")


class PermissionsAdmin(SuperusersAdmin):
    """A form with permissions to tick."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.remote_field.model is Permission:
            held = Q(group__isnull=False) | Q(user__isnull=False)  # saving the form takes nothing away unseen
            rows = Permission.objects.filter(Q(content_type__app_label__in=STAFF_APPS) | held).distinct()
            kwargs |= {"queryset": rows, "form_class": PermissionsField, "help_text": ""}
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class RoleAdmin(PermissionsAdmin, GroupAdmin):  # type: ignore[misc]  # the stubs use another parameter name
    list_title = _("Roles")
    one_of_them = _("role")
    filter_horizontal = ()

    def shown(self, row: Group) -> dict[str, Any]:
        return {"name": row.name, "permissions": sorted(row.permissions.values_list("codename", flat=True))}


#: Django's fields in our words: label and help.
STAFF_WORDS: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
    "is_active": (_("May log in"), _("Clear this instead of deleting the person: the history keeps their name.")),
    "is_staff": (_("May use the desk"), ""),
    "is_superuser": (_("Superuser"), _("May do everything, including managing staff and roles.")),
    "groups": (_("Roles"), _("Viewers see, Operators also resolve failures, Managers also set up integrations.")),
    "user_permissions": (_("Permissions"), _("Only what none of the person’s roles includes.")),
}


class StaffForm(UserChangeForm):
    sees_all_stores = forms.BooleanField(
        required=False,
        label=_("Sees all stores"),
        help_text=_("Including stores created later. Superusers always see all."),
    )
    stores = KnownRowsField(
        Store.objects.all(),
        required=False,
        widget=CheckList(),
        label=_("Stores"),
        help_text=_("If the box above is not ticked, this person sees only these stores; with none chosen, no store."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (label, help_text) in STAFF_WORDS.items():
            if name in self.fields:
                self.fields[name].label, self.fields[name].help_text = label, help_text
        roles: Any = self.fields.get("groups")
        if roles is not None:
            roles.label_from_instance = lambda group: role_label(group.name)
        user = self.instance
        if user.pk is not None:
            self.initial.setdefault("stores", list(user.stores.values_list("pk", flat=True)))
            profiles = StaffProfile.objects.filter(user_id=user.pk, sees_all_stores=True)
            self.initial.setdefault("sees_all_stores", profiles.exists())


STORES = _("Stores")


class StaffAdmin(PermissionsAdmin, UserAdmin):
    change_form_template = "admin/auth/user/change_form.html"
    list_title = _("Staff")
    one_of_them = _("member of staff")
    form = StaffForm
    filter_horizontal = ()
    list_display = ("username", "email", "first_name", "last_name", "state", "role_names", "last_seen")
    list_filter = ("is_active", "is_superuser", "groups")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = [
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Roles"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (STORES, {"fields": ("sees_all_stores", "stores")}),
        (_("Permissions beyond the roles"), {"fields": ("user_permissions",), "classes": ("collapse",)}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description=_("state"), ordering="is_active")
    def state(self, user: User) -> SafeString:
        return drawn("pill", "active" if user.is_active else "disabled")

    @admin.display(description=_("roles"))
    def role_names(self, user: User) -> str:
        names = [str(_("superuser"))] if user.is_superuser else []
        return ", ".join([*names, *(role_label(group.name) for group in user.groups.all())]) or str(_("none"))

    @admin.display(description=_("last login"), ordering="last_login")
    def last_seen(self, user: User) -> SafeString:
        return drawn("ago", user.last_login)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<number:pk>/password/", self._password_view, "password_change"),
            self.route("<number:pk>/second-factor/", self._reset_view, "second_factor"),
            *super().get_urls(),
        ]

    def _reset_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Somebody has lost their second factor: a superuser removes it, and their sessions end."""
        if not _is_superuser(request):
            raise PermissionDenied
        return reset_page(request, pk, {**self.admin_site.each_context(request), "title": _("Reset the second factor")})

    def _password_view(self, request: HttpRequest, pk: int) -> Any:
        return self.user_change_password(request, str(pk))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Hide fields that are not columns of the user from people with view permission only."""
        found = super().get_fieldsets(request, obj)
        return found if _is_superuser(request) else [part for part in found if part[0] is not STORES]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if "stores" in form.cleaned_data:
            form.instance.stores.set(form.cleaned_data["stores"])
            StaffProfile.objects.update_or_create(
                user=form.instance, defaults={"sees_all_stores": form.cleaned_data["sees_all_stores"]}
            )

    def shown(self, row: User) -> dict[str, Any]:
        return {
            "username": row.username,
            "is_active": row.is_active,
            "is_staff": row.is_staff,
            "is_superuser": row.is_superuser,
            "roles": sorted(row.groups.values_list("name", flat=True)),
            "permissions": sorted(row.user_permissions.values_list("codename", flat=True)),
            "sees_all_stores": StaffProfile.objects.filter(user=row, sees_all_stores=True).exists(),
            "stores": sorted(row.stores.values_list("name", flat=True)),
        }


def take_over() -> None:
    own = {User: StaffAdmin, Group: RoleAdmin, Schedule: ScheduleAdmin, Success: SuccessAdmin, Failure: FailureAdmin}
    for model, page in {**own, OrmQ: QueueAdmin}.items():
        # The queue table gets a page only if the queue is in the database.
        if admin.site.is_registered(model):
            admin.site.unregister(model)
            admin.site.register(model, page)


def leave_out() -> None:
    """allauth's tables: people see what is theirs under "Login and security", and superusers reset it here."""
    for app in ("account", "mfa", "socialaccount", "usersessions"):
        for model in apps.get_app_config(app).get_models():
            if admin.site.is_registered(model):
                admin.site.unregister(model)


take_over()
leave_out()
