"""Rows of the table of benchmarks. A goal is always a ratio or a limit, never an absolute speed of this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

Row = dict[str, object]


def row(name: str, value: float, unit: str, goal: str = "", *, ok: bool = True) -> Row:
    return {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "ok": ok}


def at_least(name: str, value: float, goal: float, unit: str = "x") -> Row:
    return row(name, value, unit, f">= {goal:g}", ok=value >= goal)


def at_most(name: str, value: float, goal: float, unit: str = "x") -> Row:
    return row(name, value, unit, f"<= {goal:g}", ok=value <= goal)


def taken_s(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def in_turns(rounds: int, *works: Callable[[], float]) -> list[float]:
    """The median of each work's own measurements, taken in turns, so that a busy moment of the machine meets all."""
    measured: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for values, work in zip(measured, works, strict=True):
            values.append(work())
    return [statistics.median(values) for values in measured]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
