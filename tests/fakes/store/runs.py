"""Runs in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import LIVE_OUTCOMES, Run, RunOutcome
from tests.fakes.store.rows import RowsOfTx, revised

_SAVED = ("handle", "outcome", "progress", "message", "failure", "exit_code", "heartbeat_at", "started_at", "ended_at")


class RunRow(NamedTuple):
    run: Run
    due_at: datetime | None
    superseded: bool = False
    tidied: bool = False


class MemoryRuns:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def _all(self) -> list[RunRow]:
        return [row for _, row in self._rows.all("runs")]

    def _update(self, run_id: str, change: Callable[[RunRow], RunRow | None]) -> bool:
        return self._rows.update("runs", run_id, change)

    def add_many(self, new: Sequence[tuple[Run, datetime]]) -> None:
        if not new:
            return
        self._rows.step("add runs")
        for run, due_at in new:
            for unique in (run.key, (run.job_id, run.stage, run.attempt)):
                self._rows.insert("unique runs", unique, run.id)
            plain = revised(
                run, handle=None, progress=None, message="", failure=None, exit_code=None, artefacts=[], metrics={},
                heartbeat_at=None, started_at=None, ended_at=None, cancel_at=None,
            )  # fmt: skip
            self._rows.insert("runs", run.id, RunRow(plain, due_at))

    def get(self, run_id: str) -> Run:
        self._rows.step("get run")
        row = self._rows.get("runs", run_id)
        if row is None:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return row.run

    def of_job(self, job_id: str) -> list[Run]:
        self._rows.step("runs of job")
        return sorted((row.run for row in self._all() if row.run.job_id == job_id), key=lambda run: run.attempt)

    def succeeded(self, job_ids: Sequence[str]) -> dict[str, dict[str, Run]]:
        self._rows.step("successful runs")
        return {job_id: self.made_of(job_id) for job_id in job_ids}

    def made_of(self, job_id: str) -> dict[str, Run]:
        """Stage -> its newest success, as a part of any statement."""
        made = [row.run for row in self._all() if row.run.outcome is RunOutcome.SUCCEEDED and not row.superseded]
        return {run.stage: run for run in sorted(made, key=lambda run: run.attempt) if run.job_id == job_id}

    def busy(self, job_ids: Sequence[str]) -> set[str]:
        self._rows.step("busy jobs")
        return {row.run.job_id for row in self._all() if row.run.job_id in job_ids and row.due_at is not None}

    def live(self, pool: str) -> dict[str, int]:
        self._rows.step("live runs")
        return Counter(row.run.project_id for row in self._all() if row.run.pool == pool and row.due_at is not None)

    def _due(self, now: datetime) -> list[RunRow]:
        due = [row for row in self._all() if row.due_at is not None and row.due_at <= now]
        return sorted(due, key=lambda row: row.due_at)  # type: ignore[arg-type, return-value]  # of due ones it is there

    def claim(self, now: datetime, until: datetime, limit: int) -> list[Run]:
        self._rows.step("claim runs")
        due = [row for row in self._due(now) if self._rows.is_free("runs", row.run.id)][:limit]
        for row in due:
            self._update(row.run.id, lambda held: held._replace(due_at=until))
        return [row.run for row in due]

    def due(self, now: datetime, limit: int) -> list[Run]:
        self._rows.step("due runs")
        return [row.run for row in self._due(now)[:limit]]

    def save_many(self, saved: Sequence[tuple[Run, datetime | None]]) -> set[str]:
        if not saved:
            return set()
        self._rows.step("save runs")
        return {run.id for run, due_at in saved if self._update(run.id, _saving(run, due_at))}

    def ask_to_stop(self, job_id: str, now: datetime) -> int:
        self._rows.step("stop runs")

        def asked(row: RunRow) -> RunRow | None:
            run = row.run
            if run.job_id != job_id or run.outcome not in LIVE_OUTCOMES or run.cancel_at is not None:
                return None
            return row._replace(run=revised(run, cancel_at=now, version=run.version + 1), due_at=now)

        return sum(self._update(row.run.id, asked) for row in self._all())

    def supersede(self, job_id: str) -> None:
        self._rows.step("supersede runs")
        for row in self._all():
            if row.run.job_id == job_id and not row.superseded:
                self._update(row.run.id, lambda held: held._replace(superseded=True))

    def ended_before(self, at: datetime, limit: int) -> list[Run]:
        self._rows.step("old runs")
        old = [
            row.run for row in self._all()
            if row.run.ended_at is not None and row.run.ended_at < at and not row.tidied
            and row.run.outcome is not RunOutcome.SUCCEEDED
        ]  # fmt: skip
        return sorted(old, key=lambda run: run.ended_at)[:limit]  # type: ignore[arg-type, return-value]  # ended ones

    def tidied(self, run_id: str) -> None:
        self._rows.step("tidy run")
        self._update(run_id, lambda row: row._replace(tidied=True))


def _saving(run: Run, due_at: datetime | None) -> Callable[[RunRow], RunRow | None]:
    def saved(row: RunRow) -> RunRow | None:
        if row.run.version != run.version:
            return None
        values = {name: getattr(run, name) for name in _SAVED}
        written = revised(
            row.run, **values, version=run.version + 1,
            artefacts=[dict(each) for each in run.artefacts], metrics=dict(run.metrics),
        )  # fmt: skip
        return row._replace(run=written, due_at=due_at)

    return saved
