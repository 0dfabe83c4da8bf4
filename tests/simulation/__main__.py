"""`./run simulate`: walk schedules by the thousand, on every core, and say which seeds broke a promise.

The exit code is 1 if any did. A seed that broke one becomes a test in tests/simulation/test_schedules.py.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.people import everybody
from tests.simulation.walking import Walked, digest, walk
from tests.simulation.world import run

CHUNK = 50
SHOWN = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--schedules", type=int, default=2000, help="how many; 100000 for a night (default: 2000)")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the first; the others follow (default: by the clock)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--trace", action="store_true", help="run one seed, and show where it breaks")
    told = parser.parse_args(arguments)
    first = int(time.time()) * 1000 if told.seed is None else told.seed
    console = Console()
    if told.trace:
        try:
            console.print(f"seed {first}: nothing broke; {digest(run(first, everybody))}")
        except Exception:  # noqa: BLE001  shown whole
            traceback.print_exc()
            return 1
        return 0
    console.print(f"seeds {first} to {first + told.schedules - 1}", highlight=False)
    began_s = time.monotonic()
    walked = _everywhere(range(first, first + told.schedules), told.jobs, console)
    _tell(walked, time.monotonic() - began_s, console)
    return 1 if walked.broken else 0


def _everywhere(seeds: range, processes: int, console: Console) -> Walked:
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    schedules, steps, states, broken = 0, 0, Counter[str](), list[tuple[int, str]]()
    columns = (TextColumn("schedules"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with multiprocessing.get_context("spawn").Pool(processes) as pool, Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(seeds))
        for part in pool.imap_unordered(walk, chunks):
            schedules, steps = schedules + part.schedules, steps + part.steps
            states.update(part.states)
            for seed, what in part.broken:
                if len(broken) < SHOWN:
                    progress.console.print(f"seed {seed}: {what[:400]}", markup=False, highlight=False)
                broken.append((seed, what))
            progress.advance(bar, part.schedules)
    return Walked(schedules, steps, states, sorted(broken))


def _tell(walked: Walked, took_s: float, console: Console) -> None:
    each_ms = 1000 * took_s / max(1, walked.schedules)
    console.print(
        f"{walked.schedules} schedules, {walked.steps} steps, {took_s:.0f} s ({each_ms:.1f} ms each); "
        f"{len(walked.broken)} broke a promise",
        highlight=False,
    )
    console.print("jobs ended in: " + ", ".join(f"{state} {n}" for state, n in walked.states.most_common()))
    if walked.broken:
        seed = walked.broken[0][0]
        console.print(f"look at one: ./run simulate --seed {seed} --trace", highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
