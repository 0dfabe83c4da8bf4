"""What beat would send: the sweeps and kinds of work that may have something to do now.

Most turns of a timer find nothing, and cost a schedule more than all that happens in it. So workers are mostly sent
where something is due, and now and then everywhere; at the end of a schedule every sweep runs in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from orchestrator.adapters.celery_options import BY_SWEEPS
from orchestrator.app.sweeps import SWEEPS
from orchestrator.domain.media_items import PREPARE_MEDIA
from orchestrator.domain.model import FileState
from tests.fakes.store.rows import Data

_SOON = timedelta(seconds=5)  # clocks differ, and who comes too early must do no harm
_SWEEPS_OF_FILES = {
    FileState.OPEN: ("seal_uploads", "expire_uploads"), FileState.SEALING: ("seal_uploads",),
    FileState.ABORTING: ("abort_uploads",), FileState.DELETING: ("delete_files",),
}  # fmt: skip
_INTERVALS = {sweep.name: sweep.every for sweep in SWEEPS}


def due(data: Data, now: datetime) -> set[str]:
    """Names of sweeps and of work that find something at `now`, or would find it soon."""
    soon = now + _SOON
    return {name for name, at in _what(data) if at is not None and at <= soon and not _was_run(data, name, now)}


def _what(data: Data) -> Iterator[tuple[str, datetime | None]]:
    for row in data.table("jobs").values():
        job = row.job
        if job.lease_token is not None:
            yield "lost_leases", job.lease_until
        elif job.effect is not None:
            yield BY_SWEEPS.get(job.effect) or job.effect.value, job.due_at
    for row in data.table("runs").values():
        yield "observe_runs", row.due_at
    for row in data.table("files").values():
        for name in _SWEEPS_OF_FILES.get(row.file.state, ()):
            yield name, row.due_at
    for row in data.table("media").values():
        yield PREPARE_MEDIA, row.due_at
    for row in data.table("assets").values():
        yield "assets", row.asset.due_at
    for delivery in data.table("deliveries").values():
        yield "thumbnails", delivery.due_at


def _was_run(data: Data, name: str, now: datetime) -> bool:
    lease = data.table("leases").get(f"sweep:{name}")
    return lease is not None and lease.last_run_at is not None and now - lease.last_run_at < _INTERVALS[name] * 0.9
