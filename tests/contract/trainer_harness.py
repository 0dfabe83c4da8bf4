"""One way to drive every trainer backend: a run that goes until it is told to end, and patience with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.ports.trainer import RunSpec, RunState, RunStatus, TrainerBackend
from tests.fakes.trainer import FakeTrainer, a_spec

T = TypeVar("T")

DEADLINE_S = 20.0

_UNTIL_TOLD = """
import pathlib, sys, time
print('{"progress": 0.25, "message": "a quarter", "metrics": {"loss": 0.5}}', flush=True)
print("größer", flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
"""


def until(look: Callable[[], T], good: Callable[[T], bool], what: str) -> T:
    """Look again and again until it is good; gives what was seen."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not good(seen := look()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{what}: not within {DEADLINE_S:g} s, last seen {seen!r}")
        time.sleep(0.02)
    return seen


def reaches(backend: TrainerBackend, handle: str, *states: RunState) -> RunStatus:
    """Observe until the run is in one of the states; a final state that was not expected fails at once."""

    def good(status: RunStatus) -> bool:
        final = status.state not in {RunState.PENDING, RunState.RUNNING}
        assert not final or status.state in states, status
        return status.state in states

    return until(lambda: backend.observe([handle])[0], good, f"{handle} is {states}")


class Harness(Protocol):
    backend: TrainerBackend

    def spec(self, **changes: object) -> RunSpec:
        """A run that goes until `finish`, after saying a quarter of progress and printing "größer"."""

    def running(self, handle: str) -> None:
        """The run has said its progress and printed its line."""

    def finish(self, handle: str) -> None:
        """The run has succeeded."""


class LocalHarness:
    def __init__(self, directory: Path) -> None:
        self.runs_dir = directory / "runs"
        self.backend = LocalBackend(self.runs_dir, slots=2)
        self._told = directory / "told"

    def spec(self, **changes: object) -> RunSpec:
        command = ("{python}", "-I", "-S", "-c", _UNTIL_TOLD, str(self._told))
        return a_spec(**{"command": command, **changes})

    def running(self, handle: str) -> None:
        until(lambda: self.backend.observe([handle])[0], lambda status: status.progress == 0.25, "progress")
        until(lambda: self.backend.logs(handle, 0)[0], lambda text: "\n" in text, "log")

    def finish(self, handle: str) -> None:
        self._told.touch()
        reaches(self.backend, handle, RunState.SUCCEEDED)


class FakeHarness:
    def __init__(self) -> None:
        self.backend = FakeTrainer()

    def spec(self, **changes: object) -> RunSpec:
        return a_spec(**changes)

    def running(self, handle: str) -> None:
        words = {"progress": 0.25, "message": "a quarter", "metrics": {"loss": 0.5}}
        self.backend.say(handle, RunState.RUNNING, log="größer\n", **words)

    def finish(self, handle: str) -> None:
        self.backend.say(handle, RunState.SUCCEEDED, progress=1.0)


class InstantHarness:
    def __init__(self, backend: TrainerBackend) -> None:
        self.backend = backend

    def spec(self, **changes: object) -> RunSpec:
        return a_spec(**changes)

    def running(self, handle: str) -> None:
        """Never: it has ended."""

    def finish(self, handle: str) -> None:
        """Done already."""
