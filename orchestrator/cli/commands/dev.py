"""`understudy dev`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.connection import DEFAULT_DATA_DIR
from orchestrator.cli.options import AsJson, given
from orchestrator.cli.output import emit, pairs, say

if TYPE_CHECKING:
    from orchestrator.cli.dev import Installation
    from orchestrator.embedded.supervisor import Event

_REAL = "A real one in place of the embedded one"


def register(app: typer.Typer) -> None:
    app.command()(dev)


def dev(
    context: typer.Context,
    *,
    data_dir: Annotated[
        Path, typer.Option(help="Everything is kept here; started again on it, open work goes on.")
    ] = DEFAULT_DATA_DIR,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the API, on 127.0.0.1.")] = 8080,
    database_url: Annotated[str, typer.Option(help=f"{_REAL}: postgresql://...", show_default="SQLite")] = "",
    broker_url: Annotated[str, typer.Option(help=f"{_REAL}: redis://... or amqp://...", show_default="Redis")] = "",
    s3_endpoint: Annotated[str, typer.Option(help=f"{_REAL}: http://...", show_default="rclone")] = "",
    s3_bucket: Annotated[str, typer.Option(help="Of the real store; it must exist.", show_default=False)] = "",
    s3_access_key: Annotated[str, typer.Option(help="Of the real store.", show_default=False)] = "",
    s3_secret_key: Annotated[
        str,
        typer.Option(
            help="Of the real store. Arguments are seen by all users of the machine: --config keeps secrets.",
            show_default=False,
        ),
    ] = "",
    workers: Annotated[int, typer.Option(min=1, help="Processes of the worker.")] = 2,
    slots: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Start a worker, or leave that to you.", show_default=False)
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Run everything on this machine, until Ctrl-C.

    Database, broker, store, API, worker, beat and example trainer, on loopback. No root, no Docker, no system server.
    When all is ready, DIR/dev.json says where everything is (keys: endpoint, project_id, access_key, secret_key,
    admin_token, reviewer_token, user_token, database_url, broker_url, s3, pids); it goes away at the end. Children that
    die are restarted.

    \b
      understudy dev --data-dir /tmp/u --port 8080
      understudy dev --database-url postgresql://me@127.0.0.1/understudy
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    from orchestrator.cli import dev as installing

    wishes = installing.Wishes(
        data_dir=data_dir, port=port, database_url=database_url, broker_url=broker_url, s3_endpoint=s3_endpoint,
        s3_bucket=s3_bucket, s3_access_key=s3_access_key, s3_secret_key=s3_secret_key, workers=workers, slots=slots,
        worker=worker, config=given(context).config,
    )  # fmt: skip
    installation = installing.prepare(wishes)
    installing.serve(
        installation,
        on_event=lambda event: _tell(event, as_json=as_json),
        on_ready=lambda supervisor: _welcome(installation, supervisor.pids(), as_json=as_json),
    )


def _welcome(installation: Installation, pids: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        emit({"event": "serving", "endpoint": installation.endpoint, "pids": pids})
        return
    say()
    pairs({name: what + (f"  (pid {pids[name]})" if name in pids else "") for name, what in installation.parts.items()})
    where = f" --dev {installation.data_dir}"
    say(f"\nTry it (secrets are in {installation.dev_file}):\n")
    say(f"  understudy{where} job create --profile avatar --name Ada")
    say(f"  understudy{where} job upload JOB --kind training_video VIDEO.mp4")
    say(f"  understudy{where} job submit JOB && understudy{where} job wait JOB")
    say(f"  understudy{where} review next\n")
    say("Ctrl-C ends it all.")


def _tell(event: Event, *, as_json: bool) -> None:
    if as_json:
        emit({"event": event.kind.value, "child": event.child, **event.details})
    else:
        details = ", ".join(f"{name} {value}" for name, value in event.details.items() if value is not None)
        say(f"{event.kind.value:<10} {event.child}" + (f"  ({details})" if details else ""))
