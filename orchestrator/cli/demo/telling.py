"""How the demo speaks: headings, sentences, and promises that are checked before they are claimed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from orchestrator.cli import watch
from orchestrator.cli.client import Json
from orchestrator.cli.failures import CliError
from orchestrator.cli.output import console


@dataclass
class Teller:
    """Prints the story. `kept` counts the promises that held."""

    screen: Console = field(default_factory=console)
    kept: int = 0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began_s

    def chapter(self, title: str) -> None:
        self.screen.print(f"\n{title}  [{self.elapsed_s:.0f} s]", style="bold")

    def say(self, text: str) -> None:
        self.screen.print(f"  {text}")

    def promise(self, sentence: str, *, holds: bool, found: object = "") -> None:
        """Claim `sentence`, unless it does not hold: then the demo ends with exit code 1."""
        if not holds:
            raise CliError(f"NOT as promised: {sentence}" + (f"; found {found}" if found != "" else ""))
        self.kept += 1
        self.screen.print(f"  ✓ {sentence}" + (f" ({found})" if found != "" else ""), style="green")

    @contextmanager
    def following(self) -> Iterator[Follower]:
        """Tells the changes of a job; a bar for its training on a terminal, lines elsewhere."""
        if not self.screen.is_terminal:
            yield Follower(self, None)
            return
        words, share = TextColumn("{task.description}", markup=False), TextColumn("{task.percentage:>3.0f} %")
        columns = (SpinnerColumn(), words, BarColumn(), share)
        with Progress(*columns, console=self.screen, transient=True) as bar:
            yield Follower(self, bar)


class Follower:
    """Call it with every new look at a job."""

    def __init__(self, teller: Teller, bar: Progress | None) -> None:
        self._teller = teller
        self._bar = bar
        self._task: TaskID | None = None
        self._state = ""
        self._told = ""

    def __call__(self, job: Json) -> None:
        if job["state"] != self._state:
            self._state = job["state"]
            self._teller.say(watch.sentence(job | {"runs": []}))
        run = watch.run_of(job)
        if run is not None and run["progress"] is not None:
            self._show(f"{run['stage']}: {run['message']}", run["progress"])

    def _show(self, text: str, share: float) -> None:
        if self._bar is None:
            if text != self._told:
                self._told = text
                self._teller.say(f"  {share:4.0%}  {text}")
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=1.0)
        self._bar.update(self._task, description=f"  {text}", completed=share)
