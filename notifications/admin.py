"""Admin pages of notifications and channels."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from integrations.admin.base import DeskAdmin, ReadOnlyAdmin, visible_store_ids
from integrations.admin.cells import drawn
from integrations.admin.lists import tab_page
from integrations.foundation.audit import Actor, record_change
from integrations.models import Store
from integrations.security.redaction import MASK
from integrations.services.exports import columns
from notifications import exported
from notifications.channel_form import ChannelForm, form_of, option_names, shown_options
from notifications.channels import CHANNEL_KINDS, ChannelError
from notifications.models import Channel, ChannelMessage, Notification, PersonalNotice
from notifications.outbox import send_test
from notifications.personal import mark_read
from notifications.services import reopen_notification, resolve_notification

_CARD = ("name", "label", "description", "icon")


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_title = gettext_lazy("Notifications")
    one_of_them = gettext_lazy("notification")
    stock_pages = ("changelist",)
    export_order = exported.NOTIFICATIONS.order
    export_columns = exported.NOTIFICATIONS.columns

    def export_rows(self, request: HttpRequest) -> QuerySet[Notification]:
        status = "resolved" if request.GET.get("tab") == "resolved" else "open"
        return self.get_queryset(request).filter(status=status)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        return super().get_queryset(request).select_related("integration", "store", "failure_group")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<uuid:pk>/change/", self.notification_page, "change"),
            self.route("<uuid:pk>/resolve/", self.resolve_view, "resolve"),
            self.route("notices/<number:number>/read/", self.notice_view, "notice"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        _require(request, "notifications.view_notification")
        rows, context = tab_page(request, self.get_queryset(request))
        context |= {"rows": rows, "may_resolve": request.user.has_perm("notifications.change_notification")}
        return _page(self, request, "notification/change_list", _("Notifications"), context)

    def notification_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        _require(request, "notifications.view_notification")
        found = self._open(request, pk)
        context = {
            "notification": found,
            "told": ChannelMessage.objects.filter(notification=found).select_related("channel").order_by("-id")[:20],
            "may_resolve": request.user.has_perm("notifications.change_notification"),
        }
        title = f"{found.integration.name}: {found.headline}" if found.integration else found.headline
        return _page(self, request, "notification/change_form", title[:80], context)

    @method_decorator(require_POST)
    def resolve_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        _require(request, "notifications.change_notification")
        found = self._open(request, pk)
        actor = Actor.of_user(request.user)
        if found.status == Notification.Status.OPEN:
            resolve_notification(notification=found, actor=actor)
            messages.success(request, _("Marked as resolved. It reopens automatically if the failure recurs."))
        else:
            reopen_notification(notification=found, actor=actor)
            messages.success(request, _("Reopened."))
        if "cases" in request.POST:
            return redirect("admin:deliveries_failuregroup_changelist")
        return redirect("admin:notifications_notification_changelist" if "list" in request.POST else _page_of(found))

    @method_decorator(require_POST)
    def notice_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """Somebody has read a notice to them. Another person's is not found."""
        notice = PersonalNotice.objects.filter(pk=number, user=request.user.pk).first()
        if notice is None:
            raise Http404(_("This notice does not exist."))
        mark_read(notice=notice)
        return redirect("admin:index")

    def _open(self, request: HttpRequest, pk: uuid.UUID) -> Notification:
        found = self.get_queryset(request).filter(pk=pk).first()
        if found is None:
            raise Http404(_("This notification does not exist."))
        return found


def _page_of(notification: Notification) -> str:
    return reverse("admin:notifications_notification_change", args=[notification.pk])


@admin.register(Channel)
class ChannelAdmin(DeskAdmin):
    store_path = None
    list_title = gettext_lazy("Channels")
    one_of_them = gettext_lazy("channel")
    form = ChannelForm
    export_columns = columns(
        "id", "name", "kind", "level", "recipients", "quiet_from", "quiet_until", "window_minutes", "digest_minutes",
        "is_enabled", "last_error", "last_sent_at", "created_at",
    )  # fmt: skip
    list_display = ["named", "kind_label", "level", "enabled", "last_sent", "error"]
    empty_text = gettext_lazy("A channel tells people or their pager when deliveries fail, for all stores or for some.")
    change_form_template = "admin/notifications/channel/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test_view)
        return [path("<number:pk>/test/", view, name="notifications_channel_test"), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First choose the kind on cards; then fill in its form."""
        if request.method == "GET" and request.GET.get("kind") not in CHANNEL_KINDS:
            _require(request, "notifications.add_channel")
            # Not the classes themselves: a template would call them.
            cards = [{name: getattr(kind, name) for name in _CARD} for kind in CHANNEL_KINDS.values()]
            return _page(self, request, "channel/kinds", _("Add a channel"), {"kinds": cards})
        return super().add_view(request, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **{**kwargs, "form": form_of(_kind_of(request, obj))})

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def named(self, channel: Channel) -> str:
        return channel.name

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def kind_label(self, channel: Channel) -> str:
        kind = CHANNEL_KINDS.get(channel.kind)
        return str(kind.label) if kind else channel.kind

    @admin.display(description=gettext_lazy("state"), ordering="is_enabled")
    def enabled(self, channel: Channel) -> SafeString:
        return drawn("pill", "active" if channel.is_enabled else "disabled")

    @admin.display(description=gettext_lazy("last sent"), ordering="last_sent_at")
    def last_sent(self, channel: Channel) -> SafeString:
        return drawn("ago", channel.last_sent_at)

    @admin.display(description=gettext_lazy("last error"), ordering="last_error")
    def error(self, channel: Channel) -> str:
        return channel.last_error

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """Staff limited to some stores see only channels that are limited to those stores."""
        rows = super().get_queryset(request)
        ids = visible_store_ids(request.user)
        if ids is None:
            return rows
        others = Store.objects.exclude(pk__in=ids)
        own = rows.filter(stores__in=ids).exclude(stores__in=others).exclude(integrations__store__in=others)
        return own.distinct()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "stores" and visible_store_ids(request.user) is not None:
            # Choosing none would mean all stores, including other people's.
            kwargs |= {"required": True, "help_text": _("Choose at least one of your stores.")}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """With view permission only, Django would show each value as it is stored."""
        return [] if self._may_write(request, obj) else ["auth_token"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = CHANNEL_KINDS.get(_kind_of(request, obj))
        if kind is None or kind.has_recipients:
            own, when = ["recipients"], ["window_minutes", "digest_minutes"]
        else:
            # With view permission only, what is encrypted is not shown at all.
            own = option_names(kind) if self._may_write(request, obj) else []
            when = ["digest_minutes"] if kind.gathers else []
        found = [
            (None, {"fields": ["name", "kind", *own, "level", "is_enabled"]}),
            (_("Limit to"), {"fields": ["stores", "integrations"]}),
            (_("When"), {"fields": [*when, "quiet_from", "quiet_until"]}),
        ]
        if kind is None or kind.has_recipients:
            names = ["sender", "account_sid", "auth_token"]
            left_out = self.get_exclude(request, obj)
            found.append((_("Sender"), {"fields": [name for name in names if name not in left_out]}))
        return found

    def _may_write(self, request: HttpRequest, channel: Channel | None) -> bool:
        return self.has_change_permission(request) if channel else self.has_add_permission(request)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = None if not change else getattr(form, "shown_before", None)
        super().save_related(request, form, formsets, change)
        record_change(
            actor=Actor.of_user(request.user),
            action="change" if change else "create",
            target=form.instance,
            store=None,
            before=before,
            after=_shown(form.instance),
        )

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        if change:
            form.shown_before = _shown(Channel.objects.get(pk=obj.pk))
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        actor = Actor.of_user(request.user)
        record_change(actor=actor, action="delete", target=obj, store=None, before=_shown(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            self.delete_model(request, channel)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        channel = kwargs.get("obj")
        if channel is not None:
            rows = ChannelMessage.objects.filter(channel=channel).select_related("notification")
            if (ids := visible_store_ids(request.user)) is not None:
                # Messages sent before the channel was limited to these stores.
                rows = rows.filter(Q(notification=None) | Q(notification__store__in=ids))
            context.update(channel=channel, sent_messages=rows.order_by("-id")[:20])
        return super().render_change_form(request, context, *args, **kwargs)

    @method_decorator(require_POST)
    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        _require(request, "notifications.change_channel")
        channel = self.get_queryset(request).filter(pk=pk).first()
        recipient = request.POST.get("recipient", "")
        if channel is None or recipient not in channel.recipients:
            raise Http404
        try:
            send_test(channel=channel, recipient=recipient)
            messages.success(request, _("Test sent to %(recipient)s.") % {"recipient": recipient})
        except ChannelError as error:
            messages.error(request, _("The test was not sent. %(error)s") % {"error": error.message})
        return redirect("admin:notifications_channel_change", pk)


def _shown(channel: Channel) -> dict[str, Any]:
    """For the audit trail, credentials masked."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "recipients": list(channel.recipients),
        "level": channel.level,
        "stores": sorted(channel.stores.values_list("name", flat=True)),
        "integrations": sorted(channel.integrations.values_list("name", flat=True)),
        "account_sid": channel.account_sid,
        "auth_token": MASK if channel.auth_token else "",
        "sender": channel.sender,
        "options": shown_options(channel),
        "quiet": [str(channel.quiet_from or ""), str(channel.quiet_until or "")],
        "window_minutes": channel.window_minutes,
        "digest_minutes": channel.digest_minutes,
        "is_enabled": channel.is_enabled,
    }


def _kind_of(request: HttpRequest, channel: Channel | None) -> str:
    return channel.kind if channel else str(request.POST.get("kind") or request.GET.get("kind") or "email")


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _page(owner: Any, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> HttpResponse:
    frame = owner.admin_site.each_context(request)
    return TemplateResponse(request, f"admin/notifications/{name}.html", {**frame, "title": title, **context})
