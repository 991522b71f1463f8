"""The services of integrations: what is enabled, disabled, merged or left as it is, and what the history has of it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, IntegrationHealth
from integrations.services import disable_integration, enable_integration, save_parameters, update_integration
from tests.factories import IntegrationFactory

pytestmark = pytest.mark.django_db
STAFF = Actor(None, "staff")


class TestServices:
    def test_disabling_says_why_and_enabling_forgets_it(self) -> None:
        integration = IntegrationFactory()

        disable_integration(integration=integration, reason="answered 410")
        assert (integration.is_enabled, integration.disabled_reason) == (False, "answered 410")
        enable_integration(integration=integration, actor=STAFF)
        assert (integration.is_enabled, integration.disabled_reason) == (True, "")
        assert [(entry.action, entry.actor) for entry in AuditEntry.objects.all()] == [
            ("enable", "staff"),
            ("disable", "Hookdesk"),
        ]

    def test_what_is_disabled_or_deleted_already_is_left_alone(self) -> None:
        disabled = IntegrationFactory(is_enabled=False, disabled_reason="first")
        deleted = IntegrationFactory(deleted_at=timezone.now())

        for integration in (disabled, deleted):
            assert not disable_integration(integration=integration, reason="second")
        assert not enable_integration(integration=deleted, actor=STAFF)
        disabled.refresh_from_db()
        assert disabled.disabled_reason == "first"
        assert not AuditEntry.objects.exists()

    def test_enabling_forgets_the_failures_that_had_it_disabled(self) -> None:
        integration = IntegrationFactory(is_enabled=False)
        now = timezone.now()
        IntegrationHealth.objects.create(
            integration=integration, breaker="open", probe_at=now, first_failure_at=now, consecutive_failures=99
        )

        assert enable_integration(integration=integration, actor=STAFF)

        health = IntegrationHealth.objects.get()
        assert (health.breaker, health.consecutive_failures, health.first_failure_at) == ("closed", 0, None)

    def test_parameters_of_an_answer_are_merged_and_tick_only_when_something_changes(self) -> None:
        integration = IntegrationFactory(parameters={"a": {"b": 1, "c": 2}})
        integration.store.refresh_from_db()
        unchanged = integration.store.config_version

        save_parameters(integration.id, {"a": {"b": 1}})
        integration.store.refresh_from_db()
        assert integration.store.config_version == unchanged
        save_parameters(integration.id, {"a": {"b": 5}, "d": 6})

        integration.refresh_from_db()
        integration.store.refresh_from_db()
        assert integration.parameters == {"a": {"b": 5, "c": 2}, "d": 6}
        assert integration.store.config_version > unchanged

    def test_a_change_of_nothing_leaves_no_entry(self) -> None:
        integration = IntegrationFactory(name="Same")

        update_integration(integration=integration, actor=STAFF, name="Same")

        assert not AuditEntry.objects.exists()
