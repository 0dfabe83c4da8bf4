"""Where a file to be judged may lie: on a disk, or in a store, pinned to what HEAD said."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.app.stored import StoredObject
from orchestrator.domain.errors import StorageUnavailable
from orchestrator.ports.storage import ObjectChanged, ObjectMissing

__all__ = ["LocalFile", "StoredObject"]


class LocalFile:
    """A file on this machine; may be read by several threads."""

    def __init__(self, path: Path | str) -> None:
        """Raises ObjectMissing when there is no such regular file, StorageUnavailable when it cannot be opened."""
        self.path = Path(path)
        if not self.path.is_file():
            raise ObjectMissing(f"{self.path}: there is no such file")
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise StorageUnavailable(f"{self.path}: {exc.strerror}") from exc
        stat = os.fstat(self._fd)
        self._size, self._changed_at = stat.st_size, stat.st_mtime_ns

    @property
    def size_bytes(self) -> int:
        return self._size

    def read_range(self, start: int, length: int) -> bytes:
        """Bytes [start, start+length), fewer at the end. Raises ObjectChanged when somebody writes to the file."""
        try:
            stat = os.fstat(self._fd)
            data = os.pread(self._fd, length, start)
        except OSError as exc:
            raise StorageUnavailable(f"{self.path}: {exc.strerror}") from exc
        if (stat.st_size, stat.st_mtime_ns) != (self._size, self._changed_at):
            raise ObjectChanged(f"{self.path}: changed while it was read")
        return data

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
