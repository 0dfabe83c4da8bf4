"""The process that carries one run through: slot, inputs, stage command, results, final word.

    python -m orchestrator.adapters.trainers.runner RUN_DIR LOCK_DESCRIPTOR

It belongs to nobody: the control plane may end, be replaced and look at the run directory again. The descriptor is
the run's `runner.lock`, held by inheritance; whoever finds it free knows that the runner is dead.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from orchestrator.adapters.trainers import processes, slots, transfer
from orchestrator.adapters.trainers.outcome import EX_OK, StageFailed, classify, describe
from orchestrator.adapters.trainers.protocol import Said
from orchestrator.adapters.trainers.rundir import RunDir, checkpoint_dir, read_json
from orchestrator.adapters.trainers.status import StatusFile
from orchestrator.adapters.trainers.stopping import Stop, Stopped, Watch
from orchestrator.adapters.trainers.supervise import Ended, supervise
from orchestrator.domain.errors import UnderstudyError
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import Artefact, RunInput, RunSpec, RunState

STORE_VARIABLE: Final = "UNDERSTUDY_RUN_STORE"
STAGE_VARIABLE: Final = "UNDERSTUDY_STAGE"
_PASSED_ON: Final = ("PATH", "HOME", "LANG")
_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def read_spec(values: Mapping[str, Any]) -> RunSpec:
    """The spec as `dataclasses.asdict` wrote it."""
    inputs = tuple(RunInput(**source) for source in values["inputs"])
    return RunSpec(**{**values, "command": tuple(values["command"]), "inputs": inputs})


class Runner:
    """One attempt of one stage."""

    def __init__(self, run: RunDir, spec: RunSpec, host: slots.Host, store: str | None) -> None:
        self._run = run
        self._spec = spec
        self._host = host
        self._store = store
        self._stop = Stop(spec.timeout_s, spec.grace_s)
        self._status = StatusFile(run, spec.heartbeat_s)
        self._watch = Watch(run, self._status, self._stop, self._tidy)

    def go(self) -> None:
        """Carry the run to its final word; whatever happens is in it."""
        self._watch.install()
        self._watch.start()
        try:
            with self._slot() as devices:
                artefacts = self._carry_out(devices)
                self._status.finish(RunState.SUCCEEDED, message="done", exit_code=EX_OK, artefacts=artefacts)
                shutil.rmtree(self._run.outputs, ignore_errors=True)
                # The stage is done: a later retraining begins anew.
                shutil.rmtree(self._run.checkpoint.resolve(), ignore_errors=True)
        except Stopped:
            self._stop.finish(self._status)
        except StageFailed as failed:
            self._fail(failed.failure, failed.message, failed.exit_code)
        except OSError as error:
            what = "disk full" if transfer.is_disk_full(error) else error.strerror or type(error).__name__
            self._fail(FailureClass.INFRASTRUCTURE, f"runner: {what}")
        except UnderstudyError as error:
            self._fail(FailureClass.INFRASTRUCTURE, error.message)
        finally:
            self._tidy()

    @contextlib.contextmanager
    def _slot(self) -> Iterator[tuple[str, ...]]:
        """Wait, PENDING, until there is room and no other attempt uses the checkpoint."""
        if self._spec.gpus > len(self._host.gpus):
            raise StageFailed(
                FailureClass.CODE,
                f"{self._spec.gpus} GPUs asked for, this host has {len(self._host.gpus)}",
            )
        checkpoint = checkpoint_dir(self._run.path.parent, self._spec.checkpoint_key)
        self._status.say(message="waiting for a slot")
        while (taken := slots.take_all(self._run.path.parent, self._host, self._spec.gpus, checkpoint)) is None:
            self._stop.wait(slots.ASK_EVERY_S)
        with taken:
            checkpoint.mkdir(parents=True, exist_ok=True)
            self._run.checkpoint.unlink(missing_ok=True)
            self._run.checkpoint.symlink_to(checkpoint, target_is_directory=True)
            self._watch.begin()
            yield taken.devices

    def _carry_out(self, devices: tuple[str, ...]) -> list[Artefact]:
        self._run.inputs.mkdir(exist_ok=True)
        self._run.outputs.mkdir(exist_ok=True)
        self._status.say(state=RunState.RUNNING)
        self._fetch_inputs()
        self._status.say(progress=0.0, message="started")
        ended = supervise(self._run, self._command(), self._environment(devices), self._stop, self._heard)
        self._judge(ended)
        return self._store_results()

    def _fetch_inputs(self) -> None:
        for source in self._spec.inputs:

            def at(size_bytes: int, source: RunInput = source) -> None:
                self._status.say(message=f"reading {source.name}: {size_bytes} of {source.size_bytes} bytes")

            self._status.input_read(source.name, transfer.download(source, self._run.inputs, self._stop, at))

    def _command(self) -> list[str]:
        return [word.replace("{python}", sys.executable) for word in self._spec.command]

    def _environment(self, devices: tuple[str, ...]) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "PYTHONUNBUFFERED": "1",  # progress is wanted when it is made
            **self._host.environment,
            **self._spec.environment,
            "CUDA_VISIBLE_DEVICES": ",".join(devices),
            processes.RUN_DIR_VARIABLE: str(self._run.path),
            STAGE_VARIABLE: self._spec.stage,
        }

    def _heard(self, said: Said) -> None:
        self._status.say(progress=said.progress, message=said.message, metrics=said.metrics)

    def _judge(self, ended: Ended) -> None:
        if self._stop.reason is not None:
            self._stop.finish(self._status, ended.exit_code)
            raise Stopped
        if ended.exit_code != EX_OK:
            raise StageFailed(
                classify(ended.exit_code, ended.last_words),
                ended.error or describe(ended.exit_code, ended.last_words),
                ended.exit_code,
            )

    def _store_results(self) -> list[Artefact]:
        paths = transfer.results(self._run.outputs)
        if not paths:
            return []
        if self._store is None:
            raise StageFailed(FailureClass.INFRASTRUCTURE, "the stage has results, but no store is configured for runs")
        store, artefacts = transfer.open_uploader(self._store), []
        for path in paths:
            self._stop.check()
            name = path.relative_to(self._run.outputs).as_posix()
            self._status.say(message=f"storing {name}")
            artefacts.append(transfer.upload(path, name, self._spec.output_prefix, store, self._stop))
        return artefacts

    def _fail(self, failure: FailureClass, message: str, exit_code: int | None = None) -> None:
        finish = partial(
            self._status.finish, RunState.FAILED, message=message, failure=failure, exit_code=exit_code
        )  # fmt: skip
        self._tidy()  # first: on a full disk the final word needs its room
        try:
            finish()
        except OSError as error:
            if not transfer.is_disk_full(error):
                raise
            shutil.rmtree(self._run.outputs, ignore_errors=True)
            finish()

    def _tidy(self) -> None:
        # Signed URLs and people's videos are not kept longer than needed.
        self._run.spec.unlink(missing_ok=True)
        shutil.rmtree(self._run.inputs, ignore_errors=True)


def main(arguments: list[str]) -> int:
    run, lock = RunDir(Path(arguments[0])), int(arguments[1])
    fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # the stage command must not outlive us with our lock
    store = os.environ.pop(STORE_VARIABLE, None)
    if sys.platform == "linux":
        # The stage command runs as the same user: without this it could read the credentials from /proc.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    processes.record(run.runner, os.getpid())
    written = read_json(run.spec)
    if written is None:
        return 1
    host: Any = written["host"]
    spec: Any = written["spec"]
    Runner(run, read_spec(spec), slots.Host(**host), store).go()
    return 0


def write_spec(spec: RunSpec, host: slots.Host) -> dict[str, object]:
    """What `main` reads."""
    return {"spec": dataclasses.asdict(spec), "host": dataclasses.asdict(host)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
