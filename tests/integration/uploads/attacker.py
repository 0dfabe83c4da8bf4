"""Attacks on uploads through the whole app: what is sealed stays what it was, whatever anybody does.

The attacker has every URL that was ever given out, for as long as it likes, and may send anything to the store.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest

from orchestrator.app.uploads import Upload
from orchestrator.domain.errors import StorageUnavailable, UploadError, UploadIncomplete
from orchestrator.domain.model import File, FileKind, FileState
from orchestrator.ports.storage import UploadGone
from tests.contract.storage_servers import StoreUnderTest
from tests.fakes.app import World

KIND = FileKind.TRAINING_VIDEO
GOOD, EVIL = b"what the uploader sent", b"what an attacker wants"
assert len(GOOD) == len(EVIL)
SECRET = b"another customer's film"


@dataclass
class Target:
    """The app on one store, and what somebody without any key can do to it."""

    world: World
    store: StoreUnderTest

    @property
    def uploads(self):
        return self.world.app.uploads

    @property
    def owner(self):
        return self.world.owner

    def open(self, size: int | None = len(GOOD), name: str = "video.mp4", **more: object) -> Upload:
        return self.uploads.open(self.owner, self.world.draft("reviewed").id, KIND, name, size_bytes=size, **more)

    def sealed(self, data: bytes = GOOD) -> tuple[Upload, File]:
        upload = self.open(len(data))
        assert put(upload.urls[1], data) == 200
        return upload, self.uploads.confirm(self.owner, upload.file.id)

    def bytes_of(self, file: File) -> bytes:
        """What every later reader gets."""
        assert file.final_key is not None
        return self.world.storage.read_range(file.final_key, 0, (file.size_bytes or 0) + 1, etag=file.etag)

    def holds(self, file: File, data: bytes = GOOD) -> None:
        """The sealed file is untouched: by its bytes, by its row, and by the URL that people download from."""
        now = self.world.file(file)
        assert (now.state, now.final_key, now.etag) == (FileState.SEALED, file.final_key, file.etag)
        assert hashlib.sha256(self.bytes_of(now)).digest() == hashlib.sha256(data).digest()
        url = self.uploads.download(self.owner, now)
        assert url is not None
        assert httpx.get(url, trust_env=False).content == data

    def took_nothing(self, upload: Upload) -> None:
        assert self.uploads.progress(self.owner, upload.file.id).arrived == {}
        with pytest.raises(UploadIncomplete):
            self.uploads.confirm(self.owner, upload.file.id)

    def until_aborted(self, file: File) -> None:
        for _ in range(5):
            if self.world.file(file).state is FileState.ABORTED:
                break
            self.world.sweep("abort_uploads", after=61)
        assert self.world.file(file).state is FileState.ABORTED
        with pytest.raises(UploadGone):
            self.world.storage.list_parts(file.staging_key, file.upload_id)
        assert self.world.storage.head(file.staging_key) is None


def put(url: str, data: bytes, **headers: str) -> int:
    return send("PUT", url, data, **headers).status_code


def send(method: str, url: str, data: bytes | None = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, url, content=data, headers=named, timeout=30, trust_env=False)


def changed(url: str, path: str | None = None, **query: str | None) -> str:
    """The URL with another path or other parameters; None takes one away."""
    parts = urlsplit(url)
    pairs = dict(parse_qsl(parts.query, keep_blank_values=True))
    pairs |= {name.replace("_", "-"): value or "" for name, value in query.items()}
    pairs = {name: value for name, value in pairs.items() if query.get(name.replace("-", "_"), "") is not None}
    return urlunsplit((parts.scheme, parts.netloc, path or parts.path, urlencode(pairs), ""))


def in_flight(url: str, data: bytes) -> tuple[threading.Thread, threading.Event]:
    """A part whose last bytes are held back until the event is set."""
    begun, go_on = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield data[:-1]
        begun.set()
        go_on.wait(20)
        yield data[-1:]

    def run() -> None:
        with suppress(httpx.HTTPError):
            headers = {"Content-Length": str(len(data))}
            httpx.put(url, content=body(), headers=headers, timeout=30, trust_env=False)
        begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(20)
    return thread, go_on


def sealed_in_the_end(target: Target, file: File) -> File | None:
    """Confirm, then let the sweeps finish; None when the upload was given up."""
    with suppress(UploadError, StorageUnavailable):
        target.uploads.confirm(target.owner, file.id)
    for _ in range(4):
        now = target.world.file(file)
        if now.state not in {FileState.OPEN, FileState.SEALING}:
            break
        target.world.sweep("seal_uploads", after=61)
    now = target.world.file(file)
    return now if now.state is FileState.SEALED else None
