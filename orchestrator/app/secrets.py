"""Sealing every stored secret anew, after the encryption key was changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.app.context import Context
from orchestrator.domain.actors import MACHINE, Caller
from orchestrator.domain.audit import Act
from orchestrator.domain.errors import Invalid

BATCH: Final = 200


@dataclass(slots=True)
class Resealing:
    """How far one place is.

    Attributes:
        place: the table.
        seen: secrets looked at.
        resealed: of these, sealed anew.
        unreadable: ids of secrets that no configured key opens.
        done: nothing is left to look at.
    """

    place: str
    seen: int
    resealed: int
    unreadable: list[str]
    done: bool = False


class Secrets:
    """Use cases on secrets at rest."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def reseal(self, *, batch: int = BATCH, by: Caller = MACHINE) -> Iterator[Resealing]:
        """Seal whatever is not sealed with the first key; gives the progress after every batch.

        Each batch is one transaction, and what is sealed with the first key already is left alone: broken off, it goes
        on where it stopped when it is run again. What another process writes meanwhile is not touched.
        """
        found: dict[str, int] = {}
        with self._context.store.read() as tx:
            places = tx.secrets.places()
        for place in places:
            told = Resealing(place, 0, 0, [])
            after: tuple[str, ...] | None = None
            while not told.done:
                after = self._batch(told, after, batch)
                yield told
            found[place] = told.resealed
        if any(found.values()):
            with self._context.store.begin() as tx:
                tx.audit.add(by, Act.RESEAL_SECRETS, "*", self._context.clock(), **found)

    def _batch(self, told: Resealing, after: tuple[str, ...] | None, batch: int) -> tuple[str, ...] | None:
        with self._context.store.begin() as tx:
            page = tx.secrets.page(told.place, after, batch)
            for secret_id, sealed in page:
                told.seen += 1
                try:
                    anew = self._context.secret_box.reseal(sealed)
                except Invalid:
                    told.unreadable.append("/".join(secret_id))
                    continue
                if anew is not None:
                    told.resealed += tx.secrets.replace(told.place, secret_id, sealed, anew)
        told.done = len(page) < batch
        return page[-1][0] if page else after
