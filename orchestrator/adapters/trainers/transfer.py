"""Inputs come by signed URLs, results go to the store below the run's own prefix."""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol, TypeVar

import httpx

from orchestrator.adapters.trainers.outcome import StageFailed
from orchestrator.adapters.trainers.stopping import Stop
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import Artefact, RunInput

T = TypeVar("T")

TRIES: Final = 4
_FIRST_DELAY_S: Final = 0.5
_CHUNK_BYTES: Final = 1024 * 1024
_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
# 408 and 429 ask to come again; 5xx is the store's own trouble. Everything else answers the same the next time.
_TRY_AGAIN: Final = frozenset({408, 429, *range(500, 600)})
_TYPES: Final = {".npz": "application/x-npz", ".npy": "application/x-npy", ".safetensors": "application/octet-stream"}


class Uploader(Protocol):
    """The part of `orchestrator.ports.storage.Storage` that a runner needs."""

    def upload(self, path: Path, key: str, content_type: str) -> object: ...


def open_uploader(settings: str) -> Uploader:
    """The store that the backend's settings describe: {"factory": "module:function", "options": {...}}."""
    value = json.loads(settings)
    module, _, name = value["factory"].partition(":")
    store: Uploader = getattr(importlib.import_module(module), name)(**value["options"])
    return store


def s3_store(**options: Any) -> Uploader:  # noqa: ANN401  (the fields of S3Options)
    """The bucket that plain values of `S3Options` describe."""
    # Imported when there is something to store: a run that waits or trains does without the megabytes of boto3.
    from orchestrator.adapters.s3.options import S3Options, StoreKind  # noqa: PLC0415
    from orchestrator.adapters.s3.storage import S3Storage  # noqa: PLC0415

    if "profile" in options:
        options["profile"] = StoreKind(options["profile"])
    return S3Storage(S3Options(**options))


def is_safe_name(name: str) -> bool:
    """Whether the name stays below its directory."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


class _TryAgain(Exception):
    """Trouble that may pass; the text is for people and holds no URL."""


def _with_tries(what: str, stop: Stop, once: Callable[[], T]) -> T:
    trouble = ""
    for attempt in range(TRIES):
        if attempt:
            stop.wait(_FIRST_DELAY_S * 2 ** (attempt - 1))
        try:
            return once()
        except _TryAgain as again:
            trouble = str(again)
    raise StageFailed(FailureClass.INFRASTRUCTURE, f"{what}: {trouble}, {TRIES} times")


def download(source: RunInput, directory: Path, stop: Stop, at: Callable[[int], None]) -> str:
    """Write an input below `directory`; gives its SHA-256.

    Args:
        at: told how many bytes of it are there.

    Raises:
        StageFailed: class data when the object is not the one that was validated, infrastructure when it cannot be had.
        Stopped: the run has to end.
    """
    if not is_safe_name(source.name):
        raise StageFailed(FailureClass.CODE, f"input name {source.name!r} leads out of inputs/")
    path = directory / source.name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = _with_tries(f"input {source.name}", stop, lambda: _fetch(source, path, stop, at))
    if source.sha256 is not None and digest != source.sha256:
        raise StageFailed(
            FailureClass.DATA,
            f"input {source.name} is not the file that was validated: SHA-256 {digest}, expected {source.sha256}",
        )
    return digest


def _fetch(source: RunInput, path: Path, stop: Stop, at: Callable[[int], None]) -> str:
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with (
            httpx.stream("GET", source.url, timeout=_TIMEOUT, follow_redirects=False) as answer,
            path.open("wb") as file,
        ):
            if answer.status_code in _TRY_AGAIN:
                raise _TryAgain(f"HTTP {answer.status_code}")
            if answer.status_code != httpx.codes.OK:
                raise StageFailed(FailureClass.INFRASTRUCTURE, f"input {source.name}: HTTP {answer.status_code}")
            # Raw bytes: an object is what was stored, whatever Content-Encoding it was labelled with.
            for chunk in answer.iter_raw(_CHUNK_BYTES):
                stop.check()
                digest.update(chunk)
                size_bytes += len(chunk)
                if size_bytes > source.size_bytes:
                    break
                file.write(chunk)
                at(size_bytes)
    except httpx.HTTPError as error:
        raise _TryAgain(type(error).__name__) from error
    if size_bytes != source.size_bytes:
        more = "at least " if size_bytes > source.size_bytes else ""
        raise StageFailed(
            FailureClass.DATA,
            f"input {source.name} is not the file that was validated: {more}{size_bytes} bytes, "
            f"expected {source.size_bytes}",
        )
    return digest.hexdigest()


def results(outputs: Path) -> list[Path]:
    """Every plain file below outputs/, by name. Links are left out: they may point at anything."""
    return sorted(_plain_files(outputs))


def _plain_files(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _plain_files(path)
        elif path.is_file():
            yield path


def upload(path: Path, name: str, prefix: str, store: Uploader, stop: Stop) -> Artefact:
    """Store one result. Raises StageFailed of class infrastructure, Stopped."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            stop.check()
            digest.update(chunk)
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    artefact = Artefact(name, prefix + name, path.stat().st_size, digest.hexdigest(), guessed)

    def once() -> None:
        try:
            store.upload(path, artefact.key, artefact.content_type)
        except Unavailable as unavailable:
            raise _TryAgain(unavailable.message) from unavailable
        except OSError as error:
            raise _TryAgain(error.strerror or type(error).__name__) from error

    _with_tries(f"result {name}", stop, once)
    return artefact


def is_disk_full(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}
