"""The model of a job, fetched once with a token that an owner has asked for. Only the hash of a token is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from orchestrator.app.context import Context
from orchestrator.app.stored import StoredObject
from orchestrator.domain.actors import Caller
from orchestrator.domain.assets import MAIN
from orchestrator.domain.errors import Invalid, NotFound

TOKEN_LIFETIME: Final = timedelta(hours=24)
_TOKEN_BYTES: Final = 32  # 64 characters of hex
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ModelFile:
    name: str
    size_bytes: int
    pieces: Iterator[bytes]


class ModelFiles:
    """Use cases on the model file of a job."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def issue(self, caller: Caller, job_id: str) -> str:
        """A token that fetches the model of a job once, within 24 hours. Raises NotFound where there is none yet."""
        _, project_id = self._main(caller, job_id)
        token = secrets.token_hex(_TOKEN_BYTES)
        with self._context.store.begin() as tx:
            tx.library.add_token(_hash(token), project_id, job_id, self._context.clock() + TOKEN_LIFETIME)
        return token

    def fetch(self, caller: Caller, job_id: str, token: str) -> ModelFile:
        """The model's bytes, as they are stored; the token is used up.

        Raises:
            NotFound: no such job, or no model yet.
            Invalid: the token is not of this job, used or expired.
        """
        key, project_id = self._main(caller, job_id)
        source = StoredObject.at(self._context.storage, key)
        with self._context.store.begin() as tx:
            if not tx.library.use_token(_hash(token), project_id, job_id, self._context.clock()):
                raise Invalid("the token is not known, used already or expired", field="once_token")
        starts = range(0, source.size_bytes, _CHUNK)
        return ModelFile(key.rpartition("/")[2], source.size_bytes, (source.read_range(at, _CHUNK) for at in starts))

    def _main(self, caller: Caller, job_id: str) -> tuple[str, str]:
        with self._context.store.read() as tx:
            job = tx.jobs.get(job_id, caller.scope)
            files = tx.library.files([job.asset_id])[job.asset_id] if job.asset_id is not None else []
        main = next((file for file in files if file.category == MAIN), None)
        if main is None:
            raise NotFound(f"job {job_id} has no model yet", job_id=job_id)
        return main.key, job.project_id


def _hash(token: str) -> str:
    """256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
