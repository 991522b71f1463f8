"""One store's evil schemas and expressions, pushed against in a real web process: the others go on."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from tests.e2e.installation import Installation
from tests.receiver import Receiver

#: Seconds in which any answer must have come. Before there was a budget, one such push held the process until it was
#: killed, and everybody's requests with it.
PATIENCE = 20

WIDE = {"anyOf": [*({"minimum": 10**6 + number} for number in range(2_000)), {"type": "number"}]}
DEFINITIONS: dict[str, Any] = {"a0": {"type": "integer"}}
for level in range(1, 41):
    DEFINITIONS[f"a{level}"] = {"allOf": [{"$ref": f"#/$defs/a{level - 1}"}, {"$ref": f"#/$defs/a{level - 1}"}]}

#: Schema and the object that is pushed against it.
EVIL: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"properties": {"s": {"pattern": "^(a+)+$"}}}, {"s": "a" * 40 + "!"}),
    ({"properties": {"s": {"pattern": "^([a-z]+)*[0-9]$"}}}, {"s": "a" * 5_000}),
    ({"patternProperties": {"(x+x+)+y": {}}}, {"x" * 60: 1}),
    ({"$defs": DEFINITIONS, "properties": {"n": {"$ref": "#/$defs/a40"}}}, {"n": {}}),
    ({"properties": {"u": {"uniqueItems": True}}}, {"u": [{"n": number} for number in range(20_000)]}),
    ({"properties": {"n": {"items": WIDE}}}, {"n": list(range(5_000))}),
]


def test_evil_schemas_of_one_store_keep_no_other_waiting(tmp_path: Path, receiver: Receiver) -> None:
    installation = Installation(tmp_path, WEB_WORKERS="1", WEB_THREADS="4")
    try:
        installation.start()
        theirs = installation.make_store(receiver.url("/evil"))
        for number, (schema, _) in enumerate(EVIL):
            topic = {"name": f"evil{number}.created", "schema": schema}
            status, answer = installation.request("POST", "/api/v1/topics", topic, **theirs)
            assert status == 201, answer
        web = installation.said()

        statuses: list[int] = []

        def push(number: int) -> None:
            body = {f"evil{number}s": [{"id": str(number), **EVIL[number][1]}]}
            statuses.append(installation.request("POST", "/api/v1/push", body, **theirs)[0])

        attackers = [threading.Thread(target=push, args=(number,)) for number in range(len(EVIL))]
        for attacker in attackers:
            attacker.start()
        deadline = time.monotonic() + PATIENCE
        answered = 0
        while answered < 30 or any(attacker.is_alive() for attacker in attackers):
            assert time.monotonic() < deadline, (answered, statuses)
            assert installation.answers("/healthz")
            answered += 1
        for attacker in attackers:
            attacker.join(PATIENCE)

        # Refused or accepted by what the schema says of the data; the rest could not be found out at a fair price.
        assert sorted(statuses) == [202, 202, 400, 400, 400, 400]
        assert "WORKER TIMEOUT" not in installation.said().removeprefix(web)
    finally:
        installation.clean_up()
