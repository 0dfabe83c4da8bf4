"""The processes of an installation: `api`, `worker`, `beat`. Each replaces this program by the real thing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from orchestrator.cli.local import config_path, settings_of
from orchestrator.cli.options import Globals, given

_CELERY = ("-m", "celery", "-A", "tasks.app:app")
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    app.command(context_settings=_PASS_ON)(worker)
    app.command(context_settings=_PASS_ON)(beat)
    app.command()(api)


def worker(
    context: typer.Context,
    *,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Pool processes; else worker.concurrency.")] = None,
) -> None:
    """Run a Celery worker with our settings. Further arguments go to Celery."""
    told = given(context)
    processes = concurrency or settings_of(told).worker.concurrency
    _become(
        [*_CELERY, "worker", f"--concurrency={processes}", "--without-mingle", "--without-gossip", *context.args], told
    )


def beat(context: typer.Context) -> None:
    """Run Celery beat, which sends sweeps and wake-ups in time.

    One is enough; more do no harm. Arguments go to Celery.
    """
    told = given(context)
    settings_of(told)
    _become([*_CELERY, "beat", *context.args], told)


def api(
    context: typer.Context,
    *,
    host: Annotated[str | None, typer.Option(help="Else api.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Else api.port; 0 takes a free one.")] = None,
) -> None:
    """Serve the API. Until SIGTERM or Ctrl-C; requests under way may end."""
    told = given(context)
    settings_of(told)  # what is wrong is told here, in one line
    wanted = {"UNDERSTUDY_API__HOST": host, "UNDERSTUDY_API__PORT": port}
    _become(
        ["-m", "orchestrator.http"], told, {name: str(value) for name, value in wanted.items() if value is not None}
    )


def _become(arguments: list[str], told: Globals, variables: Mapping[str, str] | None = None) -> None:
    """Go on as another Python program: same process id, so signals reach it."""
    environment = {**os.environ, **(variables or {})}
    path = config_path(told)
    if path is not None:
        environment["UNDERSTUDY_CONFIG"] = str(path.resolve())
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606  no shell is wanted
