"""Words of closed lists, as they are read from rows: a newer version beside this one may write more of them.

A process leaves alone what it has no words for: batches are read without it, and whoever asks for it by name is told
to ask again, since a process that knows the word is there or on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from orchestrator.domain.errors import WrittenByNewer

Word = TypeVar("Word", bound=StrEnum)
Read = TypeVar("Read")


class Words(dict[str, Word]):
    """The members of a list by their words. Calling the enum class costs three times as much, for every line of a log.

    Raises WrittenByNewer for a word that is not among them.
    """

    def __init__(self, listed: type[Word]) -> None:
        super().__init__((word.value, word) for word in listed)
        self._name = listed.__name__

    def __missing__(self, word: str) -> Word:
        raise WrittenByNewer(f"{word!r} is no {self._name} that this version knows: a newer one wrote it", word=word)


def readable(read: Callable[[Any], Read], rows: Iterable[Sequence[Any]]) -> list[Read]:
    """What `read` makes of `rows`, without those that this version has no words for."""
    found: list[Read] = []
    for row in rows:
        try:
            found.append(read(row))
        except WrittenByNewer:
            continue
    return found


def known(column: str, listed: type[StrEnum]) -> str:
    """The condition that this version knows the word in `column`: told to the server, so that it plans once."""
    return f"{column} IN ({', '.join(repr(word.value) for word in listed)})"
