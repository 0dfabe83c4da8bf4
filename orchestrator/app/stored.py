"""A sealed object as something to read from."""

from __future__ import annotations

from typing import Self

from orchestrator.domain.errors import StorageUnavailable
from orchestrator.ports.storage import ObjectInfo, ObjectMissing, Storage


class StoredObject:
    """An object of a store, pinned by its ETag: every range is of the same object, or ObjectChanged."""

    def __init__(self, storage: Storage, info: ObjectInfo) -> None:
        """Args: info: what HEAD (or sealing) said of the object."""
        self._storage = storage
        self.info = info

    @classmethod
    def at(cls, storage: Storage, key: str) -> Self:
        """The object that lies at `key` now. Raises ObjectMissing, StorageUnavailable."""
        info = storage.head(key)
        if info is None:
            raise ObjectMissing(f"{key}: there is no such object")
        return cls(storage, info)

    @property
    def size_bytes(self) -> int:
        return self.info.size_bytes

    def read_range(self, start: int, length: int) -> bytes:
        data = self._storage.read_range(self.info.key, start, length, etag=self.info.etag)
        want = max(0, min(length, self.size_bytes - start))
        if len(data) < want:
            raise StorageUnavailable(f"{self.info.key}: the store answered {len(data)} bytes instead of {want}")
        return data
