"""One thin task per kind of work that workers drain, an effect or media: "there may be work of this kind"."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.adapters.celery_options import DRAINED, task_name
from tasks.app import app
from tasks.process import process


def _draining(work: str) -> Callable[[], None]:
    def drain() -> None:
        process().drain(work)

    return drain


for _work in DRAINED:
    app.task(name=task_name(_work), ignore_result=True)(_draining(_work))
