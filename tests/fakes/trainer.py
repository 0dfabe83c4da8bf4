"""A trainer backend whose runs do what the test says, a spec to hand to any backend, and a store in a directory."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from orchestrator.domain.errors import TrainerUnavailable
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import RunSpec, RunState, RunStatus


class FakeTrainer:
    """Remembers what it was asked; `say` decides what is observed next.

    Attributes:
        is_down: True makes every call raise TrainerUnavailable.
        submitted: the specs that started something, by handle.
        cancelled: the handles that `cancel` was asked for, with their grace, in order.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.submitted: dict[str, RunSpec] = {}
        self.cancelled: list[tuple[str, float]] = []
        self._handles: dict[str, str] = {}
        self._statuses: dict[str, RunStatus] = {}
        self._logs: dict[str, bytes] = {}

    def say(self, handle: str, state: RunState, *, log: str = "", **words: object) -> None:
        """Let the run have this state, with any other fields of RunStatus; the log grows."""
        self._statuses[handle] = dataclasses.replace(self._statuses[handle], state=state, **words)  # type: ignore[arg-type]  # fields by name
        self._logs[handle] += log.encode()

    def submit(self, spec: RunSpec, key: str) -> str:
        self._ask()
        if key not in self._handles:
            handle = f"fake-{len(self._handles) + 1}"
            self._handles[key] = handle
            self.submitted[handle] = spec
            self._statuses[handle] = RunStatus(handle, RunState.PENDING)
            self._logs[handle] = b""
        return self._handles[key]

    def observe(self, handles: Sequence[str]) -> list[RunStatus]:
        self._ask()
        return [self._statuses.get(handle, RunStatus(handle, RunState.GONE)) for handle in handles]

    def cancel(self, handle: str, grace_s: float) -> None:
        self._ask()
        self.cancelled.append((handle, grace_s))
        status = self._statuses.get(handle)
        if status is not None and status.state in {RunState.PENDING, RunState.RUNNING}:
            self.say(handle, RunState.CANCELLED, failure=FailureClass.CANCELLED)

    def logs(self, handle: str, offset: int, limit: int = 65536) -> tuple[str, int]:
        self._ask()
        data = self._logs.get(handle, b"")[offset : offset + limit]
        return data.decode(), offset + len(data)

    def find(self, key: str) -> str | None:
        self._ask()
        return self._handles.get(key)

    def _ask(self) -> None:
        if self.is_down:
            raise TrainerUnavailable("the fake trainer is down")


class DirectoryStore:
    """`Storage.upload` into a directory, for runners that a test starts. Options: root."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def upload(self, path: Path, key: str, content_type: str) -> None:  # noqa: ARG002  (the port's signature)
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


class StuckStore:
    """A store that never answers."""

    def upload(self, path: Path, key: str, content_type: str) -> None:  # noqa: ARG002  (the port's signature)
        threading.Event().wait()


def a_spec(**changes: object) -> RunSpec:
    """A spec with nothing special about it."""
    plain = RunSpec(
        run_id="run-1",
        job_id="job-1",
        project_id="project-1",
        stage="training",
        attempt=1,
        command=("{python}", "-I", "-S", "-c", "pass"),
        inputs=(),
        output_prefix="runs/run-1/",
        checkpoint_key="job-1/training",
        parameters={},
        timeout_s=60,
        heartbeat_s=0.2,
        grace_s=5,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]  # fields by name
