"""A new password by e-mail, for people who forgot theirs.

Whatever address is entered, the page does and says the same; a task makes the link and sends it. The link begins with
PUBLIC_URL, so that a forged Host header leads nobody elsewhere. Requests are limited like logins. A new password ends
the person's sessions, and their second factor is asked for as ever.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import (
    PasswordResetCompleteView,
    PasswordResetConfirmView,
    PasswordResetDoneView,
    PasswordResetView,
)
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.urls import reverse, reverse_lazy
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from config.accounts.mail import deliver, send_to
from config.accounts.sessions import end_sessions
from config.desk.login import charge_login
from config.desk.login_throttle import SaysWhenToReturn, Throttled
from integrations.foundation.audit import Actor, record_change


class ResetForm(PasswordResetForm):
    request: HttpRequest | None = None
    throttled: Throttled | None = None

    def clean(self) -> Any:
        email = self.cleaned_data.get("email")
        if email and self.request is not None:
            try:
                charge_login(self.request, f"{email} password reset")
            except Throttled as throttled:
                self.throttled = throttled
                raise ValidationError(str(throttled), code="throttled") from None
        return super().clean()

    def save(self, *_args: Any, **_kwargs: Any) -> None:
        """A task for any address, with the ids of those who have it: mostly one, or none."""
        from django_q.tasks import async_task

        people = self.get_users(self.cleaned_data["email"])
        ids = [person.pk for person in people if person.is_staff]
        async_task("config.accounts.password_reset.send_links", ids, get_language())


def send_links(ids: list[int], language: str = "en") -> None:
    """The task: a link to each of these people, in the language of the page that asked."""
    with translation.override(language):
        _send_links(ids)


def _send_links(ids: list[int]) -> None:
    text = _(
        "Somebody, hopefully you, asked for a new password for %(name)s.\n\nSet it here:\n%(link)s\n\n"
        "The link works once, for an hour. If it was not you, do nothing: your password stays as it is."
    )
    for person in User.objects.filter(pk__in=ids, is_active=True):
        link = settings.PUBLIC_URL + reverse(
            "password_reset_confirm",
            args=[urlsafe_base64_encode(force_bytes(person.pk)), default_token_generator.make_token(person)],
        )
        # Not by the queue, which staff can read: whoever has the link has the account.
        deliver(person, _("Set a new password for Hookdesk"), text % {"name": person.get_username(), "link": link})


class _Offered:
    """Not there where nobody logs in with a password."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not settings.LOGIN_PASSWORDS:
            raise Http404("Passwords are switched off.")
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]


class AskView(_Offered, SaysWhenToReturn, PasswordResetView):
    form_class = ResetForm
    template_name = "accounts/password_reset.html"
    success_url = reverse_lazy("password_reset_done")

    def get_form(self, form_class: Any = None) -> Any:
        form: Any = super().get_form(form_class)
        form.request = self.request
        return form


class SentView(_Offered, PasswordResetDoneView):
    template_name = "accounts/password_reset_sent.html"


class NewPasswordView(_Offered, PasswordResetConfirmView):
    template_name = "accounts/password_new.html"
    success_url = reverse_lazy("password_reset_complete")

    def form_valid(self, form: Any) -> Any:
        response = super().form_valid(form)
        person = form.user
        ended = end_sessions(person)
        record_change(actor=Actor.of_user(person), action="reset password", target=person, store=None,
                      after={"sessions_ended": ended})  # fmt: skip
        text = _("It was set by the link in an e-mail. If that was not you, tell a superuser at once.")
        send_to(person, _("Your Hookdesk password was changed"), text)
        return response


class CompleteView(_Offered, PasswordResetCompleteView):
    template_name = "accounts/password_reset_complete.html"
