"""What a database says of a row that it refuses does not reach the logs."""

from __future__ import annotations

import io
import logging

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils.module_loading import import_string

from tests.factories import EventFactory

CANARY = "CANARY-of-a-payload"


def logged(error: Exception) -> str:
    """By the formatter that the settings name."""
    chosen = settings.LOGGING["formatters"]["line"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(import_string(chosen.get("class", "logging.Formatter"))(chosen["format"]))
    logger = logging.Logger("of this test")
    logger.addHandler(handler)
    try:
        raise error
    except Exception as raised:
        logger.exception("it failed")
        logger.warning("the database did not answer: %s", raised)
    return stream.getvalue()


@pytest.mark.django_db
def test_the_row_that_a_database_refuses_is_not_logged() -> None:
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        EventFactory(topic=CANARY, origin=None)
    text = logged(caught.value)

    assert CANARY not in text
    assert "Traceback" in text
    assert "origin" in text


def test_quoted_rows_are_left_out_however_they_come() -> None:
    message = (
        f'null value in column "data"\nDETAIL:  Failing row contains (1, {CANARY}).\nCONTEXT:  COPY x, "{CANARY}"\n'
    )
    text = logged(RuntimeError(message))

    assert CANARY not in text
    assert 'null value in column "data"' in text
