"""`understudy backup` and `understudy restore`: the whole installation in a directory. They need no API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrator.cli.failures import Exit
from orchestrator.cli.local import database_url, settings_of
from orchestrator.cli.options import AsJson, given
from orchestrator.cli.output import amount, emit, note, say
from orchestrator.cli.progress import counting

if TYPE_CHECKING:
    from orchestrator.cli.backup import Outcome, Step
    from orchestrator.ports.storage import Storage
    from orchestrator.settings import Settings

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The backup.", show_default=False)]
_SHOWN: Final = 20  # troubles that people are shown; --json has up to a thousand
_KEY: Final = "secrets in it stay encrypted: keep secrets.encryption_key apart from it, it is no use without"


def register(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    context: typer.Context,
    directory: Directory,
    *,
    objects: Annotated[
        bool, typer.Option("--objects", help="Copy the objects of the store too, not only their list.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole database into a new directory.

    As of one moment; everything may go on meanwhile. The directory appears only once it is whole. It fits SQLite and
    PostgreSQL, whichever it came from. Exit 1 if an object is missing in the store, or is another than the database
    says.
    """
    from orchestrator.adapters.db.backup import TABLES
    from orchestrator.cli.backup import take

    settings = settings_of(given(context))
    url = database_url(settings)
    with _progress("copying rows" + (" and objects" if objects else ""), None if objects else len(TABLES)) as step:
        manifest, outcome = take(url, directory, _store_of(settings) if objects else None, step)
    if as_json:
        emit({
            "directory": str(directory), "schema": manifest.schema, "version": manifest.version,
            "database": manifest.database, "taken_at": manifest.taken_at, "rows": manifest.rows,
            "objects": manifest.objects, "objects_copied": outcome.done if objects else None,
            "bytes_copied": outcome.size_bytes, "objects_wrong": outcome.wrong, "troubles": outcome.troubles,
        })  # fmt: skip
    else:
        say(f"{directory}: {manifest.rows} rows, schema {manifest.schema}, as of {manifest.taken_at}")
        if objects:
            say(f"{outcome.done} of {manifest.objects} objects copied, {amount(outcome.size_bytes)}")
        else:
            say(f"{manifest.objects} objects listed, not copied: they are in the store only (--objects copies them)")
    note(_KEY)
    _end(outcome, as_json=as_json)


def restore(
    context: typer.Context,
    directory: Directory,
    *,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only look whether the backup is whole and the store has its objects."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a backup into an empty database.

    In one transaction; a database without tables gets them first. Stop workers and API before. Leases are ended, so
    that work goes on at once when they start; nothing else changes. Objects that are in the backup and not in the store
    are uploaded. Exit 1 if the database is not empty or of another schema, the backup is damaged, or an object is
    missing.
    """
    from orchestrator.cli.backup import compare, look, put_back

    settings = settings_of(given(context))
    with _progress("checking the backup", None) as step:
        manifest = look(directory, step)
    said: dict[str, object] = {
        "directory": str(directory), "schema": manifest.schema, "version": manifest.version,
        "taken_at": manifest.taken_at, "rows": manifest.rows, "objects": manifest.objects,
    }  # fmt: skip
    if check:
        with _progress("asking the store for objects", manifest.objects) as step:
            outcome = compare(directory, _store_of(settings), step)
        if as_json:
            emit(said | {"objects_present": outcome.same, "objects_wrong": outcome.wrong, "troubles": outcome.troubles})
        else:
            say(f"{directory} is whole: {manifest.rows} rows, schema {manifest.schema}, as of {manifest.taken_at}")
            say(f"the store has {outcome.same} of {manifest.objects} objects")
        _end(outcome, as_json=as_json)
    url, store = database_url(settings), _store_of(settings) if manifest.has_objects else None
    with _progress("restoring", None) as step:
        freed, outcome = put_back(url, directory, manifest, store, step)
    if as_json:
        emit(said | {
            "leases_ended": freed, "objects_present": outcome.same, "objects_sent": outcome.done,
            "bytes_sent": outcome.size_bytes, "objects_wrong": outcome.wrong, "troubles": outcome.troubles,
        })  # fmt: skip
    else:
        say(f"{manifest.rows} rows restored, as of {manifest.taken_at}; {freed} leases ended")
        if manifest.has_objects:
            say(f"{outcome.same} objects were there, {outcome.done} sent ({amount(outcome.size_bytes)})")
        else:
            say("the backup has no objects: `understudy restore DIR --check` says what the store lacks")
    _end(outcome, as_json=as_json)


def _end(outcome: Outcome, *, as_json: bool) -> None:
    if not as_json:
        for trouble in outcome.troubles[:_SHOWN]:
            note(f"understudy: {trouble}")
        if outcome.wrong > _SHOWN:
            note(f"understudy: and {outcome.wrong - _SHOWN} more")
    raise typer.Exit(Exit.REFUSED if outcome.wrong else Exit.OK)


def _store_of(settings: Settings) -> Storage:
    from orchestrator.adapters.s3.storage import S3Storage
    from orchestrator.bootstrap import store_options

    return S3Storage(store_options(settings))


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Step]:
    note(f"{what} ...")
    with counting(total) as step:
        yield step
