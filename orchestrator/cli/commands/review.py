"""`understudy review`: what reviewers do."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import watch
from orchestrator.cli.commands import job_views as views
from orchestrator.cli.options import AsJson, JobId, given
from orchestrator.cli.output import emit, say
from orchestrator.domain.actors import Role

app = typer.Typer(help="Decide about jobs that wait for a person.", no_args_is_help=True, rich_markup_mode=None)


@app.command("next")
def next_jobs(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Show the jobs that wait longest for a reviewer. With --json one line each, none where nothing waits."""
    with given(context).api(Role.REVIEWER) as api:
        found = api.get("/reviews/next", limit=limit)["items"]
    if as_json:
        for each in found:
            emit(each)
    elif found:
        views.jobs(found)
    else:
        say("nothing waits for a reviewer")


@app.command()
def approve(
    context: typer.Context,
    job: JobId,
    *,
    comment: Annotated[str, typer.Option(help="Kept with the job.", show_default=False)] = "",
    as_json: AsJson = False,
) -> None:
    """Let a job go on. The second of two reviewers is told who was first (exit 1)."""
    with given(context).api(Role.REVIEWER) as api:
        decided = api.post(f"/jobs/{job}/approve", comment=comment)
    emit(decided) if as_json else say(watch.sentence(decided))


@app.command()
def reject(
    context: typer.Context,
    job: JobId,
    *,
    reason: Annotated[list[str], typer.Option(help="What is wrong; may be given several times.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Give a job back to its owner, with reasons.

    \b
      understudy review reject JOB --reason "the face is in shadow" --reason "two people speak"
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    with given(context).api(Role.REVIEWER) as api:
        decided = api.post(f"/jobs/{job}/reject", reasons=reason)
    emit(decided) if as_json else say(watch.sentence(decided))
