"""Checks of the parts: settings, database, broker, workers, beat, store, secrets, disks, sandbox."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from orchestrator.adapters.broker_check import check_broker
from orchestrator.adapters.db import migrate
from orchestrator.adapters.db.schema import OtherSchema
from orchestrator.adapters.media import sandbox as media_sandbox
from orchestrator.adapters.s3 import check
from orchestrator.app.leases import BEAT_LEASE, WORKER_LEASES
from orchestrator.app.sweeps import SWEEPS
from orchestrator.bootstrap import store_options
from orchestrator.cli.doctor.patient import Finding, Level, Patient, some
from orchestrator.domain.errors import Invalid, UnderstudyError

MIB: Final = 1024 * 1024
LEAST_DISK_BYTES: Final = 2048 * MIB  # below, a training cannot even hold its film
LOW_DISK_BYTES: Final = 20 * 1024 * MIB
SKEW_HARMS: Final = timedelta(seconds=5)  # leases are 30 s; a clock that is late by a part of it takes jobs too early
OLD_SNAPSHOT: Final = timedelta(minutes=15)
SILENT_WORKER: Final = timedelta(minutes=1)
GONE_WORKER: Final = timedelta(days=1)


def settings(patient: Patient) -> Iterator[Finding]:
    try:
        profiles = patient.app.context.profiles
    except Invalid as exc:
        yield Finding("settings", Level.TROUBLE, exc.message, "mend the setting; `understudy config show` lists all")
        return
    yield Finding("settings", Level.OK, f"{len(profiles)} profiles, {len(patient.app.context.pools)} pools")


def database(patient: Patient) -> Iterator[Finding]:
    try:
        patient.app.context.store.ping()
    except OtherSchema as exc:
        yield Finding("database", Level.TROUBLE, exc.message, "see the message, and docs/upgrading.md")
        return
    except UnderstudyError as exc:
        remedy = "start it, or mend database.url; the API answers 503 meanwhile, and nothing is lost"
        yield Finding("database", Level.TROUBLE, exc.message, remedy)
        return
    found, wanted = migrate.current(patient.settings.database.url.get_secret_value()), migrate.head()
    if found != wanted:
        message = f"its schema is {found}, newer than the {wanted} of this version, which may go on for the time"
        yield Finding("database", Level.WARNING, message, "start the newer version, then stop this one")
    else:
        yield Finding("database", Level.OK, f"{patient.engine.dialect.name} answers, its schema is {found}")
    if patient.engine.dialect.name == "postgresql":
        yield from _postgresql(patient)


def _postgresql(patient: Patient) -> Iterator[Finding]:
    with patient.engine.connect() as connection:
        theirs = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        ours = patient.app.context.clock()
        oldest = connection.execute(
            sa.text(
                "SELECT pid, extract(epoch FROM clock_timestamp() - xact_start) AS age_s FROM pg_stat_activity "
                "WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid() "
                "ORDER BY xact_start LIMIT 1"
            )
        ).one_or_none()
    skew = abs(theirs - ours)
    if skew > SKEW_HARMS:
        message = f"the database's clock and this machine's are {skew.total_seconds():.0f} s apart"
        yield Finding("clock", Level.TROUBLE, message, "run NTP on both: leases and due times come from these clocks")
    else:
        yield Finding("clock", Level.OK, "the database's clock and this machine's agree")
    if oldest is not None and timedelta(seconds=float(oldest.age_s)) > OLD_SNAPSHOT:
        message = f"a transaction of backend {oldest.pid} has been open for {float(oldest.age_s) / 60:.0f} minutes"
        remedy = f"dead rows cannot be removed and claims get slow: SELECT pg_terminate_backend({oldest.pid})"
        yield Finding("snapshots", Level.WARNING, message, remedy)


def broker(patient: Patient) -> Iterator[Finding]:
    broker = patient.settings.broker
    if broker.kind == "none":
        yield Finding("broker", Level.OK, "none is set: workers find their work by their own timers")
        return
    try:
        check_broker(broker.url.get_secret_value(), broker.prefix)
    except UnderstudyError as exc:
        remedy = "start it, or mend broker.url; meanwhile work begins up to worker.tick later"
        yield Finding("broker", Level.TROUBLE, exc.message, remedy)
        return
    yield Finding("broker", Level.OK, f"{broker.kind} answers")


def workers(patient: Patient) -> Iterator[Finding]:
    silent = max(SILENT_WORKER, 4 * patient.settings.worker.tick)
    seen = {
        name.removeprefix(WORKER_LEASES): patient.age(at)
        for name, at in patient.last_runs.items()
        if name.startswith(WORKER_LEASES) and at is not None
    }
    alive = sorted(host for host, age in seen.items() if age <= silent)
    lost = sorted(host for host, age in seen.items() if silent < age <= GONE_WORKER)
    start = "start `understudy worker` there, and have it restarted when it ends (systemd Restart=always)"
    if not alive:
        message = "no worker has done anything" + (f" for {min(seen.values())}" if seen else " yet")
        yield Finding("workers", Level.TROUBLE, message, start)
    else:
        yield Finding("workers", Level.OK, f"work is done on {some(alive)}")
    if alive and lost:
        yield Finding("workers", Level.WARNING, f"went silent within the last day: {some(lost)}", start)


def beat(patient: Patient) -> Iterator[Finding]:
    if patient.settings.broker.kind == "none":
        return
    at = patient.last_runs.get(BEAT_LEASE)
    age = None if at is None else patient.age(at)
    if age is None or age > SILENT_WORKER:
        message = "no message of beat has reached a worker" + (f" for {age}" if age is not None else " yet")
        remedy = "start `understudy beat`, and look at broker and workers; their own timers do its work meanwhile"
        yield Finding("beat", Level.TROUBLE, message, remedy)
    else:
        yield Finding("beat", Level.OK, "its messages reach the workers")


def sweeps(patient: Patient) -> Iterator[Finding]:
    last = {sweep: patient.last_runs.get(f"sweep:{sweep.name}") for sweep in SWEEPS}
    late = [
        f"{sweep.name} for {patient.age(at)}"
        for sweep, at in last.items()
        if at is not None and patient.age(at) > 3 * sweep.every + SILENT_WORKER
    ]
    if late:
        remedy = "look for `sweep_failed` in the workers' logs; `understudy sweep run NAME` shows what is wrong"
        yield Finding("sweeps", Level.TROUBLE, f"not done: {some(late)}", remedy)
    elif any(last.values()):
        yield Finding("sweeps", Level.OK, "all are done in time")


def store(patient: Patient) -> Iterator[Finding]:
    try:
        patient.app.context.storage.head("doctor")
    except UnderstudyError as exc:
        remedy = "start it, or mend [storage]; jobs wait meanwhile, and none fails for it"
        yield Finding("store", Level.TROUBLE, exc.message, remedy)
        return
    if not patient.deep:
        yield Finding("store", Level.OK, "answers (one-time uploads were not tried)")
        return
    results = check.check_store(store_options(patient.settings))
    for each in results:
        if not each.ok and each.level != "info":
            level = Level.TROUBLE if each.level == "must" else Level.WARNING
            yield Finding("store", level, f"{each.name}: {each.message}", "`understudy store check` shows all of it")
    if check.is_safe(results):
        yield Finding("store", Level.OK, "answers, and keeps what one-time uploads rest on")


def secrets(patient: Patient) -> Iterator[Finding]:
    sealed = [key for key in patient.app.keys.all() if key.secret_encrypted is not None and key.disabled_at is None]
    lost = []
    for key in sealed:
        try:
            patient.app.context.secret_box.open(str(key.secret_encrypted))
        except Invalid:
            lost.append(key.id)
    if lost:
        message = f"{len(lost)} of {len(sealed)} stored secrets cannot be opened: {some(lost)}"
        remedy = "put the former key behind the present one in secrets.encryption_key, with a comma between"
        yield Finding("secrets", Level.TROUBLE, message, remedy)
    else:
        yield Finding("secrets", Level.OK, f"all {len(sealed)} stored secrets can be opened")


def pools(patient: Patient) -> Iterator[Finding]:
    for name, pool in patient.settings.pools.items():
        if pool.backend == "local":
            yield from _runs_dir(f"pool {name}", pool.runs_dir)


def _runs_dir(name: str, path: Path) -> Iterator[Finding]:
    """Of this machine: where workers of a local pool run, its directory is the one that matters."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        message = f"{path} cannot be written on {socket.gethostname()}"
        yield Finding(name, Level.TROUBLE, message, "make it for the worker's user, or mend the pool's runs_dir")
        return
    free = shutil.disk_usage(there).free
    message = f"{free / 1024 / MIB:.1f} GiB are free for {path} on {socket.gethostname()}"
    if free < LEAST_DISK_BYTES:
        remedy = "free some space: trainings fail with `disk full` and are tried again by policy"
        yield Finding(name, Level.TROUBLE, f"only {message}", remedy)
    elif free < LOW_DISK_BYTES:
        yield Finding(name, Level.WARNING, f"only {message}", "free some space before trainings need it")
    else:
        yield Finding(name, Level.OK, message)


class _Nothing:
    size_bytes = 1

    def read_range(self, start: int, length: int) -> bytes:
        del start
        return b"\0"[:length]


def sandbox(_: Patient) -> Iterator[Finding]:
    outcome = media_sandbox.run(_Nothing(), "image", media_sandbox.Limits())
    confined = None if outcome.result is None else outcome.result["confined"]
    if confined is None:
        message = f"the check of files does not start here: {outcome.why}"
        remedy = "look at memory and process limits of the worker; nothing is accepted unchecked"
        yield Finding("sandbox", Level.TROUBLE, message, remedy)
    elif confined == "seccomp":
        yield Finding("sandbox", Level.OK, "files are checked behind a seccomp filter")
    else:
        message = f"files are checked without a system-call filter ({confined})"
        yield Finding("sandbox", Level.WARNING, message, "let the worker use seccomp (Linux on x86_64 or aarch64)")
