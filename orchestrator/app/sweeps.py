"""Scheduled care for every job, file and run that nobody else looks after: one row per sweep.

Any number of processes may try: a sweep runs under a short lease in the database, no more often than its row says, and
doing it twice does no harm. Beat sends them, and so does the timer of every worker: a dead broker stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orchestrator.app import care
from orchestrator.app.care import Care, SweepReport
from orchestrator.app.context import new_token
from orchestrator.app.leases import Keeper
from orchestrator.domain.actors import MACHINE, Caller, Role
from orchestrator.domain.audit import Act
from orchestrator.domain.errors import NotFound

LIMIT: Final = 500  # things one run of a sweep looks at; what is left is due again next time


@dataclass(frozen=True, slots=True)
class Sweep:
    """One row: what it is called, how often it runs, what it does, what for."""

    name: str
    every: timedelta
    run: Callable[[Care, SweepReport, datetime, int], None]
    purpose: str


SWEEPS: Final = (
    Sweep(
        "observe_runs", timedelta(seconds=1), care.observe_runs,
        "look at trainings under way, submit what was not, end what ended",
    ),
    Sweep("due_retries", timedelta(seconds=2), care.due_retries, "start failed stages again whose wait is over"),
    Sweep("lost_leases", timedelta(seconds=5), care.lost_leases, "take jobs back from workers that went silent"),
    Sweep("overdue", timedelta(seconds=30), care.overdue, "time out, flag or discard what is too long in a state"),
    Sweep(
        "seal_uploads", timedelta(seconds=5), care.seal_uploads,
        "seal arrived single-part uploads, finish interrupted sealing",
    ),
    Sweep("expire_uploads", timedelta(minutes=1), care.expire_uploads, "give up unfinished uploads whose time is over"),
    Sweep(
        "abort_uploads", timedelta(seconds=15), care.abort_uploads,
        "abort given-up uploads until the store knows nothing of them",
    ),
    Sweep("delete_files", timedelta(minutes=1), care.delete_files, "delete the objects of deleted or replaced files"),
    Sweep("orphans", timedelta(hours=1), care.orphans, "abort uploads and delete staged objects that no row knows"),
    Sweep("assets", timedelta(minutes=1), care.assets, "empty the recycle bin, do what owners of assets planned"),
    Sweep("thumbnails", timedelta(seconds=5), care.thumbnails, "write thumbnails to the addresses of their owners"),
    Sweep("nonces", timedelta(minutes=1), care.nonces, "forget nonces of requests that are too old to be replayed"),
    Sweep(
        "retention", timedelta(hours=1), care.retention,
        "erase deleted jobs and media, old runs' leftovers, expired idempotency keys",
    ),
)  # fmt: skip


class Sweeper:
    """Runs sweeps for one process."""

    def __init__(self, with_: Care) -> None:
        self._care = with_
        self._keeper = Keeper(with_.context)
        self._by_name = {sweep.name: sweep for sweep in SWEEPS}

    def names(self) -> list[str]:
        return list(self._by_name)

    def last_runs(self, *, by: Caller = MACHINE) -> dict[str, datetime | None]:
        """When each sweep was last finished by anybody. Raises Forbidden."""
        by.require(Role.OPERATOR, "the list of sweeps")
        with self._care.context.store.read() as tx:
            runs = tx.leases.last_runs()
        return {name: runs.get(f"sweep:{name}") for name in self._by_name}

    def run(
        self, name: str, *, dry_run: bool = False, force: bool = False, limit: int = LIMIT, by: Caller | None = None
    ) -> SweepReport:
        """Run one sweep, unless it was run within its interval.

        Args:
            dry_run: say what would be done, write nothing, take no lease.
            force: run it now whenever it last ran (an operator's word); the lease still holds.
            by: who asked for it, for the audit log; None: nobody, it was due.

        Raises:
            NotFound: there is no such sweep.
            Forbidden: `by` is no operator.
        """
        if by is not None:
            by.require(Role.OPERATOR, "to run a sweep")
        sweep = self._by_name.get(name)
        if sweep is None:
            raise NotFound(f"there is no sweep {name!r}; there are {sorted(self._by_name)}")
        store, clock = self._care.context.store, self._care.context.clock
        report = SweepReport(name, dry_run=dry_run)
        if dry_run:
            sweep.run(self._care, report, clock(), limit)
            return report
        token, now = new_token(), clock()
        # a tenth of slack, or the ticks of beat and workers would miss every other turn by a hair
        since = None if force else now - sweep.every * 0.9
        # short, and renewed: whoever dies in a sweep must not hold it up for the hour until its next turn
        until = now + self._care.context.timing.lease
        with store.lease() as tx:
            report.skipped = not tx.leases.take(f"sweep:{name}", token, now, until, not_since=since)
        if report.skipped:
            return report
        if by is not None:
            with store.begin() as tx:
                tx.audit.add(by, Act.RUN_SWEEP, name, now)
        try:
            with self._keeper.kept(lambda tx, until: tx.leases.renew(f"sweep:{name}", token, until)):
                sweep.run(self._care, report, now, limit)
        finally:
            with store.lease() as tx:
                tx.leases.end(f"sweep:{name}", token, clock())
        return report

    def run_due(self, *, on_error: Callable[[str, Exception], None]) -> list[SweepReport]:
        """Run whatever is due, as the timer of a worker does; one broken sweep does not stop the others."""
        reports = []
        now = self._care.context.clock()
        last = self.last_runs()
        for name, sweep in self._by_name.items():
            ran_at = last[name]
            if ran_at is not None and now - ran_at < sweep.every * 0.9:
                continue
            try:
                reports.append(self.run(name))
            except Exception as exc:  # noqa: BLE001  the next tick tries again; the process's log has it
                on_error(name, exc)
        return reports
