"""One thin task per sweep; whether it is due, and who does it, the database says."""

from __future__ import annotations

from orchestrator.app.sweeps import SWEEPS
from tasks.app import app
from tasks.process import process


def _sweep(name: str) -> None:
    process().sweep(name)


for _row in SWEEPS:
    app.task(name=f"sweeps.{_row.name}", ignore_result=True)(lambda name=_row.name: _sweep(name))
