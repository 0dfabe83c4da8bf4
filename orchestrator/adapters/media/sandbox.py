"""The parent's side of a check: starts the child, hands out ranges, keeps budgets and the clock, ends it by its id."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.adapters.media import wire
from orchestrator.adapters.media.findings import MIB
from orchestrator.ports.prober import ByteSource

CHILD: Final = "orchestrator.adapters.media.child"


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
    """How a check ended. `result` is the child's report; None when it was stopped or died (`why` says)."""

    result: dict[str, Any] | None
    read_bytes: int
    requests: int
    seconds: float
    why: str = ""
    worth_another: bool = False


def run(source: ByteSource, kind: str, limits: Limits) -> Outcome:
    """One child, one file.

    Raises:
        StorageUnavailable, ObjectMissing, ObjectChanged: as the source does; the child is ended first.
    """
    ours, theirs = socket.socketpair()
    try:
        command = [sys.executable, "-I", "-m", CHILD, str(theirs.fileno())]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            pass_fds=(theirs.fileno(),),
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        try:
            return _serve(ours, source, kind, limits)
        finally:
            child.kill()
            child.wait()
    finally:
        ours.close()
        theirs.close()


def _serve(channel: socket.socket, source: ByteSource, kind: str, limits: Limits) -> Outcome:
    start = time.monotonic()
    size_bytes = source.size_bytes
    job = {
        "kind": kind,
        "size_bytes": size_bytes,
        "memory_bytes": limits.max_memory_bytes,
        "cpu_s": limits.max_cpu_s,
    }
    read_bytes = requests = 0

    def ended(why: str = "", result: dict[str, Any] | None = None, *, again: bool = False) -> Outcome:
        return Outcome(result, read_bytes, requests, time.monotonic() - start, why, again)

    try:
        channel.settimeout(limits.max_wall_s)
        wire.send_message(channel, json.dumps(job).encode())
        while True:
            left = limits.max_wall_s - (time.monotonic() - start)
            if left <= 0:
                raise TimeoutError
            channel.settimeout(left)
            request = wire.receive_request(channel)
            if request is None:
                report = json.loads(wire.receive_message(channel, wire.MAX_RESULT_BYTES))
                if "error" in report:
                    return ended(f"an error of its own ({report['error']!s:.200})", again=True)
                return ended(result=report)
            offset, length = request
            if offset + length > size_bytes or not length:
                return ended("the check asked for bytes outside the file")
            read_bytes, requests = read_bytes + length, requests + 1
            if read_bytes > limits.max_read_bytes:
                return ended(f"{limits.max_read_bytes // MIB} MB")
            if requests > limits.max_requests:
                return ended(f"{limits.max_requests} requests")
            data = source.read_range(offset, length)
            channel.settimeout(max(0.001, limits.max_wall_s - (time.monotonic() - start)))
            wire.send_message(channel, data[:length])
    except TimeoutError:
        return ended(f"{limits.max_wall_s:g} s", again=True)
    except (wire.Closed, ConnectionError):
        return ended(f"{time.monotonic() - start:.1f} s, having failed", again=True)
    except ValueError:
        return ended("an unreadable report", again=True)
