"""How commands speak: JSON alone on standard output, or text and tables for people; notes go to standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH: Final = 200  # of tables in files and pipes
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # but tab and line end


def emit(document: object) -> None:
    """One JSON document on a line of its own."""
    text = json.dumps(document, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a file's name that is no text, or a terminal that knows few letters
        text = json.dumps(document, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def harmless(text: str) -> str:
    """The text with whatever could command a terminal, or turn the order of letters, written as an escape.

    What jobs, files and comments are called is up to strangers; a reviewer's terminal must not obey them.
    """
    return _COMMANDS.sub(lambda found: repr(found[0])[1:-1], text)


def printable(text: str) -> str:
    """The text with whatever could end a line or command a terminal written as an escape."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def say(text: str = "") -> None:
    """A plain line for people on standard output."""
    pour(text + "\n")


def pour(text: str) -> None:
    """Text as it comes, for people on standard output; a line may go on with the next call."""
    sys.stdout.write(harmless(text))
    sys.stdout.flush()


def note(text: str) -> None:
    """Something on the side; never mixes with results."""
    sys.stderr.write(harmless(text) + "\n")
    sys.stderr.flush()


def console(*, stderr: bool = False) -> Console:
    """A Rich console that does not reinterpret what people and jobs are called."""
    from rich.console import Console

    found = Console(stderr=stderr, markup=False, highlight=False)
    if not found.is_terminal:
        found.width = PLAIN_WIDTH
    return found


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table whose cells are shown as they are."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else harmless(str(cell))) for cell in row))
    console().print(shown)


def pairs(values: Mapping[str, object]) -> None:
    """Names and values, one a line, aligned."""
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        say(f"{name:<{width}}  {'' if value is None else value}")


def amount(size_bytes: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024 or unit == "GiB":  # noqa: PLR2004  the step of binary units
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    raise AssertionError  # pragma: no cover - the last unit returns
