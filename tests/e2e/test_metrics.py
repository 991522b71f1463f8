"""`/metrics` of a real installation: what all of its processes counted, while they work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.installation import Installation
from tests.processes import eventually
from tests.receiver import Receiver

PUSHES = 60


def scraped(installation: Installation) -> dict[tuple[str, ...], float]:
    with urlopen(f"http://127.0.0.1:{installation.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, sample.labels.get("status") or sample.labels.get("outcome") or ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_pushes_and_attempts_of_all_processes_are_counted_each_once(tmp_path: Path, receiver: Receiver) -> None:
    installation = Installation(tmp_path, WEB_WORKERS="2", ENGINE_PROCESSES="2")
    try:
        installation.start()
        headers = installation.make_store(receiver.url("/hook"))

        def push(number: int) -> Any:
            return installation.request("POST", "/api/v1/push", {"shipments": [{"id": str(number)}]}, **headers)[0]

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(push, range(PUSHES))) == {202}
        wanted = {
            ("hookdesk_pushes_total", "202"): PUSHES,
            ("hookdesk_attempts_total", "succeeded"): PUSHES,
            ("hookdesk_attempts_total", "failed"): 0,
            ("hookdesk_receiver_seconds_count", ""): PUSHES,
            ("hookdesk_push_to_delivered_seconds_count", ""): PUSHES,
        }
        # Counts in memory are written every 5 seconds, and scrapes within 15 share a result.
        with suppress(AssertionError):
            eventually(lambda: wanted.items() <= scraped(installation).items(), 60)
        assert {key: scraped(installation)[key] for key in wanted} == wanted
    finally:
        installation.clean_up()
