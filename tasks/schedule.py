"""Beat's schedule, made from the sweeps and the effects: slow wake-ups for whatever a lost message would have woken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.app.sweeps import SWEEPS
from orchestrator.domain.commands import Effect

EFFECT_EVERY = timedelta(seconds=5)
# Effects that sweeps ask about; the others are drained by workers.
BY_SWEEPS = frozenset({Effect.RETRY, Effect.OVERDUE})


def beat_schedule() -> dict[str, dict[str, Any]]:
    """One entry per sweep and per drained effect. A tick that nobody took within two turns expires."""
    entries = {
        f"sweep {sweep.name}": _entry(f"sweeps.{sweep.name}", max(sweep.every, timedelta(seconds=2)))
        for sweep in SWEEPS
    }
    return entries | {
        f"effect {effect}": _entry(f"effects.{effect}", EFFECT_EVERY)
        for effect in Effect
        if effect not in BY_SWEEPS
    }


def _entry(task: str, every: timedelta) -> dict[str, Any]:
    seconds = every.total_seconds()
    return {"task": task, "schedule": seconds, "options": {"expires": 2 * seconds}}
