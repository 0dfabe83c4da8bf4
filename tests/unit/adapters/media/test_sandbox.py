"""The parent's side of a check, with a child that does as the test says."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.adapters.media import prober, sandbox, wire
from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.adapters.media.sandbox import Limits, Outcome
from orchestrator.domain.media import MediaKind
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


# What a child that a film has taken over may say


def _said(length: int, text: bytes) -> bytes:
    return wire.RESULT + length.to_bytes(4, "big") + text


def _report(text: bytes) -> bytes:
    return _said(len(text), text)


DEEP = b"[" * 500_000 + b"]" * 500_000


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (_report(b"not JSON"), "an unreadable report"),
        (_report(b"[1, 2]"), "an unreadable report"),
        (_report(DEEP), "an unreadable report"),
        (_report(b'{"facts": ' + DEEP[:900_000] + b"}"), "an unreadable report"),
        (_report(b"\xff\xfe"), "an unreadable report"),
        (_report(b"9" * 1_000_000), "an unreadable report"),
        (_report(b'{"error": "' + b"x" * 500_000 + b'"}'), f"an error of its own ({'x' * 200})"),
        (_said(0xFFFFFFFF, b"x" * 10_000), "having failed"),  # more than any report has: not even read
        (b"?", "having failed"),
        (b"", "having failed"),
        (wire.READ + (0).to_bytes(8, "big") + (5).to_bytes(4, "big"), "it asked for bytes outside the file"),
        (wire.READ + (2**64 - 1).to_bytes(8, "big") + (1).to_bytes(4, "big"), "it asked for bytes outside the file"),
        (wire.READ + (0).to_bytes(8, "big") + (0).to_bytes(4, "big"), "it asked for bytes outside the file"),
        ((wire.READ + (0).to_bytes(8, "big") + (4).to_bytes(4, "big")) * 7, "6 requests"),
    ],
)
def test_whatever_a_child_says_is_an_end_of_the_check(said: bytes, why: str) -> None:
    ours, theirs = socket.socketpair()

    def child() -> None:
        wire.receive_message(theirs, 10_000)
        with contextlib.suppress(OSError):
            theirs.sendall(said)
            theirs.shutdown(socket.SHUT_WR)

    speaker = threading.Thread(target=child)
    speaker.start()
    with ours, theirs:
        outcome = sandbox._Session(ours, Bytes(b"film"), Limits(max_requests=6)).run("video")
        ours.shutdown(socket.SHUT_RDWR)
        speaker.join(10)
    assert outcome.result is None
    assert outcome.why.endswith(why)


REASON: dict[str, Any] = {
    "code": "encrypted",
    "field": "container",
    "measured": 1,
    "allowed": None,
    "message": "It is.",
}
REPORT: dict[str, Any] = {"facts": {}, "problems": [], "notes": [], "confined": "seccomp", "peak_bytes": 1}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def facts(report: dict[str, Any]) -> Any:
        outcome = Outcome(json.loads(json.dumps(report)), 1, 1, 0.1)
        monkeypatch.setattr(prober.sandbox, "run", lambda *_: outcome)
        return SandboxedProber().facts(Bytes(b"film"), MediaKind.VIDEO)

    return facts


@pytest.mark.parametrize(
    "lie",
    [
        {"facts": {"coded": [1, 2, 3]}}, {"facts": {"coded": ["a", "b"]}}, {"facts": {"frames": 2**63}},
        {"facts": {"frames": True}}, {"facts": {"fps": math.inf}}, {"facts": {"fps": "25"}},
        {"facts": {"brand": ["isom"]}}, {"facts": {"project_id": "another"}}, {"facts": [1]}, {"facts": None},
        {"problems": [{**REASON, "measured": {"a": {}}}]}, {"problems": [{**REASON, "measured": [[[]]]}]},
        {"problems": [{**REASON, "measured": 2**70}]}, {"problems": [{**REASON, "code": "x" * 65}]},
        {"problems": [{**REASON, "code": "no such; word"}]}, {"problems": [{**REASON, "message": 5}]},
        {"problems": [REASON] * 101}, {"problems": {"a": 1}}, {"problems": ["text"]}, {"notes": 7},
        {"peak_bytes": "much"}, {"peak_bytes": None},
    ],
)  # fmt: skip
def test_a_report_is_believed_no_further_than_its_types(judged: Any, lie: dict[str, Any]) -> None:
    facts = judged(REPORT | lie)
    assert [(each.code, each.measured) for each in facts.problems] == [("probe_limit_exceeded", "an unreadable report")]


def test_texts_of_a_report_can_be_stored_and_shown_anywhere(judged: Any) -> None:
    told = "a\0b\ud800" + "x" * 1000
    facts = judged(REPORT | {"facts": {"brand": told}, "problems": [{**REASON, "measured": [told], "message": told}]})
    [reason] = facts.problems
    assert facts.brand == reason.message == reason.measured[0]
    assert (len(facts.brand), "\0" in facts.brand) == (400, False)
    facts.brand.encode()


def test_how_a_child_says_that_it_is_confined_is_told_once(judged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(prober, "_TOLD", set())
    monkeypatch.setattr(prober.log, "warning", lambda _event, *, in_force: told.append(in_force), raising=False)
    for confined in ("limits", "any word", "another", ["list"], "namespace", "seccomp"):
        judged(REPORT | {"confined": confined})
    assert told == ["resource limits", "resource limits and an empty network namespace"]


@pytest.mark.parametrize(
    ("code", "cpu_s", "is_files"),
    [
        (-signal.SIGKILL, 3.0, False),  # somebody else's doing
        (-signal.SIGKILL, 21.0, True),  # it let the limit of its time pass, and the system ended it
        (-signal.SIGXCPU, 20.0, True),
        (-signal.SIGSEGV, 1.0, True),
        (0, 1.0, True),
    ],
)
def test_a_film_is_excused_only_by_ends_that_it_cannot_bring_about(code: int, cpu_s: float, *, is_files: bool) -> None:
    limits = Limits(max_cpu_s=20)
    session = sandbox._Session(Dripping(), Bytes(b"film"), limits)
    session.is_closed = True
    outcome = Outcome(None, 0, 0, 1.0, "having failed", worth_another=True)
    assert sandbox._excused(outcome, sandbox._End(code, cpu_s), session, limits).is_files is is_files
