"""Commands on keys, on the encryption of their secrets, and on the log of who did what. They need no API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from orchestrator.cli.commands.operate import group_of
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.local import app_of, me
from orchestrator.cli.options import AsJson, given
from orchestrator.cli.output import emit, note, pairs, say, table
from orchestrator.domain.actors import Role

AccessKey = Annotated[str, typer.Argument(metavar="ACCESS_KEY", show_default=False)]

key = group_of("Keys: who may come in, and as whom.")


def register(app: typer.Typer) -> None:
    app.add_typer(key, name="key")
    app.command()(audit)


@key.command()
def create(
    context: typer.Context,
    *,
    project_id: Annotated[str, typer.Option("--project", help="The project it belongs to.", show_default=False)],
    role: Annotated[Role, typer.Option(help="What it may do; each may do what the ones before it may.")] = Role.USER,
    name: Annotated[str, typer.Option(help="Shown in operation logs; else the role.")] = "",
    temporary: Annotated[
        bool, typer.Option("--temporary", help="For an STS credential: access key, secret key and security token.")
    ] = False,
    duration: Annotated[str, typer.Option(help="How long a temporary key is let in: 15m to 24h.")] = "1h",
    as_json: AsJson = False,
) -> None:
    """Make a key. Its secrets are shown now and never again.

    \b
      understudy key create --project acme --role reviewer --name anna
      understudy key create --project acme --temporary --duration 30m
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    lifetime = _duration("--duration", duration) if temporary else None
    made = app_of(given(context)).keys.create(project_id, role, name or role.value, lifetime=lifetime, by=me())
    shown = {
        "access_key": made.id, "secret_key": made.secret, "token": made.token,
        "project": made.project_id, "role": made.role.value, "name": made.name,
    }  # fmt: skip
    emit(shown) if as_json else pairs(shown)


@key.command("list")
def list_keys(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show every key, without its secrets. With --json one line each."""
    rows = [
        {
            "access_key": each.id, "project": each.project_id, "role": each.role.value, "name": each.name,
            "disabled_at": each.disabled_at,
        }
        for each in app_of(given(context)).keys.all()
    ]  # fmt: skip
    if as_json:
        for row in rows:
            emit(row)
    else:
        table(("access key", "project", "role", "name", "refused from"), [
            (row["access_key"], row["project"], row["role"], row["name"], row["disabled_at"] or "") for row in rows
        ])  # fmt: skip


@key.command()
def rotate(
    context: typer.Context,
    key_id: AccessKey,
    *,
    overlap: Annotated[str, typer.Option(help="The old key is let in for so long more, such as 30m or 7d.")] = "0s",
    as_json: AsJson = False,
) -> None:
    """Make a key in the place of another.

    Same project, role and name; fresh secrets, shown now and never again.

    \b
      understudy key rotate AKEXAMPLE --overlap 1d
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    app = app_of(given(context))
    made = app.keys.replace(key_id, _duration("--overlap", overlap), by=me())
    shown = {
        "access_key": made.id, "secret_key": made.secret, "token": made.token, "project": made.project_id,
        "role": made.role.value, "name": made.name, "replaces": key_id,
    }  # fmt: skip
    emit(shown) if as_json else pairs(shown)


def _duration(option: str, text: str) -> timedelta:
    from orchestrator.settings.words import duration

    try:
        return duration(text)
    except ValueError as exc:
        raise CliError(f"{option}: {exc}", Exit.USAGE) from exc


@key.command()
def disable(context: typer.Context, key_id: AccessKey, *, as_json: AsJson = False) -> None:
    """Refuse a key from now on."""
    app_of(given(context)).keys.disable(key_id, by=me())
    emit({"access_key": key_id, "disabled": True}) if as_json else say(
        f"key {key_id} is refused, within a second by every process"
    )


@key.command()
def new_encryption_key(*, as_json: AsJson = False) -> None:
    """Print an encryption key, for the settings. It is for `secrets.encryption_key`, and changes nothing."""
    from orchestrator.adapters.secret_box import new_key

    made = new_key()
    emit({"encryption_key": made}) if as_json else say(made)


@key.command()
def rotate_encryption(
    context: typer.Context,
    *,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Secrets in one transaction.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Encrypt every stored secret anew.

    With the first key of `secrets.encryption_key`; exit 1 if a secret cannot be read. Put a new key in front of the old
    one (comma between), restart all processes, run this, then take the old key away. Broken off, it goes on where it
    stopped when it is run again. With --json one line for each table.
    """
    lost: list[str] = []
    for told in app_of(given(context)).secrets.reseal(batch=batch, by=me()):
        words = f"{told.place}: {told.seen} looked at, {told.resealed} encrypted anew"
        if not told.done:
            note(f"{words} so far")
            continue
        lost += [f"{told.place} {each}" for each in told.unreadable]
        if as_json:
            emit({
                "table": told.place, "seen": told.seen, "resealed": told.resealed, "unreadable": told.unreadable,
            })  # fmt: skip
        else:
            say(f"{words}, {len(told.unreadable)} not readable")
    if lost:
        note(f"understudy: no configured key opens {', '.join(lost[:10])}{' ...' if lost[10:] else ''}")
        note("understudy: put the key they were encrypted with back behind the others, or rotate these keys")
    elif not as_json:
        say("only the first encryption key is needed now")
    raise typer.Exit(Exit.REFUSED if lost else Exit.OK)


def audit(
    context: typer.Context,
    *,
    before: Annotated[int | None, typer.Option(min=1, help="The id of the last line seen.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Lines to show.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show who did what to projects, keys, secrets and sweeps. The newest first; with --json one line each."""
    entries = app_of(given(context)).audit.list(before, limit)
    if as_json:
        for each in entries:
            emit({
                "id": each.id, "at": each.at, "key_id": each.key_id, "operator": each.operator, "act": each.act.value,
                "subject": each.subject, "details": dict(each.details),
            })  # fmt: skip
        return
    table(("id", "when", "who", "with the key", "did", "to", "details"), [
        (
            each.id, f"{each.at:%Y-%m-%d %H:%M:%S}", each.operator, each.key_id, each.act.value, each.subject,
            ", ".join(f"{name} {value}" for name, value in each.details.items()),
        )
        for each in entries
    ])  # fmt: skip
