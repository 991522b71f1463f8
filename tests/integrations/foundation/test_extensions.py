"""What packages may bring, and what is refused with a sentence for its author."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.base import Connector, Parameter
from integrations.extensions import accept_connector, accept_source, accept_wire_format
from integrations.foundation import extensions
from integrations.foundation.extensions import ExtensionError, entry_points
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.flat import FlatFormat
from notifications.channels.discord import Discord
from notifications.channels.extensions import accept_channel_kind
from notifications.channels.sms import TwilioSms
from subscriptions.expressions import extensions as functions
from subscriptions.expressions.evaluation import ExpressionError, check_expression, function_help, transform
from subscriptions.expressions.functions import ExpressionFunctions


class Plain(FlatFormat):
    label = "Plain"
    description = "Plain."


class Fax(Plain, Connector):
    parameters = (Parameter("number", "Number", "The fax."),)
    form_fields = ()


def test_a_class_or_an_instance_is_registered_under_the_entry_points_name():
    assert accept_wire_format("other", Plain).name == "other"
    assert accept_wire_format("other", Plain()).name == "other"
    assert WIRE_FORMATS["flat"].name == "flat"
    assert accept_connector("fax", Fax).name == "fax"
    assert accept_channel_kind("talk", Discord).name == "talk"
    assert Discord.name == "discord"


@pytest.mark.parametrize(
    ("accept", "found", "words"),
    [
        (accept_wire_format, 5, "inheriting from WireFormat"),
        (accept_wire_format, type("No", (), {}), "inheriting from WireFormat"),
        (accept_wire_format, type("X", (Plain,), {"label": ""}), "no label"),
        (accept_wire_format, type("X", (Plain,), {"form_fields": ("colour",)}), "'colour'"),
        (accept_wire_format, type("X", (Plain,), {"default_retry_policy": "never"}), "default_retry_policy"),
        (accept_wire_format, type("X", (Plain,), {"default_timeout": 0}), "default_timeout"),
        (accept_connector, Plain, "inheriting from Connector"),
        (accept_connector, type("X", (Fax,), {"parameters": ["a"]}), "tuple of Parameter"),
        (accept_source, Plain, "inheriting from SourceKind"),
        (accept_channel_kind, Discord.__call__, "inheriting from Provider"),
        (accept_channel_kind, type("X", (Discord,), {"fields": ["url"]}), "tuple of Field"),
        (accept_channel_kind, TwilioSms, "columns"),
        (lambda name, found: functions.accept_function(name, found), 5, "no function"),
        (lambda name, found: functions.accept_function(name, found), lambda *, a: a, "by their position"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(accept: Any, found: Any, words: str):
    with pytest.raises(ExtensionError, match=words):
        accept("x", found)


class TestFunctions:
    @pytest.fixture
    def added(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        def add(function: Any) -> None:
            entry = functions.accept_function("added", function)
            monkeypatch.setitem(ExpressionFunctions.FUNCTION_TABLE, "added", entry)

        return add

    def test_a_plain_function_takes_values(self, added):
        def double(value: Any) -> Any:
            """twice of it."""
            return [value, value]

        added(double)
        assert transform("added(a)", {"a": 1}) == [1, 1]
        assert "added(value): twice of it." in function_help()
        with pytest.raises(ExpressionError, match="takes 1 argument, not 2"):
            check_expression("added(a, b)")

    @pytest.mark.parametrize(
        ("result", "words"), [({1, 2}, "returned set, which JSON"), ([{1}], "JSON|expression"), ("x" * 1_000_001, "1,000,000")]
    )  # fmt: skip
    def test_what_json_cannot_say_is_an_error(self, added, result, words):
        added(lambda: result)
        with pytest.raises(ExpressionError, match=words):
            transform("added()", {})

    @pytest.mark.parametrize("error", [SystemExit(1), ValueError("out of range"), MemoryError()])
    def test_what_it_raises_is_an_error_of_the_expression(self, added, error):
        def fail() -> None:
            raise error

        added(fail)
        with pytest.raises(ExpressionError, match=r"added\(\) failed"):
            transform("added()", {})


def test_only_packages_that_bring_something_are_read(tmp_path, monkeypatch):
    for name, text in (("other", "[console_scripts]\na = b:c\n"), ("mine", "[hookdesk.functions]\nmine = m:f\n")):
        about = tmp_path / f"{name}-2.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        (about / "entry_points.txt").write_text(text)
    extensions._packages.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert [(point.name, point.value) for point in entry_points("hookdesk.functions")] == [("mine", "m:f")]
    finally:
        extensions._packages.cache_clear()
