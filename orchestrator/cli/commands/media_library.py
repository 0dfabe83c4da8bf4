"""`understudy media`, the library: register, upload, list, show, delete."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.commands.media import app
from orchestrator.cli.options import AsJson, given
from orchestrator.cli.output import emit, pairs, say, table
from orchestrator.domain.actors import Role
from orchestrator.domain.media_items import MediaStatus, MediaType

__all__ = ["app"]

MediaId = Annotated[str, typer.Argument(metavar="MEDIA", help="Its id.", show_default=False)]
Title = Annotated[str, typer.Option(help="What people call it; else its name.", show_default=False)]
Kind = Annotated[
    MediaType | None, typer.Option("--type", help="What it is; else by the ending of its name.", show_default=False)
]
_SHOWN = ("id", "type", "status", "reason", "title", "url", "name", "size_bytes", "sha256", "created_at")


@app.command("list")
def list_media(
    context: typer.Context,
    *,
    kind: Annotated[
        list[MediaType] | None,
        typer.Option("--type", help="Only these types; may be given several times.", show_default=False),
    ] = None,
    status: Annotated[
        list[MediaStatus] | None,
        typer.Option(help="Only in these states; may be given several times.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the media library, the newest first. With --json one line each."""
    with given(context).api(Role.USER) as api:
        pages = api.pages("/media", type=kind or None, status=status or None, limit=min(limit, 100))
        found = [item for item, _ in zip(pages, range(limit), strict=False)]
    if as_json:
        for each in found:
            emit(each)
    else:
        rows = [(each["id"], each["type"], each["status"], each["size_bytes"] or "", each["title"]) for each in found]
        table(("media", "type", "status", "bytes", "title"), rows)


@app.command()
def show(context: typer.Context, media: MediaId, *, as_json: AsJson = False) -> None:
    """Show an item and what was measured of it."""
    with given(context).api(Role.USER) as api:
        found = api.get(f"/media/{media}")
    if as_json:
        emit(found)
        return
    facts = found["facts"] or {}
    pairs({name: found[name] for name in _SHOWN if found[name] not in (None, "")} | facts)


@app.command()
def upload(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)],
    *,
    kind: Kind = None,
    title: Title = "",
    threads: Annotated[int, typer.Option(min=1, max=64, help="Parts sent at once.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Send FILE into the library. Its id is all that is printed; `media show` says what it was found to be.

    \b
      VIDEO=$(understudy media upload ada.mp4)
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    from orchestrator.cli.progress import transfer_bar
    from orchestrator.cli.transfer import silent, upload_media

    with given(context).api(Role.USER) as api, nullcontext(silent) if as_json else transfer_bar(file.name) as bar:
        made = upload_media(
            api, file, kind=None if kind is None else kind.value, title=title, threads=threads, on_start=bar
        )
    emit(made) if as_json else say(made["id"])


@app.command()
def register(
    context: typer.Context,
    url: Annotated[
        str,
        typer.Argument(help="oss://BUCKET/inbox/PROJECT/... or its http(s) address in the store.", show_default=False),
    ],
    *,
    kind: Kind = None,
    title: Title = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take the place of what is registered there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register what lies in the store's inbox of the project. Its id is all that is printed."""
    with given(context).api(Role.USER) as api:
        made = api.post("/media", url=url, type=kind, title=title, overwrite=overwrite)
    emit(made) if as_json else say(made["id"])


@app.command()
def delete(
    context: typer.Context,
    media: MediaId,
    *,
    with_source: Annotated[
        bool, typer.Option("--with-source", help="Also the object in the inbox it was registered from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take an item away, if no job waits or trains with it. Jobs keep the bytes they were submitted with."""
    with given(context).api(Role.USER) as api:
        api.delete(f"/media/{media}" + ("?with_source=true" if with_source else ""))
    emit({"id": media, "deleted": True}) if as_json else say(f"media {media} is deleted")
