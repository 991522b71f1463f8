"""The registry against the models: nothing that may hold a payload is forgotten."""

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import models

from deliveries.erasure.places import WITHOUT_PAYLOAD, places

OURS = ("integrations", "subscriptions", "deliveries", "notifications", "config")
#: Of libraries: tasks carry ids only; users, groups and the log of Django's own forms are about staff and configuration.
#: The login's are about staff.
OTHERS = {"auth", "contenttypes", "admin", "django_q", "account", "mfa", "socialaccount", "usersessions"}
CAN_HOLD_A_VALUE = (models.CharField, models.TextField, models.JSONField, models.BinaryField)


def fields_of(model):
    for each in model._meta.concrete_fields:
        if isinstance(each, CAN_HOLD_A_VALUE) and not each.choices:
            yield each.name


def test_every_field_that_can_hold_a_payload_is_in_a_place_or_said_to_hold_none():
    searched = {(place.model._meta.label_lower, name) for place in places() for name in place.fields}
    said = {(label, name) for label, names in WITHOUT_PAYLOAD.items() for name in names}
    all_fields = {
        (model._meta.label_lower, name)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in OURS or model is Session
        for name in fields_of(model)
    }
    known = searched | said | {("sessions.session", "session_key")}
    assert sorted(all_fields - known) == []
    assert sorted(known - all_fields) == [], "these no longer exist"
    assert not searched & said


def test_every_app_was_looked_at():
    apps_with_models = {model._meta.app_label for model in apps.get_models()}
    assert apps_with_models - {*OURS, "sessions"} <= OTHERS


def test_names_are_unique_and_fit_the_column():
    names = [place.name for place in places()]
    assert len(names) == len(set(names))
    assert all(len(name) <= 50 for name in names)
