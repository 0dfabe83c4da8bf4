"""Sends a file in parallel parts through presigned URLs, takes up broken uploads, and has the file sealed.

The URLs carry their own right, so no token goes with them, and they are never shown: whoever has one can write.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from orchestrator.cli.client import DIRECT, Api, ApiError, Json
from orchestrator.cli.failures import CliError, Exit
from orchestrator.domain import uploads

THREADS: Final = 4
ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 0.5
SEALING_PAUSE_S: Final = 5.0
SEALING_LOOKS: Final = 720  # an hour: a store that cannot copy into parts sends 500 GB through the API
PIECE_BYTES: Final = 256 * 1024  # read and sent at a time: memory stays flat however large a part is
_MD5: Final = re.compile("[0-9A-Fa-f]{32}")
_EXPIRED: Final = frozenset({400, 401, 403})  # what stores answer to a URL that is too old

Progress = Callable[[int], None]
"""Told the bytes that went out since it was last told; negative when a part has to be sent again."""

Start = Callable[[int, int, int], Progress]
"""Given the size of the file, the bytes that are there already, and the number of parts to send."""


def silent(_total: int, _done: int, _parts: int) -> Progress:
    """Tells nobody."""
    return lambda _: None


@dataclass(frozen=True)
class Slice:
    """One part of a file on disk."""

    path: Path
    number: int
    offset: int
    size_bytes: int

    def pieces(self, progress: Progress, stopped: threading.Event) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            left = self.size_bytes
            while left:
                if stopped.is_set():
                    raise Stopped
                piece = file.read(min(PIECE_BYTES, left))
                if not piece:
                    raise CliError(f"{self.path} became shorter while it was being sent")
                left -= len(piece)
                progress(len(piece))
                yield piece

    def is_what_arrived(self, etag: str) -> bool:
        """Whether the store has this very part, not one of the file as it was before somebody changed it.

        By the MD5 that stores give a part as its ETag; one of another form says nothing, and one that only looks like
        an MD5 (of an encrypting store) costs sending the part again.
        """
        if not _MD5.fullmatch(etag):
            return True
        digest = hashlib.md5(usedforsecurity=False)
        for piece in self.pieces(lambda _: None, threading.Event()):
            digest.update(piece)
        return digest.hexdigest() == etag.lower()


class Stopped(Exception):
    """Another part gave up, or Ctrl-C: no use in sending the rest."""


def slices(path: Path, size_bytes: int, part_count: int) -> list[Slice]:
    """How the API and we agree to cut a file."""
    sizes = uploads.plan(size_bytes, part_count).sizes or {}
    found, offset = [], 0
    for number, size in sorted(sizes.items()):
        found.append(Slice(path, number, offset, size))
        offset += size
    return found


def parts_for(size_bytes: int, preferred_bytes: int = uploads.PREFERRED_PART_BYTES) -> int:
    """How many parts to ask for."""
    return uploads.plan(size_bytes, None, preferred_bytes).count


@dataclass
class Sender:
    """Sends parts; give one per file.

    Attributes:
        http: for the store. No credentials are set on it.
        sleep: waits between tries.
    """

    api: Api
    file_id: str
    http: httpx.Client
    progress: Progress = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    urls: dict[int, str] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, parts: Sequence[Slice], threads: int = THREADS) -> None:
        """Send `parts`, several at a time.

        Raises:
            CliError: one could not be sent after several tries; the upload stays open and can be taken up again.
        """
        pool = ThreadPoolExecutor(max_workers=max(1, threads), thread_name_prefix="part")
        try:
            pending = [pool.submit(self._part, part) for part in parts]
            done, _ = wait(pending, return_when=FIRST_EXCEPTION)
            failed = [exc for future in done if (exc := future.exception()) and not isinstance(exc, Stopped)]
            if failed:
                raise failed[0]
        finally:
            self.stopped.set()
            pool.shutdown(cancel_futures=True)

    def _part(self, part: Slice) -> None:
        for attempt in range(ATTEMPTS):
            said, again = self._try(part)
            if not said:
                return
            if not again or attempt == ATTEMPTS - 1:
                hint = "Run the same command again: only what is missing is sent"
                raise CliError(f"part {part.number} could not be sent: {said}", Exit.UNREACHABLE, hint=hint)
            self.sleep(FIRST_PAUSE_S * 2**attempt)

    def _try(self, part: Slice) -> tuple[str, bool]:
        """What went wrong, empty for nothing, and whether to try again."""
        sent = 0

        def count(size: int) -> None:
            nonlocal sent
            sent += size
            self.progress(size)

        with self._lock:
            url = self.urls.get(part.number)
        if url is None:
            url = self._sign(part.number)
        try:
            answer = self.http.put(
                url,
                content=part.pieces(count, self.stopped),
                headers={"Content-Length": str(part.size_bytes)},
            )
        except httpx.HTTPError as exc:
            self.progress(-sent)
            return f"the store does not answer ({type(exc).__name__})", True
        if answer.is_success:
            return "", False
        self.progress(-sent)
        if answer.status_code in _EXPIRED:
            with self._lock:
                self.urls.pop(part.number, None)
        return f"the store answered {answer.status_code}", answer.status_code >= 500 or answer.status_code in _EXPIRED  # noqa: PLR2004

    def _sign(self, number: int) -> str:
        """A fresh URL for one part. Whoever finds its URL too old asks for its own only: others may still be good."""
        fresh = urls_of(self.api.post(f"/files/{self.file_id}/urls", part_numbers=[number]))
        with self._lock:
            self.urls.update(fresh)
        return fresh[number]


def urls_of(document: Json) -> dict[int, str]:
    """Part number -> URL, from an answer of the API."""
    return {int(each["number"]): str(each["url"]) for each in document.get("urls", [])}


def open_upload(
    api: Api, job_id: str, kind: str, path: Path, *, part_count: int | None = None
) -> tuple[Json, list[Slice], dict[int, str], bool]:
    """The upload to go on with, its missing parts, URLs known so far, and whether it was begun before.

    An open upload of the same name, size and kind is taken up, but for parts that are other ones by now; else a new one
    is opened.
    """
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise CliError(f"{path} is empty", Exit.USAGE)
    for file in api.get(f"/jobs/{job_id}").get("files", []):
        same = (file["kind"], file["name"], file["size_bytes"]) == (kind, path.name, size_bytes)
        if same and file["state"] == "open" and part_count in {None, file["part_count"]}:
            known = api.get(f"/files/{file['id']}")
            there = {int(each["number"]): str(each["etag"]) for each in known["arrived_parts"]}
            missing = set(known["missing_parts"])
            cut = slices(path, size_bytes, int(file["part_count"]))
            unsent = [part for part in cut if part.number in missing or not part.is_what_arrived(there[part.number])]
            return known, unsent, {}, True
    count = part_count or parts_for(size_bytes)
    opened = api.post(f"/jobs/{job_id}/files", kind=kind, name=path.name, size_bytes=size_bytes, part_count=count)
    return opened["file"], slices(path, size_bytes, count), urls_of(opened), False


@dataclass(frozen=True)
class Sent:
    """What an upload came to: the sealed file as the API shows it, and the URLs that were used."""

    file: Json
    urls: Mapping[int, str] = field(repr=False)
    resumed: bool
    parts_sent: int


def upload(
    api: Api,
    job_id: str,
    kind: str,
    path: Path,
    *,
    part_count: int | None = None,
    threads: int = THREADS,
    on_start: Start = silent,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Sent:
    """Send a file of a job and have it sealed.

    Args:
        on_start: called once it is known what is missing; whom it returns is told of every piece sent.

    Raises:
        CliError: the API refused, or a part did not get through.
    """
    file, missing, urls, resumed = open_upload(api, job_id, kind, path, part_count=part_count)
    sealed, used = _sent(
        api, path, file, missing, urls, threads=threads, on_start=on_start, transport=transport, sleep=sleep
    )
    return Sent(sealed, used, resumed, len(missing))


def upload_media(
    api: Api, path: Path, *, kind: str | None, title: str, threads: int = THREADS, on_start: Start = silent
) -> Json:
    """Send a file into the media library and have it sealed; gives the item. Raises CliError as `upload` does."""
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise CliError(f"{path} is empty", Exit.USAGE)
    count = parts_for(size_bytes)
    opened = api.post("/media/uploads", name=path.name, type=kind, title=title, size_bytes=size_bytes, part_count=count)
    told = opened["upload"]
    _sent(api, path, told["file"], slices(path, size_bytes, count), urls_of(told), threads=threads, on_start=on_start)
    return api.get(f"/media/{opened['media']['id']}")


def _sent(
    api: Api, path: Path, file: Json, missing: list[Slice], urls: Mapping[int, str], *, threads: int, on_start: Start,
    transport: httpx.BaseTransport | None = None, sleep: Callable[[float], None] = time.sleep,
) -> tuple[Json, Mapping[int, str]]:  # fmt: skip
    """The sealed file, and the URLs that were used."""
    total = path.stat().st_size
    progress = on_start(total, total - sum(part.size_bytes for part in missing), len(missing))
    mounts = DIRECT if transport is None else None
    with httpx.Client(timeout=httpx.Timeout(120, connect=10), transport=transport, mounts=mounts) as http:
        sender = Sender(api, str(file["id"]), http, _one_at_a_time(progress), sleep, dict(urls))
        sender.send(missing, threads)
    return _sealed(api, str(file["id"]), sleep), sender.urls


def _sealed(api: Api, file_id: str, sleep: Callable[[float], None]) -> Json:
    """Have it sealed. Where the store needs longer than an answer may take, whoever seals it is waited for."""
    for _ in range(SEALING_LOOKS):
        try:
            return api.post(f"/files/{file_id}/complete")
        except ApiError as error:
            details = error.document.get("details")
            is_sealed_now = isinstance(details, dict) and details.get("state") == "sealing"
            if not is_sealed_now and error.code != "conflict":  # conflict: our own request, lost on the way, is at it
                raise
        sleep(SEALING_PAUSE_S)
    hint = "It goes on without us: submit the job later"
    raise CliError(f"file {file_id} is still being sealed", Exit.TIMEOUT, hint=hint)


def _one_at_a_time(progress: Progress) -> Progress:
    lock = threading.Lock()

    def locked(size: int) -> None:
        with lock:
            progress(size)

    return locked
