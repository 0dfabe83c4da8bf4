"""Beat's schedule, made from the sweeps and the effects: slow wake-ups for whatever a lost message would have woken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from orchestrator.app.sweeps import SWEEPS
from orchestrator.domain.commands import Effect

EFFECT_EVERY: Final = timedelta(seconds=5)
SWEEP_AT_MOST_EVERY: Final = timedelta(seconds=1)
BY_SWEEPS: Final = frozenset({Effect.RETRY, Effect.OVERDUE})  # sweeps ask about these
DRAINED: Final = tuple(effect for effect in Effect if effect not in BY_SWEEPS)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """One entry per sweep and per drained effect. A tick that nobody took within two turns expires."""
    sweeps = {
        f"sweep {sweep.name}": _entry(f"sweeps.{sweep.name}", max(sweep.every, SWEEP_AT_MOST_EVERY))
        for sweep in SWEEPS
    }
    return sweeps | {f"effect {effect}": _entry(f"effects.{effect}", EFFECT_EVERY) for effect in DRAINED}


def _entry(task: str, every: timedelta) -> dict[str, Any]:
    seconds = every.total_seconds()
    return {"task": task, "schedule": seconds, "options": {"expires": 2 * seconds}}
