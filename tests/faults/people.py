"""People who ask the API until there is an answer, as good clients do, and what each of them knows of a job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

Json = dict[str, Any]

PREFIX: Final = "/api/v1"
PAUSE_S: Final = 0.3


@dataclass
class Tale:
    """One job as its owner knows it.

    Attributes:
        expected: the state in which it has to end; empty: it has to be gone.
        sha256: of the film that was validated last.
        media: what has to become of the media that its owner made: a status, or nothing where they were deleted.
        trouble: why the story could not be told to its end.
    """

    number: int
    kind: str
    job_id: str = ""
    expected: str = ""
    sha256: str = ""
    media: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    trouble: str = ""
    took_s: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.number:05d} {self.kind}"


class OutOfPatience(Exception):
    """Nothing has gone on for too long."""


class Patience:
    """How long people go on asking: as long as anything goes on, however slow the machine is.

    Args:
        seconds: without any progress, until it is over.
        at_most_s: in all, from the first start; what goes round and round for ever makes progress, too.
    """

    def __init__(self, seconds: float, at_most_s: float) -> None:
        self._seconds = seconds
        self._last_s = time.monotonic() + at_most_s
        self._seen: object = None
        self._ends_s = time.monotonic() + seconds

    def look(self, progress: object) -> None:
        """Last longer if `progress` is not what it was. None: nobody could look."""
        if progress is not None and progress != self._seen:
            self._seen = progress
            self._ends_s = time.monotonic() + self._seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() > min(self._ends_s, self._last_s)


@dataclass
class Person:
    """One caller of the API.

    Attributes:
        bugs: answers that no client should ever get.
    """

    endpoints: Sequence[str]
    token: str = field(repr=False)
    http: httpx.Client
    patience: Patience
    bugs: Counter[str]

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None, key: str = "") -> tuple[int, Json]:
        """Status and document of the first answer that is one: not "away", not "busy", not "still at work"."""
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        said = ""
        for turn in range(1_000_000):
            if self.patience.is_over:
                raise OutOfPatience(f"{method} {path}: {said}")
            endpoint = self.endpoints[(turn + len(path)) % len(self.endpoints)]
            try:
                answer = self.http.request(method, endpoint + PREFIX + path, json=body, headers=headers)
            except httpx.HTTPError as exc:
                said = type(exc).__name__
                time.sleep(PAUSE_S)
                continue
            said = f"{answer.status_code} {answer.text[:200]}"
            document = _document(answer)
            if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                self.bugs[f"{method} {path.split('/')[1]}: 500 {document.get('detail')}"] += 1
            elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" not in answer.headers:
                self.bugs[f"{method} {path.split('/')[1]}: 503 without Retry-After"] += 1
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR and "still at work" not in str(document):
                return answer.status_code, document
            time.sleep(PAUSE_S)
        raise AssertionError  # pragma: no cover - the loop returns or raises


def _document(answer: httpx.Response) -> Json:
    try:
        return dict(answer.json()) if answer.content else {}
    except ValueError:
        return {"detail": answer.text[:100]}
