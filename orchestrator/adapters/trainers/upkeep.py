"""Care for a directory of runs: throw old ones away, end all that run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from orchestrator.adapters.trainers import processes, rundir
from orchestrator.adapters.trainers.rundir import RunDir, run_dirs
from orchestrator.adapters.trainers.stopping import Reason, ask_to_stop

_LOOK_EVERY_S: Final = 0.05
_LAST_SECONDS: Final = 5.0


def housekeeping(runs_dir: Path, older_than: timedelta, now: datetime, *, dry_run: bool = False) -> list[str]:
    """Remove runs that ended, and checkpoints last used, before `now - older_than`; gives their names.

    Args:
        now: aware UTC.
        dry_run: only give the names.
    """
    before = now - older_than
    old = [run for run in run_dirs(runs_dir) if not run.is_alive() and _touched_at(run) < before]
    kept = runs_dir / rundir.CHECKPOINTS
    checkpoints = sorted(kept.iterdir()) if kept.is_dir() else []
    forgotten = [
        path
        for path in checkpoints
        if _modified_at(path) < before and not rundir.is_held(rundir.checkpoint_lock(runs_dir, path))
    ]
    if not dry_run:
        for run in old:
            with contextlib.suppress(FileNotFoundError), rundir.holding(run.submit_lock):
                if not run.is_alive():
                    shutil.rmtree(run.path, ignore_errors=True)
        forgotten = [path for path in forgotten if _forget(path, rundir.checkpoint_lock(runs_dir, path))]
    return [run.path.name for run in old] + [path.name for path in forgotten]


def _forget(checkpoint: Path, lock: Path) -> bool:
    descriptor = rundir.take(lock)
    if descriptor is None:
        return False  # a try uses it
    try:
        shutil.rmtree(checkpoint, ignore_errors=True)
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True


def terminate_all(runs_dir: Path, grace_s: float) -> int:
    """Interrupt every run and wait until all are gone; gives how many it were.

    Their final word is "interrupted", class infrastructure, with the checkpoint kept: the next try resumes. Takes as
    long as the slowest run, at most `grace_s` and a few seconds.
    """
    running = [run for run in run_dirs(runs_dir) if run.is_alive()]
    for run in running:
        ask_to_stop(run, Reason.INTERRUPTED, grace_s)
        if pid := processes.recorded(run.runner):
            processes.send(pid, signal.SIGTERM)
    _wait(running, grace_s + _LAST_SECONDS)
    stuck = [run for run in running if run.is_alive()]
    for run in stuck:
        if pid := processes.recorded(run.runner):
            processes.send(pid, signal.SIGKILL)
    _wait(stuck, _LAST_SECONDS)
    for run in running:
        processes.kill_members(run.path)
    return len(running)


def _wait(runs: list[RunDir], seconds: float) -> None:
    deadline_s = time.monotonic() + seconds
    while any(run.is_alive() for run in runs) and time.monotonic() < deadline_s:
        time.sleep(_LOOK_EVERY_S)


def _touched_at(run: RunDir) -> datetime:
    return max(_modified_at(path) for path in (run.path, run.status, run.runner) if path.exists())


def _modified_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
