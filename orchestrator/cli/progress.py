"""Bars on standard error: Rich on a terminal; elsewhere a line now and then for transfers, and nothing for counts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.cli.output import amount, console, note

if TYPE_CHECKING:
    from orchestrator.cli.transfer import Progress, Start


@contextmanager
def transfer_bar(name: str) -> Iterator[Start]:
    """What to give `upload` as `on_start`; shows how much of `name` is there."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    if not console(stderr=True).is_terminal:
        yield _plain(name)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=console(stderr=True)) as bar:

        def start(total: int, done: int, parts: int) -> Progress:
            task = bar.add_task(f"{name} ({parts} part(s))", total=total, completed=done)
            return lambda size: bar.advance(task, size)

        yield start


def _plain(name: str) -> Start:
    def start(total: int, done: int, parts: int) -> Progress:
        sent, told = done, done * 4 // total
        note(f"{name}: {amount(total)}, {parts} part(s) to send")

        def advance(size: int) -> None:
            nonlocal sent, told
            sent += size
            if sent * 4 // total > told:
                told = sent * 4 // total
                note(f"{name}: {told * 25} %")

        return advance

    return start


@contextmanager
def counting(total: int | None) -> Iterator[Callable[[], None]]:
    """What to call after each of `total` things; a bar on standard error where there are several to wait for.

    A number that is not known beforehand is None: then they are only counted.
    """
    if total == 1 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn
    from rich.progress import Progress as Bar

    screen = console(stderr=True)
    # Rich takes standard output over while a bar is shown: what goes to a file or a pipe has to go on there.
    redirect = sys.stdout.isatty()
    with Bar(BarColumn(), MofNCompleteColumn(), console=screen, transient=True, redirect_stdout=redirect) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
