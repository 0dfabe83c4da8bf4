"""A backend whose runs have succeeded before anybody looks: for benchmarks and simulations. Needs no disk."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from orchestrator.ports.trainer import Artefact, RunSpec, RunState, RunStatus

_PREFIX: Final = "instant:"
_REMEMBERED: Final = 1024  # keys, so that a long benchmark does not grow


class InstantBackend:
    """A `TrainerBackend` that remembers nothing it needs: the handle carries the run's prefix.

    Args:
        artefacts: what every run is said to have made; their keys are put below the run's prefix.
    """

    def __init__(self, artefacts: Sequence[Artefact] = ()) -> None:
        self._artefacts = tuple(artefacts)
        self._handles: OrderedDict[str, str] = OrderedDict()

    def submit(self, spec: RunSpec, key: str) -> str:
        handle = self._handles.setdefault(key, _PREFIX + spec.output_prefix)
        if len(self._handles) > _REMEMBERED:
            self._handles.popitem(last=False)
        return handle

    def observe(self, handles: Sequence[str]) -> list[RunStatus]:
        return [self._observe(handle) for handle in handles]

    def cancel(self, handle: str, grace_s: float) -> None:
        """Nothing: the run has ended."""

    def logs(self, handle: str, offset: int, limit: int = 65536) -> tuple[str, int]:  # noqa: ARG002  (the port's names)
        return "", offset

    def find(self, key: str) -> str | None:
        return self._handles.get(key)

    def _observe(self, handle: str) -> RunStatus:
        if not handle.startswith(_PREFIX):
            return RunStatus(handle, RunState.GONE, message="no such run")
        prefix = handle.removeprefix(_PREFIX)
        made = tuple(dataclasses.replace(artefact, key=prefix + artefact.name) for artefact in self._artefacts)
        return RunStatus(handle, RunState.SUCCEEDED, progress=1.0, message="done", exit_code=0, artefacts=made)
