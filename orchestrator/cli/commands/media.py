"""`understudy media check`: what a profile says of files, by the same code as the worker. No API is needed."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

import typer

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.local import settings_of
from orchestrator.cli.options import AsJson, Globals, given
from orchestrator.cli.output import emit, note, printable, say
from orchestrator.cli.progress import counting
from orchestrator.domain.errors import UnderstudyError
from orchestrator.domain.media import MediaKind, MediaRules

if TYPE_CHECKING:
    from orchestrator.adapters.media.prober import SandboxedProber
    from orchestrator.adapters.s3.storage import S3Storage
    from orchestrator.domain.profile import Profile
    from orchestrator.ports.prober import ByteSource

app = typer.Typer(
    help="Media: judge files, and keep what jobs are made of.", no_args_is_help=True, rich_markup_mode=None
)

_S3 = "s3://"
_Answer = tuple[str, dict[str, object] | UnderstudyError | CliError]
_AHEAD = 32  # verdicts that wait for an earlier, slower one


@app.callback()
def media() -> None:
    """Media: judge files, and keep what jobs are made of."""


@app.command()
def check(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Paths, or s3://BUCKET/KEY in the store of the settings.", show_default=False
        ),
    ],
    *,
    profile: Annotated[
        str, typer.Option(help="The kind of job, such as avatar, metastudio or ims.", show_default=False)
    ],
    kind: Annotated[
        MediaKind | None, typer.Option(help="What it is to be; else by the name's ending, then by content.")
    ] = None,
    transparent: Annotated[
        bool | None,
        typer.Option(
            "--transparent/--opaque",
            help="It must, or must not, have an alpha channel; else as the profile says.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a profile takes FILEs, and every reason why not. Exit 0 whatever the verdicts.

    With --json, one line for each file that can be read, in the order given. A file that cannot is no verdict: it gets
    a line on standard error, the others are judged all the same, and the exit code is 5 (it is not there, or is a
    directory, a pipe or a device) or 3 (it cannot be opened or read, or the store does not answer), the higher of them.

    \b
      understudy media check ada.mp4 --profile avatar
      understudy media check s3://bucket/data/ada.mov --profile ims --transparent --json
    """  # noqa: D301  \b is Click's word for "leave these lines as they are"
    judges = _Judges(given(context), profile, kind, transparent=transparent)
    worst = Exit.OK
    with counting(len(files)) as advance:
        for name, verdict in _in_order(judges, files):
            advance()
            if isinstance(verdict, UnderstudyError | CliError):
                told, code = _trouble(verdict)
                told = told if told.startswith(name) else f"{name}: {told}"
                note(f"understudy: {printable(told)}")
                worst = max(worst, code)
            else:
                emit(verdict) if as_json else _show(verdict)
    raise typer.Exit(worst)


def _in_order(
    judges: _Judges, files: Sequence[str]
) -> Iterator[tuple[str, dict[str, object] | UnderstudyError | CliError]]:
    """Each file with its verdict, or why there is none. As many at a time as there are cores, a few ahead."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        waiting: deque[tuple[str, Future[dict[str, object]]]] = deque()
        try:
            for name in files:
                waiting.append((name, pool.submit(judges.judge, name)))
                if len(waiting) > _AHEAD:
                    yield _answer(*waiting.popleft())
            while waiting:
                yield _answer(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _answer(name: str, future: Future[dict[str, object]]) -> _Answer:
    try:
        return name, future.result()
    except (UnderstudyError, CliError) as error:
        return name, error


def _trouble(error: UnderstudyError | CliError) -> tuple[str, Exit]:
    if isinstance(error, CliError):
        return str(error), error.exit_code
    missing = error.code in {"not_found", "object_not_found"}
    return error.message, Exit.NOT_FOUND if missing else Exit.UNREACHABLE


class _Judges:
    """Opens files wherever they are and judges them by the rules of one profile."""

    def __init__(self, told: Globals, profile: str, kind: MediaKind | None, *, transparent: bool | None) -> None:
        from orchestrator.parts import build_prober, profiles_of

        self._settings = settings_of(told)
        known = profiles_of(self._settings)
        if profile not in known:
            raise CliError(f"there is no profile {profile!r}; there are {', '.join(sorted(known))}", Exit.NOT_FOUND)
        self._profile: Profile = known[profile]
        self._kind = kind
        self._transparent = transparent
        self._prober: SandboxedProber = build_prober(self._settings)
        self._stores: dict[str, S3Storage] = {}
        self._lock = threading.Lock()

    def judge(self, name: str) -> dict[str, object]:
        """The verdict on one file. Raises UnderstudyError when it cannot be had."""
        from orchestrator.adapters.media import check as judging

        with _opened(name, self._open_stored) as source:
            kind = self._kind or judging.guess_kind(name, source)
            return judging.judge(source, self._rules(kind), kind=kind, name=name, prober=self._prober)

    def _rules(self, kind: MediaKind) -> MediaRules:
        """Those of the profile's first material of this kind; where it has none, what every such file must pass."""
        rules = next(
            (m.rules for m in self._profile.materials if m.judged_as is kind), MediaRules(name=self._profile.name)
        )
        return rules if self._transparent is None else replace(rules, alpha=self._transparent)

    def _open_stored(self, bucket: str, key: str) -> ByteSource:
        from orchestrator.app.stored import StoredObject

        return StoredObject.at(self._store(bucket), key)

    def _store(self, bucket: str) -> S3Storage:
        """One for each bucket: several threads share it."""
        from orchestrator.adapters.s3.storage import S3Storage
        from orchestrator.bootstrap import store_options

        with self._lock:
            if bucket not in self._stores:
                storage = self._settings.storage.model_copy(update={"bucket": bucket})
                options = store_options(self._settings.model_copy(update={"storage": storage}))
                self._stores[bucket] = S3Storage(options)
            return self._stores[bucket]


@contextmanager
def _opened(name: str, stored: Callable[[str, str], ByteSource]) -> Iterator[ByteSource]:
    from orchestrator.adapters.media.sources import LocalFile

    if not name.startswith(_S3):
        with LocalFile(name) as source:
            yield source
        return
    bucket, _, key = name.removeprefix(_S3).partition("/")
    if not bucket or not key:
        raise CliError(f"{name} names no object; write {_S3}BUCKET/KEY", Exit.USAGE)
    yield stored(bucket, key)


def _show(verdict: Mapping[str, object]) -> None:
    say(f"{printable(str(verdict['file']))}: {verdict['verdict']} ({verdict['profile']}, {verdict['kind']})")
    for reason in cast("Sequence[Mapping[str, object]]", verdict["reasons"]):
        say(f"  {reason['code']}: {reason['message']}")
    for warning in cast("Sequence[str]", verdict["warnings"]):
        say(f"  warning: {warning}")
    facts = cast("Mapping[str, object]", verdict["facts"])
    told = [f"{name} {value}" for name, value in facts.items() if value not in (None, [], {}, "")]
    say("  " + ", ".join(told))
