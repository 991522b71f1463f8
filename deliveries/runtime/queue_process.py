"""django-q2's pusher and monitor as two threads of one process.

Both are idle nearly all the time, and a process costs ten times the memory of a thread. django-q2's guard manages
processes, so it gets an object for each of the two. It stops the pusher first, then the workers, then the monitor.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from deliveries.runtime.broker_outage import push_tasks
from deliveries.runtime.process_name import name_process
from deliveries.runtime.registry import StopFlag

logger = logging.getLogger("hookdesk.cluster")


class QueuePart:
    """Pusher or monitor as django-q2 sees it: alive while its process is alive and its thread has not ended."""

    def __init__(self, process: Any, has_ended: StopFlag) -> None:
        self.process = process
        self.has_ended = has_ended

    def is_alive(self) -> bool:
        return bool(self.process.is_alive()) and not self.has_ended.is_set()

    def __getattr__(self, name: str) -> Any:  # pid, name, kill …
        return getattr(self.process, name)


def run_queue(task_queue: Any, result_queue: Any, stop_event: Any, broker: Any, has_pushed: StopFlag) -> None:
    """Run the process: push tasks until `stop_event`, and save results until it receives STOP."""
    name_process("queue")
    saver = threading.Thread(target=_save_results, args=(result_queue, broker), name="monitor", daemon=True)
    saver.start()
    push_tasks(task_queue, stop_event, broker)
    has_pushed.set()
    saver.join()


def _save_results(result_queue: Any, broker: Any) -> None:
    from django_q.monitor import monitor

    try:
        monitor(result_queue, broker)
    except BaseException:
        logger.exception("the task queue's monitor failed; its process exits and will be replaced")
        os._exit(1)
