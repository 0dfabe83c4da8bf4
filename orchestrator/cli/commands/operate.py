"""Commands of operators: database, projects, sweeps, the store, the settings. They need no API."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.failures import Exit
from orchestrator.cli.local import app_of, database_url, me, settings_of
from orchestrator.cli.options import AsJson, given
from orchestrator.cli.output import emit, note, say, table

if TYPE_CHECKING:
    from orchestrator.app.care import SweepReport

_SHOWN = 20  # things of a sweep's report that people are shown; --json has all


def group_of(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)


db = group_of("The database's schema.")
project = group_of("Projects: the tenants, each with jobs and keys of its own.")
sweep = group_of("Scheduled care for jobs, files and runs.")
store = group_of("The object store: does it keep what uploads rest on?")
config = group_of("The settings: what holds, and why.")


def register(app: typer.Typer) -> None:
    for name, group in (
        ("sweep", sweep), ("store", store), ("db", db), ("project", project), ("config", config),
    ):  # fmt: skip
        group.callback()(lambda: None)  # keeps the name of a group's only command
        app.add_typer(group, name=name)


@db.command()
def upgrade(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Bring the database to this version's schema. Safe to run from several places at once."""
    from orchestrator.adapters.db import migrate

    url = database_url(settings_of(given(context)))
    before = migrate.current(url)
    migrate.upgrade(url)
    after = migrate.current(url)
    if as_json:
        emit({"before": before, "after": after})
    else:
        say(f"the schema is {after}" + ("" if before == after else f", was {before or 'empty'}"))


@db.command()
def current(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the schema there is, and the one wanted. Exit 1 if they differ."""
    from orchestrator.adapters.db import migrate, schema

    found, wanted = migrate.current(database_url(settings_of(given(context)))), migrate.head()
    if as_json:
        emit({"current": found, "head": wanted})
    else:
        say(f"the schema is {found or 'empty'}, this version wants {wanted}")
        if found != wanted:
            newer = found is not None and found not in schema.revisions()
            note("understudy: " + ("a newer version was here" if newer else "run `understudy db upgrade`"))
    raise typer.Exit(Exit.OK if found == wanted else Exit.REFUSED)


@project.command("create")
def create_project(
    context: typer.Context,
    project_id: Annotated[str, typer.Argument(metavar="ID", help="Letters, digits, - and _.", show_default=False)],
    *,
    name: Annotated[str, typer.Option(help="For people; else the id.")] = "",
    named_account: Annotated[
        bool, typer.Option("--named-account", help="Its MetaStudio jobs need no papers, and it accepts their results.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a project. One that is there already is left as it is."""
    attributes = {"named_account": True} if named_account else None
    made = app_of(given(context)).keys.add_project(project_id, name, attributes, by=me())
    if as_json:
        emit({"id": project_id, "created": made})
    else:
        say(f"project {project_id} {'made' if made else 'is there already'}")


@sweep.command("list")
def list_sweeps(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show every sweep, how often it runs, and when it last did."""
    from orchestrator.app.sweeps import SWEEPS

    last = app_of(given(context)).sweeper.last_runs()
    if as_json:
        for each in SWEEPS:
            every_s = each.every.total_seconds()
            emit({"name": each.name, "every_s": every_s, "last_run_at": last[each.name], "purpose": each.purpose})
    else:
        rows = ((s.name, f"{s.every.total_seconds():g} s", _clock(last[s.name]), s.purpose) for s in SWEEPS)
        table(("sweep", "every", "last run", "what for"), rows)


def _clock(instant: datetime | None) -> str:
    return "never" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}"


@sweep.command("run")
def run_sweep(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="Which one; all of them without a name.", show_default=False)
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run sweeps now, whenever they last ran. Exit 1 if something in them failed."""
    sweeper = app_of(given(context)).sweeper
    reports = [
        sweeper.run(each, dry_run=dry_run, force=True, by=me()) for each in ([name] if name else sweeper.names())
    ]
    for report in reports:
        if as_json:
            emit({
                "name": report.name, "dry_run": report.dry_run, "skipped": report.skipped,
                "done": report.done, "failed": report.failed,
            })  # fmt: skip
        else:
            _tell(report)
    raise typer.Exit(Exit.REFUSED if any(report.failed for report in reports) else Exit.OK)


def _tell(report: SweepReport) -> None:
    if report.skipped:
        say(f"{report.name}: somebody else runs it right now")
        return
    say(f"{report.name}: {'would do' if report.dry_run else 'done'} {len(report.done)}, failed {len(report.failed)}")
    for word, things in (("", report.done), ("failed: ", report.failed)):
        for thing in things[:_SHOWN]:
            say(f"  {word}{thing}")


@store.command("check")
def check_store(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Try on the bucket everything we rely on. Exit 1 if something necessary is missing."""
    from orchestrator.adapters.s3 import check
    from orchestrator.bootstrap import store_options

    results = check.check_store(store_options(settings_of(given(context))))
    safe = check.is_safe(results)
    if as_json:
        for each in results:
            emit({"name": each.name, "ok": each.ok, "level": each.level, "message": each.message})
    else:
        table(("", "what", "level", "found"), [("ok" if r.ok else "NO", r.name, r.level, r.message) for r in results])
        say("the bucket is safe to use" if safe else "the bucket is NOT safe to use")
    raise typer.Exit(Exit.OK if safe else Exit.REFUSED)


@config.command("show")
def show_config(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show every setting and where it came from. Secrets are masked."""
    from orchestrator.cli.local import config_path
    from orchestrator.settings import explain

    settings = explain(config_path(given(context)))
    if as_json:
        emit([
            {"name": s.name, "value": s.value, "source": s.source, "default": s.default, "description": s.description}
            for s in settings
        ])  # fmt: skip
    else:
        table(("setting", "value", "from", "meaning"), [(s.name, s.value, s.source, s.description) for s in settings])
