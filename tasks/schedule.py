"""Beat's schedule, made from the sweeps and the effects: slow wake-ups for whatever a lost message would have woken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from orchestrator.adapters.celery_options import BEAT, DRAINED, task_name
from orchestrator.app.sweeps import SWEEPS

EFFECT_EVERY: Final = timedelta(seconds=5)
SWEEP_AT_MOST_EVERY: Final = timedelta(seconds=1)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """One entry per sweep and per drained effect. A tick that nobody took within two turns expires."""
    sweeps = {
        f"sweep {sweep.name}": _entry(task_name(sweep.name), max(sweep.every, SWEEP_AT_MOST_EVERY)) for sweep in SWEEPS
    }
    sweeps[BEAT] = _entry(task_name(BEAT), EFFECT_EVERY)
    return sweeps | {f"effect {work}": _entry(task_name(work), EFFECT_EVERY) for work in DRAINED}


def _entry(task: str, every: timedelta) -> dict[str, Any]:
    seconds = every.total_seconds()
    return {"task": task, "schedule": seconds, "options": {"expires": 2 * seconds}}
