"""Options that many commands share, and what they lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrator.cli.connection import connect
from orchestrator.domain.actors import Role

if TYPE_CHECKING:
    from orchestrator.cli.client import Api

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", show_default=False)]
Reasons = Annotated[
    list[str], typer.Option("--reason", help="Why; may be given several times.", default_factory=list, show_default="")
]

ANYWHERE: Final = ("--endpoint", "--token", "--dev", "--config")
"""Options of `understudy` itself. They may also stand behind the command, where fingers put them."""


@dataclass(frozen=True)
class Globals:
    """What was given for the whole command line."""

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    dev: Path | None = None
    config: Path | None = None

    def api(self, role: Role) -> Api:
        """The API as somebody with this role. Raises CliError when nothing says where it is."""
        from orchestrator.cli.client import Api

        return Api(connect(role, endpoint=self.endpoint, token=self.token, dev=self.dev))


def given(context: typer.Context) -> Globals:
    found = context.find_object(Globals)
    return found or Globals()


def hoisted(args: list[str]) -> list[str]:
    """`args` with the options of ANYWHERE in front; nothing behind `--` is touched."""
    end = args.index("--") if "--" in args else len(args)
    front: list[str] = []
    rest: list[str] = []
    waiting = 0
    for each in args[:end]:
        name = each.partition("=")[0]
        if waiting:
            front.append(each)
            waiting -= 1
        elif name in ANYWHERE:
            front.append(each)
            waiting = 0 if "=" in each else 1
        else:
            rest.append(each)
    return front + rest + args[end:]
