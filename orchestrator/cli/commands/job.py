"""`understudy job`: from a draft to a published model."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import watch
from orchestrator.cli.commands import job_views as views
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.options import AsJson, JobId, Reasons, given
from orchestrator.cli.output import emit, note, pour, say
from orchestrator.domain.actors import Role
from orchestrator.domain.model import FileKind
from orchestrator.domain.states import JobState

if TYPE_CHECKING:
    from orchestrator.cli.client import Api, Json

app = typer.Typer(
    help="Jobs: create, upload, submit, look, wait, and what admins do.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def create(
    context: typer.Context,
    *,
    profile: Annotated[str, typer.Option(help="The kind of job, such as avatar.", show_default=False)],
    name: Annotated[str, typer.Option(help="What people call it.", show_default=False)],
    description: Annotated[str, typer.Option(help="More words.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="A word to find it by; may be given several times.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a draft. Its id is all that is printed.

    \b
      JOB=$(understudy job create --profile avatar --name Ada)
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    with given(context).api(Role.USER) as api:
        made = api.post("/jobs", profile=profile, name=name, description=description or None, tags=tag)
    emit(made) if as_json else say(made["id"])


@app.command()
def upload(
    context: typer.Context,
    job: JobId,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)],
    *,
    kind: Annotated[FileKind, typer.Option(help="What it is to the job.")] = FileKind.TRAINING_VIDEO,
    parts: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many; else as its size wants.", show_default=False)
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Parts sent at once.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Send FILE in parallel parts and have it sealed.

    Broken off, run it again: only what is missing, or is another by now, is sent. Addresses that expired are renewed.

    \b
      understudy job upload JOB ada.mp4
      understudy job upload JOB --kind cover ada.png
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    from orchestrator.cli.progress import transfer_bar
    from orchestrator.cli.transfer import silent
    from orchestrator.cli.transfer import upload as send

    with given(context).api(Role.USER) as api, nullcontext(silent) if as_json else transfer_bar(file.name) as bar:
        sent = send(api, job, kind.value, file, part_count=parts, threads=threads, on_start=bar)
    if as_json:
        emit({"file": sent.file, "resumed": sent.resumed, "parts_sent": sent.parts_sent})
    else:
        say(f"{file.name}: {sent.file['state']}, file {sent.file['id']}" + (", taken up again" if sent.resumed else ""))


@app.command()
def submit(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Say that the material is complete. The machine checks it, then people may."""
    with given(context).api(Role.USER) as api:
        _told(api.post(f"/jobs/{job}/submit"), as_json=as_json)


@app.command("list")
def list_jobs(
    context: typer.Context,
    *,
    state: Annotated[
        list[JobState] | None, typer.Option(help="Only these states; may be given several times.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show jobs, the newest first. With --json one line each."""
    with given(context).api(Role.USER) as api:
        pages = api.pages("/jobs", state=[each.value for each in state or []] or None, limit=min(limit, 100))
        found = [job for job, _ in zip(pages, range(limit), strict=False)]
    if as_json:
        for each in found:
            emit(each)
    else:
        views.jobs(found)


@app.command()
def show(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Show where a job stands and why. With its files, runs and comments."""
    with given(context).api(Role.USER) as api:
        found = api.get(f"/jobs/{job}")
    emit(found) if as_json else views.job(found)


@app.command()
def wait(
    context: typer.Context,
    job: JobId,
    *,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds; else as long as it takes.", show_default=False)
    ] = None,
    until: Annotated[
        list[JobState] | None,
        typer.Option(help="Also stop at this state, with exit 0; may be given several times.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until a job has succeeded or failed.

    Tells every change; exit 0 if it has succeeded, 1 if it has failed.

    \b
      understudy job wait JOB --until manual_verifying && understudy review approve JOB
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    stops = {each.value for each in until or []}
    with given(context).api(Role.USER) as api:
        ended = watch.until(
            api, job, lambda each: watch.has_ended(each) or each["state"] in stops,
            (lambda _: None) if as_json else (lambda each: say(watch.sentence(each))), timeout_s=timeout,
        )  # fmt: skip
    if as_json:
        emit(ended)
    raise typer.Exit(Exit.OK if ended["state"] in stops or watch.has_succeeded(ended) else Exit.REFUSED)


@app.command()
def logs(
    context: typer.Context,
    job: JobId,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    run: Annotated[
        str | None,
        typer.Option(help="The output of this run's trainer instead; `last` is the newest.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the operation log: every move, by whom and why. With --run, what the trainer said."""
    role = Role.USER if run is None else Role.ADMIN
    with given(context).api(role) as api:
        if run is None:
            _operation_log(api, job, follow=follow, as_json=as_json)
        else:
            _trainer_log(api, job, run, follow=follow, as_json=as_json)


def _operation_log(api: Api, job_id: str, *, follow: bool, as_json: bool) -> None:
    last = 0
    for job in watch.follow(api, job_id):
        for entry in api.pages(f"/jobs/{job_id}/log"):
            if entry["id"] > last:
                last = entry["id"]
                emit(entry) if as_json else say(views.log_line(entry))
        if not follow or watch.has_ended(job):
            return


def _trainer_log(api: Api, job_id: str, run_id: str, *, follow: bool, as_json: bool) -> None:
    runs = api.get(f"/jobs/{job_id}")["runs"]
    chosen = runs[-1:] if run_id == "last" else [each for each in runs if each["id"] == run_id]
    if not chosen:
        said = "nothing was run yet" if not runs else f"there is no run {run_id}"
        raise CliError(f"job {job_id}: {said}", Exit.NOT_FOUND, hint="`understudy job show` lists runs")
    import time

    offset, ends_line = 0, True
    while True:
        piece = api.get(f"/runs/{chosen[0]['id']}/log", offset=offset)
        if piece["text"]:
            ends_line = as_json or piece["text"].endswith("\n")
            emit(piece) if as_json else pour(piece["text"].replace("\r", "\n"))  # bars are drawn over themselves
        grew, offset = piece["next_offset"] > offset, piece["next_offset"]
        if not grew:
            live = api.get(f"/runs/{chosen[0]['id']}")["outcome"] in {"starting", "running"}
            if not follow or not live:
                if not ends_line:
                    say()
                return
            time.sleep(watch.SHORTEST_S)


@app.command()
def comment(
    context: typer.Context,
    job: JobId,
    text: Annotated[str, typer.Argument(show_default=False)],
    *,
    title: Annotated[str, typer.Option(help="A headline.")] = "",
    attach: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="A file to go with it; may be given several times.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say something about a job, to everybody who may see it."""
    from orchestrator.cli.transfer import upload as send

    with given(context).api(Role.USER) as api:
        attachments = [send(api, job, FileKind.ATTACHMENT.value, path).file["id"] for path in attach or []]
        made = api.post(f"/jobs/{job}/comments", text=text, title=title or None, attachments=attachments)
    emit(made) if as_json else say(f"comment {made['id']}")


@app.command()
def retrain(
    context: typer.Context,
    job: JobId,
    *,
    stage: Annotated[str, typer.Option(help="From which stage on.")] = "training",
    reason: Reasons,
    as_json: AsJson = False,
) -> None:
    """Run a stage and all that follows it again (admins)."""
    with given(context).api(Role.ADMIN) as api:
        _told(api.post(f"/jobs/{job}/retrain", stage=stage, reasons=reason), as_json=as_json)


@app.command()
def reset(context: typer.Context, job: JobId, *, reason: Reasons, as_json: AsJson = False) -> None:
    """Begin the machine work of an approved job anew (admins)."""
    with given(context).api(Role.ADMIN) as api:
        _told(api.post(f"/jobs/{job}/reset", reasons=reason), as_json=as_json)


@app.command()
def stop(
    context: typer.Context,
    job: JobId,
    *,
    reason: Annotated[str, typer.Option(help="Why.", show_default=False)] = "",
    as_json: AsJson = False,
) -> None:
    """Stop the stage at work or waited for (admins). Its training is asked to end."""
    with given(context).api(Role.ADMIN) as api:
        _told(api.post(f"/jobs/{job}/stop", reason=reason), as_json=as_json)


@app.command()
def priority(
    context: typer.Context,
    job: JobId,
    value: Annotated[int, typer.Argument(min=-100, max=100, show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Set who comes first where slots are scarce (admins). -100 to 100, higher first. Negative: `-- -5`."""
    with given(context).api(Role.ADMIN) as api:
        changed = api.post(f"/jobs/{job}/priority", priority=value)
    emit(changed) if as_json else say(f"priority {changed['priority']}")


@app.command("retry-count")
def retry_count(
    context: typer.Context,
    job: JobId,
    count: Annotated[int, typer.Argument(min=0, max=10, show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Set how many retries a job has left, 0 to 10 (admins)."""
    with given(context).api(Role.ADMIN) as api:
        changed = api.post(f"/jobs/{job}/retry-count", retry_count=count)
    emit(changed) if as_json else say(f"{changed['repairs_left']} retries left")


@app.command()
def delete(
    context: typer.Context,
    job: JobId,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; nor does --json.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a job with its files and its model."""
    if not yes and not as_json and not typer.confirm(f"Delete job {job} with its files and its model?"):
        note("understudy: nothing was deleted")
        raise typer.Exit(Exit.REFUSED)
    with given(context).api(Role.USER) as api:
        api.delete(f"/jobs/{job}")
    emit({"id": job, "deleted": True}) if as_json else say(f"job {job} is deleted")


def _told(job: Json, *, as_json: bool) -> None:
    emit(job) if as_json else say(watch.sentence(job))
