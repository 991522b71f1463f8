"""The integration form: first the kind, then only the fields that the kind needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.admin.fields import KnownRowField, parse_json_text
from integrations.connectors import CONNECTORS
from integrations.models import Integration, Store
from integrations.retry import POLICIES
from integrations.services import IntegrationValues
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.base import WireFormat

#: Asked for in the fold below the fields of the kind.
ADVANCED = ("slug", "retry_policy", "timeout", "max_in_flight", "rate_limit", "permanent_statuses", "headers",
            "drops_bodies")  # fmt: skip
PARAMETER = "parameter_"
KEPT = _("unchanged")


class JSONText(forms.CharField):
    """An object as text; invalid input is kept as typed."""

    widget = forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "code-small"})

    def clean(self, value: Any) -> Any:
        text = (value or "").strip()
        found = parse_json_text(text) if text else {}
        if not isinstance(found, dict):
            raise ValidationError(gettext("Write a JSON object: {“name”: “value”}."))
        return found


class IntegrationForm(forms.Form):
    """Validates only what a form can; the services check the rest, by field."""

    store = KnownRowField(
        Store.objects.none(), label=_("Store"), help_text=_("The store whose deliveries are sent there.")
    )
    name = forms.CharField(
        label=_("Name"), max_length=200, help_text=_("A name that staff recognise, such as Twilio SMS or ERP.")
    )
    url = forms.CharField(
        label="URL",
        required=False,
        help_text=_("Where deliveries are posted. Private addresses are rejected unless OUTBOUND_ALLOW permits them."),
    )
    additional_data = forms.CharField(
        label=_("Additional data"),
        required=False,
        help_text=_("Sent as X-Spiffy-Stores-Data, so that the receiver recognises your requests."),
    )
    auth_type = forms.ChoiceField(
        label=_("Authentication"), choices=Integration.AuthType.choices, required=False, initial="none"
    )
    auth_header = forms.CharField(
        label=_("Header name"), required=False, help_text=_("The header that carries the token.")
    )
    token = forms.CharField(
        label=_("Token"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Stored encrypted and never shown again."),
    )
    parameters = JSONText(
        label=_("Parameters"),
        required=False,
        help_text=_(
            "Sent with each request, stored encrypted. A value shown as *** stays unchanged unless you overwrite it."
        ),
    )
    slug = forms.SlugField(
        label=_("Slug"), required=False, help_text=_("Its name in the API; derived from the name if empty.")
    )
    retry_policy = forms.CharField(label=_("Retry policy"), required=False)
    timeout = forms.FloatField(
        label=_("Timeout"), required=False, help_text=_("Seconds for the whole attempt, at most 180.")
    )
    max_in_flight = forms.IntegerField(label=_("Max. in flight"), required=False, help_text=_("Concurrent requests."))
    rate_limit = forms.FloatField(
        label=_("Rate limit"), required=False, help_text=_("Requests per second; empty for no limit.")
    )
    permanent_statuses = forms.CharField(
        label=_("Permanent statuses"),
        required=False,
        help_text=_("Status codes that are never retried, such as 400, 410. Empty: the format’s default."),
    )
    drops_bodies = forms.BooleanField(
        required=False,
        label=_("Keep no bodies of successes"),
        help_text=_("What was sent and answered is deleted, within two minutes, once a delivery has succeeded."),
    )
    headers = JSONText(
        label=_("Headers"),
        required=False,
        help_text=_('Extra headers: {"X-Team": "shipping"}. Reserved names are rejected.'),
    )

    def __init__(self, kind: str, *args: Any, stores: Any, integration: Integration | None = None, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.kind = kind
        self.integration = integration
        self.is_connector = kind in CONNECTORS
        wanted = ["name"] if integration else ["store", "name"]
        if self.is_connector:
            wanted += self._parameter_fields(kind)
        else:
            # A format that is registered no longer keeps the fields that every format may have.
            wanted += WIRE_FORMATS[kind].form_fields if kind in WIRE_FORMATS else WireFormat.form_fields
            self.fields["url"].required = True
        self.main_names = wanted
        self.advanced_names = [*ADVANCED, *([] if self.is_connector or "parameters" in wanted else ["parameters"])]
        for name in [name for name in self.fields if name not in (*wanted, *self.advanced_names)]:
            del self.fields[name]
        if "store" in self.fields:
            self.fields["store"].queryset = stores  # type: ignore[attr-defined]
            self.fields["store"].initial = stores.first()
        if integration is not None and integration.token and "token" in self.fields:
            self.fields["token"].widget.attrs["placeholder"] = f"••••••••  {KEPT}"
        self.fields["retry_policy"].help_text = gettext(
            "%(names)s, or a list such as 5s 5m 2h. Empty: the format’s default."
        ) % {"names": ", ".join(POLICIES)}
        self._name_hints()

    def _parameter_fields(self, kind: str) -> list[str]:
        known = self.integration.parameters if self.integration else {}
        names = []
        for parameter in CONNECTORS[kind].parameters:
            name = PARAMETER + parameter.name
            is_set = bool(known.get(parameter.name))
            hint = f"••••••••  {KEPT}" if is_set else ""
            self.fields[name] = forms.CharField(
                label=gettext(parameter.label),
                help_text=gettext(parameter.help),
                required=parameter.is_required and not is_set,
                widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": hint}),
            )
            names.append(name)
        return names

    def _name_hints(self) -> None:
        """Errors and help texts are announced with their field by screen readers."""
        for name, field in self.fields.items():
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"{name}-help"

    @property
    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in self.main_names]

    @property
    def advanced(self) -> list[forms.BoundField]:
        return [self[name] for name in self.advanced_names]

    @property
    def has_advanced_errors(self) -> bool:
        return any(self[name].errors for name in self.advanced_names)

    @property
    def is_other_format(self) -> bool:
        """Whether the form is that of another wire format than the integration has."""
        row = self.integration
        return row is not None and not row.connector and not self.is_connector and row.wire_format != self.kind

    def values(self) -> IntegrationValues:
        """The submitted values, for the services. A token left empty stays unchanged."""
        data = dict(self.cleaned_data)
        data.pop("store", None)
        values: dict[str, Any] = {name: value for name, value in data.items() if not name.startswith(PARAMETER)}
        if self.integration is not None and not values.get("token"):
            values.pop("token", None)
        if self.integration is None or self.is_other_format:
            values["connector" if self.is_connector else "wire_format"] = self.kind
        if self.is_connector:
            given = {key.removeprefix(PARAMETER): text for key, text in data.items() if key.startswith(PARAMETER)}
            known = dict(self.integration.parameters) if self.integration else {}
            values["parameters"] = {**known, **{key: text for key, text in given.items() if text}}
        values["keeps_bodies"] = not values.pop("drops_bodies", False)
        values["permanent_statuses"] = _numbers(values.get("permanent_statuses", ""))
        for name in ("slug", "retry_policy", "timeout", "max_in_flight"):
            values[name] = values.get(name) or None
        return values  # type: ignore[return-value]

    def take_errors(self, error: ValidationError) -> None:
        """Attach the services' errors to the form's fields."""
        found = error.message_dict if hasattr(error, "error_dict") else {None: error.messages}
        for name, sentences in found.items():
            self.add_error(name if name in self.fields else None, list(sentences))


def _numbers(text: Any) -> list[Any] | None:
    words = [word for word in str(text or "").replace(",", " ").split() if word]
    # Invalid status codes are passed on; the service rejects them.
    return [int(word) if re.fullmatch("[0-9]{1,9}", word) else word for word in words] or None


def initial_of(integration: Integration, shown_parameters: dict[str, Any]) -> dict[str, Any]:
    """The form of an existing integration, without its credentials."""
    policy = integration.retry_policy
    return {
        "name": integration.name,
        "url": integration.url,
        "additional_data": integration.additional_data,
        "auth_type": integration.auth_type,
        "auth_header": integration.auth_header,
        "parameters": json.dumps(shown_parameters, indent=2, ensure_ascii=False) if shown_parameters else "",
        "slug": integration.slug,
        "retry_policy": policy if isinstance(policy, str) else _spelled(policy),
        "timeout": integration.timeout,
        "max_in_flight": integration.max_in_flight,
        "rate_limit": integration.rate_limit,
        "permanent_statuses": _spelled(integration.permanent_statuses),
        "drops_bodies": integration.keeps_bodies is False,
        "headers": json.dumps(integration.headers, indent=2, ensure_ascii=False) if integration.headers else "",
    }


def _spelled(values: Iterable[Any]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def kinds() -> list[tuple[str, list[WireFormat]]]:
    """The cards of the first step."""
    return [(gettext("To a URL"), list(WIRE_FORMATS.values())), (gettext("By a connector"), list(CONNECTORS.values()))]
