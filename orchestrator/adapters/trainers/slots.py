"""Room on this host: a run holds one slot, its GPUs and its checkpoint, each a lock that the kernel gives back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from orchestrator.adapters.trainers import rundir

ASK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Host:
    """What a runner needs to know of the machine it is on.

    Attributes:
        slots: runs at a time.
        gpus: device ids as CUDA_VISIBLE_DEVICES takes them.
        environment: variables for every stage command.
    """

    slots: int = 1
    gpus: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Taken:
    """Locks held; they go when this is closed, or when the process ends."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        self.devices: tuple[str, ...] = ()

    def try_one(self, path: Path) -> bool:
        descriptor = rundir.take(path)
        if descriptor is not None:
            self._descriptors.append(descriptor)
        return descriptor is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


def take_all(runs_dir: Path, host: Host, gpus: int, checkpoint: Path) -> Taken | None:
    """Everything a run needs, or nothing: no two runs ever wait for each other."""
    directory = runs_dir / rundir.SLOTS
    directory.mkdir(exist_ok=True)
    taken = Taken()
    if taken.try_one(rundir.checkpoint_lock(runs_dir, checkpoint)) and any(
        taken.try_one(directory / f"slot-{number}") for number in range(host.slots)
    ):
        taken.devices = _devices(taken, directory, host.gpus, gpus)
        if len(taken.devices) == gpus:
            return taken
    taken.close()
    return None


def _devices(taken: Taken, directory: Path, ids: Sequence[str], wanted: int) -> tuple[str, ...]:
    found: list[str] = []
    for gpu in ids:
        if len(found) == wanted:
            break
        if taken.try_one(directory / f"gpu-{gpu.replace('/', '_')}"):
            found.append(gpu)
    return tuple(found)
