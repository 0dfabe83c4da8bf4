"""An object store in memory that passes the contract suite of the storage port."""

from __future__ import annotations

import builtins
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import quote, unquote, urlencode

from orchestrator.domain.errors import Invalid, StorageUnavailable, UploadIncomplete
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing, OpenUpload, StoredPart, UploadGone

P = ParamSpec("P")
R = TypeVar("R")

OK, FORBIDDEN, NO_SUCH_UPLOAD = 200, 403, 404


@dataclass
class _Upload:
    key: str
    content_type: str
    begun_at: datetime
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class _Object:
    info: ObjectInfo
    data: bytes


def _breakable(
    method: Callable[Concatenate[MemoryStorage, P], R],
) -> Callable[Concatenate[MemoryStorage, P], R]:
    """Let a test decide that the next call gets no answer."""

    @wraps(method)
    def call(self: MemoryStorage, /, *args: P.args, **kwargs: P.kwargs) -> R:
        name = method.__name__
        planned = self.breaks[name].pop(0) if self.breaks[name] else None
        if planned == "before":
            raise StorageUnavailable(f"no answer to {name}, it was not done")
        result = method(self, *args, **kwargs)
        if planned == "after":
            raise StorageUnavailable(f"no answer to {name}, it was done")
        return result

    return call


class MemoryStorage:
    """The port `Storage`, and beside it what stands for the uploader: `put_url` and `put_part`.

    Attributes:
        careless: part URLs live on after completion and damage the finished object, as on OpenStack Swift.
        breaks: by name of a method, what happens to its next calls: "" nothing, "before" or "after" doing the work the
            answer is lost.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC), *, careless: bool = False) -> None:
        self.careless = careless
        self.breaks: dict[str, list[str]] = defaultdict(list)
        self._clock = clock
        self._ids = itertools.count(1)
        self._uploads: dict[str, _Upload] = {}
        self._closed: dict[str, str] = {}
        self._objects: dict[str, _Object] = {}

    # The uploader's side

    def put_url(self, url: str, data: bytes) -> int:
        """What a PUT to a part URL answers, as an HTTP status."""
        address, _, told = url.removeprefix("memory:///").partition("?")
        query = dict(each.split("=") for each in told.split("&"))
        now = self._clock().timestamp()
        if not float(query["begins"]) <= now < float(query["ends"]):
            return FORBIDDEN
        if "length" in query and int(query["length"]) != len(data):
            return FORBIDDEN
        return self.put_part(unquote(address), query["upload"], int(query["number"]), data)

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> int:
        upload = self._uploads.get(upload_id)
        if upload is not None and upload.key == key:
            upload.parts[number] = data
            return OK
        if self.careless and self._closed.get(upload_id) == key and key in self._objects:
            self._store(key, data, self._objects[key].info.content_type)
            return OK
        return NO_SUCH_UPLOAD

    # The port

    region = "here"

    @_breakable
    def create_upload(self, key: str, content_type: str) -> str:
        upload_id = f"upload-{next(self._ids)}"
        self._uploads[upload_id] = _Upload(key, content_type, self._clock())
        return upload_id

    def presign_parts(
        self,
        key: str,
        upload_id: str,
        numbers: Sequence[int],
        *,
        sizes: Mapping[int, int] | None,
        now: datetime,
        expires_in: timedelta,
    ) -> builtins.list[str]:
        if not timedelta(seconds=1) <= expires_in <= timedelta(days=7):
            raise Invalid("a signed URL is valid for 1 second to 7 days")
        if sizes is not None and any(number not in sizes for number in numbers):
            raise Invalid("no size is known of a part")
        begins, ends = (now - timedelta(minutes=1)).timestamp(), (now + expires_in).timestamp()
        common = f"memory:///{quote(key)}?upload={upload_id}&begins={begins}&ends={ends}&number="
        return [f"{common}{number}" + ("" if sizes is None else f"&length={sizes[number]}") for number in numbers]

    @_breakable
    def list_parts(self, key: str, upload_id: str) -> builtins.list[StoredPart]:
        parts = self._open(key, upload_id).parts
        return [StoredPart(number, _etag(data), len(data)) for number, data in sorted(parts.items())]

    @_breakable
    def complete_upload(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        upload = self._open(key, upload_id)
        held = {part.number: part for part in self.list_parts(key, upload_id)}
        if not parts or any(held.get(part.number) != part for part in parts):
            raise UploadIncomplete(f"the store does not hold these parts of {key!r}", key=key)
        data = b"".join(upload.parts[part.number] for part in sorted(parts, key=lambda part: part.number))
        self._store(key, data, upload.content_type)
        self._closed[upload_id] = key
        del self._uploads[upload_id]

    @_breakable
    def abort_upload(self, key: str, upload_id: str) -> bool:
        upload = self._uploads.get(upload_id)
        if upload is not None and upload.key == key:
            del self._uploads[upload_id]
        return True

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        for upload_id, upload in list(self._uploads.items()):
            if upload.key.startswith(prefix):
                yield OpenUpload(upload.key, upload_id, upload.begun_at)

    @_breakable
    def head(self, key: str) -> ObjectInfo | None:
        found = self._objects.get(key)
        return None if found is None else found.info

    @_breakable
    def copy(self, source: ObjectInfo, target_key: str) -> ObjectInfo:
        data = self._pinned(source.key, source.etag).data
        return self._store(target_key, data, source.content_type)

    @_breakable
    def delete(self, key: str) -> None:
        self._objects.pop(key, None)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for key in sorted(self._objects):
            if key.startswith(prefix):
                yield self._objects[key].info

    @_breakable
    def read_range(self, key: str, start: int, length: int, *, etag: str | None = None) -> bytes:
        if start < 0 or length < 0:
            raise Invalid(f"there are no bytes [{start}, {start + length})")
        return self._pinned(key, etag).data[start : start + length]

    @_breakable
    def download(self, key: str, path: Path, *, etag: str | None = None) -> str:
        data = self._pinned(key, etag).data
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    @_breakable
    def upload(self, path: Path, key: str, content_type: str) -> ObjectInfo:
        return self._store(key, path.read_bytes(), content_type)

    @_breakable
    def put(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        return self._store(key, data, content_type)

    def key_of(self, address: str) -> str | None:
        return address.removeprefix("oss://memory/") if address.startswith("oss://memory/") else None

    def address_of(self, key: str) -> str:
        return f"oss://memory/{key}"

    def presign_get(self, key: str, *, filename: str, content_type: str, now: datetime, expires_in: timedelta) -> str:
        ends = (now + expires_in).timestamp()
        return f"memory:///{quote(key)}?" + urlencode({"name": filename, "type": content_type, "ends": ends})

    def _open(self, key: str, upload_id: str) -> _Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise UploadGone(f"no upload {upload_id!r} of {key!r}", key=key)
        return upload

    def _pinned(self, key: str, etag: str | None) -> _Object:
        found = self._objects.get(key)
        if found is None:
            raise ObjectMissing(f"no object {key!r}", key=key)
        if etag is not None and found.info.etag != etag:
            raise ObjectChanged(f"object {key!r} is another one than before", key=key)
        return found

    def _store(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        info = ObjectInfo(key, _etag(data), len(data), None, content_type, self._clock())
        self._objects[key] = _Object(info, data)
        return info


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
