"""`understudy demo`: one job live, from nothing to a published model, with every promise checked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.output import note, say


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keep everything here; else a temporary directory is used, of which only the model stays.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the API; else a free one.", show_default=False)
    ] = None,
) -> None:
    """See two jobs live, in about a minute.

    A good video, and a bad one that is refused and replaced. Everything is real but the people: a real 1080p video is
    made and sent through presigned URLs to a real S3 server, a Celery worker checks it, and an example trainer learns a
    small picture model from it. The second job goes through Huawei's SDK for MetaStudio, with one line changed. Exit 1
    if anything is not as promised. Nothing is left running.
    """
    with _directory(data_dir) as directory:
        from orchestrator.cli.demo.run import run
        from orchestrator.cli.local import keep_output_clean

        keep_output_clean()
        run(directory, port)


@contextmanager
def _directory(told: Path | None) -> Iterator[Path]:
    if told is not None:
        yield told
        return
    made = Path(tempfile.mkdtemp(prefix="understudy-demo-"))
    try:
        yield made
    except Exception:
        note(f"understudy: everything the demo wrote, logs too, is still in {made}")
        raise
    for entry in made.iterdir():
        if entry.name != "results":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    say(f"  the model is in {made / 'results'}; the rest of the demo is removed")
