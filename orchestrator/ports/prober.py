"""What the core needs to judge a file: its facts, read by ranges, by a process that can do no harm."""

from __future__ import annotations

from typing import Protocol

from orchestrator.domain.media import MediaKind, MediaRules, Verdict


class ByteSource(Protocol):
    """A file somewhere: in a store or on a disk. Ranged reads only."""

    @property
    def size_bytes(self) -> int: ...

    def read_range(self, start: int, length: int) -> bytes:
        """Bytes [start, start+length), fewer at the end. Raises StorageUnavailable, ObjectMissing, ObjectChanged."""


class Prober(Protocol):
    def judge(self, source: ByteSource, kind: MediaKind, rules: MediaRules) -> Verdict:
        """Facts of the file and every reason to refuse it. Never raises for what the file contains.

        Raises:
            CheckBrokenOff: whoever looked at it was ended from outside.
        """
