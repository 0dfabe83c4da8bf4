"""One thin task per effect that workers drain: "there may be work of this kind"."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.adapters.celery_options import DRAINED, task_name
from orchestrator.domain.commands import Effect
from tasks.app import app
from tasks.process import process


def _draining(effect: Effect) -> Callable[[], None]:
    def drain() -> None:
        process().drain(effect)

    return drain


for _effect in DRAINED:
    app.task(name=task_name(_effect), ignore_result=True)(_draining(_effect))
