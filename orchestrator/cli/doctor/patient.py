"""What is examined, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from orchestrator.bootstrap import build_app
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.app.app import App

_SHOWN: Final = 5


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, but look into it
    TROUBLE = "trouble"


@dataclass(frozen=True)
class Finding:
    """One line. `remedy` says what to do; empty where nothing is to be done."""

    check: str
    level: Level
    message: str
    remedy: str = ""


Check = Callable[["Patient"], Iterator[Finding]]


class Patient:
    """The installation. Args: `deep` also tries the store's one-time uploads, some 40 MiB of traffic."""

    def __init__(self, settings: Settings, *, deep: bool = True) -> None:
        self.settings = settings
        self.deep = deep

    @cached_property
    def app(self) -> App:
        return build_app(self.settings)

    @property
    def engine(self) -> sa.Engine:
        engine: sa.Engine = self.app.context.store.engine  # type: ignore[attr-defined]  # the SQL adapter's
        return engine

    @cached_property
    def last_runs(self) -> dict[str, datetime | None]:
        with self.app.context.store.read() as tx:
            return tx.leases.last_runs()

    def age(self, at: datetime) -> timedelta:
        return timedelta(seconds=round((self.app.context.clock() - at).total_seconds()))


def some(names: Sequence[str]) -> str:
    """The first of `names`, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
