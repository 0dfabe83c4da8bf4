"""`understudy`: everything from the command line. Commands import what they need when they run, so help is quick."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.commands import backup, demo, dev, doctor, job, keys, media_library, operate, processes, review
from orchestrator.cli.failures import EXIT_WORDS, CliError, Exit, exit_of
from orchestrator.cli.options import Globals, hoisted
from orchestrator.cli.output import note
from orchestrator.domain.errors import UnderstudyError

_EPILOG = "Exit codes: " + "; ".join(f"{code.value} {words}" for code, words in EXIT_WORDS.items()) + "."

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def understudy(
    context: typer.Context,
    *,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the API. Else UNDERSTUDY_ENDPOINT, else that of `understudy dev`.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Bearer token. Better in UNDERSTUDY_TOKEN: arguments are seen by all users.")
    ] = None,
    dev_dir: Annotated[
        Path | None,
        typer.Option("--dev", help="Data directory of `understudy dev`. Else UNDERSTUDY_DEV, else ./.understudy."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file, for commands that run beside the API.")] = None,
) -> None:
    """From a video to a published avatar model: uploads, checks, review, training, on one machine or many.

    \b
      understudy demo                       see one job live, from nothing, in about a minute
      understudy dev                        everything on this machine, until Ctrl-C; then, elsewhere:
      understudy job create --profile avatar --name Ada
      understudy job upload JOB --kind training_video ada.mp4
      understudy job submit JOB && understudy job wait JOB

    --endpoint, --token, --dev and --config may stand anywhere on the line.
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    context.obj = Globals(endpoint, token, dev_dir, config)


app.add_typer(job.app, name="job")
app.add_typer(review.app, name="review")
app.add_typer(media_library.app, name="media")
for module in (operate, backup, doctor, keys, dev, demo, processes):
    module.register(app)


def main() -> None:
    """Run the command line. Expected failures are one line on standard error and a documented exit code."""
    if isinstance(sys.stdout, TextIOWrapper):  # names of files need not be text: in JSON this is their escape
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one command line."""
    try:
        return int(app(hoisted(arguments), standalone_mode=False, prog_name="understudy") or Exit.OK)
    except CliError as error:
        return _failed(str(error), error.exit_code)
    except UnderstudyError as error:
        return _failed(error.message, exit_of(error.code))
    except (KeyboardInterrupt, typer.Abort):
        return _failed("interrupted", Exit.INTERRUPTED)
    except typer.TyperException as error:
        return _misused(error)


def _misused(error: typer.TyperException) -> int:
    """Wrong arguments; most such errors know how to show themselves, with the usage line."""
    show = getattr(error, "show", None)
    if show is None:
        note(f"understudy: {error.message}")
    else:
        show()
    return error.exit_code


def _failed(message: str, code: Exit) -> int:
    note("understudy: " + " ".join(message.split()))
    return code


if __name__ == "__main__":
    main()
