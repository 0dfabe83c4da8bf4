"""The lives of jobs, as their owners, reviewers and admins tell them."""

from __future__ import annotations

import hashlib
import random
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import httpx

from orchestrator.cli.demo.video import make_video
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.uploads import MIN_PART_BYTES
from tests.faults.people import PAUSE_S, Json, OutOfPatience, Person, Tale

LARGE_SHARE: Final = 0.1  # of the films, in two parts: every part but the last has 5 MiB at least


@cache
def small_film() -> bytes:
    """A real film of two seconds."""
    with tempfile.TemporaryDirectory() as directory:
        return make_video(Path(directory) / "film.mp4", size=(64, 64), duration_s=2).read_bytes()


@dataclass
class Teller:
    """Tells one story.

    Attributes:
        put: lays an object of that name into the project's inbox in the store; gives its address.
    """

    tale: Tale
    user: Person
    reviewer: Person
    admin: Person
    put: Callable[[str, bytes], str]
    chance: random.Random
    _asked: int = 0
    _last: bytes = b""

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

    def registered(self) -> None:
        """Rubbish first, then a film at the same place."""
        film, name = self._film(), f"{self.tale.number}.mp4"
        media_id = self._register(name, self._rubbish())
        self._prepared(media_id, "prepare_fail")
        self.tale.media[media_id] = ""  # the film takes its place
        media_id = self._register(name, film)
        self._prepared(media_id, "normal")
        self._published_of(media_id, film)

    def lent(self) -> None:
        """Media that are uploaded, used by a job, and deleted: the job keeps the bytes."""
        film = self._film()
        told = {"name": "film.mp4", "type": "video", **_sizes(film)}
        while True:
            status, made = self.user.ask("POST", "/media/uploads", told, self._key())
            assert status == httpx.codes.CREATED, made
            media_id = str(made["media"]["id"])
            if self._send(made["upload"], film, is_said=told["part_count"] > 1):  # no submit seals it
                break
            self._drop(media_id)
        self._prepared(media_id, "normal")
        self._published_of(media_id, film)
        self._drop(media_id)

    # media

    def _register(self, name: str, data: bytes) -> str:
        while True:
            if self.user.patience.is_over:
                raise OutOfPatience("an object for the inbox")
            try:
                address = self.put(name, data)
                break
            except Unavailable:
                time.sleep(PAUSE_S)
        told = {"url": address, "type": "video", "overwrite": True}
        status, made = self.user.ask("POST", "/media", told, self._key())
        assert status == httpx.codes.CREATED, made
        return str(made["id"])

    def _prepared(self, media_id: str, status: str) -> None:
        self.tale.media[media_id] = status
        while (found := self.user.ask("GET", f"/media/{media_id}")[1].get("status")) != status:
            assert found in {"init", "preparing"}, f"media {media_id} are {found}"
            time.sleep(PAUSE_S)

    def _published_of(self, media_id: str, film: bytes) -> None:
        self.tale.sha256 = hashlib.sha256(film).hexdigest()
        self._create(attributes={"video": media_id})
        self._submit()
        self._await("manual_verifying")
        self._review("approve")
        self._becomes("job_success")

    def _drop(self, media_id: str) -> None:
        self.tale.media[media_id] = ""
        path = f"/media/{media_id}"
        while self.user.ask("DELETE", path)[0] not in {httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND}:
            time.sleep(PAUSE_S)

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

    def _create(self, **more: object) -> None:
        told = {"profile": "whole", "name": self.tale.name, **more}
        status, made = self.user.ask("POST", "/jobs", told, self._key())
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
            if self._last and not [f for f in job["files"] if f["state"] in {"open", "sealing", "sealed"}]:
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
        told = {"kind": "training_video", "name": "film.mp4", **_sizes(data)}
        while True:
            status, opened = self.user.ask("POST", f"{self._job}/files", told, self._key())
            assert status == httpx.codes.CREATED, opened
            if self._send(opened, data):
                return

    def _send(self, opened: Json, data: bytes, *, is_said: bool = False) -> bool:
        """False: this upload came to nothing, a new one is needed. `is_said`: always say that all parts are there."""
        file = f"/files/{opened['file']['id']}"
        each = -(-len(data) // int(opened["file"]["part_count"]))
        urls = {int(u["number"]): str(u["url"]) for u in opened["urls"]}
        confirms = is_said or self.chance.random() < 0.5
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


def _sizes(data: bytes) -> dict[str, int]:
    return {"size_bytes": len(data), "part_count": 2 if len(data) > 2 * MIN_PART_BYTES else 1}


STORIES: Final[Mapping[str, Callable[[Teller], None]]] = {
    "published": Teller.published,
    "bad": Teller.bad,
    "mended": Teller.mended,
    "refused": Teller.refused,
    "stopped": Teller.stopped,
    "withdrawn": Teller.withdrawn,
    "deleted": Teller.deleted,
    "registered": Teller.registered,
    "lent": Teller.lent,
}
WEIGHTS: Final = (8, 1, 1, 1, 2, 1, 1, 2, 2)
