"""How a process tells the workers that there is something to do. Best effort: the truth is in the rows."""

from __future__ import annotations

from typing import Protocol


class Waker(Protocol):
    def wake(self, name: str) -> None:
        """Have `name` looked at soon: an effect ("verify") or a sweep ("observe_runs"). Never blocks, never raises."""
