"""A file to be judged that lies on this machine's disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.domain.errors import StorageUnavailable
from orchestrator.ports.storage import ObjectChanged, ObjectMissing


class LocalFile:
    """A file on this machine; may be read by several threads."""

    def __init__(self, path: Path | str) -> None:
        """Raises ObjectMissing when there is no such regular file, StorageUnavailable when it cannot be opened."""
        self.path = path
        try:
            _must_be_a_file(
                path, Path(path).stat().st_mode
            )  # before it is opened: to open a pipe or a device has effects
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError, ValueError) as exc:
            raise ObjectMissing(f"{path}: there is no such file") from exc
        except OSError as exc:
            raise StorageUnavailable(f"{path}: cannot be read: {exc.strerror}") from exc
        found = os.fstat(self._fd)
        self._size, self._changed_at = found.st_size, found.st_mtime_ns
        try:
            _must_be_a_file(path, found.st_mode)
        except ObjectMissing:
            self.close()
            raise

    @property
    def size_bytes(self) -> int:
        return self._size

    def read_range(self, start: int, length: int) -> bytes:
        """Bytes [start, start+length), fewer at the end. Raises ObjectChanged when somebody writes to the file."""
        try:
            found = os.fstat(self._fd)
            data = os.pread(self._fd, length, start)
        except OSError as exc:
            raise StorageUnavailable(f"{self.path}: {exc.strerror}") from exc
        if (found.st_size, found.st_mtime_ns) != (self._size, self._changed_at):
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


def _must_be_a_file(path: Path | str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ObjectMissing(f"{path}: is a directory")
    if not stat.S_ISREG(mode):
        raise ObjectMissing(f"{path}: is a pipe, a socket or a device; only regular files are judged")
