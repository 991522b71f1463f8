"""The two stores, and people of every role: those who see everything, those of one store, those of none."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client

from tests.doors.world import ROLES, Side, make_person, make_shared, make_side


@dataclass
class World:
    """`alpha` is the store of the limited people, `beta` the other."""

    alpha: Side
    beta: Side
    shared: dict[str, Model]
    people: dict[str, User]

    def rows(self, side: Side) -> dict[str, Model]:
        return {**self.shared, **side.rows}

    def client(self, person: str) -> Client:
        client = Client(raise_request_exception=False)
        client.force_login(self.people[person])
        return client


LIMITED = [f"{role} of Alpha" for role in ROLES]
UNLIMITED = [f"{role} of all" for role in ROLES]
NOWHERE = [f"{role} of none" for role in ROLES]
SUPERUSER = "superuser"
PEOPLE = [*LIMITED, *UNLIMITED, *NOWHERE, SUPERUSER]


@pytest.fixture
def world(db: None) -> World:
    alpha, beta = make_side("ALPHA"), make_side("BETA")
    people = {f"{role} of Alpha": make_person(role, [alpha.store]) for role in ROLES}
    people |= {f"{role} of all": make_person(role, None) for role in ROLES}
    people |= {f"{role} of none": make_person(role, []) for role in ROLES}
    people[SUPERUSER] = make_person(None, [], is_superuser=True)
    return World(alpha, beta, make_shared(), people)
