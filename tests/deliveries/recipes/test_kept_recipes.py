"""Kept recipes: later failures of one kind are fixed as they appear, once, within limits, and never blindly."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from deliveries.failures.case_rules import merge_cases
from deliveries.models import Delivery, FailureGroup, Recipe, RecipeUse, Record
from deliveries.recipes.applying import apply_recipes, has_work, queue_recipes
from deliveries.recipes.keeping import group_of, keep_recipe, switch_off, transform_of
from deliveries.resolution import ResolutionError, approve_revision, reject_revision
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, Store
from notifications.models import Notification
from tests.deliveries.recipes.morning import FIELD, RULES, Fleet, fleet, good, spoiled
from tests.factories import AccessTokenFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(receiver: Any, deliver: Callable[..., int]) -> Fleet:
    """Some shipments that arrived, and three that failed before anybody kept a recipe."""
    made, rng = fleet(receiver), random.Random(5)
    for number in range(6):
        made.ship(1000 + number, good(rng))
    for number in range(3):
        made.ship(2000 + number, spoiled(good(rng), number))
    deliver()
    return made


def keep(who: Actor | None = None, **values: Any) -> Recipe:
    group = FailureGroup.objects.get()
    given = {"rules": RULES, "topic": "shipment.updated", "place": FIELD, **values}
    return keep_recipe(group=group, actor=who or Actor.of_user(UserFactory(username="olga")), **given)


def next_day(world: Fleet, deliver: Callable[..., int], number: int, first: int = 3000) -> list[Delivery]:
    rng = random.Random(first)
    made = [world.ship(first + n, spoiled(good(rng), n)) for n in range(number)]
    deliver()
    return made


def work_off(deliver: Callable[..., int], passes: int = 10) -> int:
    count = 0
    for _ in range(passes):
        count += apply_recipes(timezone.now())
        deliver()
    return count


def test_later_failures_are_fixed_and_arrive_without_anybody(world: Fleet, deliver: Any) -> None:
    recipe = keep()
    made = next_day(world, deliver, 12)
    assert has_work()
    assert work_off(deliver) == 12
    ids = [one.pk for one in made]
    assert Delivery.objects.filter(pk__in=ids, status="succeeded", attempt_count=2).count() == 12
    assert Delivery.objects.filter(status="failed").count() == 3  # those from before are somebody's own affair
    recipe.refresh_from_db()
    assert (recipe.is_active, recipe.uses, recipe.succeeded, recipe.failed_again) == (True, 12, 12, 0)
    assert Record.objects.get(external_id="3000").data["shipping_address"]["phone"].startswith("+2547")
    entry = AuditEntry.objects.filter(action="edit", target_type="delivery").first()
    assert entry is not None
    assert entry.actor.startswith("recipe “") and recipe.public_id in entry.reason
    assert entry.user_id == recipe.owner_id
    assert not has_work()


def test_it_begins_with_one_and_has_no_more_under_way_than_its_successes_allow(world: Fleet, deliver: Any) -> None:
    keep()
    next_day(world, deliver, 12)
    assert apply_recipes(timezone.now()) == 1
    assert not has_work()
    assert apply_recipes(timezone.now()) == 0
    deliver()
    assert has_work()
    assert apply_recipes(timezone.now()) == 5


def test_one_that_is_wrong_is_wrong_once_then_off_and_says_so(world: Fleet, deliver: Any) -> None:
    recipe = keep(rules=[{"rule": "replace", "find": "0", "with": "1"}, {"rule": "prefix", "to": "+2547", "add": True}])
    Delivery.objects.filter(status="succeeded").delete()  # so that nothing tells what a good one looks like
    next_day(world, deliver, 6)
    assert work_off(deliver) == 1
    recipe.refresh_from_db()
    assert not recipe.is_active
    assert "failed again" in recipe.off_reason and "is not a phone number" in recipe.off_reason
    assert recipe.failed_again == 1
    assert Notification.objects.filter(summary__contains="has switched itself off").count() == 1
    assert RecipeUse.objects.get(outcome="failed").settled_at is not None


def _another_case(world: Fleet) -> FailureGroup:
    group = FailureGroup.objects.get()
    return FailureGroup.objects.create(
        store=group.store, integration=group.integration, kind="http_500", fingerprint="0" * 64, message="no paper",
        first_at=group.first_at, last_at=group.last_at,
    )  # fmt: skip


def test_a_recipe_follows_its_case_when_that_is_merged_into_another(world: Fleet, deliver: Any) -> None:
    recipe, source = keep(), FailureGroup.objects.get()
    target = _another_case(world)
    merge_cases(source=source, target=target, actor=Actor.of_user(UserFactory()))
    made = next_day(world, deliver, 3)
    assert work_off(deliver) == 3
    assert Delivery.objects.filter(pk__in=[one.pk for one in made], status="succeeded").count() == 3
    assert group_of(recipe) == target
    for case in (source, target):
        with pytest.raises(ResolutionError, match="fixes these already"):
            keep_recipe(
                group=case, rules=RULES, topic="shipment.updated", place=FIELD, actor=Actor.of_user(UserFactory())
            )


def test_of_two_merged_cases_the_recipe_of_the_one_that_is_left_goes_on(world: Fleet, deliver: Any) -> None:
    first, source = keep(), FailureGroup.objects.get()
    target = _another_case(world)
    second = keep_recipe(
        group=target, rules=RULES, topic="shipment.updated", place=FIELD, actor=Actor.of_user(UserFactory())
    )
    merge_cases(source=source, target=target, actor=Actor.of_user(UserFactory()))
    next_day(world, deliver, 3)
    assert work_off(deliver) == 3
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.is_active, first.uses, second.is_active, second.uses) == (False, 0, True, 3)
    assert second.name in first.off_reason


def test_a_delivery_is_fixed_by_a_recipe_once_at_most(world: Fleet, deliver: Any) -> None:
    recipe = keep()
    (made,) = next_day(world, deliver, 1)
    assert work_off(deliver) == 1
    Delivery.objects.filter(pk=made.pk).update(status="failed", failure_group=FailureGroup.objects.first())
    switch_off(recipe=recipe, actor=Actor.of_user(UserFactory()))
    keep(Actor.of_user(UserFactory()))
    assert work_off(deliver) == 0
    assert RecipeUse.objects.count() == 1


def test_what_does_not_fit_is_left_alone_with_the_reason(world: Fleet, deliver: Any) -> None:
    recipe = keep(rules=[{"rule": "convert", "to": "whole"}])
    world.ship(3000, "call me")
    world.ship(3001, ["none"])
    deliver()
    apply_recipes(timezone.now())
    work_off(deliver)
    notes = set(RecipeUse.objects.filter(outcome="left_alone").values_list("note", flat=True))
    assert any("not a whole number" in note for note in notes)
    recipe.refresh_from_db()
    assert (recipe.uses, recipe.is_active) == (0, True)
    assert Delivery.objects.filter(status="failed").count() == 5


def test_the_cap_holds_for_a_day(world: Fleet, deliver: Any) -> None:
    keep(daily_cap=2)
    next_day(world, deliver, 5)
    assert work_off(deliver) == 2
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=True):
        assert work_off(deliver) == 2


def test_the_first_ones_wait_for_approval_and_go_on_by_themselves_after(world: Fleet, deliver: Any) -> None:
    recipe = keep(approve_first=2)
    next_day(world, deliver, 4)
    assert work_off(deliver) == 2
    assert not has_work()
    first, second = [use.delivery_id for use in RecipeUse.objects.order_by("pk")]
    one = Delivery.objects.get(pk=first).revisions.get()
    assert one.is_awaiting_approval
    with pytest.raises(ResolutionError, match="other than the author"):
        approve_revision(revision=one, actor=Actor(recipe.owner, "olga"))
    approve_revision(revision=one, actor=Actor.of_user(UserFactory()))
    reject_revision(revision=Delivery.objects.get(pk=second).revisions.get(), actor=Actor.of_user(UserFactory()))
    deliver()
    assert work_off(deliver) == 2
    recipe.refresh_from_db()
    assert (recipe.is_active, recipe.succeeded) == (True, 3)
    assert RecipeUse.objects.get(delivery_id=second).outcome == "overtaken"


def test_a_store_with_a_second_approver_keeps_it_for_recipes_too(world: Fleet, deliver: Any) -> None:
    Store.objects.update(is_approval_required=True)
    keep()
    next_day(world, deliver, 1)
    work_off(deliver)
    assert RecipeUse.objects.get().outcome == "awaiting"
    assert Delivery.objects.filter(status="failed").count() == 4


def test_it_expires_and_ends_with_its_owners_permission_or_token(world: Fleet, deliver: Any) -> None:
    recipe = keep(days=1)
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=True):
        apply_recipes(timezone.now())
    recipe.refresh_from_db()
    assert recipe.off_reason == "It has expired."
    owner = UserFactory()
    recipe = keep(Actor.of_user(owner))
    owner.is_active = False
    owner.save()
    apply_recipes(timezone.now())
    recipe.refresh_from_db()
    assert "may not resolve deliveries any more" in recipe.off_reason
    token = AccessTokenFactory(store=world.store)
    recipe = keep(Actor(None, "access token", token.pk))
    apply_recipes(timezone.now())
    recipe.refresh_from_db()
    assert recipe.is_active
    token.delete()
    apply_recipes(timezone.now())
    recipe.refresh_from_db()
    assert not recipe.is_active


def test_a_receiver_that_is_down_for_now_switches_no_recipe_off(world: Fleet, deliver: Any) -> None:
    recipe = keep()
    (made,) = next_day(world, deliver, 1)
    apply_recipes(timezone.now())
    other = FailureGroup.objects.create(
        store=world.store, integration=world.integration, kind="timeout", fingerprint="x", message="slow",
        first_at=timezone.now(), last_at=timezone.now(),
    )  # fmt: skip
    Delivery.objects.filter(pk=made.pk).update(status="retrying", due_at=timezone.now(), failure_group=other)
    assert not has_work()  # no worker waits for it
    apply_recipes(timezone.now())
    recipe.refresh_from_db()
    assert recipe.is_active


def test_two_for_the_same_failures_are_refused(world: Fleet) -> None:
    keep()
    with pytest.raises(ResolutionError, match="fixes these already"):
        keep(Actor.of_user(UserFactory()))
    with pytest.raises(ResolutionError, match="add rules"):
        keep(Actor.of_user(UserFactory()), rules=[])
    with pytest.raises(ResolutionError, match="1 to 365 days"):
        keep(Actor.of_user(UserFactory()), days=0)


def test_without_a_recipe_the_heartbeat_asks_one_question(
    world: Fleet, django_assert_num_queries: Callable[..., Any]
) -> None:
    with django_assert_num_queries(1):
        queue_recipes(timezone.now())


def test_rules_that_jmespath_can_say_are_offered_as_a_transform(world: Fleet) -> None:
    recipe = keep(rules=[{"rule": "trim"}, {"rule": "replace", "find": " ", "with": ""}])
    assert transform_of(recipe) == (
        'merge(@, {"shipping_address": merge(default(@."shipping_address", `{}`), '
        """{"phone": replace(trim(@."shipping_address"."phone"), ' ', '')})})"""
    )
