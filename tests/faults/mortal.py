"""The Celery app of workers that die: each point kills its process once, the first time that anybody comes there.

celery -A tests.faults.mortal worker        UNDERSTUDY_TEST_DEATHS=directory for the marks
"""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.adapters.db.jobs import SqlJobs
from orchestrator.adapters.db.runs import SqlRuns
from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.app import sweeps
from orchestrator.app.publish import Publishing
from orchestrator.app.verify import Verification
from tasks.app import app

__all__ = ["POINTS", "app"]

POINTS = {
    "claimed, not yet checked": (Verification, "verify", "before"),
    "checked, not yet written": (Verification, "verify", "after"),
    "moves written, not committed": (SqlJobs, "move_many", "after"),
    "runs in the ledger, not committed": (SqlRuns, "add_many", "after"),
    "run in the ledger, not submitted": (LocalBackend, "submit", "before"),
    "run submitted, nobody knows": (LocalBackend, "submit", "after"),
    "run looked at, not written": (SqlRuns, "save_many", "before"),
    "run written, not committed": (SqlRuns, "save_many", "after"),
    "model not yet stored": (Publishing, "store_model", "before"),
    "model stored, nobody knows": (Publishing, "store_model", "after"),
    "asset made, not yet written": (Publishing, "publish", "after"),
    "asset written, not committed": (Publishing, "record", "after"),
}


def _die_once(point: str) -> None:
    mark = Path(os.environ["UNDERSTUDY_TEST_DEATHS"]) / point
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _mortal(point: str, work: Callable[..., Any], when: str) -> Callable[..., Any]:
    @functools.wraps(work)
    def mortal(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            _die_once(point)
        result = work(*args, **kwargs)
        if when == "after":
            _die_once(point)
        return result

    return mortal


if "UNDERSTUDY_TEST_DEATHS" in os.environ:
    for _point, (_owner, _name, _when) in POINTS.items():
        setattr(_owner, _name, _mortal(_point, getattr(_owner, _name), _when))
    # a dozen deaths, one after the other: nobody is to wait five seconds for the successor each time
    sweeps.SWEEPS = tuple(  # type: ignore[misc]  # a table of the running program
        dataclasses.replace(sweep, every=timedelta(milliseconds=300)) if sweep.name == "lost_leases" else sweep
        for sweep in sweeps.SWEEPS
    )
