"""The form of a source: first the kind, then only the fields that the kind needs, then the mapping."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.admin.fields import KnownRowField
from integrations.models import Source, Store
from integrations.services import SourceValues
from integrations.services.source_values import MAPPED
from integrations.sources.base import Option, SourceKind

OPTION, MAPPING = "option_", "mapping_"
LABELS = {
    "topic": _("Topic"),
    "intent": _("Intent"),
    "object_type": _("Type of object"),
    "object_id": _("Id of the object"),
    "data": _("Data"),
    "dedupe": _("Deduplicated by"),
}


class SourceForm(forms.Form):
    """Validates only what a form can; the services check the rest, by field."""

    store = KnownRowField(
        Store.objects.none(),
        label=_("Store"),
        help_text=_("The store whose subscriptions get what comes in."),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=200,
        help_text=_("A name that staff recognise, such as Stripe live."),
    )
    secret = forms.CharField(
        required=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), strip=False
    )
    mode = forms.ChoiceField(label=_("Becomes"), choices=Source.Mode.choices)
    slug = forms.SlugField(
        label=_("Slug"),
        required=False,
        help_text=_("Its name in the API; derived from the name if empty."),
    )

    def __init__(self, kind: SourceKind, *args: Any, stores: Any, source: Source | None = None, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.kind = kind
        self.source = source
        self.fields["secret"].label = gettext(kind.key_label)
        self.fields["secret"].help_text = _help_of_secret(kind, source)
        self.fields["mode"].initial = kind.default_mode
        for option in kind.options:
            self.fields[OPTION + option.name] = _field_of(option)
        for name in MAPPED:
            default = kind.defaults.get(name)
            self.fields[MAPPING + name] = forms.CharField(
                label=LABELS[name],
                required=False,
                help_text=gettext("Default: %(default)s") % {"default": gettext(default)} if default else "",
                widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "autocomplete": "off"}),
            )
        if source is None:
            self.fields["store"].queryset = stores  # type: ignore[attr-defined]
            self.fields["store"].initial = stores.first()
        else:
            del self.fields["store"]
        for name, field in self.fields.items():
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"{name}-help"

    @property
    def main(self) -> list[forms.BoundField]:
        names = [*(["store"] if "store" in self.fields else []), "name", "secret"]
        return [self[name] for name in [*names, *(OPTION + option.name for option in self.kind.options)]]

    @property
    def mapped(self) -> list[forms.BoundField]:
        return [self["mode"], *(self[MAPPING + name] for name in MAPPED)]

    @property
    def has_mapping(self) -> bool:
        """Whether the fold is open."""
        return bool(self.source and self.source.mapping) or any(field.errors for field in self.mapped)

    def values(self) -> SourceValues:
        """The submitted values, for the services. A secret left empty stays unchanged, or is made."""
        data = self.cleaned_data
        values: dict[str, Any] = {
            "name": data["name"],
            "slug": data["slug"] or None,
            "mode": data["mode"],
            "secret": data["secret"] or None,
            "options": {option.name: data[OPTION + option.name] for option in self.kind.options},
            "mapping": {name: data[MAPPING + name] for name in MAPPED},
        }
        return values | ({"kind": self.kind.name} if self.source is None else {})  # type: ignore[return-value]

    def take_errors(self, error: ValidationError) -> None:
        """Attach the services' errors to the form's fields."""
        found = error.message_dict if hasattr(error, "error_dict") else {None: error.messages}
        for name, sentences in found.items():
            for sentence in sentences:
                self.add_error(self._field_for(name, sentence), sentence)

    def _field_for(self, name: Any, sentence: str) -> str | None:
        """Of an option or a mapping, the sentence names which one it is about: the first name in it."""
        if name == "mapping":
            return MAPPING + sentence.partition(":")[0]
        if name == "options":
            words = re.findall(r"\w+", sentence)
            return next((OPTION + word for word in words if OPTION + word in self.fields), None)
        return name if name in self.fields else None


def initial_of(source: Source) -> dict[str, Any]:
    """The form of an existing source, without its secret."""
    return {
        "name": source.name,
        "slug": source.slug,
        "mode": source.mode,
        **{OPTION + name: value for name, value in source.options.items()},
        **{MAPPING + name: text for name, text in source.mapping.items()},
    }


def _help_of_secret(kind: SourceKind, source: Source | None) -> str:
    if source is not None:
        return gettext(
            "Stored encrypted and never shown again. A new one replaces the old, which still counts for 24 hours."
        )
    if kind.key_from == "ours":
        return gettext("Leave it empty to have one made, which is shown once. Enter the sender’s if it has one.")
    if kind.key_from == "theirs":
        return gettext("The sender shows it. You can enter it later; until then requests are refused.")
    return gettext("Not needed: the address is the secret.")


def _field_of(option: Option) -> forms.Field:
    label, about = gettext(option.label), gettext(option.help)
    if option.is_number:
        return forms.IntegerField(label=label, help_text=about, required=False)
    if option.choices:
        choices = [
            ("", gettext("%(value)s (default)") % {"value": option.choices[0]}),
            *((each, each) for each in option.choices[1:]),
        ]
        return forms.ChoiceField(label=label, help_text=about, required=False, choices=choices)
    return forms.CharField(label=label, help_text=about, required=False, strip=False)
