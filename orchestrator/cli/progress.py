"""Bars for transfers, on standard error: Rich on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.cli.output import amount, console, note
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
