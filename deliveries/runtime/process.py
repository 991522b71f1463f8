"""Run an engine in this process: slot, CPU core, memory settings."""

from __future__ import annotations

import os
from contextlib import suppress

from django.conf import settings
from django.utils import timezone

from deliveries.dispatch.engine import DeliveryEngine
from deliveries.runtime.gc_tuning import freeze_and_tune_gc
from deliveries.runtime.process_name import name_process
from deliveries.runtime.registry import register
from deliveries.storage.sql import use_indexes_only


def run_engine_here(seconds: float) -> bool:
    """Acquire a slot and run an engine. False: this host has enough engines."""
    slot = register(timezone.now())
    if slot is None:
        return False
    name_process("engine")
    _pin_to_core(slot.slot)
    freeze_and_tune_gc()
    use_indexes_only()
    DeliveryEngine(slot).run(seconds)
    name_process("worker")
    return True


def _pin_to_core(slot: int) -> None:
    """Pin the engine to one core: moving a thread between cores costs up to a factor of 2.4."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) > 1 and len(cores) >= settings.ENGINE_PROCESSES:
        with suppress(OSError):
            os.sched_setaffinity(0, {cores[slot % len(cores)]})
