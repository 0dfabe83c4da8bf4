"""The parent's side of a check: starts the child, hands out ranges, keeps budgets and the clock, ends it by its id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from orchestrator.adapters.media import wire
from orchestrator.adapters.media.findings import MIB
from orchestrator.domain.errors import StorageUnavailable
from orchestrator.ports.prober import ByteSource

CHILD: Final = "orchestrator.adapters.media.child"
_DIES_WITHIN_S: Final = 2.0  # of closing its channel
_STARVED: Final = 0.5  # of the wall clock; who had less of the processor did not loop, it was not let run
# What no file can make of its reader: its own limits end it by other signals.
_FROM_OUTSIDE: Final = frozenset(
    -getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the check of one file may cost.

    Attributes:
        max_read_bytes, max_requests: over all ranges.
        max_wall_s: from start to report; the parent's clock.
        max_cpu_s, max_memory_bytes: of the child; the system's limits.
    """

    max_read_bytes: int = 64 * MIB
    max_requests: int = 200
    max_wall_s: float = 30.0
    max_cpu_s: int = 20
    max_memory_bytes: int = 512 * MIB


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check ended. `result` is the child's report; None when it was stopped or died (`why` says).

    Attributes:
        worth_another: another child may come to an end.
        is_files: the file may be why there is no report; else somebody killed the child, or let it not run.
    """

    result: dict[str, Any] | None
    read_bytes: int
    requests: int
    seconds: float
    why: str = ""
    worth_another: bool = False
    is_files: bool = True


class _End(NamedTuple):
    """How a child ended: `code` as subprocess has it, None when we ended it; and the processor time that it had."""

    code: int | None
    cpu_s: float


def run(source: ByteSource, kind: str, limits: Limits) -> Outcome:
    """One child, one file.

    Raises:
        StorageUnavailable, ObjectMissing, ObjectChanged: as the source does; the child is ended first.
    """
    ours, theirs = socket.socketpair()
    try:
        command = [sys.executable, "-I", "-m", CHILD, str(theirs.fileno())]
        child = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(),),
            env={"HOME": "/"},  # without it Python looks one up in the system's list of users
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        session = _Session(ours, source, limits)
        try:
            outcome = session.run(kind)
        except BaseException:
            _end(child)
            raise
        return _excused(outcome, _end(child, _DIES_WITHIN_S if session.is_closed else 0), session, limits)
    finally:
        ours.close()
        theirs.close()


def _end(child: subprocess.Popen[bytes], wait_s: float = 0.0) -> _End:
    """End it, if it does not end by itself within `wait_s`."""
    ends_s = time.monotonic() + wait_s
    while (ended := os.wait4(child.pid, os.WNOHANG))[0] == 0 and time.monotonic() < ends_s:
        time.sleep(0.005)
    by_itself = ended[0] != 0
    if not by_itself:
        os.kill(child.pid, signal.SIGKILL)  # Popen.kill would wait for one that has just ended, and leave none to us
        ended = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(ended[1])  # or its Popen would wait for whoever has this id next
    return _End(child.returncode if by_itself else None, ended[2].ru_utime + ended[2].ru_stime)


def _excused(outcome: Outcome, end: _End, session: _Session, limits: Limits) -> Outcome:
    """The outcome, and whether the file may be to blame for it."""
    # who lets the soft limit of its time pass is killed by the hard one
    is_killed = session.is_closed and end.code in _FROM_OUTSIDE and end.cpu_s < limits.max_cpu_s
    is_starved = session.is_late and end.cpu_s < limits.max_wall_s * _STARVED
    return replace(outcome, is_files=not (is_killed or is_starved))


class _Stopped(Exception):
    """A budget is used up, or the child behaves as it never should."""

    def __init__(self, why: str, *, worth_another: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.worth_another = worth_another


class _Session:
    """The talk with one child, and the channel that it goes over.

    Every single wait is cut to what is left of the time: who says one byte at a time has no more of it than others.
    """

    def __init__(self, channel: socket.socket, source: ByteSource, limits: Limits) -> None:
        self._socket = channel
        self._source = source
        self._limits = limits
        self._size_bytes = source.size_bytes
        self._start = time.monotonic()
        self._read_bytes = self._requests = 0
        self._waited_s = 0.0  # for the source
        self.is_closed = False  # by the child: it has died, or is about to
        self.is_late = False

    def run(self, kind: str) -> Outcome:
        """Serve until the child reports or has to be stopped. Raises what the source raises."""
        try:
            result = self._serve(kind)
        except _Stopped as stop:
            return self._ended(None, stop.why, worth_another=stop.worth_another)
        except TimeoutError as exc:
            if self._waited_s > self._limits.max_wall_s / 2:  # a slow store says nothing about the file
                raise StorageUnavailable(f"the file could not be read within {self._limits.max_wall_s:g} s") from exc
            self.is_late = True
            return self._ended(None, f"{self._limits.max_wall_s:g} s", worth_another=True)
        except (wire.Closed, ConnectionError):
            self.is_closed = True
            return self._ended(None, f"{self._elapsed():.1f} s, having failed", worth_another=True)
        return self._ended(result)

    def _elapsed(self) -> float:
        return time.monotonic() - self._start

    def _ended(self, result: dict[str, Any] | None, why: str = "", *, worth_another: bool = False) -> Outcome:
        return Outcome(result, self._read_bytes, self._requests, self._elapsed(), why, worth_another)

    def recv(self, most: int) -> bytes:
        return self._timed().recv(most)

    def sendall(self, data: bytes) -> None:
        self._timed().sendall(data)

    def _timed(self) -> socket.socket:
        left = self._limits.max_wall_s - self._elapsed()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._socket

    def _serve(self, kind: str) -> dict[str, Any]:
        job = {
            "kind": kind,
            "size_bytes": self._size_bytes,
            "memory_bytes": self._limits.max_memory_bytes,
            "cpu_s": self._limits.max_cpu_s,
        }
        wire.send_message(self, json.dumps(job).encode())
        while True:
            request = wire.receive_request(self)
            if request is None:
                return self._report()
            self._answer(*request)

    def _answer(self, offset: int, length: int) -> None:
        if not 0 < length <= self._size_bytes - offset:
            raise _Stopped("it asked for bytes outside the file")
        self._read_bytes += length
        self._requests += 1
        if self._read_bytes > self._limits.max_read_bytes:
            raise _Stopped(f"{self._limits.max_read_bytes / MIB:g} MB")
        if self._requests > self._limits.max_requests:
            raise _Stopped(f"{self._limits.max_requests} requests")
        asked_at = time.monotonic()
        try:
            data = self._source.read_range(offset, length)
        except OSError as exc:  # not the child's channel: that must not look as if the child had failed
            raise StorageUnavailable(f"bytes {offset}+{length} could not be read: {type(exc).__name__}") from exc
        self._waited_s += time.monotonic() - asked_at
        wire.send_message(self, data[:length])

    def _report(self) -> dict[str, Any]:
        try:
            report = json.loads(wire.receive_message(self, wire.MAX_RESULT_BYTES))
        except (ValueError, RecursionError):  # no JSON, or JSON as deep as only somebody hostile writes it
            report = None
        if not isinstance(report, dict):
            raise _Stopped("an unreadable report", worth_another=True)
        if "error" in report:
            raise _Stopped(f"an error of its own ({report['error']!s:.200})", worth_another=True)
        return report
