"""One thin task per sweep; whether it is due, and who does it, the database says."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.adapters.celery_options import BEAT, task_name
from orchestrator.app.sweeps import SWEEPS
from tasks.app import app
from tasks.process import process


def _sweeping(name: str) -> Callable[[], None]:
    def sweep() -> None:
        process().sweep(name)

    return sweep


@app.task(name=task_name(BEAT), ignore_result=True)
def hear_beat() -> None:
    process().hear_beat()


for _row in SWEEPS:
    app.task(name=task_name(_row.name), ignore_result=True)(_sweeping(_row.name))
