"""The form of a channel: what all have, and the fields of its kind."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.security.redaction import MASK
from notifications.channel_timing import MINUTES_LIMIT
from notifications.channels import CHANNEL_KINDS, Field, Provider, provider_for
from notifications.models import Channel

OPTION = "option_"
#: Characters of one field of a kind.
OPTION_LIMIT = 2_000
#: Recipients of one channel, and characters of one (as messages keep them).
RECIPIENTS_LIMIT = 100
RECIPIENT_LENGTH = 200


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Recipients are entered one per line; a token left empty stays unchanged."""

    #: Which kind's fields the form has.
    initial_kind = "email"

    recipients = forms.CharField(
        label=gettext_lazy("Recipients"),
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("One per line: +15551234567 for SMS, an address for e-mail."),
    )

    window_minutes = forms.IntegerField(
        label=gettext_lazy("Deduplication window"),
        min_value=1,
        max_value=MINUTES_LIMIT,
        initial=60,
        help_text=gettext_lazy("In minutes: at most one message per incident and recipient."),
    )
    digest_minutes = forms.IntegerField(
        label=gettext_lazy("Digest interval"),
        min_value=0,
        max_value=MINUTES_LIMIT,
        initial=0,
        help_text=gettext_lazy("In minutes. 0 sends each message immediately."),
    )

    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=[(name, kind.label) for name, kind in CHANNEL_KINDS.items()],
        widget=forms.HiddenInput,
    )

    class Meta:
        model = Channel
        fields = (
            "name", "kind", "recipients", "level", "stores", "integrations", "account_sid", "auth_token", "sender",
            "quiet_from", "quiet_until", "window_minutes", "digest_minutes", "is_enabled",
        )  # fmt: skip
        labels = {
            "name": gettext_lazy("Name"),
            "stores": gettext_lazy("Stores"),
            "integrations": gettext_lazy("Integrations"),
            "quiet_from": gettext_lazy("Quiet from"),
            "quiet_until": gettext_lazy("Quiet until"),
        }
        widgets = {
            "auth_token": forms.PasswordInput(attrs={"autocomplete": "new-password"}),
            "quiet_from": forms.TimeInput(attrs={"type": "time"}),
            "quiet_until": forms.TimeInput(attrs={"type": "time"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = CHANNEL_KINDS.get(self.initial_kind)
        if kind is not None and not kind.has_recipients:
            # Declared fields are there even if the page does not ask for them.
            for name in ("recipients", "window_minutes", *(() if kind.gathers else ("digest_minutes",))):
                self.fields.pop(name, None)
        if "auth_token" in self.fields:
            self.fields["auth_token"].required = False
            self.fields["auth_token"].help_text = _("Leave empty to keep it, or to use the installation’s token.")
        for name, option in self._options().items():
            value = (self.instance.options or {}).get(option.name, "")
            if not option.is_secret:
                self.initial.setdefault(name, value)
            elif value:
                self.fields[name].help_text = (
                    _("%(help)s Leave empty to keep it.") % {"help": option.help}
                    if option.help
                    else _("Leave empty to keep it.")
                )
        if self.instance.pk and "recipients" in self.fields:
            self.initial["recipients"] = "\n".join(self.instance.recipients)

    def clean_auth_token(self) -> str:
        given: str = self.cleaned_data["auth_token"]
        return given or (Channel.objects.get(pk=self.instance.pk).auth_token if self.instance.pk else "")

    def _options(self) -> dict[str, Field]:
        """The kind's own fields that this form asks for, by their name here."""
        kind = CHANNEL_KINDS.get(self.initial_kind)
        found = {OPTION + each.name: each for each in kind.fields} if kind and not kind.has_recipients else {}
        return {name: option for name, option in found.items() if name in self.fields}

    def clean_kind(self) -> str:
        """A channel keeps its kind: its other fields mean nothing to another one."""
        return self.instance.kind if self.instance.pk else str(self.cleaned_data["kind"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind = CHANNEL_KINDS.get(cleaned.get("kind", ""))
        if kind is not None and not kind.has_recipients:
            self._clean_options(kind, cleaned)
            return cleaned
        return self._clean_recipients(cleaned)

    def _clean_options(self, kind: type[Provider], cleaned: dict[str, Any]) -> None:
        """Check the kind's fields together and set them. A secret left empty stays unchanged."""
        before = self.instance.options or {}
        options = {}
        for name, option in self._options().items():
            given = str(cleaned.get(name) or "").strip()
            options[option.name] = given or (str(before.get(option.name, "")) if option.is_secret else "")
        wrong = kind.check(options)
        if wrong:
            raise ValidationError({OPTION + name: sentence for name, sentence in wrong.items()})
        self.instance.options = {name: value for name, value in options.items() if value}
        self.instance.recipients = [kind.target(options)[:RECIPIENT_LENGTH]]

    def _clean_recipients(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        found = [line.strip() for line in str(cleaned.get("recipients", "")).replace(",", "\n").splitlines()]
        cleaned["recipients"] = list(dict.fromkeys(line for line in found if line))
        if len(cleaned["recipients"]) > RECIPIENTS_LIMIT or any(
            len(one) > RECIPIENT_LENGTH for one in cleaned["recipients"]
        ):
            words = _("At most %(recipients)s recipients of %(characters)s characters each are allowed.")
            values = {"recipients": RECIPIENTS_LIMIT, "characters": RECIPIENT_LENGTH}
            raise ValidationError({"recipients": words % values})
        if "kind" in cleaned:
            provider = provider_for(Channel(kind=cleaned["kind"]))
            for recipient in cleaned["recipients"]:
                try:
                    provider.check_recipient(recipient)
                except ValueError as error:
                    raise ValidationError({"recipients": str(error)}) from None
        return cleaned


def option_names(kind: type[Provider]) -> list[str]:
    return [OPTION + each.name for each in kind.fields]


def form_of(name: str) -> type[ChannelForm]:
    """Return the form of the kind of this name, with the kind's own fields."""
    kind = CHANNEL_KINDS.get(name)
    members: dict[str, Any] = {"initial_kind": name}
    if kind is not None and not kind.has_recipients:
        members |= {OPTION + each.name: _field_of(each) for each in kind.fields}
    return type("ChannelForm", (ChannelForm,), members)


def _field_of(option: Field) -> forms.Field:
    """Not required by the form, as a secret left empty stays unchanged; the kind checks what it needs."""
    hidden = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    widget = hidden if option.is_secret else forms.TextInput(attrs={"autocomplete": "off"})
    return forms.CharField(
        label=option.label, help_text=option.help, required=False, max_length=OPTION_LIMIT, widget=widget
    )


def shown_options(channel: Channel) -> dict[str, str]:
    """Return the kind's own fields with the secret ones masked; of an unknown kind, all of them."""
    kind = CHANNEL_KINDS.get(channel.kind)
    plain = {each.name for each in kind.fields if not each.is_secret} if kind else set()
    return {name: value if name in plain else MASK for name, value in (channel.options or {}).items()}
