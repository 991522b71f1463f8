"""The processes of `manage.py run`: any of them may be killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

from tests.e2e.installation import Installation
from tests.processes import children_of, descendants_of, eventually, name_of
from tests.receiver import Receiver

#: The supervisor's children and theirs, by what they are called. Another worker runs while a task waits for it.
KINDS = Counter({"hookdesk web": 3, "hookdesk worker": 2, "hookdesk engine": 2, "hookdesk queue": 1})


def kinds(installation: Installation) -> Counter[str]:
    assert installation.process is not None
    return Counter(name_of(pid) for pid in descendants_of(installation.process.pid))


def is_complete(installation: Installation) -> bool:
    return kinds(installation) in (KINDS, KINDS + Counter({"hookdesk worker": 1}))


def victims(installation: Installation) -> dict[str, int]:
    """One process of each kind."""
    assert installation.process is not None
    main = {name_of(pid): pid for pid in children_of(installation.process.pid)}
    worker = {name_of(pid): pid for pid in children_of(main["hookdesk worker"])}
    return {
        "web server": main["hookdesk web"],
        "web process": children_of(main["hookdesk web"])[0],
        "worker": main["hookdesk worker"],
        "idle worker": worker["hookdesk worker"],
        "engine": worker["hookdesk engine"],
        "queue": worker["hookdesk queue"],
    }


def test_whichever_process_is_killed_comes_back_and_deliveries_go_on(
    installation: Installation, receiver: Receiver
) -> None:
    installation.start()
    headers = installation.make_store(receiver.url("/hook"))
    eventually(lambda: is_complete(installation), 20, f"other processes: {kinds(installation)}")

    for number, kind in enumerate(victims(installation), start=1):
        victim = victims(installation)[kind]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{victim}").exists())  # noqa: B023 - called at once
        eventually(lambda: is_complete(installation), 40, f"{kind} did not come back: {kinds(installation)}")
        installation.await_engines()
        eventually(lambda: installation.answers("/healthz"), 20, f"no web server after the end of the {kind}")
        assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": str(number)}]}, **headers)[0] == 202
        receiver.wait_for(number, 20)


def test_engines_start_although_more_tasks_wait_than_there_are_workers(installation: Installation) -> None:
    enqueue = "from django_q.tasks import async_task; [async_task('time.sleep', 60) for _ in range(8)]"
    installation.manage("shell", "-c", enqueue)
    installation.start()  # waits for the engines
