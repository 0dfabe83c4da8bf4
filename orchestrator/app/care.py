"""What the sweeps do. Each function looks at up to `limit` things, reports them, and changes nothing in a dry run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from orchestrator.app.context import Context
from orchestrator.app.jobs import discard
from orchestrator.app.library import Library
from orchestrator.app.moves import Ask, plan, wake
from orchestrator.app.runs import Runs
from orchestrator.app.sealing import Sealing
from orchestrator.app.thumbnails import Thumbnails
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import DatabaseUnavailable, Refused, StaleJob, Unavailable, UnderstudyError, UploadError
from orchestrator.domain.guards import Given
from orchestrator.domain.model import File, FileState, Job
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import STAGE_OF_RUNNING
from orchestrator.domain.states import STATES, JobState
from orchestrator.ports.storage import ObjectInfo, OpenUpload
from orchestrator.ports.store import Tx

# A single-part upload is looked for again after a tenth of its age, at the latest after this.
_LONGEST_UPLOAD_POLL: Final = timedelta(minutes=5)
_STEPS: Final = (Effect.VERIFY, Effect.STORE_MODEL, Effect.PUBLISH)
STEP_PATIENCE: Final = timedelta(hours=1)  # as states.py says of these states
# What could not be asked of a job is asked again after this.
_REFUSED_WAIT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Care:
    """What sweeps work with."""

    context: Context
    runs: Runs
    sealing: Sealing
    library: Library
    thumbnails: Thumbnails


@dataclass(slots=True)
class SweepReport:
    """What a sweep did, or in a dry run would do.

    Attributes:
        skipped: somebody else has it, or it is not due yet.
        alarms: what people have to be told of: nothing in here will mend it.
    """

    name: str
    dry_run: bool = False
    skipped: bool = False
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)


def observe_runs(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    if report.dry_run:
        with care.context.store.read() as tx:
            report.done += [f"look at run {run.id}" for run in tx.runs.due(now, limit)]
        return
    seen, moves = care.runs.observe(limit)
    report.done += [f"job {m.before.id}: {m.before.state} to {m.after.state}" for m in moves] or ["looked"] * bool(seen)


def due_retries(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    _ask_due(care, report, now, limit, Effect.RETRY, lambda _: Ask(Command.RETRY, Actor.SYSTEM))


def overdue(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    _ask_due(care, report, now, limit, Effect.OVERDUE, lambda job: _overdue_ask(care, job, now))
    if report.dry_run:
        return
    # a step is tried for as long as it takes; one that takes longer than any should is marked, and told of
    with care.context.store.begin() as tx:
        stuck = tx.jobs.mark_stuck(_STEPS, now, now - STEP_PATIENCE)
    report.alarms += [f"job {job_id}: {effect} has not come to an end for {STEP_PATIENCE}" for job_id, effect in stuck]


def _overdue_ask(care: Care, job: Job, now: datetime) -> Ask | None:
    """None: nothing is overdue, and the job looked at later."""
    if job.state is JobState.WAIT_FILE_UPLOAD:
        used_until = _used_until(care, job)
        if used_until is not None and used_until > now:
            _postpone(care, job, used_until)
            return None
        return Ask(Command.DISCARD, Actor.SYSTEM, description="the draft was abandoned")
    if job.state not in STAGE_OF_RUNNING:
        return Ask(Command.FLAG_OVERDUE, Actor.SYSTEM)
    text = f"no end within the time limit of {job.state}"
    given = Given(run_id=job.run_id, failure=FailureClass.TIMEOUT)
    delay = care.runs.retry_delay(job, FailureClass.TIMEOUT)
    if delay is None:
        return Ask(Command.FAIL, Actor.SYSTEM, given=given, description=text, error_code="timeout", message=text)
    due: tuple[Effect | None, datetime | None] = (Effect.DISPATCH, now + delay)
    return Ask(Command.TIME_OUT, Actor.SYSTEM, given=given, due=due, description=text, message=text)


def _used_until(care: Care, job: Job) -> datetime | None:
    """A draft that its owner still works on is not abandoned: its deadline counts from the last thing done to it."""
    patience = care.context.profile_of(job).deadlines.get(job.state) or STATES[job.state].deadline
    with care.context.store.read() as tx:
        last = tx.reads.sheet(job.id).updated_at
    return None if patience is None or last is None else last + patience


def _postpone(care: Care, job: Job, due_at: datetime) -> None:
    with care.context.store.begin() as tx:
        tx.jobs.postpone(job, due_at)


def _ask_due(  # noqa: PLR0917  what every sweep is given, and two things of its own
    care: Care,
    report: SweepReport,
    now: datetime,
    limit: int,
    effect: Effect,
    ask_of: Callable[[Job], Ask | None],
) -> None:
    """Ask something of every job whose `effect` is due; each in its own transaction, each a compare-and-set."""
    with care.context.store.read() as tx:
        jobs = tx.jobs.due(effect, now, limit)
    for job in jobs:
        if report.dry_run:
            report.done.append(f"job {job.id}: {effect} in {job.state}")
            continue
        try:
            ask = ask_of(job)
            if ask is not None:
                _write(care, job, ask, now)
                report.done.append(f"job {job.id}: {ask.command} in {job.state}")
        except StaleJob:
            continue  # somebody did something about it meanwhile
        except DatabaseUnavailable:
            raise
        except UnderstudyError as exc:  # it must not stand in the way of the others for ever
            report.failed.append(f"job {job.id}: {exc.message}")
            _postpone(care, job, now + _REFUSED_WAIT)


def _write(care: Care, job: Job, ask: Ask, now: datetime) -> None:
    move = plan(care.context.profile_of(job), job, ask, now)
    with care.context.store.begin() as tx:
        if ask.command is Command.DISCARD:
            discard(tx, move)
        else:
            tx.jobs.move(move)
        if job.run_id is not None and move.after.run_id is None:
            tx.runs.ask_to_stop(job.id, now)  # whoever is still at work on it must not hold a slot
    wake(care.context, [move], now)


def lost_leases(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    with care.context.store.read() as tx:
        lost = tx.jobs.lost(now, limit)
    effects = set()
    for job in lost:
        report.done.append(f"job {job.id}: {job.effect} was held by a worker that went silent")
        if report.dry_run:
            continue
        # the first takeover at once; a job that keeps killing its workers waits longer each time
        due_at = now + care.context.timing.takeover_delay(job.takeovers)
        with care.context.store.begin() as tx:
            if tx.jobs.take_back(job, due_at) and due_at <= now and job.effect is not None:
                effects.add(job.effect)
    for effect in sorted(effects):
        care.context.waker.wake(effect.value)


def _each_file(  # noqa: PLR0917  what every sweep is given, and three things of its own
    care: Care, report: SweepReport, now: datetime, limit: int, states: Sequence[FileState],
    act: Callable[[File], str], wanted: Callable[[File], bool] = lambda _: True,
) -> None:  # fmt: skip
    with care.context.store.read() as tx:
        files = tx.files.due(states, now, limit)
    for file in files:
        if not wanted(file):
            continue
        if report.dry_run:
            report.done.append(f"file {file.id} ({file.kind}, {file.state})")
            continue
        try:
            report.done.append(f"file {file.id}: {act(file)}")
        except UnderstudyError as exc:
            report.failed.append(f"file {file.id}: {exc.message}")


def seal_uploads(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    def act(file: File) -> str:
        if file.state is FileState.SEALING:
            return care.sealing.take_over(file).state.value
        try:
            return care.sealing.seal(file).state.value
        except (UploadError, Refused):  # not all there, or the job takes no files now
            wait = max(care.context.timing.single_part_poll, min((now - file.created_at) / 10, _LONGEST_UPLOAD_POLL))
            with care.context.store.begin() as tx:
                tx.files.postpone(file, min(now + wait, file.expires_at))
            return "not there yet"

    def wanted(file: File) -> bool:
        return file.state is FileState.SEALING or (file.part_count == 1 and file.expires_at > now)

    _each_file(care, report, now, limit, (FileState.OPEN, FileState.SEALING), act, wanted)


def expire_uploads(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    def act(file: File) -> str:
        with care.context.store.begin() as tx:
            given_up = tx.files.move(file, FileState.ABORTING, due_at=now)
        return "aborted" if care.sealing.abort(given_up) else "being aborted"

    _each_file(care, report, now, limit, (FileState.OPEN,), act, lambda file: file.expires_at <= now)


def abort_uploads(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    def act(file: File) -> str:
        return "aborted" if care.sealing.abort(file) else "not gone yet"

    _each_file(care, report, now, limit, (FileState.ABORTING,), act)


def delete_files(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    def act(file: File) -> str:
        care.sealing.delete(file)
        return "deleted"

    _each_file(care, report, now, limit, (FileState.DELETING,), act)


def orphans(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    """Uploads begun and objects staged by a process that died before its row was written, or after it was done with."""
    storage, too_young = care.context.storage, now - care.context.timing.orphan_age
    with _storage_trouble(report):
        old_uploads = (u for u in storage.list_uploads("staging/") if u.begun_at <= too_young)
        uploads = list(islice(old_uploads, limit))
        old_objects = (o for o in storage.list("staging/") if o.modified_at is None or o.modified_at <= too_young)
        objects = list(islice(old_objects, limit))
        _drop_orphans(care, report, uploads, objects)


def _drop_orphans(
    care: Care, report: SweepReport, uploads: Sequence[OpenUpload], objects: Sequence[ObjectInfo]
) -> None:
    storage = care.context.storage
    with care.context.store.read() as tx:
        known = tx.files.known_uploads([upload.upload_id for upload in uploads])
        known_keys = tx.files.known_keys([each.key for each in objects])
    for upload in uploads:
        if upload.upload_id not in known:
            report.done.append(f"upload of {upload.key}")
            if not report.dry_run:
                storage.abort_upload(upload.key, upload.upload_id)
    for each in objects:
        if each.key not in known_keys:
            report.done.append(f"object {each.key}")
            if not report.dry_run:
                storage.delete(each.key)


@contextmanager
def _storage_trouble(report: SweepReport) -> Iterator[None]:
    """A store that does not answer ends the block; the next run of the sweep goes on."""
    try:
        yield
    except Unavailable as exc:
        report.failed.append(exc.message)


def assets(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    for asset in care.library.due(now, limit):
        if report.dry_run:
            report.done.append(f"asset {asset.id} ({asset.state})")
            continue
        try:
            report.done.append(f"asset {asset.id}: {care.library.come_due(asset, now)}")
        except UnderstudyError as exc:
            report.failed.append(f"asset {asset.id}: {exc.message}")


def thumbnails(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    due = care.thumbnails.due(now, limit)
    if report.dry_run:
        report.done += [f"write the thumbnail of {each.asset_id}" for each in due]
    else:
        report.done += care.thumbnails.deliver(due)


def nonces(care: Care, report: SweepReport, now: datetime, _limit: int) -> None:
    with care.context.store.read() as tx:
        expired = tx.nonces.expired(now)
    if expired and not report.dry_run:
        with care.context.store.lease() as tx:
            expired = tx.nonces.drop_expired(now)
    report.done += [f"forget {expired} nonces"] * bool(expired)


def retention(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    timing, store, storage = care.context.timing, care.context.store, care.context.storage
    with store.read() as tx:
        deleted = tx.jobs.deleted_before(now - timing.keep_deleted, limit)
    for job_id, _ in deleted:
        if report.dry_run:
            report.done.append(f"erase job {job_id}")
            continue
        with _storage_trouble(report):
            for prefix in (f"runs/{job_id}/", f"models/{job_id}/"):
                for each in list(storage.list(prefix)):
                    storage.delete(each.key)
            with store.begin() as tx:
                if _erased(tx, job_id):
                    report.done.append(f"erase job {job_id}")
    _old_media(care, report, now, limit)
    with _storage_trouble(report):
        _old_runs(care, report, now, limit)
    if not report.dry_run:
        with store.begin() as tx:
            dropped = tx.idempotency.drop_expired(now)
            tx.library.drop_expired_tokens(now)
        report.done += [f"{dropped} idempotency keys"] * bool(dropped)


def _erased(tx: Tx, job_id: str) -> bool:
    if any(file.state not in {FileState.ABORTED, FileState.DELETED} for file in tx.files.of_job(job_id)):
        return False  # its objects first
    if any(run.ended_at is None for run in tx.runs.of_job(job_id)):
        return False  # still at work somewhere, and holding a slot
    tx.files.erase_of_job(job_id)
    tx.jobs.erase(job_id)
    return True


def _old_media(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    """Deleted media and their files, once the objects are gone."""
    store = care.context.store
    with store.read() as tx:
        deleted = tx.media.deleted_before(now - care.context.timing.keep_deleted, limit)
        files = tx.files.get_many([file_id for _, file_id in deleted if file_id is not None])
    for media_id, file_id in deleted:
        file = files.get(file_id or "")
        if file is not None and file.state not in {FileState.ABORTED, FileState.DELETED}:
            continue
        report.done.append(f"erase media {media_id}")
        if not report.dry_run:
            with store.begin() as tx:
                tx.media.erase(media_id)
                if file is not None:
                    tx.files.erase(file.id)


def _old_runs(care: Care, report: SweepReport, now: datetime, limit: int) -> None:
    """Artefacts of failed tries; what succeeded stays for the stages after it and for retraining."""
    storage = care.context.storage
    with care.context.store.read() as tx:
        old = tx.runs.ended_before(now - care.context.timing.keep_runs, limit)
    for run in old:
        left = [each.key for each in storage.list(f"runs/{run.job_id}/{run.id}/")]
        if left:
            report.done.append(f"{len(left)} leftovers of run {run.id}")
        if not report.dry_run:
            for key in left:
                storage.delete(key)
            with care.context.store.begin() as tx:
                tx.runs.tidied(run.id)
