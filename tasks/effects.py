"""One thin task per effect that workers drain: "there may be work of this kind"."""

from __future__ import annotations

from orchestrator.domain.commands import Effect
from tasks.app import app
from tasks.process import process
from tasks.schedule import BY_SWEEPS


def _drain(effect: Effect) -> None:
    process().drain(effect)


for _effect in Effect:
    if _effect not in BY_SWEEPS:
        app.task(name=f"effects.{_effect}", ignore_result=True)(lambda effect=_effect: _drain(effect))
