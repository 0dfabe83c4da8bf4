"""The parent's side of a check, with a child that does as the test says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.adapters.media import sandbox, wire
from orchestrator.adapters.media.sandbox import Limits
from tests.media_samples import Bytes


class Dripping:
    """A child that says its report one byte at a time, each a second after the one before."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.said = 0

    def settimeout(self, left_s: float) -> None:
        assert 0 < left_s <= 30

    def sendall(self, data: bytes) -> None:
        """Takes what it is given."""

    def recv(self, _most: int) -> bytes:
        self.now_s += 1
        self.said += 1
        return (wire.RESULT + b"\0\0\xff\xff" + b" " * 0xFFFF)[self.said - 1 : self.said]


def test_a_child_that_says_one_byte_at_a_time_has_no_more_time_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Dripping()
    monkeypatch.setattr(sandbox, "time", SimpleNamespace(monotonic=lambda: child.now_s))
    session = sandbox._Session(child, Bytes(b"film"), Limits(max_wall_s=30))
    outcome = session.run("video")
    assert (outcome.result, outcome.why, session.is_late) == (None, "30 s", True)
    assert child.said == 30
