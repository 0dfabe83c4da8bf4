"""What has to hold when the fire is out, looked up in the database, the store and the process table."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psutil
import sqlalchemy as sa

from orchestrator.adapters.db.tables import asset_files, assets, files, job_counts, jobs, leases, media, runs
from orchestrator.domain.machine import replay
from orchestrator.domain.states import JobState
from orchestrator.ports.storage import Storage
from tests.workers import Installation

SHOWN: Final = 3
RUNNER_ENDS_S: Final = 60
# What the log of a healthy installation never has, whatever happens around it.
_BUGS: Final = frozenset(
    {"request failed", "tick_failed", "sweep_failed", "step_crashed", "settling_crashed", "run_not_settled",
     "outcome_refused", "after_commit_failed", "lease_not_renewed"}
)  # fmt: skip
_SECRETS: Final = re.compile(r"X-Amz-Signature=|X-Amz-Credential=|understudy_[A-Za-z0-9_-]{40}")


@dataclass(frozen=True)
class Expected:
    """What its owner knows of a job. `state` None: it was deleted. `sha256`: of the film validated last, if any."""

    job_id: str
    state: JobState | None
    sha256: str = ""


@dataclass(frozen=True)
class Promise:
    """One line of the final table."""

    name: str
    broken: tuple[str, ...]

    @property
    def kept(self) -> bool:
        return not self.broken


def promises(
    installation: Installation, expected: Sequence[Expected], storage: Storage | None = None,
    ahead: timedelta = timedelta(0),
) -> list[Promise]:  # fmt: skip
    """Every promise, looked at once nothing is under way any more.

    Args:
        storage: looked through for what nobody needs any more; None: the jobs have no files.
        ahead: by how much the clock of a process may be ahead of ours.
    """
    look = _Look(installation, expected, storage, ahead)
    checks: dict[str, Callable[[], Iterable[str]]] = {
        "every job is in its right final state": look.states,
        "no job is there that nobody made": look.strangers,
        "every log replays through the table, without a gap": look.logs,
        "one model for each published job, published once": look.models,
        "one successful run for each stage, one row for each attempt": look.ledger,
        "no run was begun twice, none without a row": look.begun,
        "no lease is held, no work is left": look.leases,
        "the counts that lists show are right": look.counts,
        "no process of a training is left": look.processes,
    }
    if storage is not None:
        checks["models were made of the validated bytes"] = look.contents
        checks["the store holds nothing that nobody needs, and all that is needed"] = look.objects
    return [Promise(name, tuple(check())) for name, check in checks.items()]


def media_promise(installation: Installation, expected: Mapping[str, str]) -> Promise:
    """Media rest, as their owners left them; their bytes are there exactly where their file says so.

    Args:
        expected: media id -> its status; nothing where they were deleted.
    """
    return Promise("media rest, with their bytes or without them", tuple(_media(installation, expected)))


def _media(installation: Installation, expected: Mapping[str, str]) -> Iterator[str]:
    context = installation.app.context
    held = media.outerjoin(files, files.c.id == media.c.file_id)
    query = sa.select(media, files.c.state.label("file"), files.c.final_key).select_from(held)
    with context.store.engine.connect() as connection:  # type: ignore[attr-defined]  # the SQL adapter's
        rows = {row.id: row for row in connection.execute(query)}
    for media_id, row in rows.items():
        status = "" if row.deleted_at is not None else row.status
        if status != expected.get(media_id, ""):
            yield f"media {media_id} are {status or 'gone'}, not {expected.get(media_id) or 'gone'}"
        if status and (
            row.due_at is not None or row.lease_token is not None or status not in {"normal", "prepare_fail"}
        ):
            yield f"media {media_id} do not rest: {status}, due {row.due_at}, leased {row.lease_until}"
        if status and row.file != "sealed":
            yield f"the file of media {media_id} is {row.file}"
        if row.final_key and row.file == "sealed" and context.storage.head(row.final_key) is None:
            yield f"the bytes of media {media_id} are missing"


def check_whole(installation: Installation, job_ids: Sequence[str]) -> None:
    """All of these jobs, which have no files, were published, and nothing else is there. Raises AssertionError."""
    expected = [Expected(job_id, JobState.JOB_SUCCESS) for job_id in job_ids]
    raise_broken(promises(installation, expected))


def raise_broken(found: Sequence[Promise]) -> None:
    broken = [f"{promise.name}: {'; '.join(promise.broken[:SHOWN])}" for promise in found if not promise.kept]
    assert not broken, "\n".join(broken)


class _Look:
    def __init__(
        self, installation: Installation, expected: Sequence[Expected], storage: Storage | None, ahead: timedelta
    ) -> None:
        self._ahead = ahead
        self._installation = installation
        self._expected = expected
        self._storage = storage
        self._published = [e for e in expected if e.state is JobState.JOB_SUCCESS]

    def _rows(self, query: sa.Select[Any]) -> list[sa.Row[Any]]:
        store = self._installation.app.context.store
        with store.engine.connect() as connection:  # type: ignore[attr-defined]  # the SQL adapter's
            return list(connection.execute(query))

    def states(self) -> Iterator[str]:
        found = {row.id: row for row in self._rows(sa.select(jobs.c.id, jobs.c.state, jobs.c.deleted_at))}
        for each in self._expected:
            row = found.get(each.job_id)
            if each.state is None:
                if row is not None and row.deleted_at is None:
                    yield f"job {each.job_id} is {row.state}, not deleted"
            elif row is None or row.deleted_at is not None:
                yield f"job {each.job_id} is gone, not {each.state}"
            elif row.state != each.state:
                yield f"job {each.job_id} is {row.state}, not {each.state}"

    def strangers(self) -> Iterator[str]:
        known = {each.job_id for each in self._expected}
        for row in self._rows(sa.select(jobs.c.id, jobs.c.name, jobs.c.state)):
            if row.id not in known:
                yield f"job {row.id} ({row.name}) is {row.state}"

    def logs(self) -> Iterator[str]:
        with self._installation.app.context.store.read() as tx:
            for each in self._expected:
                if each.state is None:
                    continue
                log, job = tx.reads.log(each.job_id), tx.jobs.get(each.job_id)
                try:
                    replayed = replay(log)
                except Exception as exc:  # noqa: BLE001  told with its job
                    yield f"job {each.job_id}: {exc}"
                    continue
                if replayed is not job.state or log[-1].version != job.version:
                    yield (
                        f"job {each.job_id} is {job.state} at version {job.version}, "
                        f"its log ends as {replayed} at {log[-1].version}"
                    )

    def models(self) -> Iterator[str]:
        made = Counter(row.job_id for row in self._rows(sa.select(assets.c.job_id)) if row.job_id is not None)
        for each in self._published:
            if made[each.job_id] != 1:
                yield f"job {each.job_id} has {made[each.job_id]} models"
        known = {each.job_id for each in self._expected if each.state in {None, JobState.JOB_SUCCESS}}
        yield from (f"job {job_id} has a model" for job_id in made if job_id not in known)
        with self._installation.app.context.store.read() as tx:
            for each in self._published:
                times = sum(entry.command == "publish" for entry in tx.reads.log(each.job_id))
                if times != 1:
                    yield f"job {each.job_id} was published {times} times"

    def ledger(self) -> Iterator[str]:
        rows = self._rows(sa.select(runs.c.job_id, runs.c.stage, runs.c.attempt, runs.c.outcome))
        tries = Counter((row.job_id, row.stage, row.attempt) for row in rows)
        yield from (f"{key} has {times} rows" for key, times in tries.items() if times > 1)
        succeeded = Counter((row.job_id, row.stage) for row in rows if row.outcome == "succeeded")
        yield from (f"{key} succeeded {times} times" for key, times in succeeded.items() if times > 1)
        untrained = {each.job_id for each in self._published} - {job_id for job_id, _ in succeeded}
        yield from (f"job {job_id} has no successful run" for job_id in untrained)

    def begun(self) -> Iterator[str]:
        begun = Counter(self._installation.runs_started())
        yield from (f"run {key} was begun {times} times" for key, times in begun.items() if times > 1)
        known = {row.key for row in self._rows(sa.select(runs.c.key))}
        yield from (f"run {key} is not in the ledger" for key in begun if key not in known)

    def leases(self) -> Iterator[str]:
        for row in self._rows(sa.select(jobs.c.id, jobs.c.state, jobs.c.lease_token, jobs.c.effect, jobs.c.deleted_at)):
            if row.lease_token is not None:
                yield f"job {row.id} ({row.state}) is leased"
            elif row.effect not in {None, "overdue"} and row.deleted_at is None:
                yield f"job {row.id} ({row.state}) still has {row.effect} due"
        yield from (
            f"run {row.key} is {row.outcome}"
            for row in self._rows(sa.select(runs.c.key, runs.c.outcome).where(runs.c.due_at.is_not(None)))
        )
        held = self._rows(sa.select(leases.c.name, leases.c.lease_until))
        # a sweep may be at work this moment; a lease that ends later than one that is taken now would be nobody's
        latest = datetime.now(UTC) + self._ahead + self._installation.app.context.timing.lease
        yield from (f"lease {each.name} is held until {each.lease_until}" for each in held if each.lease_until > latest)

    def counts(self) -> Iterator[str]:
        query = sa.select(job_counts.c.state, sa.func.sum(job_counts.c.jobs)).group_by(job_counts.c.state)
        shown = {state: int(n) for state, n in self._rows(query) if n}
        there = dict(
            Counter(row.state for row in self._rows(sa.select(jobs.c.state).where(jobs.c.deleted_at.is_(None))))
        )
        if shown != there:
            yield f"shown {shown}, there are {there}"

    def processes(self) -> Iterator[str]:
        # a runner ends by itself a moment after it has told how its run ended
        _, left = psutil.wait_procs(runners(self._installation), timeout=RUNNER_ENDS_S)
        yield from (f"process {process.pid}" for process in left)

    def contents(self) -> Iterator[str]:
        assert self._storage is not None
        query = sa.select(assets.c.job_id, asset_files.c.key).join(asset_files, asset_files.c.asset_id == assets.c.id)
        keys = {row.job_id: row.key for row in self._rows(query)}
        for each in self._published:
            if not each.sha256:
                continue
            if each.job_id not in keys:
                yield f"the model of job {each.job_id} has no file"
                continue
            said = self._storage.read_range(keys[each.job_id], 0, 64).decode()
            if said != each.sha256:
                yield f"the model of job {each.job_id} was made of {said[:12]}, not of {each.sha256[:12]}"

    def objects(self) -> Iterator[str]:
        assert self._storage is not None
        yield from (f"upload of {upload.key}" for upload in self._storage.list_uploads(""))
        yield from (f"staged object {each.key}" for each in self._storage.list("staging/"))
        there = {each.key for each in self._storage.list("files/")}
        needed = {
            row.final_key: row.state
            for row in self._rows(sa.select(files.c.final_key, files.c.state))
            if row.state == "sealed"
        }
        yield from (f"object {key} belongs to no file" for key in there - needed.keys())
        yield from (f"the object {key} of a sealed file is missing" for key in needed.keys() - there)
        models = {row.key for row in self._rows(sa.select(asset_files.c.key))}
        yield from (f"the model {key} is missing" for key in models - {o.key for o in self._storage.list("models/")})
        ways = Counter(row.state for row in self._rows(sa.select(files.c.state)))
        left = {state: n for state, n in ways.items() if state not in {"sealed", "aborted", "deleted"}}
        if left:
            yield f"files are still on their way: {left}"


def runners(installation: Installation) -> list[psutil.Process]:
    """The trainers' runners of this installation that live now."""
    place = str(installation.directory)
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "orchestrator.adapters.trainers.runner" in words and any(word.startswith(place) for word in words):
                found.append(process)
    return found


def bugs_in(logs: Mapping[str, str]) -> Iterator[str]:
    """Events of our processes' logs that mean a bug, and anything that is a secret."""
    for name, text in logs.items():
        if found := _SECRETS.search(text):
            yield f"{name}: {found.group()[:24]}... is in the log"
        for line in text.splitlines():
            if not line.startswith("{"):
                continue
            with suppress(ValueError):
                said = json.loads(line)
                if said.get("event") in _BUGS:
                    error = said.get("error") or str(said.get("exception", ""))[-400:]
                    yield f"{name}: {said['event']}: {error}"
