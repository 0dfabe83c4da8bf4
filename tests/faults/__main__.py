"""`python -m tests.faults`: everything is shot at while jobs go through their whole life; then promises are checked.

The exit code is 1 if a promise is broken. The seed is printed; with it the same shots are drawn again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.faults.stand import Plan, Result, burn
from tests.servers import ServerMissing

SHOWN = 5


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./run faults",
        description="Shoot at workers, beat, API, trainers, broker, database and store while jobs are under way.",
    )
    parser.add_argument("--seconds", type=float, default=180, help="how long it burns (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=200, help="how many jobs (default %(default)s)")
    parser.add_argument("--seed", type=int, help="of an earlier run; else a new one")
    parser.add_argument("--rate", type=float, default=1, help="2 shoots twice as often (default %(default)s)")
    parser.add_argument("--patience", type=float, default=300, help="seconds without progress after it (300)")
    parser.add_argument("--sqlite", action="store_true", help="on SQLite in place of PostgreSQL")
    parser.add_argument("--keep", type=Path, help="write the logs of all processes to this directory")
    told = parser.parse_args(arguments)
    if told.seconds <= 0 or told.jobs < 1 or told.rate <= 0:
        parser.error("--seconds, --jobs and --rate have to be above 0")
    seed = random.SystemRandom().randrange(1_000_000) if told.seed is None else told.seed
    console = Console(highlight=False)
    console.print(f"seed {seed}: {told.jobs} jobs, {told.seconds:g} s of fire at rate {told.rate:g}")
    plan = Plan(seed, told.jobs, told.seconds, told.rate, told.patience, told.sqlite)
    with tempfile.TemporaryDirectory(prefix="understudy-faults-") as directory, console.status("starting") as status:
        try:
            result = burn(Path(directory), plan, status.update if console.is_terminal else _every(console), told.keep)
        except ServerMissing as exc:
            console.print(f"cannot run here: {exc}")
            return 2
    _show(console, result)
    again = " ".join(["./run faults", *_again(plan)])
    console.print(f"every promise was kept in {result.took_s:.0f} s" if result.kept else f"BROKEN; again: {again}")
    return 0 if result.kept else 1


def _again(plan: Plan) -> list[str]:
    told = [f"--seed {plan.seed}", f"--jobs {plan.jobs}", f"--seconds {plan.seconds:g}", f"--rate {plan.rate:g}"]
    return [*told, "--sqlite"] if plan.sqlite else told


def _every(console: Console, lines: int = 10) -> Callable[[str], None]:
    """Prints every tenth line: for files and pipes."""
    seen = 0

    def tell(line: str) -> None:
        nonlocal seen
        if seen % lines == 0 or not line.endswith("shots"):
            console.print(line)
        seen += 1

    return tell


def _show(console: Console, result: Result) -> None:
    shots = Table("shot", "times", title="What was done", title_justify="left")
    for name, times in sorted(result.shots.items()):
        shots.add_row(name, str(times))
    console.print(shots)
    for name, said in {"stories": dict(result.stories), **result.numbers}.items():
        console.print(f"{name}: {said}")
    table = Table("", "promise", "found", title="What has to hold", title_justify="left")
    for promise in result.promises:
        more = len(promise.broken) - SHOWN
        found = [*promise.broken[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
        table.add_row("[green]kept[/]" if promise.kept else "[red]BROKEN[/]", promise.name, Text("\n".join(found)))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
