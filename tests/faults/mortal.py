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

from orchestrator.adapters.db.files import SqlFiles
from orchestrator.adapters.db.jobs import SqlJobs
from orchestrator.adapters.db.runs import SqlRuns
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.app import sweeps
from orchestrator.app.publish import Publishing
from orchestrator.app.sealing import Sealing
from orchestrator.app.verify import Verification
from tasks.app import app

__all__ = ["POINTS", "app"]

POINTS = {
    # sealing: every step that the store or the database sees
    "sealing begun, not committed": (SqlFiles, "move", "after"),
    "sealing begun, nothing done": (Sealing, "finish", "before"),
    "parts listed": (S3Storage, "list_parts", "after"),
    "parts not yet joined": (S3Storage, "complete_upload", "before"),
    "parts joined, nobody knows": (S3Storage, "complete_upload", "after"),
    "staged object pinned, not yet copied": (S3Storage, "copy", "before"),
    "copied, nobody knows": (S3Storage, "copy", "after"),
    "copy pinned, not yet written": (Sealing, "_write_sealed", "before"),
    "file sealed, not committed": (SqlJobs, "move", "after"),
    "file sealed, staging not yet deleted": (S3Storage, "delete", "before"),
    "staging deleted": (S3Storage, "delete", "after"),
    # giving up an upload
    "upload given up, not yet aborted": (S3Storage, "abort_upload", "before"),
    "upload aborted, nobody knows": (S3Storage, "abort_upload", "after"),
    # claiming and checking
    "claimed, not committed": (SqlJobs, "claim", "after"),
    "claimed, not yet checked": (Verification, "verify", "before"),
    "checked, not yet written": (Verification, "verify", "after"),
    "moves written, not committed": (SqlJobs, "move_many", "after"),
    # submitting and watching a run
    "runs in the ledger, not committed": (SqlRuns, "add_many", "after"),
    "run in the ledger, not submitted": (LocalBackend, "submit", "before"),
    "run submitted, nobody knows": (LocalBackend, "submit", "after"),
    "run claimed for a look, not committed": (SqlRuns, "claim", "after"),
    "run looked at, not written": (SqlRuns, "save_many", "before"),
    "run written, not committed": (SqlRuns, "save_many", "after"),
    # storing the model and publishing
    "model not yet stored": (Publishing, "store_model", "before"),
    "model copied, not all of it known": (Publishing, "_keep", "after"),
    "model stored, nobody knows": (Publishing, "store_model", "after"),
    "asset made, not yet written": (Publishing, "_published", "after"),
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
    # dozens of deaths, one after the other: nobody is to wait seconds for the successor each time
    _SOON = {"lost_leases", "seal_uploads", "abort_uploads", "delete_files"}
    sweeps.SWEEPS = tuple(  # type: ignore[misc]  # a table of the running program
        dataclasses.replace(sweep, every=timedelta(milliseconds=300)) if sweep.name in _SOON else sweep
        for sweep in sweeps.SWEEPS
    )
