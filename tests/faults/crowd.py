"""People who bring jobs through their whole life over the API, whatever happens, and know what must become of them.

They do what good clients do: ask again with the same `Idempotency-Key` until there is an answer, take up broken
uploads, and look at the job before they ask for something twice.
"""

from __future__ import annotations

import hashlib
import random
import struct
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx

from orchestrator.cli.demo.video import make_video
from orchestrator.domain.uploads import MIN_PART_BYTES

Json = dict[str, Any]

PREFIX: Final = "/api/v1"
PAUSE_S: Final = 0.3
LARGE_SHARE: Final = 0.1  # of the films, in two parts: every part but the last has 5 MiB at least
_DRAFT: Final = frozenset({"wait_file_upload", "auto_verify_failed", "manual_verify_failed"})


@dataclass
class Tale:
    """One job as its owner knows it.

    Attributes:
        expected: the state in which it has to end; empty: it has to be gone.
        sha256: of the film that was validated last.
        trouble: why the story could not be told to its end.
    """

    number: int
    kind: str
    job_id: str = ""
    expected: str = ""
    sha256: str = ""
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


@dataclass
class Teller:
    """Tells one story."""

    tale: Tale
    user: Person
    reviewer: Person
    admin: Person
    chance: random.Random
    _asked: int = 0

    def tell(self) -> None:
        began_s = time.monotonic()
        try:
            STORIES[self.tale.kind](self)
            self.tale.ended = True
        except OutOfPatience as exc:
            self.tale.trouble = f"not ended: {exc}"
        except Exception as exc:  # noqa: BLE001  told in the table
            self.tale.trouble = f"{type(exc).__name__}: {exc}"
        self.tale.took_s = time.monotonic() - began_s

    # stories

    def published(self) -> None:
        self._upto_review(self._film())
        self._review("approve")
        self._becomes("job_success")

    def bad(self) -> None:
        self._create()
        self._upload(self._rubbish())
        self._submit()
        self._becomes("auto_verify_failed")

    def mended(self) -> None:
        self.bad()
        self._resubmitted()

    def refused(self) -> None:
        self._upto_review(self._film())
        self._review("reject", reasons=["the light is bad"])
        self._becomes("manual_verify_failed")
        self._resubmitted()

    def stopped(self) -> None:
        self._upto_review(self._film())
        self._review("approve")
        self._await("training", "job_success")
        self.admin.ask("POST", f"{self._job}/stop", {"reason": "another day"}, self._key())
        while self._await("manual_stop_train", "job_success") == "manual_stop_train":
            self.admin.ask("POST", f"{self._job}/retrain", {"stage": "training"}, self._key())
            time.sleep(PAUSE_S)
            if self._state() != "manual_stop_train":
                break
        self._becomes("job_success")

    def withdrawn(self) -> None:
        self._create()
        self._upload(self._film())
        self._delete()

    def deleted(self) -> None:
        self.published()
        self._delete()

    # steps

    @property
    def _job(self) -> str:
        return f"/jobs/{self.tale.job_id}"

    def _key(self) -> str:
        self._asked += 1
        return f"{self.tale.number}-{self._asked}"

    def _state(self) -> str:
        return str(self._look().get("state", ""))

    def _look(self) -> Json:
        return self.user.ask("GET", self._job)[1]

    def _await(self, *states: str) -> str:
        while (state := self._state()) not in states:
            time.sleep(PAUSE_S)
        return state

    def _becomes(self, state: str) -> None:
        self.tale.expected = state
        self._await(state)

    def _create(self) -> None:
        status, made = self.user.ask("POST", "/jobs", {"profile": "whole", "name": self.tale.name}, self._key())
        assert status == httpx.codes.CREATED, made
        self.tale.job_id = str(made["id"])

    def _upto_review(self, film: bytes) -> None:
        self._create()
        self._upload(film)
        self._submit()
        self._await("manual_verifying")

    def _resubmitted(self) -> None:
        self._upload(self._film())
        self._submit()
        self._await("manual_verifying")
        self._review("approve")
        self._becomes("job_success")

    def _review(self, word: str, **body: object) -> None:
        while self._state() == "manual_verifying":
            self.reviewer.ask("POST", f"{self._job}/{word}", body, self._key())

    def _delete(self) -> None:
        self.tale.expected = ""
        while self.user.ask("DELETE", self._job)[0] not in {httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND}:
            time.sleep(PAUSE_S)

    def _submit(self) -> None:
        before = self._state()
        while True:
            status, _ = self.user.ask("POST", f"{self._job}/submit", key=self._key())
            job = self._look()
            if status == httpx.codes.OK or job["state"] != before:
                return
            if not [f for f in job["files"] if f["state"] in {"open", "sealing", "sealed"}]:
                self._upload(self._last)  # it came to nothing: its owner sends it again
            time.sleep(PAUSE_S)

    # files

    def _film(self) -> bytes:
        size = 2 * MIN_PART_BYTES if self.chance.random() < LARGE_SHARE else 100
        padding = self.chance.randbytes(size)
        return small_film() + struct.pack(">I4s", len(padding) + 8, b"free") + padding

    def _rubbish(self) -> bytes:
        return b"no film at all " + self.chance.randbytes(50)

    def _upload(self, data: bytes) -> None:
        """Until the file is sealed or, half of the time, there: then the submit or a sweep seals it."""
        self._last = data
        self.tale.sha256 = hashlib.sha256(data).hexdigest()
        told = {"kind": "training_video", "name": "film.mp4", "size_bytes": len(data),
                "part_count": 2 if len(data) > 2 * MIN_PART_BYTES else 1}  # fmt: skip
        while True:
            status, opened = self.user.ask("POST", f"{self._job}/files", told, self._key())
            assert status == httpx.codes.CREATED, opened
            if self._send(opened, data):
                return

    def _send(self, opened: Json, data: bytes) -> bool:
        """False: this upload came to nothing, a new one is needed."""
        file = f"/files/{opened['file']['id']}"
        each = -(-len(data) // int(opened["file"]["part_count"]))
        urls = {int(u["number"]): str(u["url"]) for u in opened["urls"]}
        confirms = self.chance.random() < 0.5
        while True:
            for number in sorted(urls):
                while not self._put(urls[number], data[(number - 1) * each : number * each]):
                    status, again = self.user.ask("POST", f"{file}/urls", {"part_numbers": [number]}, self._key())
                    if status != httpx.codes.OK:
                        return self._is_sealed(file)
                    urls |= {int(u["number"]): str(u["url"]) for u in again["urls"]}
            if not confirms:
                return True
            status, said = self.user.ask("POST", f"{file}/complete", key=self._key())
            if status == httpx.codes.OK:
                return True
            if said.get("code") != "upload_incomplete":
                return self._is_sealed(file)

    def _put(self, url: str, data: bytes) -> bool:
        """False: the store does not take this URL."""
        while True:
            if self.user.patience.is_over:
                raise OutOfPatience("PUT of a part")
            try:
                answer = self.user.http.put(url, content=data)
            except httpx.HTTPError:
                time.sleep(PAUSE_S)
                continue
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return answer.is_success
            time.sleep(PAUSE_S)

    def _is_sealed(self, file: str) -> bool:
        while (state := self.user.ask("GET", file)[1].get("state")) == "sealing":
            time.sleep(PAUSE_S)
        return state == "sealed"


STORIES: Final[Mapping[str, Callable[[Teller], None]]] = {
    "published": Teller.published,
    "bad": Teller.bad,
    "mended": Teller.mended,
    "refused": Teller.refused,
    "stopped": Teller.stopped,
    "withdrawn": Teller.withdrawn,
    "deleted": Teller.deleted,
}
WEIGHTS: Final = (8, 1, 1, 1, 2, 1, 1)


@cache
def small_film() -> bytes:
    """A real film of two seconds."""
    with tempfile.TemporaryDirectory() as directory:
        return make_video(Path(directory) / "film.mp4", size=(64, 64), duration_s=2).read_bytes()


@dataclass
class Crowd:
    """Many people at once.

    Attributes:
        tokens: of a user, a reviewer and an admin.
        seconds: within which they all begin.
        patience: whose stories are not at their end when it is over, gives up.
    """

    endpoints: Sequence[str]
    tokens: Mapping[str, str] = field(repr=False)
    jobs: int
    seed: int
    seconds: float
    patience: Patience
    threads: int = 16
    tales: list[Tale] = field(default_factory=list)
    bugs: Counter[str] = field(default_factory=Counter)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        chance = random.Random(f"{self.seed} crowd")
        # every story once, then by their weights
        kinds = [*STORIES, *chance.choices(list(STORIES), WEIGHTS, k=max(0, self.jobs - len(STORIES)))][: self.jobs]
        chance.shuffle(kinds)
        self.tales = [Tale(number, kind) for number, kind in enumerate(kinds)]
        begin_s = sorted(chance.uniform(0, self.seconds * 0.7) for _ in kinds)
        queue = list(zip(self.tales, begin_s, strict=True))
        started_s, lock = time.monotonic(), threading.Lock()
        small_film()

        def run() -> None:
            with httpx.Client(timeout=httpx.Timeout(15, connect=5), trust_env=False) as http:
                while True:
                    with lock:
                        if not queue:
                            return
                        tale, at_s = queue.pop(0)
                    time.sleep(max(0.0, started_s + at_s - time.monotonic()))
                    people = [
                        Person(self.endpoints, self.tokens[role], http, self.patience, self.bugs)
                        for role in ("user", "reviewer", "admin")
                    ]
                    Teller(tale, *people, random.Random(f"{self.seed} {tale.number}")).tell()

        people = min(self.threads, self.jobs)
        self._threads = [threading.Thread(target=run, name=f"person-{n}", daemon=True) for n in range(people)]
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> int:
        return sum(tale.ended or bool(tale.trouble) for tale in self.tales)

    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)
