"""What a runner last said, as a file: written by one runner, read by anybody."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from orchestrator.adapters.trainers.rundir import RunDir, read_json, write_json
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import Artefact, RunState, RunStatus

FINAL: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
_FLUSH_S: Final = 0.25  # a trainer may report a thousand times a second; nobody looks that often


@dataclass(slots=True)
class _Words:
    state: RunState = RunState.PENDING
    progress: float | None = None
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    input_hashes: dict[str, str] = field(default_factory=dict)


class StatusFile:
    """The writing side. `tick()` keeps it fresh; nothing can be written after the final word."""

    def __init__(self, run: RunDir, heartbeat_s: float) -> None:
        self._run = run
        self._heartbeat_s = heartbeat_s
        self._words = _Words()
        self._lock = threading.Lock()
        self._written_at = -heartbeat_s
        self._dirty = True
        self._final = False
        self.tick()

    def say(
        self,
        *,
        state: RunState | None = None,
        progress: float | None = None,
        message: str | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Change what is said; it reaches the file with one of the next ticks."""
        with self._lock:
            self._words.state = state or self._words.state
            self._words.progress = self._words.progress if progress is None else progress
            self._words.message = self._words.message if message is None else message
            self._words.metrics.update(metrics or {})
            self._dirty = True

    def input_read(self, name: str, sha256: str) -> None:
        with self._lock:
            self._words.input_hashes[name] = sha256
            self._dirty = True

    def tick(self) -> None:
        """Write when something changed, or when the heartbeat is due."""
        with self._lock:
            since_s = time.monotonic() - self._written_at
            if not self._final and (since_s >= self._heartbeat_s or (self._dirty and since_s >= _FLUSH_S)):
                self._write({}, durable=False)

    def finish(
        self,
        state: RunState,
        *,
        message: str,
        failure: FailureClass | None = None,
        exit_code: int | None = None,
        artefacts: Sequence[Artefact] = (),
    ) -> None:
        """The final word, the first one that could be written (else OSError); it survives a power cut."""
        with self._lock:
            if self._final:
                return
            self._words.state, self._words.message = state, message
            if state is RunState.SUCCEEDED:
                self._words.progress = 1.0
            self._write(
                {
                    "failure": failure,
                    "exit_code": exit_code,
                    "artefacts": [dataclasses.asdict(artefact) for artefact in artefacts],
                },
                durable=True,
            )
            self._final = True

    def _write(self, more: Mapping[str, object], *, durable: bool) -> None:
        words = {**dataclasses.asdict(self._words), "heartbeat_at": datetime.now(UTC).isoformat(), **more}
        write_json(self._run.status, words, durable=durable)
        self._written_at, self._dirty = time.monotonic(), False


def read_status(run: RunDir, handle: str) -> RunStatus | None:
    """What the runner last said, None when it has not said anything."""
    words: Mapping[str, Any] | None = read_json(run.status)
    if words is None:
        return None
    return RunStatus(
        handle=handle,
        state=RunState(words["state"]),
        heartbeat_at=datetime.fromisoformat(words["heartbeat_at"]),
        progress=words["progress"],
        message=words["message"],
        metrics=words["metrics"],
        failure=FailureClass(words["failure"]) if words.get("failure") else None,
        exit_code=words.get("exit_code"),
        artefacts=tuple(Artefact(**artefact) for artefact in words.get("artefacts", ())),
        input_hashes=words["input_hashes"],
    )
