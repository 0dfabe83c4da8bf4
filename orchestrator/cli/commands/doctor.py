"""`understudy doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.failures import Exit
from orchestrator.cli.local import settings_of
from orchestrator.cli.options import AsJson, given
from orchestrator.cli.output import emit, say


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    context: typer.Context,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the trial of one-time uploads (40 MiB, some seconds).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with this installation; exit 1 for trouble.

    Looks at database, broker, workers, beat, store, secrets, trainers, sandbox and jobs. Each finding is one line that
    says what to do. It runs beside the API, on a machine of the installation.
    """
    from orchestrator.cli.doctor import Level, examine

    troubles = 0
    for finding in examine(settings_of(given(context)), deep=not quick):
        troubles += finding.level is Level.TROUBLE
        if as_json:
            emit({
                "check": finding.check, "level": finding.level, "message": finding.message, "remedy": finding.remedy,
            })  # fmt: skip
        else:
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            say(f"{finding.level:<8} {finding.check}: {finding.message}{remedy}")
    raise typer.Exit(Exit.REFUSED if troubles else Exit.OK)
