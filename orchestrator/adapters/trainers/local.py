"""Runs stages on this machine, each in a process of its own that outlives whoever asked for it.

Every fact is in the run's directory (`rundir.py`), so any process may ask about any run, before and after a restart
of the control plane. The handle is the key.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from orchestrator.adapters.trainers import processes, rundir
from orchestrator.adapters.trainers.rundir import RunDir, read_json, write_json
from orchestrator.adapters.trainers.runner import STORE_VARIABLE, write_spec
from orchestrator.adapters.trainers.slots import Host
from orchestrator.adapters.trainers.status import FINAL, read_status
from orchestrator.adapters.trainers.stopping import Reason, ask_to_stop
from orchestrator.domain.errors import Invalid, TrainerUnavailable
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import RunSpec, RunState, RunStatus

S3_STORE: Final = "orchestrator.adapters.trainers.transfer:s3_store"

# What a runner gets of our environment: enough to find Python, certificates and the way out; no settings, no secrets.
_PASSED_ON: Final = frozenset(
    {
        *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE"),
        "UNDERSTUDY_DATA_MARK",  # by it `understudy dev` finds, when it ends, what runs on its data directory
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)

# The shell leaves the runner in the background and ends: the runner is init's child, so it is nobody's zombie, and no
# worker has to live on or to handle SIGCHLD for it. Celery's pool children may not have children of multiprocessing.
_DETACH: Final = 'log=$1; shift; "$@" >>"$log" 2>&1 & echo $!'
_STUCK_S: Final = 15.0  # beyond the grace of a request to stop, until a runner that did not follow is killed

_log = structlog.get_logger()


class LocalBackend:
    """A `TrainerBackend` on this machine.

    Args:
        runs_dir: on a local disk: file locks have to work.
        slots: runs at a time; further ones wait, PENDING.
        gpus: device ids as CUDA_VISIBLE_DEVICES takes them; a run holds `RunSpec.gpus` of them.
        store: options of the store for results, as `store_factory` takes them; with S3, the fields of `S3Options`.
            They reach the runner alone, by its environment, and never a file or the stage command.
        store_factory: "module:function" that makes an object with `Storage.upload` of the options.
        python: the interpreter of runners, and `{python}` in commands.
        environment: variables for every stage command.
    """

    def __init__(
        self,
        runs_dir: Path,
        *,
        slots: int = 1,
        gpus: Sequence[str] = (),
        store: Mapping[str, object] | None = None,
        store_factory: str = S3_STORE,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if slots < 1:
            raise Invalid(f"a trainer needs at least 1 slot, not {slots}")
        self._runs_dir = runs_dir.absolute()
        self._host = Host(slots, tuple(gpus), dict(environment or {}))
        self._store = None if store is None else json.dumps({"factory": store_factory, "options": dict(store)})
        self._python = python

    def submit(self, spec: RunSpec, key: str) -> str:
        run = RunDir.of(self._runs_dir, key)
        try:
            run.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with rundir.holding(run.submit_lock):
                if not _was_started(run):
                    self._start(run, spec)
        except OSError as error:
            raise TrainerUnavailable(f"cannot start run {key}: {error.strerror}", key=key) from error
        return key

    def observe(self, handles: Sequence[str]) -> list[RunStatus]:
        return [self._observe(handle) for handle in handles]

    def cancel(self, handle: str, grace_s: float) -> None:
        run = self._known(handle)
        if run is None or _has_ended(run, handle):
            return
        ask_to_stop(run, Reason.CANCELLED, grace_s)  # whoever runs it finds this, even if we end right here
        if run.is_alive():
            if pid := processes.recorded(run.runner):
                processes.send(pid, signal.SIGTERM)
        else:
            processes.kill_members(run.path)  # nobody is left who could give them their grace, or use their results

    def logs(self, handle: str, offset: int, limit: int = 65536) -> tuple[str, int]:
        run = self._known(handle)
        try:
            if run is None:
                return "", offset
            with run.log.open("rb") as file:
                file.seek(offset)
                data = file.read(limit)
        except FileNotFoundError:
            return "", offset
        whole = _whole_characters(data)
        return whole.decode("utf-8", "replace"), offset + len(whole)

    def find(self, key: str) -> str | None:
        run = self._known(key)
        if run is None:
            return None
        try:
            with rundir.holding(run.submit_lock):  # a submit under way is waited for: milliseconds
                return key if _was_started(run) else None
        except FileNotFoundError:
            return None  # housekeeping came between
        except OSError as error:
            raise TrainerUnavailable(f"cannot look for run {key}: {error.strerror}", key=key) from error

    def _known(self, handle: str) -> RunDir | None:
        try:
            run = RunDir.of(self._runs_dir, handle)
        except Invalid:
            return None
        return run if run.path.is_dir() else None

    def _start(self, run: RunDir, spec: RunSpec) -> None:
        write_json(run.spec, write_spec(spec, self._host))
        write_json(
            run.run,
            {
                "run_id": spec.run_id,
                "job_id": spec.job_id,
                "stage": spec.stage,
                "attempt": spec.attempt,
                "gpus": spec.gpus,
                "parameters": dict(spec.parameters),
                "inputs": [{"name": source.name, "size_bytes": source.size_bytes} for source in spec.inputs],
            },
        )
        run.runner_log.touch(mode=0o600)
        environment = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        if self._store is not None:
            environment[STORE_VARIABLE] = self._store
        with rundir.holding(run.runner_lock) as lock:
            # From here on the lock is the runner's too, so there is no moment at which it runs and is not seen.
            runner = [self._python, "-m", "orchestrator.adapters.trainers.runner", str(run.path), str(lock)]
            shell = subprocess.run(
                ["/bin/sh", "-c", _DETACH, "sh", str(run.runner_log), *runner],
                cwd=run.path,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=[lock],
                start_new_session=True,
                check=True,
            )
            processes.record(run.runner, int(shell.stdout))
        _log.info("run started", run_id=spec.run_id, job_id=spec.job_id, stage=spec.stage, key=run.path.name)

    def _observe(self, handle: str) -> RunStatus:
        run = self._known(handle)
        if run is None:
            return RunStatus(handle, RunState.GONE, message="no such run")
        status = read_status(run, handle)
        if status is not None and status.state in FINAL:
            return status
        if run.is_alive():
            _kill_if_stuck(run)
            return status or RunStatus(handle, RunState.PENDING, message="starting")
        # The lock is free: either it ended well since we read, or it died.
        status = read_status(run, handle)
        if status is not None and status.state in FINAL:
            return status
        return _dead(run, handle)


def _was_started(run: RunDir) -> bool:
    return run.runner.exists() or run.is_alive()


def _has_ended(run: RunDir, handle: str) -> bool:
    status = read_status(run, handle)
    return status is not None and status.state in FINAL


def _dead(run: RunDir, handle: str) -> RunStatus:
    # The kernel took the stage command with its runner, but not what the command started; and gone has to mean gone,
    # because the next attempt will write to the same checkpoint.
    processes.kill_members(run.path)
    if run.runner.exists():  # otherwise somebody may be about to start it
        run.spec.unlink(missing_ok=True)
        shutil.rmtree(run.inputs, ignore_errors=True)
    if run.stop.exists() and (read_json(run.stop) or {}).get("reason") == Reason.CANCELLED:
        return RunStatus(handle, RunState.CANCELLED, message="cancelled", failure=FailureClass.CANCELLED)
    return RunStatus(handle, RunState.GONE, message=_last_words(run), failure=FailureClass.LOST)


def _last_words(run: RunDir) -> str:
    """Why a runner may have died, for people; nothing that could be the signed part of a URL."""
    try:
        lines = run.runner_log.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    said = next((line.partition("?")[0][:200] for line in reversed(lines) if line.strip()), "killed?")
    return f"the runner died: {said}"


def _kill_if_stuck(run: RunDir) -> None:
    asked = read_json(run.stop)
    if asked is None:
        return
    grace_s = asked.get("grace_s")
    patience_s = (grace_s if isinstance(grace_s, int | float) else 0) + _STUCK_S
    if time.time() - run.stop.stat().st_mtime > patience_s and (pid := processes.recorded(run.runner)):
        _log.warning("runner did not stop, killed", key=run.path.name, patience_s=patience_s)
        processes.send(pid, signal.SIGKILL)


def _whole_characters(data: bytes) -> bytes:
    """The bytes without a character cut at the end, unless they are nothing but that."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    begun, _ = decoder.getstate()
    return data[: len(data) - len(begun)] or data
