"""Our programs as ones that die: each point kills its process once, the first time that anybody comes there.

python -m tests.faults.mortal worker    what each pool process of a worker does, without Celery around it
python -m tests.faults.mortal api       the API, which dies while it seals
UNDERSTUDY_TEST_DEATHS=directory for the marks; points that have one already are survived

Whoever died is followed by a fork, not by another start of Python. The clock of the next one is `AGAIN_AFTER` ahead, so
that nobody waits for what the dead one held: leases have run out, sweeps are due.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from orchestrator import bootstrap
from orchestrator.adapters.courier import HttpCourier
from orchestrator.adapters.db.deliveries import SqlDeliveries
from orchestrator.adapters.db.files import SqlFiles
from orchestrator.adapters.db.jobs import SqlJobs
from orchestrator.adapters.db.media import SqlMedia
from orchestrator.adapters.db.runs import SqlRuns
from orchestrator.adapters.s3 import client
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.app.media_prepare import Preparation
from orchestrator.app.publish import Publishing
from orchestrator.app.sealing import Sealing
from orchestrator.app.thumbnails import Thumbnails
from orchestrator.app.verify import Verification
from orchestrator.http.__main__ import main as serve
from orchestrator.settings import load
from tasks.process import process

LEASE: Final = timedelta(seconds=5)
AGAIN_AFTER: Final = timedelta(seconds=16)
"""Longer than a lease, and than the pause of every sweep that goes on with something."""

Point = tuple[type, str, str]
"""A method, and whether its caller dies before or after it."""

SEALING: Final[Mapping[str, Point]] = {
    # every step that the store or the database sees
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
}
POINTS: Final[Mapping[str, Point]] = {
    **SEALING,
    # giving up an upload
    "upload given up, not yet aborted": (S3Storage, "abort_upload", "before"),
    "upload aborted, nobody knows": (S3Storage, "abort_upload", "after"),
    # claiming and checking
    "claimed, not committed": (SqlJobs, "claim", "after"),
    "claimed, not yet checked": (Verification, "verify", "before"),
    "checked, not yet written": (Verification, "verify", "after"),
    "moves written, not committed": (SqlJobs, "move_many", "after"),
    # submitting and watching a run; it is in the ledger by the write of its move
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
    # the thumbnail at its owner's address
    "thumbnail not yet sent": (HttpCourier, "put", "before"),
    "thumbnail sent, nobody knows": (HttpCourier, "put", "after"),
    "delivery ended, not committed": (SqlDeliveries, "drop", "after"),
    "delivery ended": (Thumbnails, "_end", "after"),
    # copying registered bytes, and looking at them
    "media claimed, not committed": (SqlMedia, "claim", "after"),
    "media claimed, not yet copied": (Preparation, "_copied", "before"),
    "row of the copy written, not committed": (SqlFiles, "add", "after"),
    "row of the copy written, not yet copied": (S3Storage, "copy", "before inbox/"),
    "media copied, nobody knows": (S3Storage, "copy", "after inbox/"),
    "copy adopted, not committed": (SqlMedia, "hold", "after"),
    "copy adopted, not yet looked at": (Preparation, "_look", "before"),
    "media looked at, not written": (SqlMedia, "settle", "before"),
    "media settled, not committed": (SqlMedia, "settle", "after"),
}


def _die_once(point: str) -> None:
    mark = Path(os.environ["UNDERSTUDY_TEST_DEATHS"]) / point
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _mortal(point: str, work: Callable[..., Any], when: str) -> Callable[..., Any]:
    """`when` may go on with a word of the call's arguments: other calls are survived."""
    when, _, word = when.partition(" ")

    @functools.wraps(work)
    def mortal(*args: Any, **kwargs: Any) -> Any:
        is_meant = word in repr((args, kwargs)) if word else True
        if when == "before" and is_meant:
            _die_once(point)
        result = work(*args, **kwargs)
        if when == "after" and is_meant and result != []:  # who has claimed nothing has nothing to lose
            _die_once(point)
        return result

    return mortal


def _install(points: Mapping[str, Point]) -> None:
    for point, (owner, name, when) in points.items():
        setattr(owner, name, _mortal(point, getattr(owner, name), when))


def _warm_up() -> None:
    """Make what all lives are built of once: half a second of each. Nothing of it connects before the fork."""
    clients, context = client._make(bootstrap.store_options(load())), bootstrap.build_context(load())
    client._make = lambda _options: clients
    bootstrap.build_context = lambda *_args, **_kwargs: context


def _live_on(lives: Callable[[], object], at_once: int) -> None:
    """So many processes at a time, each followed by another when it has died."""
    below: set[int] = set()
    deaths = 0
    while True:
        while len(below) < at_once:
            child = os.fork()
            if child == 0:
                _put_forward(AGAIN_AFTER * deaths)
                lives()
                os._exit(0)
            below.add(child)
        child, status = os.wait()
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            raise SystemExit(f"a process ended by itself: {status}")
        below.remove(child)
        deaths += 1


def _put_forward(by: timedelta) -> None:
    context = dataclasses.replace(bootstrap.build_context(load()), clock=lambda: datetime.now(UTC) + by)
    bootstrap.build_context = lambda *_args, **_kwargs: context


def _work() -> None:
    process().start_timers()
    signal.pause()


if __name__ == "__main__":
    _warm_up()
    if sys.argv[1] == "worker":
        _install(POINTS)
        _live_on(_work, at_once=2)
    else:
        _install(SEALING)
        _live_on(serve, at_once=1)
