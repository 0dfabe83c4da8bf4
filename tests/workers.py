"""An installation of real processes: `celery -A tasks.app worker` and `beat`, on servers that the test chooses."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
from cryptography.fernet import Fernet

from orchestrator.app.app import App
from orchestrator.bootstrap import build_app
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.states import JobState
from orchestrator.embedded.kept import free_port
from orchestrator.embedded.process import Child
from orchestrator.embedded.stack import answers
from orchestrator.settings import load
from tests.servers import Server, StoreServer

ROOT = Path(__file__).resolve().parents[1]
ME = Caller("project-1", Role.ADMIN, "tester")

# Neither material nor review: everything after the submit is the machine's work.
INSTANT_PROFILE = """
name = "quick"
title = "No material, and trainings that have succeeded at once"
materials = {}
[stages.training]
command = ["none"]
pool = "instant"
[stages.inference_preprocess]
command = ["none"]
pool = "instant"
"""
# The stage says which run it is before it does anything, so that a run started twice is seen. One job in four leaves a
# file: uploads are dear, and what is tested here is not the store.
LOCAL_PROFILE = """
name = "tiny"
title = "No material, and a stage that takes a moment"
materials = {{}}
[stages.training]
command = ["/bin/sh", "-c", {script}]
timeout = "60s"
[retry]
limits = {{ code = 20, infrastructure = 50, lost = 50, timeout = 20 }}
first_delay = "500ms"
longest_delay = "1s"
"""
# A whole life: real files, a reviewer, and a model that says of which bytes it was made.
WHOLE_PROFILE = """
name = "whole"
title = "A video, a reviewer, and a stage that takes a moment"
switches = ["review", "resubmit"]
[materials.training_video]
judged_as = "video"
required = true
[materials.cover]
judged_as = "image"
[stages.training]
command = ["/bin/sh", "-c", {script}]
timeout = "60s"
[retry]
limits = {{ code = 20, infrastructure = 50, lost = 50, timeout = 20 }}
first_delay = "500ms"
longest_delay = "1s"
"""
WHOLE_SCRIPT = """
run=$(basename "$UNDERSTUDY_RUN_DIR"); echo "$run" >> {started}; sleep {seconds}
{{ sha256sum inputs/training_video* || shasum -a 256 inputs/training_video*; }} | cut -c1-64 > outputs/model.npz
cp outputs/model.npz outputs/thumbnail.png
"""
STAGE_SCRIPT = """
run=$(basename "$UNDERSTUDY_RUN_DIR"); echo "$run" >> {started}; sleep {seconds}
case "$run" in {with_output}) echo model > outputs/model.npz;; esac
"""


class Installation:
    """Settings for any number of workers and beats, and the same app in the test's own process.

    Args:
        settings: dotted names and values, over those that suit tests.
        store: for what runs make; without one they make nothing.
        store_url: in place of its own address, if there is something in between.
        stage_s: how long the stage of the profile "tiny" takes.
    """

    def __init__(
        self, directory: Path, database_url: str, broker_url: str = "", settings: Mapping[str, object] | None = None,
        *, store: StoreServer | None = None, store_url: str = "", stage_s: float = 0.1,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.started = directory / "started"
        self.started.touch()
        profiles = directory / "profiles"
        profiles.mkdir()
        script = STAGE_SCRIPT.format(
            started=self.started, seconds=stage_s, with_output="*[048c]-training-*" if store else "none"
        )
        (profiles / "quick.toml").write_text(INSTANT_PROFILE, encoding="utf-8")
        (profiles / "tiny.toml").write_text(LOCAL_PROFILE.format(script=json.dumps(script)), encoding="utf-8")
        script = WHOLE_SCRIPT.format(started=self.started, seconds=stage_s)
        (profiles / "whole.toml").write_text(WHOLE_PROFILE.format(script=json.dumps(script)), encoding="utf-8")
        values = {
            "database.url": database_url,
            "broker.url": broker_url,
            "storage.bucket": store.bucket if store else "none",
            "storage.endpoint": store_url or (store.url if store else "http://127.0.0.1:9"),  # nobody is there
            "storage.access_key": store.access_key if store else "none",
            "storage.secret_key": store.secret_key if store else "none",
            "secrets.encryption_key": Fernet.generate_key().decode(),
            "pools.instant.backend": "instant",
            "pools.instant.slots": 1000,
            "pools.local.runs_dir": directory / "runs",
            "pools.local.slots": 4,
            "profiles.dir": profiles,
            "worker.concurrency": 2,
            **(settings or {}),
        }
        self.environ = {f"UNDERSTUDY_{name.upper().replace('.', '__')}": str(value) for name, value in values.items()}
        self._app: App | None = None

    @property
    def app(self) -> App:
        if self._app is None:
            self._app = build_app(load(environ=self.environ))
            self._app.keys.add_project(ME.project_id)
        return self._app

    def close(self) -> None:
        if self._app is not None:
            self._app.context.store.dispose()  # type: ignore[attr-defined]  # the SQL adapter's
            close = getattr(self._app.context.waker, "close", None)
            if close is not None:
                close()

    def submit(self, profile: str) -> str:
        """A new job, submitted; gives its id."""
        job = self.app.jobs.create(ME, profile, "A job")
        return self.app.uploads.submit(ME, job.id).id

    def state(self, job_id: str) -> JobState:
        with self.app.context.store.read() as tx:
            return tx.jobs.get(job_id).state

    def await_success(self, *job_ids: str, limit_s: float = 30.0) -> None:
        wait_until(
            lambda: all(self.state(job_id) is JobState.JOB_SUCCESS for job_id in job_ids),
            limit_s,
            lambda: f"{[(job_id, self.state(job_id).value) for job_id in job_ids]}",
        )

    def runs_started(self) -> list[str]:
        """The keys of runs whose stage command was begun, each as often as it was."""
        return self.started.read_text(encoding="utf-8").split()


class OwnProcess(Server):
    """A process of an installation, with its own log, to be stopped, killed and started again.

    Args:
        argv: behind the interpreter.
        variables: over those of the installation.
    """

    def __init__(
        self, name: str, installation: Installation, argv: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        super().__init__()
        self._installation = installation
        self._argv = [sys.executable, *argv]
        self._variables = dict(variables or {})

    @property
    def url(self) -> str:
        return ""

    @property
    def exit_code(self) -> int | None:
        """How it ended by itself; None: it runs, or was stopped by us."""
        return self._process.exit_code() if self._process is not None else None

    def close(self) -> None:
        """Kill it and forget its log: how long a good end takes is the business of tests about that."""
        self.kill()
        super().close()

    def end(self) -> int:
        """Stop it in order; gives its exit code."""
        process = self._process
        assert process is not None, "it does not run"
        self.stop()
        return process.popen.returncode

    @property
    def log(self) -> str:
        path = self.dir / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def env(self) -> dict[str, str]:
        variables = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        return super().env() | variables | self._installation.environ | self._variables

    def child(self) -> Child:
        return Child(
            name=self.name, argv=self._argv, env=self.env(), cwd=self.dir, log_path=self.dir / "log",
            ready=self.readiness(), ready_timeout_s=90, stop_timeout_s=90,
        )  # fmt: skip

    def readiness(self) -> Callable[[], bool] | None:
        """How to see that it is up; None: nobody waits for that."""
        return None


class CeleryProcess(OwnProcess):
    """A worker or a beat. `ready`: the word in its log that says so; empty: nobody waits for it."""

    def __init__(
        self, installation: Installation, *arguments: str, ready: str = " ready.", module: str = "tasks.app",
        variables: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(arguments[0], installation, ["-m", "celery", "-A", module, *arguments], variables)
        self._ready = ready

    def readiness(self) -> Callable[[], bool]:
        seen = len(self.log)
        return lambda: self._ready in self.log[seen:]

    def pool_children(self) -> list[psutil.Process]:
        return self._below()


class ApiProcess(OwnProcess):
    """The HTTP process on a port of its own, the same after every start."""

    def __init__(
        self, installation: Installation, *, module: str = "orchestrator.http", wait: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.port = free_port()
        own = {"UNDERSTUDY_API__PORT": str(self.port), **(variables or {})}
        super().__init__("api", installation, ["-m", *module.split()], own)
        self._wait = wait

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def readiness(self) -> Callable[[], bool] | None:
        return (lambda: answers(f"{self.url}/livez")) if self._wait else None


def worker(
    installation: Installation, *arguments: str, module: str = "tasks.app", ready: str = " ready.",
    variables: Mapping[str, str] | None = None,
) -> CeleryProcess:  # fmt: skip
    return CeleryProcess(installation, "worker", *arguments, module=module, ready=ready, variables=variables)


def beat(
    installation: Installation, *, module: str = "tasks.app", ready: str = "beat_ready",
    variables: Mapping[str, str] | None = None,
) -> CeleryProcess:  # fmt: skip
    return CeleryProcess(installation, "beat", module=module, ready=ready, variables=variables)


def wait_until(
    holds: Callable[[], object], limit_s: float, told: Callable[[], str] = str, every_s: float = 0.02
) -> float:
    """Ask until yes; gives how long it took. Raises TimeoutError with what `told` says."""
    began_s = time.monotonic()
    while not holds():
        if time.monotonic() - began_s > limit_s:
            raise TimeoutError(f"not within {limit_s} s: {told()}")
        time.sleep(every_s)
    return time.monotonic() - began_s
