"""The topics of the desk: schema and condition, checked as the API checks them."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin.base import DeskAdmin
from integrations.admin.fields import StrictJSONField
from integrations.foundation.audit import Actor
from integrations.models import Store
from subscriptions import exported
from subscriptions.expressions.evaluation import ExpressionError, check_expression
from subscriptions.matching import check_topic_is_free
from subscriptions.models import Topic
from subscriptions.services import check_schema, create_topic, delete_topic, problem_of_topic, update_topic


class SchemaField(StrictJSONField):
    """JSON as people read it."""

    def prepare_value(self, value: Any) -> Any:
        if value is None:
            return ""
        if isinstance(value, dict):
            return json.dumps(value, indent=2, ensure_ascii=False)
        return super().prepare_value(value)


class TopicForm(forms.ModelForm):
    """The checks of a schema and a condition are the services': no reference out of it, no bad pattern."""

    schema = SchemaField(
        label=gettext_lazy("Schema"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 16, "class": "code-small", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "JSON Schema, draft 2020-12. Pushes that violate it are rejected, and the wizard validates against it."
        ),
    )

    class Meta:
        model = Topic
        fields = ("store", "name", "description", "schema", "condition", "is_searchable")
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "condition": forms.Textarea(attrs={"rows": 2, "class": "code-small", "spellcheck": "false"}),
        }

    def clean_name(self) -> str:
        try:
            return check_topic_is_free(self.cleaned_data["name"].strip())
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def clean_schema(self) -> Any:
        schema = self.cleaned_data["schema"]
        try:
            if schema is not None:
                check_schema(schema)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return schema

    def clean_condition(self) -> str:
        condition: str = self.cleaned_data["condition"]
        try:
            if condition.strip():
                check_expression(condition)
        except ExpressionError as error:
            raise ValidationError(error.message) from None
        return condition


@admin.register(Topic)
class TopicAdmin(DeskAdmin):
    form = TopicForm
    list_display = ["name", "store", "description", "has_schema", "condition", "problem"]
    list_select_related = ["store"]
    export_columns = exported.TOPICS.columns
    search_fields = ["name"]
    list_title = gettext_lazy("Topics")
    one_of_them = gettext_lazy("topic")
    field_names = {
        "store": gettext_lazy("store"),
        "name": gettext_lazy("name"),
        "description": gettext_lazy("description"),
        "schema": gettext_lazy("schema"),
        "condition": gettext_lazy("condition"),
    }
    empty_text = gettext_lazy(
        "A described topic validates what is pushed under it, or decides by a condition when it is emitted."
    )

    @admin.display(description=gettext_lazy("schema"))
    def has_schema(self, topic: Topic) -> str:
        return _("yes") if topic.schema is not None else _("no")

    @admin.display(description=gettext_lazy("problem"), empty_value="")
    def problem(self, topic: Topic) -> str | None:
        """Schemas and conditions saved before the current rules and invalid under them: pushes to the topic are
        rejected.
        """
        return problem_of_topic(topic)

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if request.method == "POST" and request.POST.get("then") == "try" and object_id is not None:
            found = self.get_object(request, object_id)
            form_class = self.get_form(request, found, change=True)
            if (
                found is not None
                and self.has_view_permission(request)
                and form_class(request.POST, instance=found).is_valid()
            ):
                # The same form goes on to the time machine; with errors, it shows them as if it were saved.
                return redirect("admin:deliveries_simulation_of_topic", found.pk, preserve_request=True)
        return super().changeform_view(request, object_id, *args, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["store"] if obj is not None else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        first = self.choices_of(Store, request).first()
        return {"store": first, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Topic, form: Any, change: bool) -> None:
        actor = Actor.of_user(request.user)
        names = ("name", "description", "schema", "condition", "is_searchable")
        values = {name: form.cleaned_data.get(name) for name in names}
        if change:
            update_topic(topic=obj, actor=actor, **values)
        else:
            obj.pk = create_topic(store=obj.store, actor=actor, **values).pk

    def delete_model(self, request: HttpRequest, obj: Topic) -> None:
        delete_topic(topic=obj, actor=Actor.of_user(request.user))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for topic in queryset:
            delete_topic(topic=topic, actor=Actor.of_user(request.user))
